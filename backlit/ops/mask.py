"""Choosing by a bool mask. What a mask leaves out takes no part in the backward at all."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentTypeError, DTypeError, ShapeError
from backlit.ops.elementwise import Where
from backlit.ops.index import getitem
from backlit.ops.op import Elementwise, Operator, Spec, broadcast_shapes, export, slot, spec_of


class MaskedFill(Elementwise):
    """`input` with one `value` wherever the bool `mask` holds.

    >>> bl.masked_fill(bl.tensor([1.0, 2.0]), bl.tensor([True, False]), 0.0)
    tensor([0., 2.])
    """

    def call(input, mask, value):
        return slot.apply(MaskedFill, input, mask, value)

    def formula(m, x, mask, value):
        return m.where(mask, value, x)

    @classmethod
    def run(cls, arrays, params):
        x, mask, value = arrays
        if not isinstance(mask, np.ndarray) or mask.dtype.kind != "b":
            raise DTypeError("the mask must be a bool tensor", hint="compare: x > 0")
        if isinstance(value, np.ndarray) and value.ndim:
            raise ShapeError(f"the value must be a number or 0-dim tensor, not of {value.shape}",
                             hint="use bl.where")  # fmt: skip
        cls.infer(*map(spec_of, arrays))
        value = value.astype(x.dtype) if isinstance(value, np.ndarray) else x.dtype.type(value)
        return np.where(mask, value, x), [x, mask, value]

    @classmethod
    def promoted(cls, inputs):
        x, mask, value = inputs
        if not hasattr(value, "cell") or value.dtype is x.dtype:
            return None
        cls.infer(*(spec_of(getattr(i, "array", i)) for i in inputs))
        return [x, mask, value.to(x.dtype)]

    def infer(x, mask, value):
        kind = dt.result_type(value).kind
        if dt.KIND[kind] > dt.KIND[x.dtype.kind]:
            raise DTypeError(f"a value of {value!r} does not fit a tensor of {x.dtype.name}",
                             hint="convert the tensor: x.float()")  # fmt: skip
        return Spec(broadcast_shapes(x.shape, mask.shape), x.dtype)

    def into(x, mask, value):
        if broadcast_shapes(x.shape, mask.shape) != x.shape:
            raise ShapeError(f"in place, a mask of {mask.shape} does not fit a tensor of {x.shape}")
        np.copyto(x, value, where=mask, casting="unsafe")

    def d_x(m, mask):
        return 1

    def d_value(m, mask):
        return 1

    def mask_x(m, mask):
        return m.logical_not(mask)

    def mask_value(m, mask):
        return mask


def whole_mask(x: Any, index: Any, value: Any) -> Any:
    """The mask of `x[mask] = value` where one value goes everywhere, so that nobody needs to know
    how often it holds; None for other writes. It gets the axes of `x`."""
    if not hasattr(index, "cell") or index.dtype is not dt.bool_ or not index.ndim:
        return None
    number = isinstance(value, (int, float)) and not isinstance(value, np.generic)
    if not number and not (hasattr(value, "cell") and not value.ndim):
        return None
    if isinstance(value, float) and x.dtype.kind != "f":
        return None  # NumPy cuts it off; a fill refuses it
    if tuple(index.shape) != tuple(x.shape[: index.ndim]):
        return None
    return index.reshape((*index.shape, *(1,) * (x.ndim - index.ndim)))


@export("Tensor")
def where(self, condition, other):
    """The tensor where the condition holds, `other` elsewhere.

    >>> bl.tensor([1.0, 2.0]).where(bl.tensor([True, False]), 0.0)
    tensor([1., 0.])
    """
    if not hasattr(condition, "cell"):
        raise ArgumentTypeError(f"where: expected a bool tensor, got {type(condition).__name__}")
    return slot.apply(Where, condition, self, other)


class Nonzero(Operator):
    """The indices of the elements that are not 0, one row each; as_tuple: one vector per axis.

    >>> bl.nonzero(bl.tensor([0, 5, 7]))
    tensor([[1],
            [2]])
    """

    differentiable = False
    value_shaped = True

    def call(input, *, as_tuple=False):
        found = slot.apply(Nonzero, input)
        if not as_tuple:
            return found
        return found.unbind(1) if input.ndim else (found.new_zeros(len(found)),)

    def infer(x):
        return None  # the values decide

    def forward(x):
        if not x.ndim:
            return np.zeros((int(bool(x)), 0), np.int64)
        return np.stack(np.nonzero(x), axis=1).astype(np.int64, copy=False)


@export("bl Tensor")
def argwhere(input):
    """The indices of the elements that are not 0, one row each.

    >>> bl.argwhere(bl.tensor([0, 5])).tolist()
    [[1]]
    """
    return Nonzero.call(input)


def _mask_of(mask: Any, name: str) -> Any:
    if not hasattr(mask, "cell") or mask.dtype is not dt.bool_:
        raise DTypeError(f"{name}: the mask must be a bool tensor", hint="compare: x > 0")
    return mask


@export("bl Tensor")
def masked_select(input, mask):
    """The elements where the mask holds, as a vector.

    >>> bl.masked_select(bl.tensor([1, 2, 3]), bl.tensor([True, False, True]))
    tensor([1, 3])
    """
    mask = _mask_of(mask, "masked_select")
    shape = broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    input, mask = (x.expand(shape).reshape(-1) for x in (input, mask))
    return getitem(input, mask)


@export("bl Tensor")
def masked_scatter(input, mask, source):
    """The input with the elements of `source`, in order, where the mask holds.

    >>> bl.masked_scatter(bl.zeros(3), bl.tensor([True, False, True]), bl.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    mask = _mask_of(mask, "masked_scatter")
    shape = broadcast_shapes(tuple(input.shape), tuple(mask.shape))
    if source.dtype is not input.dtype:
        raise DTypeError(f"masked_scatter: source is {source.dtype.name}, input {input.dtype.name}",
                         hint="convert one")  # fmt: skip
    flat = mask.expand(shape).reshape(-1)
    count = int(np.broadcast_to(mask.cell.array, shape).sum())
    if count > source.numel():
        raise ShapeError(f"masked_scatter: the mask holds at {count} elements, source has"
                         f" {source.numel()}")  # fmt: skip
    if not source.numel() or not flat.numel():
        return input.expand(shape).clone()
    order = (flat.long().cumsum(0) - 1).clamp(min=0)  # where the mask holds: its number
    written = slot.apply(Where, flat, source.reshape(-1)[order], input.expand(shape).reshape(-1))
    return written.reshape(shape)


@export("Tensor")
def masked_scatter_(input, mask, source):
    """`masked_scatter`, in place."""
    slot.refuse_leaf(input, "masked_scatter_")
    return slot.refill(input, masked_scatter(input, mask, source))
