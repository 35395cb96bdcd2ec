"""Files without pickle: `bl.save` and `bl.load`.

A saved object is one safetensors file: its tensors under dotted names, and the structure around
them, with a checksum, as JSON in the file's metadata. A file can't run code, and other tools
read it. The package `safetensors` owns the format; nothing here knows models or training.
Next: files.py, how a file is replaced; train/checkpoint.py, what a training saves.
"""

from __future__ import annotations

import json
import math
import os
import types
import zlib
from collections import OrderedDict
from typing import IO, Any

import numpy as np

from backlit.dtypes import BY_NAME, dtype, of_array
from backlit.errors import ArgumentError, CheckpointError, DTypeError, NotAvailable
from backlit.files import atomic_write, saving
from backlit.tensor import Parameter, Size, Tensor, wrap

STRUCTURE = "backlit"  # metadata key of {"crc32": ..., "root": ...}
LONGEST_HEADER = 100_000_000  # the limit of the package, in bytes

NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip


def save(obj: Any, f: str | os.PathLike[str] | IO[bytes]) -> None:
    """Write an object to a path or binary file as safetensors; a path is replaced atomically.

    Takes nested dicts, lists and tuples of tensors, NumPy arrays, numbers, strings, dtypes and
    None. Tensors that share a cell are written once and are tied again by `load`.
    Raises ArgumentError naming the first part that can't be saved, before anything is written;
    CheckpointError where the file can't be written, and then the old file is untouched.

    >>> import io; file = io.BytesIO()
    >>> bl.save({"weight": bl.ones(2), "epoch": 3}, file); _ = file.seek(0)
    >>> bl.load(file)
    {'weight': tensor([1., 1.]), 'epoch': 3}
    """
    packed = _pack(*_flatten(obj))
    if not isinstance(f, str | os.PathLike):
        f.write(packed)
        return
    path = os.fspath(f)
    with saving(path), atomic_write(path) as file:
        file.write(packed)


def load(
    f: str | os.PathLike[str] | IO[bytes], map_location: Any = None, weights_only: bool = True
) -> Any:
    """Read what `save`, or any tool that writes safetensors, has written.

    `map_location` may only name the CPU. Nothing is ever unpickled, so `weights_only` changes
    nothing. Raises CheckpointError with the file's name and the reason where the file is
    truncated, corrupt or of another format; FileNotFoundError where there is none.

    >>> import io; file = io.BytesIO()
    >>> bl.save([bl.tensor([1, 2]), "two"], file); _ = file.seek(0); bl.load(file)
    [tensor([1, 2]), 'two']
    """
    _only_cpu(map_location)
    if not isinstance(f, str | os.PathLike):
        name = str(getattr(f, "name", "file"))
        return _assemble(*_read(f, name), name)
    path = os.fspath(f)
    if os.path.isdir(path):
        raise CheckpointError(f"load: {path} is a folder, not a file")
    with open(path, "rb") as file:
        return _assemble(*_read(file, path, whole=True), path)


# From an object to named arrays and a JSON structure


def _flatten(obj: Any) -> tuple[dict[str, np.ndarray], str]:
    flatten = _Flatten()
    try:
        root = json.dumps(flatten.node(obj, ""), allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ArgumentError("save: the object is nested too deeply") from None
    return flatten.arrays, root


class _Flatten:
    """Walks an object; leaves become JSON, tensors become named arrays."""

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self.names: dict[int, str] = {}  # identity of a cell: its name in the file
        self.kept: list[Any] = []  # identities stay valid while these live
        self.open: set[int] = set()

    def node(self, value: Any, path: str) -> Any:
        kind = type(value)
        if value is None or kind in (bool, int, str):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": repr(value)}
        if kind is complex:
            return {"complex": [self.node(value.real, path), self.node(value.imag, path)]}
        if isinstance(value, dtype):
            return {"dtype": value.name}
        if isinstance(value, Tensor):
            return self.tensor(value, path)
        if isinstance(value, np.ndarray | np.generic):
            return self.array(value, path)
        if kind in (dict, OrderedDict, list, tuple, Size):
            return self.container(value, path)
        what = f"{path or 'save'}: {_describe(value)} can't be saved"
        raise ArgumentError(what, hint=_hint(value))

    def container(self, value: Any, path: str) -> Any:
        if id(value) in self.open:
            raise ArgumentError(f"{path or 'save'}: a {type(value).__name__} that contains itself")
        self.open.add(id(value))
        if isinstance(value, dict):
            items = [[self.key(k, path), self.node(v, _join(path, k))] for k, v in value.items()]
            node: Any = {type(value).__name__: items}
        else:
            items = [self.node(v, _join(path, i)) for i, v in enumerate(value)]
            node = items if type(value) is list else {type(value).__name__: items}
        self.open.discard(id(value))
        return node

    def key(self, key: Any, path: str) -> Any:
        parts = key if type(key) is tuple else (key,)
        if any(k is not None and type(k) not in (bool, int, float, str) for k in parts):
            raise ArgumentError(f"{_join(path, key)}: {_describe(key)} can't be a saved key")
        return self.node(key, path)

    def tensor(self, value: Tensor, path: str) -> dict[str, Any]:
        node: dict[str, Any] = {"tensor": self.named(value.array, value.cell, path)}
        if isinstance(value, Parameter):
            node["parameter"] = value.requires_grad
        elif value.requires_grad:
            node["requires_grad"] = True
        return node

    def array(self, value: Any, path: str) -> dict[str, Any]:
        if value.dtype.name not in NAMES.values():
            raise ArgumentError(f"{path or 'save'}: an array of {value.dtype} can't be saved")
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        return {kind: self.named(np.asarray(value), value, path)}

    def named(self, array: np.ndarray, owner: Any, path: str) -> str:
        if id(owner) in self.names:
            return self.names[id(owner)]
        name, count = path, 1
        while name in self.arrays or name == "__metadata__":
            count += 1
            name = f"{path}~{count}"
        self.arrays[name] = array
        self.names[id(owner)] = name
        self.kept.append(owner)
        return name


def _join(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _describe(value: Any) -> str:
    if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return "a function"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def _hint(value: Any) -> str:
    if hasattr(value, "state_dict") and not isinstance(value, type):
        return "save its state_dict()"
    for kind in (dict, list, tuple, str, int, float):
        if isinstance(value, kind):
            return f"save {kind.__name__}(...) of it"
    return "tensors, arrays, numbers, strings, dtypes, None, dicts, lists and tuples can be"


# The file itself


def _pack(arrays: dict[str, np.ndarray], root: str) -> bytes:
    from safetensors.numpy import save as packed

    native = {
        name: a.astype(a.dtype.newbyteorder("="), "C", copy=False) for name, a in arrays.items()
    }
    # One key: the package writes several in random order, and equal objects are equal files.
    return packed(native, {STRUCTURE: json.dumps({"crc32": _checksum(native, root), "root": root})})


def _checksum(arrays: dict[str, np.ndarray], root: str) -> int:
    check = zlib.crc32(root.encode())
    for name, array in sorted(arrays.items()):
        check = zlib.crc32(json.dumps([name, array.dtype.name, array.shape]).encode(), check)
        check = zlib.crc32(array.reshape(-1).view(np.uint8).data, check)
    return check


def _read(
    file: IO[bytes], name: str, whole: bool = False
) -> tuple[dict[str, np.ndarray], str | None]:
    """Named arrays and the JSON structure; a stream is left where the object ends."""
    raw = file.read()
    metadata, promised = _header(raw, name)
    if len(raw) < promised or (whole and len(raw) > promised):
        state = "truncated" if len(raw) < promised else "corrupt"
        numbers = f"{len(raw)} bytes where the header promises {promised}"
        raise CheckpointError(f"load: {name}: {state}: {numbers}")
    if len(raw) > promised:
        file.seek(promised - len(raw), os.SEEK_CUR)
    arrays = _unpack(raw[:promised], name)
    # A damaged key must not turn our file into one of another tool.
    texts = [text for text in metadata.values() if str(text).startswith('{"crc32"')]
    if STRUCTURE not in metadata and not texts:
        return arrays, None
    try:
        seal = json.loads(metadata.get(STRUCTURE, *texts))
        written, root = seal["crc32"], str(seal["root"])
    except (ValueError, TypeError, LookupError) as error:
        raise CheckpointError(f"load: {name}: corrupt structure: {error!r}") from None
    if written != _checksum(arrays, root):
        raise CheckpointError(f"load: {name}: corrupt: its bytes differ from those written")
    return arrays, root


def _header(raw: bytes, name: str) -> tuple[dict[str, str], int]:
    """The metadata and the object's length in bytes, which the package does not hand out."""
    length = int.from_bytes(raw[:8], "little")
    if len(raw) < 8 or not 2 <= length <= LONGEST_HEADER:
        _refuse_foreign(raw, name)
        raise CheckpointError(f"load: {name}: not a safetensors file, or its start is lost")
    if len(raw) < 8 + length:
        raise CheckpointError(f"load: {name}: truncated inside the header")
    try:
        entries = json.loads(raw[8 : 8 + length])
        metadata = dict(entries.pop("__metadata__", None) or {})
        ends = [int(entry["data_offsets"][1]) for entry in entries.values()]
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise CheckpointError(f"load: {name}: corrupt header: {error!r}") from None
    return metadata, 8 + length + max(ends, default=0)


def _unpack(raw: bytes, name: str) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(raw)
        return {
            key: np.frombuffer(entry["data"], _numpy_dtype(key, entry["dtype"])).reshape(
                entry["shape"]
            )
            for key, entry in entries
        }
    except (SafetensorError, ValueError, OverflowError) as error:
        raise CheckpointError(f"load: {name}: can't be read: {error}") from None


def _numpy_dtype(key: str, code: str) -> np.dtype:
    if code not in NAMES:
        raise ValueError(f"{key!r} has the dtype {code}, which Backlit has not")
    return BY_NAME[NAMES[code]].numpy if NAMES[code] in BY_NAME else np.dtype(NAMES[code])


def _refuse_foreign(raw: bytes, name: str) -> None:
    """Pickles and zip files get an answer of their own: they are what people try first."""
    if raw[:4] == b"PK\x03\x04":
        if b".npy" in raw[:264]:
            raise CheckpointError(f"load: {name} is a NumPy .npz file", hint="use numpy.load")
        kind = "a PyTorch zip file, which holds a pickle"
    elif raw[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        kind = "a pickle"
    else:
        return
    raise CheckpointError(
        f"load: {name} is {kind}; a pickle can run any code, so Backlit does not read it",
        hint="in PyTorch: safetensors.torch.save_file(state_dict, path), then load that file",
    )


def _only_cpu(location: Any) -> None:
    places = location.values() if isinstance(location, dict) else [location]
    for place in places:
        if place is not None and not callable(place) and not str(place).startswith("cpu"):
            raise NotAvailable(f"load: map_location {place}: Backlit runs on the CPU only")


# From named arrays and a JSON structure back to the object


def _assemble(arrays: dict[str, np.ndarray], root: str | None, name: str) -> Any:
    restore = _Restore(arrays)
    try:
        if root is None:
            return {key: restore.tensor({"tensor": key}) for key in arrays}
        return restore.value(json.loads(root))
    except DTypeError as error:
        raise CheckpointError(f"load: {name}: {error.message}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f"load: {name}: corrupt structure: {error!r}") from None


class _Restore:
    """Builds the object again; one name in the file becomes one cell."""

    def __init__(self, arrays: dict[str, np.ndarray]) -> None:
        self.arrays = arrays
        self.tensors: dict[str, Tensor] = {}

    def value(self, node: Any) -> Any:
        if isinstance(node, list):
            return [self.value(n) for n in node]
        if not isinstance(node, dict):
            return node
        if "tensor" in node:
            return self.tensor(node)
        ((kind, content),) = node.items()
        if kind in ("dict", "OrderedDict"):
            pairs = [(self.value(k), self.value(v)) for k, v in content]
            return dict(pairs) if kind == "dict" else OrderedDict(pairs)
        if kind in ("tuple", "Size"):
            items = [self.value(n) for n in content]
            return tuple(items) if kind == "tuple" else Size(items)
        if kind in ("array", "scalar"):
            return self.arrays[content] if kind == "array" else self.arrays[content][()]
        if kind == "float":
            return float(content)
        if kind == "complex":
            return complex(*(self.value(n) for n in content))
        if kind == "dtype":
            return BY_NAME[content]
        raise ValueError(f"unknown kind {kind!r}; the file may be from a newer Backlit")

    def tensor(self, node: dict[str, Any]) -> Tensor:
        name = node["tensor"]
        if name not in self.tensors:
            of_array(self.arrays[name])  # refuses what other tools have and Backlit has not
            self.tensors[name] = wrap(self.arrays[name])
        base = self.tensors[name]
        if "parameter" in node:
            return Parameter(base, requires_grad=node["parameter"])
        return base.detach().requires_grad_() if node.get("requires_grad") else base
