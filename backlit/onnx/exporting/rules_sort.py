"""Rules of operators that order the elements of an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.onnx.exporting.lowering import rule
from backlit.onnx.exporting.rules_index import vector
from backlit.onnx.exporting.rules_reduce import picked
from backlit.onnx.exporting.terms import Builder, Term


def ordered(g: Builder, x: Term, dim: int, count: int, largest: bool) -> tuple[Term, Term]:
    """The first elements of an order and their places; equal ones in the order of their places."""
    seen = x.to(dt.int32) if x.dtype in (dt.bool_, dt.int8, dt.int16, dt.uint8) else x
    values, places = g("TopK", seen, (count,), axis=dim, largest=int(largest), sorted=1, outputs=2)
    places.dtype = dt.int64
    return values.to(x.dtype), places


def _flat(g: Builder, x: Term, made: Any) -> Any:
    return made if x.ndim else tuple(g.reshape(t, ()) for t in made)


@rule("sort_axis")
def _sort(g: Builder, x: Term, dim: int, descending: bool) -> Any:
    return _flat(g, x, ordered(g, vector(g, x), dim, (x.shape or (1,))[dim], descending))


@rule("argsort")
def _argsort(g: Builder, x: Term, dim: int, descending: bool) -> Any:
    return _flat(g, x, ordered(g, vector(g, x), dim, (x.shape or (1,))[dim], descending))[1]


@rule("topk_axis")
def _topk(g: Builder, x: Term, k: int, dim: int, largest: bool) -> Any:
    return _flat(g, x, ordered(g, vector(g, x), dim, k, largest)) if x.ndim else (
        x, g.constant(0, dt.int64))  # fmt: skip


@rule("kth_axis")
def _kth(g: Builder, x: Term, k: int, dim: int) -> Any:
    if not x.ndim:
        return x, g.constant(0, dt.int64)
    return tuple(g.cut(t, dim, k - 1, k) for t in ordered(g, x, dim, k, False))


@rule("median_dim")
def _median(g: Builder, x: Term, dim: int, keepdim: bool) -> Any:
    """The lower middle of the order; a row with a NaN gives its first."""
    seen = vector(g, x)
    size = (x.shape or (1,))[dim]
    at = g.cut(ordered(g, seen, dim, size, False)[1], dim, (size - 1) // 2, (size - 1) // 2 + 1)
    if x.dtype.is_floating_point:
        bad = g("IsNaN", seen, dtype=dt.bool_).to(dt.int32)
        first = g("ArgMax", bad, axis=dim, keepdims=1, dtype=dt.int64)
        at = g.where(g.reduce("Max", bad, (dim,), True) > 0, first, at)
    return picked(g, x, seen, at, dim, keepdim)


@rule("nanmedian_dim")
def _nanmedian(g: Builder, x: Term, dim: int, keepdim: bool) -> Any:
    seen = vector(g, x)
    return picked(g, x, seen, _middle_number(g, seen, dim, (x.shape or (1,))[dim]), dim, keepdim)


def _middle_number(g: Builder, x: Term, dim: int, size: int) -> Term:
    """The place of the lower middle of what is no NaN: those are sorted to the end."""
    if not x.dtype.is_floating_point:
        places = ordered(g, x, dim, size, False)[1]
        return g.cut(places, dim, (size - 1) // 2, (size - 1) // 2 + 1)
    bad = g("IsNaN", x, dtype=dt.bool_)
    places = ordered(g, g.where(bad, np.inf, x), dim, size, False)[1]
    numbers = g.reduce("Sum", (~bad).to(dt.int64), (dim,), True)
    rank = g("Max", numbers - 1, 0) // 2
    return g("GatherElements", places, rank, axis=dim)


@rule("middle")
def _middle(g: Builder, x: Term, ignore: bool) -> Term:
    flat = g.reshape(x, (-1,))
    flat.shape = (int(np.prod(x.shape)),)
    if ignore:
        return g.reshape(
            g("GatherElements", flat, _middle_number(g, flat, 0, flat.shape[0]), axis=0), ()
        )
    return _median(g, flat, 0, False)[0]


@rule("mode_dim")
def _mode(g: Builder, x: Term, dim: int, keepdim: bool) -> Any:
    """Elements compared in pairs: the smallest of the most frequent, and its last place."""
    seen = vector(g, x)
    size = (x.shape or (1,))[dim]
    pairs = g("Unsqueeze", seen, (dim,)) == g("Unsqueeze", seen, (dim + 1,))
    counts = g.reduce("Sum", pairs.to(dt.int32), (dim + 1,), False)
    often = counts == g.reduce("Max", counts, (dim,), True)
    kind = dt.float64 if x.dtype.is_floating_point else dt.int64
    most = np.inf if x.dtype.is_floating_point else dt.iinfo(dt.int64).max
    wide = seen.to(kind)
    value = g.reduce("Min", g.where(often, wide, most), (dim,), True)
    column = [-1 if i == dim else 1 for i in range(max(x.ndim, 1))]
    here = g.constant(np.arange(size).reshape(column), dt.int64)
    at = g.reduce("Max", g.where(wide == value, here, 0), (dim,), True)
    return picked(g, x, seen, at, dim, keepdim)
