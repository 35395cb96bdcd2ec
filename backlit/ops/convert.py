"""Methods about the tensor itself: converting, copying, refilling, making similar ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import devices
from backlit import dtypes as dt
from backlit.errors import ArgumentTypeError, DTypeError, NotAvailable
from backlit.ops.op import Operator, apply, broadcast_shapes, export, slot
from backlit.ops.shape import Expand, to


class Clone(Operator):
    """The same values in a cell of their own.

    >>> bl.clone(bl.tensor([1.0]))
    tensor([1.])
    """

    moves = True

    def call(input, *, memory_format=None):
        return apply(Clone, input)

    def infer(x):
        return x

    def forward(x):
        return x.copy(order="K")

    def grad_x(g):
        return g

    def latex(x):
        return x


@export("Tensor")
def to_(input, *args, dtype=None, device=None, non_blocking=False, copy=False, memory_format=None):
    """Convert to a dtype, a device (there is only the CPU) or another tensor's dtype.

    >>> bl.tensor([1, 2]).to(bl.float32)
    tensor([1., 2.])
    """
    for arg in args:
        if isinstance(arg, dt.dtype):
            dtype = arg
        elif hasattr(arg, "cell"):
            dtype = arg.dtype
        elif isinstance(arg, (str, devices.device)):
            devices.check(arg)
        elif arg is not None and not isinstance(arg, bool):
            raise ArgumentTypeError(f"to: expected a dtype, device or tensor, got {arg!r}")
    devices.check(device)
    moved = input if dtype is None else to(input, dtype)
    return apply(Clone, moved) if copy and moved is input else moved


to_.__name__ = "to"  # the module has shape.to under that name
export("Tensor")(to_)


def _converter(name: str, target: dt.dtype) -> None:
    def convert(input, memory_format=None):
        return to(input, target)

    convert.__name__ = name
    convert.__doc__ = f"The tensor in {target.name}."
    export("Tensor")(convert)


for _name in ("float", "double", "half", "bfloat16", "long", "int", "short"):
    _converter(_name, getattr(dt, _name))
_converter("bool", dt.bool_)
_converter("char", dt.int8)
_converter("byte", dt.uint8)


@export("Tensor")
def type(input, dtype=None, non_blocking=False):
    """The name of the tensor type, or the tensor in another dtype."""
    if dtype is None:
        return f"backlit.{dt.type_name(input.dtype)}"
    return to(input, dt.as_dtype(dtype))


@export("Tensor")
def type_as(input, other):
    """The tensor in the dtype of another."""
    return to(input, other.dtype)


@export("Tensor")
def get_device(input):
    """-1: the tensor lives on the CPU; GPUs are numbered from 0."""
    return -1


@export("Tensor")
def cpu(input, memory_format=None):
    """The tensor itself: it lives on the CPU."""
    return input


def _no_gpu(name: str) -> None:
    def refuse(input, *args, **kwargs):
        raise NotAvailable(f"Tensor.{name}: there is no GPU backend yet", hint="stay on the CPU")

    refuse.__name__ = name
    refuse.__doc__ = "Says that there is no GPU backend."
    export("Tensor")(refuse)


for _name in ("cuda", "xpu", "mps"):
    _no_gpu(_name)


@export("Tensor")
def contiguous(input, memory_format=None):
    """The tensor itself: how it lies in memory is not part of its meaning."""
    return input


@export("Tensor")
def pin_memory(input, device=None):
    """The tensor itself."""
    return input


# ----- in place, without an operator of the same name -----


@export("Tensor")
def copy_(input, source, non_blocking=False):
    """Refill with the values of another tensor, broadcast and converted."""
    if not hasattr(source, "cell"):
        raise ArgumentTypeError(f"copy_: expected a Tensor, got {source.__class__.__name__}")
    slot.refuse_leaf(input, "copy_")
    broadcast_shapes(source.shape, input.shape)
    value = to(source, input.dtype)
    if value.shape != input.shape:
        value = apply(Expand, value, shape=tuple(input.shape))
    return slot.refill(input, value)


@export("Tensor")
def fill_(input, value):
    """Refill with one value everywhere."""
    slot.refuse_leaf(input, "fill_")
    if hasattr(value, "cell"):
        return copy_(input, value)
    array = input.cell.array
    return slot.refill(input, slot.wrap(np.full(array.shape, value, array.dtype)))


@export("Tensor")
def zero_(input):
    """Refill with zeros."""
    return fill_(input, 0)


@export("Tensor")
def set_(input, source):
    """Point to the values of another tensor."""
    input.cell.put(source.cell.array)
    return input


def _random_refill(name: str, doc: str, draw: Any) -> None:
    def refill(input, *args, generator=None, **kwargs):
        slot.refuse_leaf(input, name)
        value = draw(input, *args, generator=generator, **kwargs)
        return slot.refill(input, value.to(input.dtype))

    refill.__name__ = name
    refill.__doc__ = doc
    export("Tensor")(refill)


def _uniform(input, a=0.0, b=1.0, *, generator=None, **kw):
    from backlit.creation import rand

    low, high = kw.get("from", a), kw.get("to", b)
    return rand(tuple(input.shape), generator=generator, dtype=input.dtype) * (high - low) + low


def _normal(input, mean=0.0, std=1.0, *, generator=None):
    from backlit.creation import randn

    return randn(tuple(input.shape), generator=generator, dtype=input.dtype) * std + mean


def _bernoulli(input, p=0.5, *, generator=None):
    from backlit.creation import bernoulli, full

    chance = p if hasattr(p, "cell") else full(tuple(input.shape), float(p))
    return bernoulli(chance, generator=generator)


def _random(input, low=0, high=None, *, generator=None, to=None, **kw):
    from backlit.creation import randint

    low = kw.get("from", low)
    high = to if to is not None else high
    if high is None:
        low, high = 0, (2**24 if input.dtype.is_floating_point else dt.iinfo(input.dtype).max)
    return randint(low, high, tuple(input.shape), generator=generator)


def _exponential(input, lambd=1.0, *, generator=None):
    from backlit.creation import rand

    return -(1.0 - rand(tuple(input.shape), generator=generator, dtype=input.dtype)).log() / lambd


_random_refill("uniform_", "Refill with uniform random numbers between two bounds.", _uniform)
_random_refill("normal_", "Refill with normal random numbers.", _normal)
_random_refill("bernoulli_", "Refill with 1 at probability p, else 0.", _bernoulli)
_random_refill("random_", "Refill with random whole numbers.", _random)
_random_refill("exponential_", "Refill with exponential random numbers.", _exponential)


@export("bl Tensor")
def positive(input):
    """The tensor itself; refuses booleans, as `+x` does.

    >>> bl.positive(bl.tensor([-1.0]))
    tensor([-1.])
    """
    if input.dtype is dt.bool_:
        raise DTypeError("positive: booleans have no sign")
    return input


# ----- similar tensors -----


def _similar(name: str, value: float) -> None:
    def make(input, *size, dtype=None, device=None, requires_grad=False):
        from backlit.creation import _size, full

        return full(_size(*size), value, dtype=dtype or input.dtype, device=device,
                    requires_grad=requires_grad)  # fmt: skip

    make.__name__ = name
    make.__doc__ = f"A tensor of the same dtype, filled with {value:g}."
    export("Tensor")(make)


_similar("new_zeros", 0)
_similar("new_ones", 1)
_similar("new_empty", 0)


@export("Tensor")
def new_full(input, size, fill_value, *, dtype=None, device=None, requires_grad=False):
    """A tensor of the same dtype, filled with one value."""
    from backlit.creation import full

    return full(size, fill_value, dtype=dtype or input.dtype, device=device,
                requires_grad=requires_grad)  # fmt: skip


@export("Tensor")
def new_tensor(input, data, *, dtype=None, device=None, requires_grad=False):
    """A tensor of the same dtype with other data."""
    from backlit.creation import tensor

    return tensor(data, dtype=dtype or input.dtype, device=device, requires_grad=requires_grad)


@export("Tensor")
def new(input, *data):
    """The older form of `new_tensor` (from data) and `new_empty` (from sizes)."""
    if len(data) == 1 and not isinstance(data[0], int):
        return new_tensor(input, data[0])
    return input.new_empty(data or (0,))


@export("Tensor")
def bernoulli(input, p=None, *, generator=None):
    """1 with the probability that each element, or `p`, says; else 0."""
    from backlit.creation import bernoulli, full_like

    return bernoulli(input if p is None else full_like(input, p), generator=generator)


@export("Tensor")
def multinomial(input, num_samples, replacement=False, *, generator=None):
    """Indices drawn with the weights of each row."""
    from backlit.creation import multinomial

    return multinomial(input, num_samples, replacement, generator=generator)


@export("Tensor")
def sum_to_size(input, *size):
    """Sum over the axes along which a tensor of `size` would have been broadcast to this one."""
    from backlit.ops.shape import SumTo, sizes_of

    return apply(SumTo, input, shape=sizes_of(size))
