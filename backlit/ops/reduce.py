"""Reductions along axes: sums, means, extremes, norms, running sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError
from backlit.ops.op import Operator, Spec, apply, normalize_axes, normalize_axis
from backlit.ops.shape import accumulator, to


def reduced(shape: tuple, dims: tuple, keepdim: bool) -> tuple:
    """The shape after reducing over `dims`."""
    if keepdim:
        return tuple(1 if i in dims else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in dims)


def spread(value: Any, shape: tuple, dims: tuple) -> Any:
    """Bring a reduced value (without its axes) back to `shape`."""
    kept = tuple(1 if i in dims else n for i, n in enumerate(shape))
    return value.reshape(kept).expand(shape)


class Sum(Operator):
    """The sum of all elements, or along axes. Whole numbers and bools sum to int64.

    >>> bl.sum(bl.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """

    moves = True

    def call(input, dim=None, keepdim=False, *, dtype=None):
        if dtype is not None:
            input = to(input, dtype)
        elif not input.dtype.is_floating_point:
            input = to(input, dt.int64)
        return apply(Sum, input, dims=normalize_axes(dim, input.ndim), keepdim=bool(keepdim))

    def infer(x, *, dims, keepdim):
        return Spec(reduced(x.shape, dims, keepdim), x.dtype)

    def forward(x, *, dims, keepdim):
        if not dims:
            return x
        total = x.sum(axis=dims, keepdims=keepdim, dtype=accumulator(x.dtype))
        return total.astype(x.dtype, copy=False)

    def grad_x(g, x_spec, dims):
        return spread(g, x_spec.shape, dims)

    def latex(x, *, dims, keepdim):
        return rf"\sum {x}"


class Amax(Operator):
    """The largest element along axes; ties share the gradient evenly.

    >>> bl.amax(bl.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    tensor([5., 7.])
    """

    def call(input, dim=(), keepdim=False):
        return apply(Amax, input, dims=normalize_axes(dim, input.ndim), keepdim=bool(keepdim))

    def infer(x, *, dims, keepdim):
        refuse_empty(x, dims, "amax")
        return Spec(reduced(x.shape, dims, keepdim), x.dtype)

    def forward(x, *, dims, keepdim):
        return x.max(axis=dims, keepdims=keepdim) if dims else x

    def grad_x(g, x, y, dims):
        return share(g, x, y, dims)

    def latex(x, *, dims, keepdim):
        return rf"\max {x}"


def refuse_empty(x: Spec, dims: tuple, name: str) -> None:
    """There is no largest or smallest of nothing."""
    if any(x.shape[d] == 0 for d in dims):
        raise ArgumentError(f"no {name} of an axis of size 0: shape {x.shape}")


def share(g: Any, x: Any, y: Any, dims: tuple) -> Any:
    """Route a gradient to the elements equal to the extreme, in equal parts."""
    hit = (x == spread(y, x.shape, dims)).to(x.dtype)
    return hit * (spread(g, x.shape, dims) / hit.sum(dims, keepdim=True))


class MaxDim(Operator):
    """The largest element along one axis and its (first) index."""

    exports = ""
    outputs = ("values", "indices")
    nondifferentiable = ("indices",)

    def infer(x, *, dim, keepdim):
        refuse_empty(x, (dim,), "max")
        shape = reduced(x.shape, (dim,), keepdim) if x.ndim else ()
        return Spec(shape, x.dtype), Spec(shape, dt.int64)

    def forward(x, *, dim, keepdim):
        return pick(x, x.argmax, dim, keepdim)

    def grad_x(g_values, indices, x_spec, dim, keepdim):
        return unpick(g_values, indices, x_spec, dim, keepdim)

    def latex(x, *, dim, keepdim):
        return rf"\max {x}"


def pick(x: np.ndarray, arg: Any, dim: int, keepdim: bool) -> tuple:
    if not x.ndim:
        return x, np.zeros((), np.int64)
    indices = arg(axis=dim)
    values = np.take_along_axis(x, np.expand_dims(indices, dim), dim)
    if keepdim:
        return values, np.expand_dims(indices, dim)
    return values.squeeze(dim), indices


def unpick(g: Any, indices: Any, x_spec: Spec, dim: int, keepdim: bool) -> Any:
    """Send the gradient to the elements that were picked."""
    if not x_spec.ndim:
        return g
    if not keepdim:
        g, indices = g.unsqueeze(dim), indices.unsqueeze(dim)
    return g.new_zeros(x_spec.shape).scatter(dim, indices, g)


class Max(Operator):
    """The largest element; along `dim` also its index; of two tensors, element by element.

    >>> bl.max(bl.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1).indices
    tensor([1, 0])
    """

    def call(input, dim=None, keepdim=False, *, other=None):
        return extreme(input, dim if other is None else other, keepdim, Amax, MaxDim, "maximum")


def extreme(input: Any, dim: Any, keepdim: bool, whole: Any, along: Any, pairwise: str) -> Any:
    """The three meanings of max and min."""
    from backlit.returns import named

    if dim is None:
        return apply(whole, input, dims=tuple(range(input.ndim)), keepdim=False)
    if hasattr(dim, "cell"):
        return getattr(input, pairwise)(dim)
    values, indices = apply(along, input, dim=normalize_axis(dim, input.ndim), keepdim=bool(keepdim))
    return named(along.name, values=values, indices=indices)
