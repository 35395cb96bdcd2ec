"""Names from PyTorch's older days and its switches for other hardware, where they mean something.

`FloatTensor` and its kin, `is_tensor`, `typename`, the default tensor type and device, precision
and determinism switches. New code needs none of them. Read next: absent.py, what is not there.
"""

from __future__ import annotations

from typing import Any

from backlit import dtypes as dt
from backlit.creation import arange, empty, tensor
from backlit.devices import CPU, device
from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.tensor import Tensor


class TensorType(type):
    """The kind of `FloatTensor`: makes tensors of one dtype and knows its own."""

    dtype: dt.dtype

    def __call__(cls, *data: Any) -> Tensor:
        if len(data) == 1 and not isinstance(data[0], int):
            return tensor(data[0], dtype=cls.dtype)
        return empty(*data, dtype=cls.dtype) if data else empty(0, dtype=cls.dtype)

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype is cls.dtype


def _tensor_type(name: str, dtype: dt.dtype) -> TensorType:
    doc = (
        f"Makes a tensor of {dtype.name} from data, or an unfilled one from sizes.\n\n"
        f"    >>> bl.{name}([1, 2]).dtype\n    backlit.{dtype.name}\n    "
    )
    return TensorType(name, (), {"dtype": dtype, "__doc__": doc, "__module__": "backlit"})


TYPES = {name: _tensor_type(name, dtype) for name, dtype in dt.TYPE_NAMES.items()}
globals().update(TYPES)


class memory_format:
    """How a tensor would lie in memory: accepted, since memory order is not part of its meaning.

    >>> bl.ones(1, 2, 3, 3).to(memory_format=bl.channels_last).shape
    backlit.Size([1, 2, 3, 3])
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"backlit.{self.name}"


FORMATS = ("contiguous_format", "preserve_format", "channels_last", "channels_last_3d")
globals().update({name: memory_format(name) for name in FORMATS})


class VariableType(type):
    """The kind of `Variable`, which once wrapped tensors and is now another name for them."""

    def __call__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Tensor:
        if not isinstance(data, Tensor):
            raise ArgumentTypeError(f"Variable: expected a Tensor, got {type(data).__name__}")
        made = data.detach() if volatile or not data.requires_grad else data
        return made.requires_grad_() if requires_grad else made

    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, Tensor)


class Variable(metaclass=VariableType):
    """A tensor under its older name; `requires_grad` as with `bl.tensor`.

    >>> bl.autograd.Variable(bl.ones(1), requires_grad=True)
    tensor([1.], requires_grad=True)
    """


def is_tensor(obj: Any) -> bool:
    """Whether the object is a Tensor.

    >>> bl.is_tensor(bl.ones(1)), bl.is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype is one of floats.

    >>> bl.is_floating_point(bl.ones(1))
    True
    """
    return input.is_floating_point()


def is_nonzero(input: Tensor) -> bool:
    """Whether a tensor of one element is not zero.

    >>> bl.is_nonzero(bl.tensor([0.0]))
    False
    """
    return bool(input)


def numel(input: Tensor) -> int:
    """The number of elements.

    >>> bl.numel(bl.ones(2, 3))
    6
    """
    return input.numel()


def typename(obj: Any) -> str:
    """The name of an object's type; of a tensor, with its dtype.

    >>> bl.typename(bl.ones(1)), bl.typename(nn.Identity())
    ('backlit.FloatTensor', 'backlit.nn.linear.Identity')
    """
    if type(obj) is Tensor:
        return f"backlit.{dt.type_name(obj.dtype)}"
    kind = obj if isinstance(obj, type) else type(obj)
    builtin = kind.__module__ == "builtins"
    return kind.__qualname__ if builtin else f"{kind.__module__}.{kind.__qualname__}"


def can_cast(from_: Any, to: Any) -> bool:
    """Whether a result of one dtype may be written into a tensor of another.

    >>> bl.can_cast(bl.float64, bl.float32), bl.can_cast(bl.float32, bl.int64)
    (True, False)
    """
    order = {"b": 0, "u": 1, "i": 1, "f": 2}
    return order[dt.as_dtype(from_).kind] <= order[dt.as_dtype(to).kind]


def range(start: float = 0, end: float | None = None, step: float = 1, **settings: Any) -> Tensor:
    """Numbers from `start` to `end`, both included; `arange` leaves the end out.

    >>> bl.range(1, 3)
    tensor([1., 2., 3.])
    """
    if end is None:
        start, end = 0, start
    if step == 0 or (end - start) / step < 0:
        raise ArgumentError(f"range: no way from {start} to {end} in steps of {step}")
    settings.setdefault("dtype", dt.get_default_dtype())
    return arange(int((end - start) / step + 1), **settings) * step + start


def get_default_device() -> device:
    """The CPU.

    >>> bl.get_default_device()
    device(type='cpu')
    """
    return CPU


def set_default_device(device: Any) -> None:
    """Accepts the CPU; every other device is refused.

    >>> bl.set_default_device("cpu")
    """
    from backlit.devices import check

    check(device)


def set_default_tensor_type(t: Any) -> None:
    """The dtype of a tensor type, such as `bl.DoubleTensor` or its name, becomes the default.

    >>> bl.set_default_tensor_type(bl.FloatTensor)
    """
    dt.set_default_dtype(dt.as_dtype(t))


def get_float32_matmul_precision() -> str:
    """Always "highest": products of float32 are computed in float32.

    >>> bl.get_float32_matmul_precision()
    'highest'
    """
    return "highest"


def set_float32_matmul_precision(precision: str) -> None:
    """Accepts "highest", "high" and "medium"; products stay in float32, the most exact of them.

    >>> bl.set_float32_matmul_precision("high")
    """
    if precision not in ("highest", "high", "medium"):
        raise ArgumentError(f"set_float32_matmul_precision: unknown precision {precision!r}")


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Changes nothing: the same program on the same machine gives the same bits anyway.

    >>> bl.use_deterministic_algorithms(True)
    """


def are_deterministic_algorithms_enabled() -> bool:
    """True, always.

    >>> bl.are_deterministic_algorithms_enabled()
    True
    """
    return True
