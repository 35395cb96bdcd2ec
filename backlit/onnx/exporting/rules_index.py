"""Rules of operators that read or write at places held by a tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.onnx.exporting.lowering import rule
from backlit.onnx.exporting.rules_shape import Shape, positions, put, window
from backlit.onnx.exporting.terms import Builder, Term
from backlit.ops.index import indexed_shape, window_shape
from backlit.ops.op import broadcast_shapes

# ----- indexing by tensors -----


@rule("index")
def _index(g: Builder, x: Term, *indices: Term, parts: tuple) -> Term:
    return indexed(g, x, parts, indices)


def indexed(g: Builder, x: Term, parts: tuple, indices: tuple[Term, ...]) -> Term:
    """`x[index]` by NumPy's rules: what tensors choose stands together, in front if apart."""
    seen = window(g, x, parts)
    if not indices:
        return seen
    axes = [i for i, p in enumerate(p for p in parts if p[0] != "int") if p[0] == "tensor"]
    if len(indices) == 1:
        return g("Gather", seen, indices[0], axis=axes[0])
    common = broadcast_shapes(*(i.shape for i in indices))
    ndim = len(window_shape(x.shape, parts))
    rest = [a for a in range(ndim) if a not in axes]
    columns = [
        g("Unsqueeze", i if i.shape == common else g("Expand", i, common), (len(common),))
        for i in indices
    ]
    places = g("Concat", *columns, axis=len(common))
    moved = g("Transpose", seen, perm=(*axes, *rest))
    found = g("GatherND", moved, places, dtype=x.dtype)
    together = axes == list(range(axes[0], axes[0] + len(axes)))
    start = axes[0] if together else 0
    k, lead = len(common), range(len(common), len(common) + start)
    order = (*lead, *range(k), *range(k + start, k + len(rest)))
    return g.transpose(found, order)


@rule("index_put")
def _index_put(g: Builder, x: Term, v: Any, *indices: Term, parts: tuple,
               accumulate: bool) -> Term:  # fmt: skip
    return _written(g, x, x.dtype, x.shape, v, indices, parts, accumulate)


@rule("index_sum")
def _index_sum(g: Builder, v: Term, *indices: Term, shape: Shape, parts: tuple) -> Term:
    return _written(g, None, v.dtype, shape, v, indices, parts, True)


def _written(g: Builder, x: Term | None, kind: dt.dtype, shape: Shape, v: Any,
             indices: tuple[Term, ...], parts: tuple, accumulate: bool) -> Term:  # fmt: skip
    """Indexing the places themselves says where each element goes."""
    at = indexed(g, g.constant(positions(shape), dt.int64), parts, indices)
    seen = indexed_shape(shape, parts, indices)
    return put(g, x, kind, shape, at, v, seen, "add" if accumulate else "none")


# ----- along one axis -----


def vector(g: Builder, x: Term) -> Term:
    """A 0-dim tensor as one element along an axis."""
    return x if x.ndim else g.reshape(x, (1,))


@rule("gather")
def _gather(g: Builder, x: Term, index: Term, dim: int) -> Term:
    made = g("GatherElements", vector(g, x), vector(g, index), axis=dim)
    return made if index.ndim else g.reshape(made, ())


@rule("gather_sum")
def _gather_sum(g: Builder, v: Term, index: Term, shape: Shape, dim: int) -> Term:
    return _scattered(g, g.constant(np.zeros(shape), v.dtype), index, v, dim, "add")


_REDUCTIONS = {"scatter": "none", "scatter_add": "add", "scatter_prod": "mul"}


@rule("scatter", "scatter_add", "scatter_prod")
def _scatter(g: Builder, x: Term, index: Term, v: Any, dim: int) -> Term:
    return _scattered(g, x, index, v, dim, _REDUCTIONS[g.instr.op])


@rule("scatter_extreme")
def _scatter_extreme(g: Builder, x: Term, index: Term, v: Any, dim: int, reduce: str) -> Term:
    return _scattered(g, x, index, v, dim, reduce.removeprefix("a"))


def _scattered(g: Builder, x: Term, index: Term, v: Any, dim: int, reduction: str) -> Term:
    """ScatterElements, whose updates have the index's shape: those beyond it are not read."""
    if not isinstance(v, Term):
        v = g("Expand", g.constant(v, x.dtype), index.shape or (1,))
    elif v.shape != index.shape:
        cut = [a for a, n in enumerate(index.shape) if n != v.shape[a]]
        v = g("Slice", v, (0,) * len(cut), tuple(index.shape[a] for a in cut), tuple(cut))
    elif not v.ndim:
        v = g.reshape(v, (1,))
    made = g("ScatterElements", vector(g, x), vector(g, index), v, axis=dim, reduction=reduction)
    return made if x.ndim else g.reshape(made, ())


@rule("index_select")
def _index_select(g: Builder, x: Term, index: Term, dim: int) -> Term:
    return g("Gather", x, index, axis=dim)


@rule("index_add")
def _index_add(g: Builder, x: Term, index: Term, v: Term, dim: int) -> Term:
    if not x.ndim:
        return x + g.reshape(v, ())
    return _rows_added(g, x, index, v, dim)


@rule("select_sum")
def _select_sum(g: Builder, v: Term, index: Term, shape: Shape, dim: int) -> Term:
    return _rows_added(g, g.constant(np.zeros(shape), v.dtype), index, v, dim)


def _rows_added(g: Builder, x: Term, index: Term, v: Term, dim: int) -> Term:
    wide = g.reshape(index, (*(1,) * dim, -1, *(1,) * (v.ndim - dim - 1)))
    return g("ScatterElements", x, g("Expand", wide, v.shape), v, axis=dim, reduction="add")


# ----- tables -----


@rule("embedding")
def _embedding(g: Builder, w: Term, index: Term, padding: Any, by_frequency: bool) -> Term:
    return g("Gather", w, index, axis=0)


@rule("one_hot")
def _one_hot(g: Builder, index: Term, classes: int) -> Term:
    depth = g.constant(np.array([classes]), dt.int64)
    return g("OneHot", index, depth, np.array([0, 1], np.int64), axis=-1, dtype=dt.int64)


@rule("isin")
def _isin(g: Builder, elements: Term, tests: Term) -> Term:
    column = g("Unsqueeze", elements, (elements.ndim,))
    equal = (column == g.reshape(tests, (-1,))).to(dt.int32)
    return g.reduce("Max", equal, (elements.ndim,), False).to(dt.bool_)


@rule("searchsorted")
def _searchsorted(g: Builder, sequence: Term, values: Term, right: bool) -> Term:
    """The number of elements below (or up to) each value."""
    column = g("Unsqueeze", values, (values.ndim,))
    row = sequence if sequence.ndim == 1 else g("Unsqueeze", sequence, (sequence.ndim - 1,))
    below = row <= column if right else row < column
    return g.reduce("Sum", below.to(dt.int64), (values.ndim,), False)


@rule("plane_take")
def _plane_take(g: Builder, x: Term, places: Term) -> Term:
    """Elements of planes at flat places; 0 where the place is negative."""
    n, c = x.shape[:2]
    count = math.prod(places.shape[1:])
    flat = g.reshape(x, (n, c, math.prod(x.shape[2:])))
    at = g.reshape(places, (n, 1, count))
    inside = at >= 0
    wide = g("Expand", g.where(inside, at, 0), (n, c, count))
    found = g.where(inside, g("GatherElements", flat, wide, axis=2), 0)
    return g.reshape(found, g.out().shape)
