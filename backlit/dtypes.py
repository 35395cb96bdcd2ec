"""Number formats and the one promotion table.

A `dtype` names a NumPy format (bfloat16 comes from ml_dtypes, imported at first use). Promotion
follows PyTorch: tensors with axes outrank 0-dim tensors, which outrank Python numbers, unless
the lesser one is of a higher kind (bool < integer < float).
Read next: ops/op.py, whose operators state their dtype rule in `infer`.
"""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from backlit.errors import DTypeError

_INT, _FLOAT, _BOOL = int, float, bool  # below, these names are dtypes
KIND = {"b": 0, "u": 1, "i": 1, "f": 2, "V": 2}


class dtype:
    """A number format: `bl.float32`, `bl.int64`, `bl.bool`.

    >>> bl.float32.itemsize, bl.float32.is_floating_point, bl.int64
    (4, True, backlit.int64)
    """

    __slots__ = ("_numpy", "itemsize", "kind", "name")

    def __init__(self, name: str, kind: str, itemsize: builtins.int):
        self.name, self.kind, self.itemsize = name, kind, itemsize
        self._numpy: np.dtype | None = None if name == "bfloat16" else np.dtype(name)

    @property
    def numpy(self) -> np.dtype:
        """The NumPy dtype of the arrays that hold it."""
        if self._numpy is None:
            import ml_dtypes

            self._numpy = np.dtype(ml_dtypes.bfloat16)
            FROM_NUMPY[self._numpy] = self
        return self._numpy

    @property
    def is_floating_point(self) -> bool:
        return self.kind == "f"

    @property
    def is_complex(self) -> bool:
        return False

    @property
    def is_signed(self) -> bool:
        return self.kind in "if"

    def __repr__(self) -> str:
        return f"backlit.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self.name == "bool" else self.name

    def __deepcopy__(self, memo: dict) -> dtype:
        return self


float64 = double = dtype("float64", "f", 8)
float32 = float = dtype("float32", "f", 4)
float16 = half = dtype("float16", "f", 2)
bfloat16 = dtype("bfloat16", "f", 2)
int64 = long = dtype("int64", "i", 8)
int32 = int = dtype("int32", "i", 4)
int16 = short = dtype("int16", "i", 2)
int8 = dtype("int8", "i", 1)
uint8 = dtype("uint8", "u", 1)
bool_ = dtype("bool", "b", 1)

ALL = (float64, float32, float16, bfloat16, int64, int32, int16, int8, uint8, bool_)
FROM_NUMPY: dict[np.dtype, dtype] = {d.numpy: d for d in ALL if d is not bfloat16}
BY_NAME = {d.name: d for d in ALL}
TYPE_NAMES = {
    "FloatTensor": float32, "DoubleTensor": float64, "HalfTensor": float16,
    "BFloat16Tensor": bfloat16, "ByteTensor": uint8, "CharTensor": int8, "ShortTensor": int16,
    "IntTensor": int32, "LongTensor": int64, "BoolTensor": bool_,
}  # fmt: skip
_default = [float32]


def type_name(d: dtype) -> str:
    """The older name of a dtype's tensors, such as FloatTensor."""
    names = {dtype: name for name, dtype in TYPE_NAMES.items()}
    return names.get(d, f"{d.name.capitalize()}Tensor")


def get_default_dtype() -> dtype:
    """The dtype of floating point tensors made without one.

    >>> bl.get_default_dtype()
    backlit.float32
    """
    return _default[0]


def set_default_dtype(d: dtype) -> None:
    """Make `d` the dtype of floating point tensors made without one.

    >>> bl.set_default_dtype(bl.float64); bl.tensor(1.0).dtype
    backlit.float64
    >>> bl.set_default_dtype(bl.float32)
    """
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise DTypeError(f"set_default_dtype: expected a floating point dtype, got {d!r}")
    _default[0] = d


def of_array(array: Any) -> dtype:
    """The dtype of a NumPy array; refuses formats that Backlit does not have."""
    found = FROM_NUMPY.get(array.dtype)
    return found if found is not None else of_numpy(array.dtype)


def of_numpy(numpy_dtype: np.dtype) -> dtype:
    """The dtype of that NumPy format; refuses formats that Backlit does not have."""
    numpy_dtype = np.dtype(numpy_dtype).newbyteorder("=")
    if numpy_dtype not in FROM_NUMPY and numpy_dtype.name == "bfloat16":
        return FROM_NUMPY[bfloat16.numpy]
    if numpy_dtype not in FROM_NUMPY:
        have = ", ".join(BY_NAME)
        raise DTypeError(f"NumPy dtype {numpy_dtype} has no counterpart", hint=f"there are: {have}")
    return FROM_NUMPY[numpy_dtype]


def as_dtype(value: Any) -> dtype:
    """A dtype from a dtype, its name, a Python type or a NumPy dtype."""
    if isinstance(value, dtype):
        return value
    python = {bool: bool_, _INT: int64, _FLOAT: _default[0]}
    if value in python:
        return python[value]
    if isinstance(value, str):
        name = value.removeprefix("torch.").removeprefix("backlit.")
        if name in BY_NAME or name in TYPE_NAMES:
            return BY_NAME.get(name) or TYPE_NAMES[name]
    if isinstance(getattr(value, "dtype", None), dtype):  # FloatTensor and its kin
        return value.dtype
    return of_numpy(value)


# The lattice within a kind: the wider wins; the two 16-bit floats meet at float32.
_INTEGER_RANK = {"int8": 1, "int16": 2, "int32": 3, "int64": 4}
_FLOAT_RANK = {"float16": 1, "bfloat16": 1, "float32": 2, "float64": 3}


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype that holds both.

    >>> bl.promote_types(bl.int64, bl.float32), bl.promote_types(bl.uint8, bl.int8)
    (backlit.float32, backlit.int16)
    """
    if a is b:
        return a
    ka, kb = KIND[a.kind], KIND[b.kind]
    if ka != kb:
        return a if ka > kb else b
    if ka == 2:
        ra, rb = _FLOAT_RANK[a.name], _FLOAT_RANK[b.name]
        return float32 if ra == rb else (a if ra > rb else b)
    if uint8 in (a, b):
        other = b if a is uint8 else a
        return int16 if other is int8 else other
    return a if _INTEGER_RANK[a.name] > _INTEGER_RANK[b.name] else b


def result_type(*operands: Any) -> dtype:
    """The dtype of an arithmetic result of tensors (or anything with `dtype` and `ndim`) and
    Python numbers.

    >>> bl.result_type(bl.tensor([1, 2]), 1.0)
    backlit.float32
    >>> bl.result_type(bl.zeros(2, dtype=bl.float16), bl.tensor(1.0, dtype=bl.float64))
    backlit.float16
    """
    ranks: list[dtype | None] = [None, None, None]  # with axes, 0-dim, Python numbers
    for x in operands:
        if hasattr(x, "dtype"):
            d = x.dtype if isinstance(x.dtype, dtype) else of_array(x)
            level = 0 if x.ndim else 1
        else:
            d = bool_ if isinstance(x, bool) else int64 if isinstance(x, _INT) else _default[0]
            level = 2
        previous = ranks[level]
        ranks[level] = d if previous is None else promote_types(previous, d)
    result: dtype | None = None
    for found in ranks:
        if found is not None and (result is None or KIND[found.kind] > KIND[result.kind]):
            result = found if result is None else _lift(result, found)
    assert result is not None, "result_type of nothing"
    return result


def _lift(result: dtype, lesser: dtype) -> dtype:
    """A lesser operand of a higher kind decides; a Python float brings the default dtype."""
    return promote_types(result, lesser)


class finfo:
    """Limits of a floating point dtype.

    >>> bl.finfo(bl.float32).max > 3.4e38
    True
    """

    def __init__(self, type: dtype | None = None):
        d = type or _default[0]
        if not d.is_floating_point:
            raise DTypeError(f"finfo: {d} is not a floating point dtype", hint="use iinfo")
        if d is bfloat16:
            import ml_dtypes

            info: Any = ml_dtypes.finfo(d.numpy)
        else:
            info = np.finfo(d.numpy)
        number = _FLOAT
        self.dtype, self.bits = d.name, d.itemsize * 8
        self.eps, self.max, self.min = number(info.eps), number(info.max), number(info.min)
        self.tiny = self.smallest_normal = number(info.tiny)
        self.resolution = number(info.resolution)


class iinfo:
    """Limits of an integer dtype.

    >>> bl.iinfo(bl.int8).max
    127
    """

    def __init__(self, type: dtype):
        if type.kind not in "iu":
            raise DTypeError(f"iinfo: {type} is not an integer dtype", hint="use finfo")
        info = np.iinfo(type.numpy)
        self.dtype, self.bits, self.min, self.max = type.name, info.bits, info.min, info.max
