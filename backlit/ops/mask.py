"""Choosing by a bool mask. What a mask leaves out takes no part in the backward at all."""

from __future__ import annotations

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentTypeError, DTypeError, ShapeError
from backlit.ops.elementwise import Where
from backlit.ops.op import Elementwise, Spec, broadcast_shapes, export, slot, spec_of


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


@export("Tensor")
def where(self, condition, other):
    """The tensor where the condition holds, `other` elsewhere.

    >>> bl.tensor([1.0, 2.0]).where(bl.tensor([True, False]), 0.0)
    tensor([1., 0.])
    """
    if not hasattr(condition, "cell"):
        raise ArgumentTypeError(f"where: expected a bool tensor, got {type(condition).__name__}")
    return slot.apply(Where, condition, self, other)
