"""Picking single elements along an axis by index, and putting them back.

gather and scatter_add are each other's derivatives. Negative indices are refused, as in PyTorch;
`x[index]` (index.py) takes them. Whole slices are in select.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.ops.index import SlicePut, add_flat, check_indices, last_write
from backlit.ops.op import Composite, Operator, Spec, apply, export, normalize_axis, slot


def need_whole(index: Spec) -> None:
    if index.dtype.kind != "i":
        raise DTypeError(f"index must hold whole numbers, got {index.dtype.name}", hint="x.long()")


def check_along(x: Spec, index: Spec, dim: int) -> None:
    """Index and input have equally many axes; the index is nowhere larger but along `dim`."""
    need_whole(index)
    if max(x.ndim, 1) != max(index.ndim, 1):
        raise ShapeError(f"index has {index.ndim} axes, input {x.ndim}")
    for axis, (n, k) in enumerate(zip(x.shape, index.shape)):
        if axis != dim and k > n:
            raise ShapeError(f"index {index.shape} is larger than {x.shape} at axis {axis}")


def check_scatter(x: Spec, index: Spec, v: Any, dim: int) -> None:
    if index.dtype.kind == "i" and 0 in index.shape:
        return
    check_along(x, index, dim)
    if not isinstance(v, Spec):
        return
    if v.dtype is not x.dtype:
        raise DTypeError(f"src is {v.dtype.name}, input {x.dtype.name}", hint="convert one")
    if max(v.ndim, 1) != max(index.ndim, 1) or any(k > n for k, n in zip(index.shape, v.shape)):
        raise ShapeError(f"index {index.shape} is larger than src {v.shape}")


def flat_along(shape: tuple, index: np.ndarray, dim: int) -> np.ndarray:
    """Flat positions, in row-major order, of the elements that `index` shows along `dim`."""
    if not shape or not index.ndim:
        check_indices((index,), [shape[0] if shape else 1], negative=False)
        return index
    check_indices((index,), [shape[dim]], negative=False)
    at = index * math.prod(shape[dim + 1 :])
    for axis, n in enumerate(index.shape):
        if axis != dim:
            steps = np.arange(n) * math.prod(shape[axis + 1 :])
            at = at + steps.reshape(n, *(1,) * (index.ndim - axis - 1))
    return at


def _corner(v: np.ndarray, shape: tuple) -> np.ndarray:
    """The first elements of `v` along each axis, as many as there are indices."""
    return v[tuple(slice(n) for n in shape)] if v.ndim == len(shape) else v.reshape(shape)


class Gather(Operator):
    """`out[i][j] = input[index[i][j]][j]` along `dim`, as index and input agree elsewhere.

    >>> bl.gather(bl.tensor([[1, 2], [3, 4]]), 1, bl.tensor([[1], [0]]))
    tensor([[2],
            [3]])
    """

    inputs = ("x", "index")
    moves = True

    def call(input, dim, index, *, sparse_grad=False):
        return apply(Gather, input, index, dim=normalize_axis(dim, input.ndim))

    def infer(x, index, *, dim):
        if not (index.dtype.kind == "i" and 0 in index.shape):
            check_along(x, index, dim)
        return Spec(index.shape, x.dtype)

    def forward(x, index, *, dim):
        if not index.size:
            return np.empty(index.shape, x.dtype)
        return np.asarray(x.reshape(-1)[flat_along(x.shape, index, dim)])

    def grad_x(g, index, x_spec, dim):
        return apply(GatherSum, g, index, shape=x_spec.shape, dim=dim)

    def latex(x, index, *, dim):
        return rf"{{{x}}}_{{{index}}}"


class GatherSum(Operator):
    """Zeros of a shape with `v` added at `index` along `dim`."""

    exports = ""
    inputs = ("v", "index")
    moves = True

    def infer(v, index, *, shape, dim):
        return Spec(tuple(shape), v.dtype)

    def forward(v, index, *, shape, dim):
        made = np.zeros(shape, v.dtype)
        if index.size:
            add_flat(made, flat_along(shape, index, dim), v)
        return made

    def grad_v(g, index, dim):
        return apply(Gather, g, index, dim=dim)

    def latex(v, index, *, shape, dim):
        return rf"\operatorname{{put}}_{{{index}}}\left({v}\right)"


class ScatterAdd(Operator):
    """`input` with `src` added at `index` along `dim`; repeated indices add up.

    >>> bl.scatter_add(bl.zeros(3), 0, bl.tensor([0, 2, 0]), bl.ones(3))
    tensor([2., 0., 1.])
    """

    inputs = ("x", "index", "v")

    def call(input, dim, index, src):
        return apply(ScatterAdd, input, index, src, dim=normalize_axis(dim, input.ndim))

    def infer(x, index, v, *, dim):
        check_scatter(x, index, v, dim)
        return x

    def forward(x, index, v, *, dim):
        fresh = x.copy()
        if index.size:
            add_flat(fresh, flat_along(x.shape, index, dim), _corner(v, index.shape))
        return fresh

    def grad_x(g):
        return g

    def grad_v(g, index, v_spec, dim):
        return placed(apply(Gather, g, index, dim=dim), v_spec.shape)

    def latex(x, index, v, *, dim):
        return rf"{x}_{{{index}}} \mathrel{{+}}= {v}"


def placed(x: Any, shape: tuple) -> Any:
    """Zeros of `shape` with `x` in the corner."""
    if tuple(x.shape) == tuple(shape):
        return x
    if x.ndim != len(shape):
        return x.reshape(shape)
    parts = tuple(("slice", 0, n, 1) for n in x.shape)
    return apply(SlicePut, x, shape=tuple(shape), parts=parts)


class Scatter(Operator):
    """`input` with `src` (a tensor or number) written at `index` along `dim`.

    `reduce` is None, "add" or "multiply". Repeated indices: the last write wins.

    >>> bl.scatter(bl.zeros(3), 0, bl.tensor([2, 0]), bl.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """

    inputs = ("x", "index", "v")

    def call(input, dim, index, src=None, *, value=None, reduce=None):
        src = value if src is None else src
        if src is None:
            raise ArgumentTypeError("scatter: expected src or value")
        dim = normalize_axis(dim, input.ndim)
        if reduce is not None and not hasattr(src, "cell"):
            src = input.new_full(tuple(index.shape), src)
        if reduce in ("add", "sum"):
            return apply(ScatterAdd, input, index, src, dim=dim)
        if reduce in ("multiply", "prod"):
            return ScatterReduce.call(input, dim, index, src, "prod")
        if reduce is not None:
            raise ArgumentError(f"scatter: reduce is None, 'add' or 'multiply', not {reduce!r}")
        return apply(Scatter, input, index, src, dim=dim)

    def infer(x, index, v, *, dim):
        check_scatter(x, index, v, dim)
        return x

    def forward(x, index, v, *, dim):
        fresh = x.copy()
        if index.size:
            v = _corner(v, index.shape) if isinstance(v, np.ndarray) else v
            fresh.reshape(-1)[flat_along(x.shape, index, dim)] = v
        return fresh

    def grad_x(g, index, dim):
        return apply(Scatter, g, index, 0.0, dim=dim)

    def grad_v(g, index, v_spec, x_spec, dim):
        last = apply(LastScatter, index, shape=x_spec.shape, dim=dim, dtype=g.dtype)
        return placed(apply(Gather, g, index, dim=dim) * last, v_spec.shape)

    def latex(x, index, v, *, dim):
        return rf"{x}_{{{index}}} = {v}"


class LastScatter(Operator):
    """1 where a write by `scatter` is the last to its element, else 0."""

    exports = ""
    differentiable = False

    def infer(index, *, shape, dim, dtype):
        return Spec(index.shape, dtype)

    def forward(index, *, shape, dim, dtype):
        at = flat_along(shape, index, dim)
        return last_write(at, math.prod(shape)).astype(dtype.numpy)


# ----- reducing what is scattered -----

_EXTREMES = {"amax": np.maximum, "amin": np.minimum}


class ScatterExtreme(Operator):
    """`x` with the largest or smallest of itself and what is scattered to each element."""

    exports = ""
    inputs = ("x", "index", "v")

    def infer(x, index, v, *, dim, reduce):
        check_scatter(x, index, v, dim)
        return x

    def forward(x, index, v, *, dim, reduce):
        fresh = x.copy()
        if index.size:
            at = flat_along(x.shape, index, dim).reshape(-1)
            _EXTREMES[reduce].at(fresh.reshape(-1), at, _corner(v, index.shape).reshape(-1))
        return fresh

    def backward(g, x, index, v, y, dim, v_spec):
        mine = (x == y).to(g.dtype)
        src = v if v.shape == index.shape else v[tuple(slice(n) for n in index.shape)]
        theirs = (src == apply(Gather, y, index, dim=dim)).to(g.dtype)
        share = g / apply(ScatterAdd, mine, index, theirs, dim=dim)
        return (share * mine, None,
                placed(apply(Gather, share, index, dim=dim) * theirs, v_spec.shape))  # fmt: skip

    def latex(x, index, v, *, dim, reduce):
        return rf"{x}_{{{index}}} \leftarrow \{reduce[1:]}\left({x}_{{{index}}}, {v}\right)"


class ScatterProd(Operator):
    """`x` times all that is scattered to each element."""

    exports = ""
    inputs = ("x", "index", "v")

    def infer(x, index, v, *, dim):
        check_scatter(x, index, v, dim)
        return x

    def forward(x, index, v, *, dim):
        fresh = x.copy()
        if index.size:
            at = flat_along(x.shape, index, dim).reshape(-1)
            np.multiply.at(fresh.reshape(-1), at, _corner(v, index.shape).reshape(-1))
        return fresh

    def backward(g, x, index, v, dim, v_spec):
        src = v if v.shape == index.shape else v[tuple(slice(n) for n in index.shape)]
        x_zero, zero = x == 0, src == 0
        zeros = apply(ScatterAdd, x_zero.to(g.dtype), index, zero.to(g.dtype), dim=dim)
        rest = apply(ScatterProd, x.masked_fill(x_zero, 1.0), index, src.masked_fill(zero, 1.0),
                     dim=dim)  # fmt: skip
        shared = (g * rest).masked_fill(zeros > 1, 0.0)  # two zeros: nobody has a gradient
        free = shared.masked_fill(zeros > 0, 0.0)
        at_v, spared = (apply(Gather, t, index, dim=dim) for t in (shared, free))
        grad_x = shared.where(x_zero, free / x.masked_fill(x_zero, 1.0))
        grad_v = at_v.where(zero, spared / src.masked_fill(zero, 1.0))
        return grad_x, None, placed(grad_v, v_spec.shape)

    def latex(x, index, v, *, dim):
        return rf"{x}_{{{index}}} \mathrel{{\cdot}}= {v}"


class ScatterReduce(Composite):
    """`input` with `src` reduced into it at `index`: "sum", "prod", "mean", "amax" or "amin".

    With include_self=False the elements that are reached start anew.

    >>> bl.scatter_reduce(bl.zeros(2), 0, bl.tensor([0, 0]), bl.tensor([1.0, 3.0]), "amax")
    tensor([3., 0.])
    """

    def expand(input, dim, index, src, reduce, *, include_self=True):
        dim = normalize_axis(dim, input.ndim)
        if reduce not in _NEUTRAL:
            raise ArgumentError(f"scatter_reduce: {reduce!r} is none of {', '.join(_NEUTRAL)}")
        count = None
        if reduce == "mean":
            one = input.new_ones(tuple(index.shape))
            count = input.new_ones(tuple(input.shape))
            if not include_self:
                count = Scatter.call(count, dim, index, value=0)
            count = apply(ScatterAdd, count, index, one, dim=dim).clamp(min=1)
        if not include_self:
            input = Scatter.call(input, dim, index, value=_neutral(reduce, input.dtype))
        if reduce in _EXTREMES:
            return apply(ScatterExtreme, input, index, src, dim=dim, reduce=reduce)
        if reduce == "prod":
            return apply(ScatterProd, input, index, src, dim=dim)
        total = apply(ScatterAdd, input, index, src, dim=dim)
        if count is None:
            return total
        return total / count if total.dtype.is_floating_point else total // count


_NEUTRAL = {"sum": 0, "prod": 1, "mean": 0, "amax": -math.inf, "amin": math.inf}


def _neutral(reduce: str, dtype: dt.dtype) -> Any:
    if dtype.is_floating_point or not math.isinf(_NEUTRAL[reduce]):
        return _NEUTRAL[reduce]
    limits = dt.iinfo(dtype) if dtype.kind != "b" else None
    if limits is None:
        return reduce == "amin"
    return limits.min if reduce == "amax" else limits.max


@export("Tensor")
def scatter_(input, dim, index, src=None, *, value=None, reduce=None):
    """`scatter`, in place."""
    slot.refuse_leaf(input, "scatter_")
    return slot.refill(input, Scatter.call(input, dim, index, src, value=value, reduce=reduce))


@export("Tensor")
def scatter_add_(input, dim, index, src):
    """`scatter_add`, in place."""
    return slot.in_place(ScatterAdd, input, index, src, dim=normalize_axis(dim, input.ndim))


@export("Tensor")
def scatter_reduce_(input, dim, index, src, reduce, *, include_self=True):
    """`scatter_reduce`, in place."""
    slot.refuse_leaf(input, "scatter_reduce_")
    made = ScatterReduce.call(input, dim, index, src, reduce, include_self=include_self)
    return slot.refill(input, made)


class IndexReduce(Composite):
    """`input` with slices of `source` reduced into it: "prod", "mean", "amax" or "amin".

    >>> bl.zeros(2).index_reduce(0, bl.tensor([0, 0]), bl.tensor([1.0, 3.0]), "amax")
    tensor([3., 0.])
    """

    def expand(input, dim, index, source, reduce, *, include_self=True):
        if reduce not in ("prod", "mean", "amax", "amin"):
            raise ArgumentError(f"index_reduce: {reduce!r} is none of prod, mean, amax, amin")
        dim = normalize_axis(dim, input.ndim)
        if index.ndim > 1 or index.numel() != source.shape[dim]:
            raise ShapeError(f"index_reduce: index {tuple(index.shape)} does not fit source"
                             f" {tuple(source.shape)} along axis {dim}")  # fmt: skip
        lone = index.reshape(*(1,) * dim, -1, *(1,) * (source.ndim - dim - 1))
        wide = lone.expand(tuple(source.shape))
        return ScatterReduce.call(input, dim, wide, source, reduce, include_self=include_self)


@export("Tensor")
def index_reduce_(input, dim, index, source, reduce, *, include_self=True):
    """`index_reduce`, in place."""
    slot.refuse_leaf(input, "index_reduce_")
    made = IndexReduce.call(input, dim, index, source, reduce, include_self=include_self)
    return slot.refill(input, made)
