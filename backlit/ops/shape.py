"""The same elements in another shape: reshape, permute, expand. No arithmetic but sums of copies.

Other spellings of these are in views.py, joining and cutting in join.py, copies in another order
in arrange.py, borders in pad.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.op import (
    REGISTRY,
    Operator,
    Spec,
    apply,
    broadcast_shapes,
    normalize_axis,
    slot,
)


def sizes_of(args: tuple) -> tuple[int, ...]:
    """Sizes given one by one or as one list."""
    if len(args) == 1 and isinstance(args[0], (tuple, list)):
        args = tuple(args[0])
    if all(type(a) is int for a in args):
        return args
    try:
        return tuple(int(a.__index__()) for a in args)
    except AttributeError:
        raise ArgumentTypeError(f"sizes must be whole numbers, got {args!r}") from None


class Cast(Operator):
    """Convert to another dtype; whole numbers get no gradient."""

    exports = ""
    moves = True

    def infer(x, *, dtype):
        return Spec(x.shape, dtype)

    def forward(x, *, dtype):
        return x.astype(dtype.numpy)

    def grad_x(g, x_spec):
        return apply(Cast, g, dtype=x_spec.dtype)

    def latex(x, *, dtype):
        return x


class SumTo(Operator):
    """Sum over the axes along which a value was broadcast."""

    exports = ""
    moves = True

    def infer(x, *, shape):
        if broadcast_shapes(shape, x.shape) != x.shape:
            raise ShapeError(f"{x.shape} is not a broadcast of {tuple(shape)}")
        return Spec(tuple(shape), x.dtype)

    def forward(x, *, shape):
        extra = x.ndim - len(shape)
        axes = tuple(range(extra)) + tuple(
            extra + i for i, n in enumerate(shape) if n == 1 and x.shape[extra + i] != 1
        )
        total = x.sum(axis=axes, keepdims=True, dtype=accumulator(x.dtype)) if axes else x
        return total.reshape(shape).astype(x.dtype, copy=False)

    def grad_x(g, x_spec):
        return apply(Expand, g, shape=x_spec.shape)

    def latex(x, *, shape):
        return rf"\sum {x}"


def accumulator(dtype: np.dtype) -> np.dtype:
    """Half precision is summed in single."""
    return np.dtype(np.float32) if dtype.itemsize == 2 and dtype.kind in "fV" else dtype


class Expand(Operator):
    """Repeat along axes of size 1, without copying; -1 keeps a size.

    >>> bl.tensor([[1.0], [2.0]]).expand(2, 3).shape
    backlit.Size([2, 3])
    """

    exports = "Tensor"
    view = True
    moves = True

    def call(input, *sizes):
        wanted = sizes_of(sizes)
        offset = len(wanted) - input.ndim
        if offset < 0:
            raise ShapeError(
                f"expand: {len(wanted)} sizes for a tensor of {input.ndim} axes",
                hint="name every axis; -1 keeps one",
            )
        shape = tuple(
            input.shape[i - offset] if n == -1 and i >= offset else n for i, n in enumerate(wanted)
        )
        return apply(Expand, input, shape=shape)

    def infer(x, *, shape):
        pairs = zip(reversed(x.shape), reversed(shape))
        if any(n < 0 for n in shape) or any(n not in (1, m) for n, m in pairs):
            raise ShapeError(f"{x.shape} does not expand to {tuple(shape)}",
                             hint="only axes of size 1 repeat")  # fmt: skip
        return Spec(tuple(shape), x.dtype)

    def forward(x, *, shape):
        if x.size == math.prod(shape):  # nothing repeats: a window that can be written
            return x.reshape(shape)
        return np.broadcast_to(x, shape)

    def grad_x(g, x_spec):
        return apply(SumTo, g, shape=x_spec.shape)

    def latex(x, *, shape):
        return x


class Reshape(Operator):
    """The same elements, row by row, in another shape; one size may be -1.

    >>> bl.reshape(bl.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """

    view = True
    moves = True

    def call(input, *shape):
        return apply(Reshape, input, shape=filled(input.cell.array.shape, sizes_of(shape)))

    @classmethod
    def run(cls, arrays, params):
        try:  # NumPy checks as well, and faster
            return arrays[0].reshape(params["shape"]), arrays
        except ValueError:
            return super().run(arrays, params)

    def infer(x, *, shape):
        return Spec(filled(x.shape, shape), x.dtype)

    def forward(x, *, shape):
        return x.reshape(shape)

    def grad_x(g, x_spec):
        return apply(Reshape, g, shape=x_spec.shape)

    def latex(x, *, shape):
        return rf"\operatorname{{reshape}}\left({x}, {list(shape)}\right)"


def filled(old: tuple, shape: tuple) -> tuple:
    """The shape with its -1 worked out."""
    count, shape = math.prod(old), tuple(shape)
    if min(shape, default=0) >= 0:
        if math.prod(shape) == count:
            return shape
    elif shape.count(-1) > 1 or min(shape) < -1:
        raise ShapeError(f"shape {shape}: at most one size may be -1, none below")
    else:
        known, k = -math.prod(shape), shape.index(-1)
        if known and count % known == 0:
            return (*shape[:k], count // known, *shape[k + 1 :])
    raise ShapeError(f"{count} elements of shape {tuple(old)} do not fit shape {shape}")


class Permute(Operator):
    """The axes in another order.

    >>> bl.permute(bl.zeros(2, 3, 5), (2, 0, 1)).shape
    backlit.Size([5, 2, 3])
    """

    view = True
    moves = True

    def call(input, *dims):
        axes = sizes_of(dims)
        if len(axes) != input.ndim:
            raise ShapeError(f"permute: {len(axes)} dims for a tensor of {input.ndim} axes",
                             hint="name every axis; transpose swaps two")  # fmt: skip
        return apply(Permute, input, dims=tuple(normalize_axis(a, input.ndim) for a in axes))

    @classmethod
    def run(cls, arrays, params):
        try:
            return arrays[0].transpose(params["dims"]), arrays
        except ValueError:
            return super().run(arrays, params)

    def infer(x, *, dims):
        if sorted(dims) != list(range(x.ndim)):
            raise ShapeError(f"dims {tuple(dims)} are not a permutation of {x.ndim} axes")
        return Spec(tuple(x.shape[a] for a in dims), x.dtype)

    def forward(x, *, dims):
        return x.transpose(dims)

    def grad_x(g, dims):
        back = tuple(int(i) for i in np.argsort(dims))
        return apply(Permute, g, dims=back)

    def latex(x, *, dims):
        return rf"{{{x}}}^{{\top}}"


class ViewPut(Operator):
    """`x` with the region that a path of view operators shows replaced by `v`."""

    exports = ""
    inputs = ("x", "v")

    def infer(x, v, *, path):
        return x

    def forward(x, v, *, path):
        fresh = x.copy(order="K")
        look(fresh, path)[...] = v
        return fresh

    def grad_x(g, path):
        return apply(ViewPut, g, 0.0, path=path)

    def grad_v(g, path):
        for name, params in path:
            g = apply(REGISTRY[name], g, **params)
        return g


slot.view_put = ViewPut


def look(array: np.ndarray, path: tuple) -> np.ndarray:
    """The window that a path of view operators shows."""
    for name, params in path:
        array = REGISTRY[name].forward(array, **params)
    return array


def to(tensor: Any, dtype: dt.dtype) -> Any:
    """Convert, or the tensor itself where nothing changes."""
    return tensor if tensor.dtype is dtype else apply(Cast, tensor, dtype=dtype)


def positive(value: int, what: str) -> int:
    if value < 0:
        raise ArgumentError(f"{what} must not be negative, got {value}")
    return value


class Unsqueeze(Operator):
    """A new axis of size 1 at `dim`.

    >>> bl.unsqueeze(bl.tensor([1, 2]), 0).shape
    backlit.Size([1, 2])
    """

    view = True
    moves = True

    def call(input, dim):
        return apply(Unsqueeze, input, dim=normalize_axis(dim, input.ndim + 1))

    def infer(x, *, dim):
        return Spec((*x.shape[:dim], 1, *x.shape[dim:]), x.dtype)

    def forward(x, *, dim):
        return x[(slice(None),) * dim + (None, ...)]

    def grad_x(g, x_spec):
        return apply(Reshape, g, shape=x_spec.shape)

    def latex(x, *, dim):
        return x


class Squeeze(Operator):
    """Without the axes of size 1, or without those of `dim` that are.

    >>> bl.squeeze(bl.zeros(1, 3, 1)).shape, bl.squeeze(bl.zeros(1, 3, 1), 0).shape
    (backlit.Size([3]), backlit.Size([3, 1]))
    """

    view = True
    moves = True

    def call(input, dim=None):
        if dim is None:
            wanted = range(input.ndim)
        else:
            listed = dim if isinstance(dim, (tuple, list)) else (dim,)
            wanted = sorted({normalize_axis(d, input.ndim) for d in listed})
        dims = tuple(d for d in wanted if input.ndim and input.shape[d] == 1)
        return apply(Squeeze, input, dims=dims)

    def infer(x, *, dims):
        return Spec(tuple(n for i, n in enumerate(x.shape) if i not in dims), x.dtype)

    def forward(x, *, dims):
        return x.squeeze(dims)

    def grad_x(g, x_spec):
        return apply(Reshape, g, shape=x_spec.shape)

    def latex(x, *, dims):
        return x
