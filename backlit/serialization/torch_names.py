"""The names that a PyTorch file may hold, and what each means here: all others are refused.

A tensor is read as an empty shell and a window into a storage; windows.py gives it its cell once
the storages are at hand. Knows no file layout. Next: torch_files.py.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.devices import CPU
from backlit.errors import GradError
from backlit.serialization.opcodes import Allowed, Refusal, key
from backlit.serialization.windows import Storage, Window
from backlit.tensor import Parameter, Size, Tensor

STORAGES = {
    "DoubleStorage": dt.float64, "FloatStorage": dt.float32, "HalfStorage": dt.float16,
    "BFloat16Storage": dt.bfloat16, "LongStorage": dt.int64, "IntStorage": dt.int32,
    "ShortStorage": dt.int16, "CharStorage": dt.int8, "ByteStorage": dt.uint8,
    "BoolStorage": dt.bool_, "UntypedStorage": dt.uint8,
}  # fmt: skip
OLDER_DTYPES = {"double": "float64", "float": "float32", "half": "float16", "long": "int64",
                "int": "int32", "short": "int16"}  # fmt: skip
HINT = "in PyTorch save model.state_dict() and plain values; nothing in this file was run"


@dataclass
class TorchNames:
    """The list, and the storages that a stream has named so far."""

    storages: dict[str, Storage] = field(default_factory=dict)
    flats: dict[int, Storage] = field(default_factory=dict)  # by identity of `Storage.flat`
    windows: dict[int, tuple[Storage, Window]] = field(default_factory=dict)  # by tensor

    def find(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in FUNCTIONS:
            return Allowed(full, FUNCTIONS[full])
        if full in METHODS:
            return Allowed(full, getattr(self, METHODS[full]))
        if module in ("torch", "torch.storage", "torch.cuda") and name in STORAGES:
            return Allowed(full, means=STORAGES[name])
        if module == "torch" and OLDER_DTYPES.get(name, name) in dt.BY_NAME:
            return dt.BY_NAME[OLDER_DTYPES.get(name, name)]
        if full in MARKS:
            return Allowed(full)
        if module == "torch" and re.fullmatch(r"\w+Storage|u?int\d+|complex\d+|float8\w*", name):
            have = ", ".join(dt.BY_NAME)
            raise Refusal(f"{full}, a number format that Backlit has not", f"there are: {have}")
        raise Refusal(f"{full}, which is not among the names that may be read", HINT)

    def persistent(self, identity: Any) -> Tensor:
        """A storage, as the flat tensor that it is to who keeps it itself."""
        if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
            what = identity[0] if type(identity) is tuple and identity else identity
            raise Refusal(f"a persistent {str(what)[:40]!r}, which is not a storage", HINT)
        _, kind, name, _, count, *view = identity
        if type(kind) is not Allowed or kind.means is None or type(name) is not str:
            raise Refusal("a storage without a type or a name")
        if type(count) is not int or count < 0 or view not in ([], [None]):
            raise Refusal(f"storage {name!r}: a view, or a size of {count}")
        known = self.storages.get(name)
        if known is None:
            known = self.storages[name] = Storage(name, kind.means, count, _shell(Tensor))
            self.flats[id(known.flat)] = known
        if known.dtype is not kind.means or known.count != count:
            raise Refusal(f"storage {name!r} twice, in different types or sizes")
        return known.flat

    def build(self, target: Any, state: Any) -> None:
        """State beside the items: metadata of state dicts, values of NumPy arrays."""
        if type(target) is OrderedDict and type(state) is dict and set(state) <= {"_metadata"}:
            vars(target).update(state)
        elif type(target) is np.ndarray:
            _fill(target, *state)
        elif isinstance(target, np.dtype):
            if state[1] not in ("<", "|", "="):
                raise Refusal("a NumPy array of the other byte order")
        else:
            raise Refusal(f"a state for a {type(target).__name__}", HINT)

    # ----- tensors -----

    def tensor(
        self,
        storage: Any,
        offset: int,
        size: tuple[int, ...],
        stride: tuple[int, ...],
        requires_grad: bool = False,
        backward_hooks: Any = None,
        metadata: Any = None,
    ) -> Tensor:
        """`torch._utils._rebuild_tensor_v2`."""
        found = self.flats.get(id(storage))
        if found is None or metadata or backward_hooks:
            raise Refusal("a tensor that is no plain window of a storage")
        window = Window.checked(offset, size, stride, found)
        return self._made(Tensor, found, window, requires_grad)

    def typed_tensor(
        self, storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any,
        hooks: Any, dtype: Any, metadata: Any = None,
    ) -> Tensor:  # fmt: skip
        """`torch._utils._rebuild_tensor_v3`: the storage is bytes, the dtype is given."""
        found = self.flats.get(id(storage))
        if found is None or not isinstance(dtype, dt.dtype) or found.count % dtype.itemsize:
            raise Refusal("a tensor that is no plain window of a storage")
        if found.dtype is not dtype:
            if found.windows:
                raise Refusal(f"storage {found.name!r} twice, in different types")
            found.dtype, found.count = dtype, found.count // dtype.itemsize
        return self.tensor(storage, offset, size, stride, requires_grad, hooks, metadata)

    def parameter(
        self, data: Any, requires_grad: bool = True, backward_hooks: Any = None, state: Any = None
    ) -> Tensor:
        """`torch._utils._rebuild_parameter` and, with a state, its newer form."""
        if id(data) not in self.windows or backward_hooks:
            raise Refusal("a parameter that is not made of a tensor")
        return _with(self._made(Parameter, *self.windows[id(data)], requires_grad), state)

    def subclass(self, function: Any, kind: Any, arguments: Any, state: Any = None) -> Tensor:
        """`torch._tensor._rebuild_from_type_v2`: a tensor or parameter with attributes."""
        if getattr(kind, "name", "") not in MARKS or function.call is None:
            raise Refusal("a tensor of a class of its own", HINT)
        return _with(function.call(*arguments), state)

    def _made(self, kind: Any, storage: Storage, window: Window, requires_grad: Any) -> Tensor:
        if requires_grad and not storage.dtype.is_floating_point:
            raise GradError(f"a tensor of {storage.dtype.name} that requires grad")
        made = _shell(kind)
        made._requires_grad = bool(requires_grad)
        storage.windows.append((made, window))
        self.windows[id(made)] = storage, window
        return made


def _shell(kind: type[Tensor]) -> Tensor:
    return object.__new__(kind)


def _with(tensor: Tensor, state: Any) -> Tensor:
    """Attributes that a program has put on a tensor, where they are no part of it."""
    for name, value in (state or {}).items():
        ours = hasattr(type(tensor), name) or name in Tensor.__annotations__
        if ours or name.startswith("_"):
            raise Refusal(f"the attribute {name!r} of a tensor")
        vars(tensor)[name] = value
    return tensor


# ----- plain values -----


def _ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((key(k), v) for k, v in items)


def _number(real: float, imag: float) -> complex:
    if not all(isinstance(part, int | float) for part in (real, imag)):
        raise Refusal("a complex number of no numbers")
    return complex(real, imag)


def _encode(text: str, encoding: str) -> bytes:
    if type(text) is not str or encoding != "latin1":
        raise Refusal(f"bytes in the encoding {encoding!r}")
    return text.encode("latin-1")


def _format(code: str, *flags: Any) -> np.dtype:
    if type(code) is not str or not re.fullmatch(r"[biuf][1248]", code):
        raise Refusal(f"a NumPy array of {code!r}")
    return np.dtype(code)


def _scalar(dtype: Any, raw: Any) -> Any:
    if not isinstance(dtype, np.dtype) or type(raw) is not bytes or len(raw) != dtype.itemsize:
        raise Refusal("a NumPy number that is none")
    return np.frombuffer(raw, dtype)[0]


def _array(kind: Any, *rest: Any) -> np.ndarray:
    return np.empty(0)


def _fill(array: np.ndarray, version: int, shape: Any, dtype: Any, fortran: bool, raw: Any) -> None:
    if not isinstance(dtype, np.dtype) or type(raw) is not bytes:
        raise Refusal("a NumPy array of objects")
    if dtype.kind == "b" and raw.strip(b"\0\1"):
        raise Refusal("a NumPy array of bools that are neither 0 nor 1")
    state: Any = (version, shape, dtype, fortran, raw)
    array.__setstate__(state)


MARKS = ("torch.Tensor", "torch._tensor.Tensor", "torch.nn.parameter.Parameter", "numpy.ndarray")
METHODS = {
    "torch._utils._rebuild_tensor": "tensor",
    "torch._utils._rebuild_tensor_v2": "tensor",
    "torch._utils._rebuild_tensor_v3": "typed_tensor",
    "torch._utils._rebuild_parameter": "parameter",
    "torch._utils._rebuild_parameter_with_state": "parameter",
    "torch._tensor._rebuild_from_type_v2": "subclass",
}
FUNCTIONS: dict[str, Any] = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": lambda counts=(): Counter({key(k): n for k, n in dict(counts).items()}),
    "torch.Size": lambda sizes=(): Size(sizes),
    "torch.device": lambda *place: CPU,
    "_codecs.encode": _encode,
    "numpy.dtype": _format,
    **dict.fromkeys(("builtins.set", "__builtin__.set"), lambda items=(): set(map(key, items))),
    **dict.fromkeys(
        ("builtins.frozenset", "__builtin__.frozenset"), lambda items=(): frozenset(map(key, items))
    ),
    **dict.fromkeys(("builtins.complex", "__builtin__.complex"), _number),
    **dict.fromkeys(("builtins.bytes", "__builtin__.bytes"), lambda: b""),
}
for _module in ("numpy.core.multiarray", "numpy._core.multiarray"):
    FUNCTIONS |= {f"{_module}.scalar": _scalar, f"{_module}._reconstruct": _array}
