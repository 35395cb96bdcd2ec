"""An object as named arrays and a JSON structure around them, and back.

Nested dicts, lists and tuples keep their kinds; tensors of one cell are one array and are tied
again. Knows no file format: archive.py puts arrays and structure into a file.
"""

from __future__ import annotations

import json
import math
import types
from collections import OrderedDict
from typing import Any

import numpy as np

from backlit.dtypes import BY_NAME, dtype, of_array
from backlit.errors import ArgumentError, CheckpointError, DTypeError
from backlit.tensor import Parameter, Size, Tensor, wrap

STORED = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U16": "uint16", "U32": "uint32", "U64": "uint64",
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
}  # fmt: skip


def flatten(obj: Any) -> tuple[dict[str, np.ndarray], str]:
    """Named arrays and the JSON text; ArgumentError for what can't be saved."""
    found = _Flatten()
    try:
        root = json.dumps(found.node(obj, ""), allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise ArgumentError("save: the object is nested too deeply") from None
    return found.arrays, root


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
        if value.dtype.name not in STORED.values():
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


def assemble(arrays: dict[str, np.ndarray], root: str | None, name: str) -> Any:
    """The object again; without a structure, the arrays of another tool by name."""
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
