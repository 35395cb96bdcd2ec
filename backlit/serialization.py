"""Files without pickle: `bl.save` and `bl.load`.

A saved object is one safetensors file: its tensors under dotted names, and, where the object is
more than a flat dict of tensors, the structure around them as JSON in the file's metadata. A
file can't run code, and other tools read it. Nothing here knows models or training. Next:
files.py, how a file is replaced; train/checkpoint.py, what a training saves.
Format: https://huggingface.co/docs/safetensors (8 bytes of header length, JSON header, data).
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

STRUCTURE = "backlit"  # metadata key of the JSON structure
CHECK = "crc32"  # metadata key of the checksum over header and data
LONGEST_HEADER = 100_000_000  # the limit of the reference implementation, in bytes

CODES = {
    "bool": "BOOL", "uint8": "U8", "int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64",
    "uint16": "U16", "uint32": "U32", "uint64": "U64",
    "float16": "F16", "bfloat16": "BF16", "float32": "F32", "float64": "F64",
}  # fmt: skip
NAMES = {code: name for name, code in CODES.items()}


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
    arrays, metadata = _flatten(obj)
    if not isinstance(f, str | os.PathLike):
        _write(f, arrays, metadata)
        return
    path = os.fspath(f)
    with saving(path), atomic_write(path) as file:
        _write(file, arrays, metadata)


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
        return _assemble(*_read(f, getattr(f, "name", "file")))
    path = os.fspath(f)
    with open(path, "rb") as file:
        return _assemble(*_read(file, path, whole=True))


# From an object to named arrays and a JSON structure


def _flatten(obj: Any) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    flatten = _Flatten()
    try:
        root = flatten.node(obj, "")
        structure = json.dumps(root, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ArgumentError("save: the object is nested too deeply") from None
    if type(obj) is dict and root == {"dict": [[k, {"tensor": k}] for k in obj]}:
        return flatten.arrays, {}
    return flatten.arrays, {STRUCTURE: structure}


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
        if value.dtype.name not in CODES:
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


def _write(file: IO[bytes], arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    # Widest elements first keeps every tensor aligned; the header keeps the object's order.
    layout = sorted(arrays, key=lambda name: -arrays[name].itemsize)
    end, spans = 0, {}
    for name in layout:
        spans[name] = [end, end + arrays[name].nbytes]
        end = spans[name][1]
    header: dict[str, Any] = {}
    for name, array in arrays.items():
        place = {"shape": list(array.shape), "data_offsets": spans[name]}
        header[name] = {"dtype": CODES[array.dtype.name], **place}
    check = _header_check(header, metadata)
    for name in layout:
        check = zlib.crc32(_bytes(arrays[name]), check)
    header["__metadata__"] = {**metadata, CHECK: f"{check:08x}"}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in layout:
        file.write(_bytes(arrays[name]))


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _header_check(header: dict[str, Any], metadata: dict[str, str]) -> int:
    """Checksum of what stands before the data; the data's continues it."""
    return zlib.crc32(json.dumps([header, metadata]).encode())


def _read(
    file: IO[bytes], name: str, whole: bool = False
) -> tuple[dict[str, np.ndarray], dict[str, str], str]:
    """Named arrays, metadata and the file's name; every number in the header is checked."""
    header = _read_header(file, name)
    try:
        metadata = header.pop("__metadata__", {})
        end = _check_header(header, metadata)
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"load: {name}: corrupt header: {error}") from None
    if whole:
        promised, size = file.tell() + end, os.fstat(file.fileno()).st_size
        if size != promised:
            state = "truncated" if size < promised else "corrupt"
            numbers = f"{size} bytes where the header promises {promised}"
            raise CheckpointError(f"load: {name}: {state}: {numbers}")
    written = metadata.pop(CHECK, None)  # other tools write none
    arrays, check = _read_arrays(file, header, name, _header_check(header, metadata))
    if written is not None and written != f"{check:08x}":
        raise CheckpointError(f"load: {name}: corrupt: its bytes differ from those written")
    return arrays, metadata, name


def _read_header(file: IO[bytes], name: str) -> Any:
    prefix = file.read(8)
    length = int.from_bytes(prefix, "little")
    if len(prefix) < 8 or not 2 <= length <= LONGEST_HEADER:
        _refuse_foreign(prefix, file, name)
        raise CheckpointError(f"load: {name}: not a safetensors file, or its start is lost")
    text = file.read(length)
    if len(text) < length:
        raise CheckpointError(f"load: {name}: truncated inside the header")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise CheckpointError(f"load: {name}: corrupt: the header is not JSON") from None


def _check_header(header: Any, metadata: Any) -> int:
    """The number of data bytes; ValueError where the header contradicts itself."""
    if not isinstance(metadata, dict):
        raise ValueError("its metadata is no JSON object")
    spans = []
    for name, entry in header.items():
        if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= set(entry):
            raise ValueError(f"incomplete entry for {name!r}")
        if entry["dtype"] not in NAMES:
            raise ValueError(f"{name!r} has the dtype {entry['dtype']}, which Backlit has not")
        numbers = [*entry["shape"], *entry["data_offsets"]]
        if len(entry["data_offsets"]) != 2 or not all(type(n) is int and n >= 0 for n in numbers):
            raise ValueError(f"{name!r} has a malformed shape or position")
        start, end = entry["data_offsets"]
        if math.prod(max(n, 1) for n in entry["shape"]) >= 1 << 60:
            raise ValueError(f"{name!r} has the impossible shape {entry['shape']}")
        if end - start != math.prod(entry["shape"]) * _numpy_dtype(entry["dtype"]).itemsize:
            raise ValueError(f"{name!r} has {end - start} bytes for shape {entry['shape']}")
        spans.append((start, end))
    position = 0
    for start, end in sorted(spans):
        if start != position:
            raise ValueError("the tensors overlap or leave holes")
        position = end
    return position


def _read_arrays(
    file: IO[bytes], header: dict[str, Any], name: str, check: int
) -> tuple[dict[str, np.ndarray], int]:
    arrays: dict[str, Any] = dict.fromkeys(header)  # in the order of the object
    for key in sorted(header, key=lambda k: header[k]["data_offsets"]):
        array = np.empty(header[key]["shape"], _numpy_dtype(header[key]["dtype"]))
        data, filled = _bytes(array), 0
        while filled < len(data):
            piece = file.read(min(len(data) - filled, 1 << 24))
            if not piece:
                raise CheckpointError(f"load: {name}: truncated inside {key!r}")
            data[filled : filled + len(piece)] = piece
            filled += len(piece)
        check = zlib.crc32(data, check)
        arrays[key] = array
    return arrays, check


def _numpy_dtype(code: str) -> np.dtype:
    name = NAMES[code]
    return BY_NAME[name].numpy if name in BY_NAME else np.dtype(name)


def _refuse_foreign(prefix: bytes, file: IO[bytes], name: str) -> None:
    """Pickles and zip files get an answer of their own: they are what people try first."""
    if prefix[:4] == b"PK\x03\x04":
        start = prefix + file.read(256)
        if b".npy" in start:
            raise CheckpointError(f"load: {name} is a NumPy .npz file", hint="use numpy.load")
        kind = "a PyTorch zip file, which holds a pickle"
    elif prefix[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
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


def _assemble(arrays: dict[str, np.ndarray], metadata: dict[str, str], name: str) -> Any:
    restore = _Restore(arrays)
    try:
        if STRUCTURE not in metadata:
            return {key: restore.tensor({"tensor": key}) for key in arrays}
        return restore.value(json.loads(metadata[STRUCTURE]))
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
