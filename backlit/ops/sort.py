"""Order: sort, topk, unique values, and finding places in sorted lists. NaN is the largest."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.op import Operator, Spec, apply, export, normalize_axis, slot
from backlit.ops.scatter import GatherSum
from backlit.returns import named


class Picks(Operator, abstract=True):
    """Values picked from one axis and their indices, each at most once."""

    exports = ""
    outputs = ("values", "indices")
    nondifferentiable = ("indices",)

    def grad_x(g_values, indices, x_spec, dim):
        return apply(GatherSum, g_values, indices, shape=x_spec.shape, dim=dim)


def order(x: np.ndarray, dim: int, descending: bool) -> np.ndarray:
    """The indices that sort an axis; equal elements keep their order."""
    if not x.ndim:
        return np.zeros((), np.int64)
    if x.dtype.kind == "V":  # NumPy sorts the NaN of bfloat16 anywhere
        x = x.astype(np.float32)
    if not descending:
        return np.argsort(x, axis=dim, kind="stable")
    mirrored = np.argsort(np.flip(x, dim), axis=dim, kind="stable")
    return np.flip(x.shape[dim] - 1 - mirrored, dim)


def _taken(x: np.ndarray, indices: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
    values = np.take_along_axis(x, indices, dim) if x.ndim else x.copy()
    return values, indices.copy()  # not a flipped or cut view


class SortAxis(Picks):
    """The elements of an axis in order, and where they were."""

    def infer(x, *, dim, descending):
        return x, Spec(x.shape, dt.int64)

    def forward(x, *, dim, descending):
        return _taken(x, order(x, dim, descending), dim)

    def latex(x, **params):
        return rf"\operatorname{{sort}}\left({x}\right)"


@export("bl Tensor")
def sort(input, dim=-1, descending=False, stable=False):
    """The elements of an axis in order, and the indices where they were; always stable.

    >>> bl.sort(bl.tensor([3.0, 1.0, 2.0])).indices
    tensor([1, 2, 0])
    """
    dim = normalize_axis(dim, input.ndim)
    values, indices = apply(SortAxis, input, dim=dim, descending=bool(descending))
    return named("sort", values=values, indices=indices)


class Argsort(Operator):
    """The indices that sort an axis; always stable.

    >>> bl.argsort(bl.tensor([3.0, 1.0, 2.0]), descending=True)
    tensor([0, 2, 1])
    """

    differentiable = False

    def call(input, dim=-1, descending=False, stable=False):
        dim = normalize_axis(dim, input.ndim)
        return apply(Argsort, input, dim=dim, descending=bool(descending))

    def infer(x, *, dim, descending):
        return Spec(x.shape, dt.int64)

    def forward(x, *, dim, descending):
        return order(x, dim, descending).copy()


@export("bl Tensor")
def msort(input):
    """The rows sorted along the first axis.

    >>> bl.msort(bl.tensor([2, 1]))
    tensor([1, 2])
    """
    return sort(input, 0).values


class TopkAxis(Picks):
    """The k largest or smallest elements of an axis, in order, and where they were."""

    def infer(x, *, k, dim, largest):
        size = x.shape[dim] if x.ndim else 1
        if not 0 <= k <= size:
            raise ArgumentError(f"k={k} of an axis of size {size}")
        shape = (*x.shape[:dim], k, *x.shape[dim + 1 :]) if x.ndim else ()
        return Spec(shape, x.dtype), Spec(shape, dt.int64)

    def forward(x, *, k, dim, largest):
        if not x.ndim:
            return x.copy(), np.zeros((), np.int64)
        n = x.shape[dim]
        lead = (slice(None),) * dim
        if not 8 * k < n:
            return _taken(x, order(x, dim, largest)[(*lead, slice(k))], dim)
        part = np.argpartition(x, n - k if largest else max(k - 1, 0), axis=dim)
        part = part[(*lead, slice(n - k, None) if largest else slice(k))]
        part = np.sort(part, axis=dim)  # equal elements in the order of their places
        within = order(np.take_along_axis(x, part, dim), dim, largest)
        return _taken(x, np.take_along_axis(part, within, dim), dim)

    def latex(x, *, k, dim, largest):
        return rf"\operatorname{{top}}_{{{k}}}\left({x}\right)"


@export("bl Tensor")
def topk(input, k, dim=-1, largest=True, sorted=True):
    """The `k` largest (or smallest) elements of an axis, in order, and their indices.

    >>> bl.topk(bl.tensor([1.0, 3.0, 2.0]), 2).values
    tensor([3., 2.])
    """
    values, indices = apply(TopkAxis, input, k=int(k), dim=normalize_axis(dim, input.ndim),
                            largest=bool(largest))  # fmt: skip
    return named("topk", values=values, indices=indices)


class KthAxis(Picks):
    """The k-th smallest element of an axis, kept as an axis of size 1."""

    def infer(x, *, k, dim):
        size = x.shape[dim] if x.ndim else 1
        if not 1 <= k <= size:
            raise ArgumentError(f"k={k} of an axis of size {size}", hint="k counts from 1")
        shape = (*x.shape[:dim], 1, *x.shape[dim + 1 :]) if x.ndim else ()
        return Spec(shape, x.dtype), Spec(shape, dt.int64)

    def forward(x, *, k, dim):
        indices = order(x, dim, False)
        kth = (*(slice(None),) * dim, slice(k - 1, k))
        return _taken(x, indices[kth] if x.ndim else indices, dim)

    def latex(x, *, k, dim):
        return rf"{{{x}}}_{{({k})}}"


@export("bl Tensor")
def kthvalue(input, k, dim=-1, keepdim=False):
    """The `k`-th smallest element of an axis, counted from 1, and its index.

    >>> bl.kthvalue(bl.tensor([5.0, 1.0, 3.0]), 2).values
    tensor(3.)
    """
    dim = normalize_axis(dim, input.ndim)
    values, indices = apply(KthAxis, input, k=int(k), dim=dim)
    if not keepdim and input.ndim:
        values, indices = values.squeeze(dim), indices.squeeze(dim)
    return named("kthvalue", values=values, indices=indices)


# ----- distinct values -----


class UniqueValues(Operator):
    """The distinct elements (or slices) in order, the index of each among them, their counts."""

    exports = ""
    outputs = ("values", "inverse", "counts")
    differentiable = False
    value_shaped = True

    def infer(x, *, dim):
        return None  # the values decide

    def forward(x, *, dim):
        found = np.unique(x, return_inverse=True, return_counts=True, axis=dim, equal_nan=False)
        values, inverse, counts = found
        return values, inverse.reshape(x.shape if dim is None else -1), counts


class UniqueRuns(Operator):
    """The first of each run of equal elements (or slices), the run of each, their lengths."""

    exports = ""
    outputs = ("values", "inverse", "counts")
    differentiable = False
    value_shaped = True

    def infer(x, *, dim):
        return None  # the values decide

    def forward(x, *, dim):
        rows = x.reshape(-1) if dim is None else np.moveaxis(x, dim, 0)
        changed = (rows[1:] != rows[:-1]).any(axis=tuple(range(1, rows.ndim)))
        starts = np.flatnonzero(np.r_[True, changed][: len(rows)])
        run = np.r_[0, np.cumsum(changed)][: len(rows)]
        counts = np.diff(np.r_[starts, len(rows)])
        values = rows[starts] if dim is None else np.moveaxis(rows[starts], 0, dim)
        return values, run.reshape(x.shape) if dim is None else run, counts


def _distinct(op: Any, input: Any, inverse: bool, counts: bool, dim: int | None) -> Any:
    if dim is not None:
        dim = normalize_axis(dim, input.ndim)
    values, where, numbers = apply(op, input, dim=dim)
    wanted = [values, *([where] if inverse else []), *([numbers] if counts else [])]
    return values if len(wanted) == 1 else tuple(wanted)


@export("bl Tensor")
def unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The distinct elements, or slices of an axis, in order.

    >>> bl.unique(bl.tensor([2, 1, 2]), return_counts=True)
    (tensor([1, 2]), tensor([1, 2]))
    """
    return _distinct(UniqueValues, input, return_inverse, return_counts, dim)


@export("bl Tensor")
def unique_consecutive(input, return_inverse=False, return_counts=False, dim=None):
    """The first of each run of equal elements, or of equal slices of an axis.

    >>> bl.unique_consecutive(bl.tensor([2, 2, 1, 2]))
    tensor([2, 1, 2])
    """
    return _distinct(UniqueRuns, input, return_inverse, return_counts, dim)


# ----- places in sorted lists -----


class Searchsorted(Operator):
    """Where values would go into a sorted sequence (its last axis) to keep it sorted.

    `right` puts them after equal elements, `side="right"` says the same.

    >>> bl.searchsorted(bl.tensor([1, 3, 5]), bl.tensor([3, 4]))
    tensor([1, 2])
    """

    exports = "bl"
    inputs = ("sequence", "values")
    differentiable = False

    def call(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None):
        if side not in (None, "left", "right"):
            raise ArgumentError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
        if side == "left" and right:
            raise ArgumentError("searchsorted: side='left' contradicts right=True")
        if sorter is not None:
            sorted_sequence = sorted_sequence.take_along_dim(sorter, -1)
        if not hasattr(input, "cell"):
            input = slot.wrap(np.asarray(input, sorted_sequence.cell.array.dtype))
        found = apply(Searchsorted, sorted_sequence, input, right=bool(right or side == "right"))
        return found.to(dt.int32) if out_int32 else found

    def infer(sequence, values, *, right):
        if not sequence.ndim:
            raise ShapeError("the sorted sequence must have an axis")
        if sequence.ndim > 1 and sequence.shape[:-1] != values.shape[:-1]:
            raise ShapeError(f"sequences of {sequence.shape} do not fit values of {values.shape}",
                             hint="all axes but the last must agree")  # fmt: skip
        return Spec(values.shape, dt.int64)

    def forward(sequence, values, *, right):
        side = "right" if right else "left"
        if sequence.ndim == 1:
            return np.asarray(np.searchsorted(sequence, values, side), np.int64)
        made = np.empty(values.shape, np.int64)
        for row in np.ndindex(*sequence.shape[:-1]):
            made[row] = np.searchsorted(sequence[row], values[row], side)
        return made


@export("bl")
def bucketize(input, boundaries, *, out_int32=False, right=False):
    """The number of the bucket, between sorted boundaries, that each element falls into.

    >>> bl.bucketize(bl.tensor([1.0, 4.0]), bl.tensor([0.0, 2.0, 5.0]))
    tensor([1, 2])
    """
    if boundaries.ndim != 1:
        raise ShapeError(f"bucketize: boundaries must have one axis, got {boundaries.ndim}")
    return Searchsorted.call(boundaries, input, out_int32=out_int32, right=right)


class Isin(Operator):
    """Whether each element is among the test elements.

    >>> bl.isin(bl.tensor([1, 2, 3]), bl.tensor([2, 5]))
    tensor([False,  True, False])
    """

    exports = "bl"
    inputs = ("elements", "tests")
    differentiable = False

    def call(elements, test_elements, *, assume_unique=False, invert=False):
        given = (elements, test_elements)
        if not any(hasattr(x, "cell") for x in given):
            raise ArgumentTypeError("isin: at least one argument must be a tensor")
        found = apply(Isin, *(x if hasattr(x, "cell") else np.asarray(x) for x in given))
        return found.logical_not() if invert else found

    def infer(elements, tests):
        return Spec(elements.shape, dt.bool_)

    def forward(elements, tests):
        return np.isin(elements, tests)
