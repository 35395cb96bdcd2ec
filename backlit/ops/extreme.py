"""The largest, the smallest, the middle, the most frequent: values and where they are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, DTypeError, IndexOutOfRange
from backlit.ops.elementwise import Where
from backlit.ops.op import Composite, Operator, Spec, apply, normalize_axes, normalize_axis
from backlit.ops.reduce import reduced, spread
from backlit.ops.shape import to
from backlit.returns import named


def refuse_empty(x: Spec, dims: tuple, name: str) -> None:
    """There is no largest or smallest of nothing."""
    for d in dims:
        if x.shape[d] == 0:
            raise IndexOutOfRange(f"no {name} along axis {d} of size 0: shape {x.shape}")


def refuse_empty_whole(x: Any, name: str) -> None:
    if not x.numel():
        raise ArgumentError(f"{name}: no {name} of an empty tensor of shape {tuple(x.shape)}",
                            hint="give a dim of size 1 or more")  # fmt: skip


def share(g: Any, x: Any, y: Any, dims: tuple) -> Any:
    """Route a gradient to the elements equal to the extreme, in equal parts."""
    hit = (x == spread(y, x.shape, dims)).to(x.dtype)
    return hit * (spread(g, x.shape, dims) / hit.sum(dims, keepdim=True))


class Extreme(Operator, abstract=True):
    """The common rules of amax and amin."""

    exports = "bl Tensor"

    @classmethod
    def infer(cls, x, *, dims, keepdim):
        refuse_empty(x, dims, cls.name)
        return Spec(reduced(x.shape, dims, keepdim), x.dtype)

    def grad_x(g, x, y, dims):
        return share(g, x, y, dims)


class Amax(Extreme):
    """The largest element along axes; ties share the gradient evenly. NaN counts as largest.

    >>> bl.amax(bl.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    tensor([5., 7.])
    """

    def call(input, dim=(), keepdim=False):
        return apply(Amax, input, dims=normalize_axes(dim, input.ndim), keepdim=bool(keepdim))

    def forward(x, *, dims, keepdim):
        return x.max(axis=dims, keepdims=keepdim) if dims else x

    def latex(x, *, dims, keepdim):
        return rf"\max {x}"


class Amin(Extreme):
    """The smallest element along axes; ties share the gradient evenly. NaN counts as smallest.

    >>> bl.amin(bl.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1)
    tensor([1., 2.])
    """

    def call(input, dim=(), keepdim=False):
        return apply(Amin, input, dims=normalize_axes(dim, input.ndim), keepdim=bool(keepdim))

    def forward(x, *, dims, keepdim):
        return x.min(axis=dims, keepdims=keepdim) if dims else x

    def latex(x, *, dims, keepdim):
        return rf"\min {x}"


# ----- along one axis, with the index -----


def unpick(g: Any, indices: Any, x_spec: Spec, dim: int, keepdim: bool) -> Any:
    """Send the gradient to the elements that were picked."""
    if not x_spec.ndim:
        return g
    if not keepdim:
        g, indices = g.unsqueeze(dim), indices.unsqueeze(dim)
    return g.new_zeros(x_spec.shape).scatter(dim, indices, g)


class Picked(Operator, abstract=True):
    """The common rules of what picks one element along an axis: a value and its index."""

    exports = ""
    outputs = ("values", "indices")
    nondifferentiable = ("indices",)

    @classmethod
    def infer(cls, x, *, dim, keepdim):
        if x.ndim:
            refuse_empty(x, (dim,), cls.name.split("_")[0])
        shape = reduced(x.shape, (dim,), keepdim) if x.ndim else ()
        return Spec(shape, x.dtype), Spec(shape, dt.int64)

    @classmethod
    def forward(cls, x, *, dim, keepdim):
        if not x.ndim:
            return x, np.zeros((), np.int64)
        values, indices = cls.pick(x, dim)
        if keepdim:
            values, indices = np.expand_dims(values, dim), np.expand_dims(indices, dim)
        return np.asarray(values), np.asarray(indices)

    def grad_x(g_values, indices, x_spec, dim, keepdim):
        return unpick(g_values, indices, x_spec, dim, keepdim)


class MaxDim(Picked):
    """The largest element along one axis and its (first) index."""

    inputs = ("x",)

    @staticmethod
    def pick(x, dim):
        return x.max(axis=dim), x.argmax(axis=dim)

    def latex(x, *, dim, keepdim):
        return rf"\max {x}"


class MinDim(Picked):
    """The smallest element along one axis and its (first) index."""

    inputs = ("x",)

    @staticmethod
    def pick(x, dim):
        return x.min(axis=dim), x.argmin(axis=dim)

    def latex(x, *, dim, keepdim):
        return rf"\min {x}"


class MedianDim(Picked):
    """The lower median along one axis and its index; a NaN in the row is the median."""

    inputs = ("x",)

    @staticmethod
    def pick(x, dim):
        return middle(x, dim, np.asarray((x.shape[dim] - 1) // 2), np.isnan(x).any(axis=dim))

    def latex(x, *, dim, keepdim):
        return rf"\operatorname{{median}} {x}"


class NanmedianDim(Picked):
    """The lower median of the numbers along one axis and its index."""

    inputs = ("x",)

    @staticmethod
    def pick(x, dim):
        numbers = x.shape[dim] - np.isnan(x).sum(axis=dim)
        return middle(x, dim, np.maximum(numbers - 1, 0) // 2, np.False_)

    def latex(x, *, dim, keepdim):
        return rf"\operatorname{{nanmedian}} {x}"


def comparable(x: np.ndarray) -> np.ndarray:
    """What NumPy can sort with NaN at the end: bfloat16 goes by way of single."""
    return x.astype(np.float32) if x.dtype.kind == "V" else x


def middle(x: np.ndarray, dim: int, rank: np.ndarray, spoiled: Any) -> tuple:
    """The elements of these ranks along an axis; where spoiled, the first NaN."""
    order = np.argsort(comparable(x), axis=dim, kind="stable")
    wanted = np.expand_dims(np.broadcast_to(rank, np.delete(x.shape, dim)), dim)
    indices = np.take_along_axis(order, wanted, dim).squeeze(dim)
    if spoiled.any():
        indices = np.where(spoiled, np.isnan(x).argmax(axis=dim), indices)
    return np.take_along_axis(x, np.expand_dims(indices, dim), dim).squeeze(dim), indices


class ModeDim(Picked):
    """The most frequent value along one axis (the smallest of several) and its last index."""

    inputs = ("x",)

    @staticmethod
    def pick(x, dim):
        rows = np.moveaxis(x, dim, -1)
        order = np.argsort(rows, axis=-1, kind="stable")
        ranked = np.take_along_axis(rows, order, -1)
        position = np.broadcast_to(np.arange(x.shape[dim]), ranked.shape)
        fresh = np.ones(ranked.shape, bool)
        fresh[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
        start = np.maximum.accumulate(np.where(fresh, position, 0), axis=-1)
        last = (position - start).argmax(axis=-1)[..., None]  # the end of the longest run
        indices = np.take_along_axis(order, last, -1)[..., 0]
        return np.take_along_axis(ranked, last, -1)[..., 0], indices

    def latex(x, *, dim, keepdim):
        return rf"\operatorname{{mode}} {x}"


def along(op: Any, name: str, input: Any, dim: int, keepdim: bool) -> Any:
    """Apply a Picked operator; the result has the fields `values` and `indices`."""
    dim = normalize_axis(dim, input.ndim)
    values, indices = apply(op, input, dim=dim, keepdim=bool(keepdim))
    return named(name, values=values, indices=indices)


def extreme(input: Any, dim: Any, keepdim: bool, other: Any, name: str) -> Any:
    """The three meanings of max and min."""
    whole, picked, pairwise = (
        (Amax, MaxDim, "maximum") if name == "max" else (Amin, MinDim, "minimum")
    )
    if other is not None or hasattr(dim, "cell"):
        return getattr(input, pairwise)(dim if other is None else other)
    if dim is not None:
        return along(picked, name, input, dim, keepdim)
    refuse_empty_whole(input, name)
    return apply(whole, input, dims=tuple(range(input.ndim)), keepdim=False)


class Max(Composite):
    """The largest element; along `dim` also its index; of two tensors, element by element.

    >>> bl.max(bl.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1).indices
    tensor([1, 0])
    """

    def expand(input, dim=None, keepdim=False, *, other=None):
        return extreme(input, dim, keepdim, other, "max")


class Min(Composite):
    """The smallest element; along `dim` also its index; of two tensors, element by element.

    >>> bl.min(bl.tensor([[1.0, 5.0], [7.0, 2.0]]), dim=1).values
    tensor([1., 2.])
    """

    def expand(input, dim=None, keepdim=False, *, other=None):
        return extreme(input, dim, keepdim, other, "min")


class Aminmax(Composite):
    """The smallest and the largest element, of all or along one axis.

    >>> low, high = bl.aminmax(bl.tensor([3.0, 1.0, 2.0]))
    >>> low, high
    (tensor(1.), tensor(3.))
    """

    def expand(input, *, dim=None, keepdim=False):
        if dim is None:
            refuse_empty_whole(input, "aminmax")
        dims = normalize_axes(dim, input.ndim)
        low = apply(Amin, input, dims=dims, keepdim=bool(keepdim))
        return named("aminmax", min=low, max=apply(Amax, input, dims=dims, keepdim=bool(keepdim)))


class ArgExtreme(Operator, abstract=True):
    """The common rules of argmax and argmin."""

    differentiable = False

    @classmethod
    def infer(cls, x, *, dim, keepdim):
        if dim is None:
            if not math.prod(x.shape):
                raise IndexOutOfRange(f"no {cls.name} of an empty tensor of shape {x.shape}")
            return Spec((1,) * x.ndim if keepdim else (), dt.int64)
        if x.ndim:
            refuse_empty(x, (dim,), cls.name)
        return Spec(reduced(x.shape, (dim,), keepdim), dt.int64)


class Argmax(ArgExtreme):
    """The index of the largest element: in the flat tensor, or along `dim`. The first of ties.

    >>> bl.argmax(bl.tensor([[1.0, 5.0], [7.0, 2.0]])), bl.argmax(bl.tensor([1.0, 5.0]), dim=0)
    (tensor(2), tensor(1))
    """

    def call(input, dim=None, keepdim=False):
        dim = None if dim is None else normalize_axis(dim, input.ndim)
        return apply(Argmax, input, dim=dim, keepdim=bool(keepdim))

    def forward(x, *, dim, keepdim):
        return np.asarray(x.argmax(axis=dim if x.ndim else None, keepdims=keepdim))

    def latex(x, *, dim, keepdim):
        return rf"\arg\max {x}"


class Argmin(ArgExtreme):
    """The index of the smallest element: in the flat tensor, or along `dim`. The first of ties.

    >>> bl.argmin(bl.tensor([[1.0, 5.0], [7.0, 2.0]])), bl.argmin(bl.tensor([1.0, 5.0]), dim=0)
    (tensor(0), tensor(0))
    """

    def call(input, dim=None, keepdim=False):
        dim = None if dim is None else normalize_axis(dim, input.ndim)
        return apply(Argmin, input, dim=dim, keepdim=bool(keepdim))

    def forward(x, *, dim, keepdim):
        return np.asarray(x.argmin(axis=dim if x.ndim else None, keepdims=keepdim))

    def latex(x, *, dim, keepdim):
        return rf"\arg\min {x}"


# ----- in order -----


class Middle(Operator):
    """The lower median of all elements; those equal to it share the gradient evenly."""

    exports = ""

    def infer(x, *, ignore):
        return Spec((), x.dtype)

    def forward(x, *, ignore):
        if not x.size:
            return np.asarray(np.nan, x.dtype)
        pick = NanmedianDim.pick if ignore else MedianDim.pick
        return pick(x.reshape(-1), 0)[0]

    def grad_x(g, x, y):
        return share(g, x, y, tuple(range(x.ndim)))

    def latex(x, *, ignore):
        return rf"\operatorname{{median}} {x}"


class Median(Composite):
    """The lower median of all elements; along `dim` also its index. With a NaN it is NaN.

    >>> bl.median(bl.tensor([1.0, 9.0, 2.0, 7.0]))
    tensor(2.)
    """

    def expand(input, dim=None, keepdim=False):
        if dim is None:
            return apply(Middle, input, ignore=False)
        return along(MedianDim, "median", input, dim, keepdim)


class Nanmedian(Composite):
    """The lower median of the elements that are numbers; along `dim` also its index.

    >>> bl.nanmedian(bl.tensor([1.0, float("nan"), 2.0]))
    tensor(1.)
    """

    def expand(input, dim=None, keepdim=False):
        if dim is None:
            return apply(Middle, input, ignore=True)
        return along(NanmedianDim, "nanmedian", input, dim, keepdim)


class Mode(Composite):
    """The most frequent value along an axis, the smallest of several, and its last index.

    >>> bl.mode(bl.tensor([3, 1, 3, 2])).values
    tensor(3)
    """

    def expand(input, dim=-1, keepdim=False):
        return along(ModeDim, "mode", input, dim, keepdim)


def _quantiles(input: Any, q: Any, dim: Any, keepdim: bool, interpolation: str,
               ignore: bool) -> Any:  # fmt: skip
    """Sort, then take two neighbours and what lies between them."""
    modes = ("linear", "lower", "higher", "midpoint", "nearest")
    if interpolation not in modes:
        raise ArgumentError(f"interpolation must be one of {modes}, got {interpolation!r}")
    if not input.dtype.is_floating_point:
        raise DTypeError(f"quantiles are of floats, got {input.dtype.name}", hint="use x.float()")
    q = q if hasattr(q, "cell") else input.new_tensor(q)
    if q.dtype is not input.dtype:
        raise DTypeError(f"q is {q.dtype.name} but the input is {input.dtype.name}")
    levels = q.detach().numpy()
    if levels.size and not ((levels >= 0) & (levels <= 1)).all():
        raise ArgumentError(f"q must be between 0 and 1, got {levels.tolist()}")
    axis = 0 if dim is None else normalize_axis(dim, input.ndim)
    rows = input.reshape((-1,)) if dim is None or not input.ndim else input.movedim(axis, -1)
    if not rows.shape[-1]:
        raise ArgumentError(f"no quantile of an empty axis: shape {tuple(input.shape)}")
    ranked = rows.sort(-1)[0]
    spoiled = rows.isnan()
    found = []
    for level in q.reshape((-1,)).unbind(0):
        found.append(_at_level(ranked, spoiled, level, interpolation, ignore))
    result = found[0] if not q.ndim else _stacked(found)
    if not keepdim:
        return result
    shape = reduced(tuple(input.shape), normalize_axes(dim, input.ndim), True)
    return result.reshape((*q.shape, *shape))


def _stacked(values: list) -> Any:
    from backlit.ops.op import REGISTRY

    return REGISTRY["stack"].call(values, 0)


def _at_level(ranked: Any, spoiled: Any, level: Any, interpolation: str, ignore: bool) -> Any:
    """One quantile along the last axis of a sorted tensor; NaNs come last."""
    numbers = spoiled.logical_not().sum(-1, keepdim=True)
    last = (numbers - 1).clamp(min=0) if ignore else ranked.shape[-1] - 1
    position = level * last if ignore else (level * last).expand((*ranked.shape[:-1], 1))
    below, above = position.floor(), position.ceil()
    if interpolation in ("lower", "higher", "nearest"):
        chosen = {"lower": below, "higher": above, "nearest": position.round()}[interpolation]
        below = above = chosen
    low, high = (ranked.gather(-1, to(i, dt.int64)).squeeze(-1) for i in (below, above))
    if interpolation == "midpoint":
        found = (low + high) / 2
    elif below is above:
        found = low
    else:
        found = low + (high - low) * (position - below).squeeze(-1)
    return found if ignore else apply(Where, spoiled.any(-1), math.nan, found)


class Quantile(Composite):
    """The values below which shares `q` of the elements lie, interpolated between neighbours.

    `q` is a number or a tensor of numbers in [0, 1]; several give a leading axis. With a NaN
    in its row a quantile is NaN.

    >>> bl.quantile(bl.tensor([0.0, 1.0, 2.0, 3.0]), bl.tensor([0.25, 0.5]))
    tensor([0.7500, 1.5000])
    """

    def expand(input, q, dim=None, keepdim=False, *, interpolation="linear"):
        return _quantiles(input, q, dim, keepdim, interpolation, ignore=False)


class Nanquantile(Composite):
    """Quantiles of the elements that are numbers.

    >>> bl.nanquantile(bl.tensor([0.0, float("nan"), 2.0]), 0.5)
    tensor(1.)
    """

    def expand(input, q, dim=None, keepdim=False, *, interpolation="linear"):
        return _quantiles(input, q, dim, keepdim, interpolation, ignore=True)
