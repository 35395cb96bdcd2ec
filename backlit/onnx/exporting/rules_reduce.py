"""Rules of reductions: sums, means, extremes, norms, and where the extremes are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.onnx.exporting.lowering import rule
from backlit.onnx.exporting.rules_index import vector
from backlit.onnx.exporting.terms import Builder, Term

Dims = tuple[int, ...]


@rule("sum", "prod")
def _plain(g: Builder, x: Term, dims: Dims, keepdim: bool) -> Term:
    return reduced(g, "Sum" if g.instr.op == "sum" else "Prod", x, dims, keepdim)


@rule("amax", "amin")
def _extreme(g: Builder, x: Term, dims: Dims, keepdim: bool) -> Term:
    """A NaN is the extreme: runtimes pass it over."""
    made = reduced(g, "Max" if g.instr.op == "amax" else "Min", x, dims, keepdim)
    if not x.dtype.is_floating_point or not dims:
        return made
    bad = g.reduce("Max", g("IsNaN", x, dtype=dt.bool_).to(dt.int32), dims, keepdim) > 0
    return g.where(bad, math.nan, made)


def reduced(g: Builder, kind: str, x: Term, dims: Dims, keepdim: bool) -> Term:
    """A reduction, in a dtype that every runtime reduces."""
    small = x.dtype in (dt.bool_, dt.int8, dt.int16, dt.uint8)
    wide = x.to(dt.int32) if small and dims else x
    return g.reduce(kind, wide, dims, keepdim).to(x.dtype)


@rule("mean")
def _mean(g: Builder, x: Term, dims: Dims, keepdim: bool) -> Term:
    if 0 in x.shape and dims:
        return g.filled(g.out().shape, math.nan, x.dtype)
    return g.reduce("Mean", x, dims, keepdim)


@rule("var")
def _var(g: Builder, x: Term, dims: Dims, correction: float, keepdim: bool) -> Term:
    return variance(g, x, dims, correction, keepdim)


@rule("std")
def _std(g: Builder, x: Term, dims: Dims, correction: float, keepdim: bool) -> Term:
    return g("Sqrt", variance(g, x, dims, correction, keepdim))


def variance(g: Builder, x: Term, dims: Dims, correction: float, keepdim: bool) -> Term:
    if not dims:
        total = x * 0
    else:
        away = x - g.reduce("Mean", x, dims, True)
        if not correction:
            return g.reduce("Mean", away * away, dims, keepdim)
        total = g.reduce("Sum", away * away, dims, keepdim)
    count = math.prod(x.shape[d] for d in dims)
    return total / float(max(count - correction, 0))


@rule("logsumexp")
def _logsumexp(g: Builder, x: Term, dims: Dims, keepdim: bool) -> Term:
    """Written out: runtimes differ in what they make of infinities."""
    if not dims:
        return x
    top = g.reduce("Max", x, dims, True)
    top = g.where((top - top) == 0, top, 0.0)
    total = g.reduce("Sum", g("Exp", x - top), dims, True)
    made = g("Log", total) + top
    return made if keepdim else g("Squeeze", made, tuple(dims))


@rule("any", "all")
def _truth(g: Builder, x: Term, dims: Dims, keepdim: bool) -> Term:
    """Counted: sums of nothing are 0, extremes of nothing are not defined."""
    held = x.to(dt.bool_)
    if dims and g.instr.op == "any":
        held = g.reduce("Sum", held.to(dt.int64), dims, keepdim) != 0
    elif dims:
        held = g.reduce("Sum", (~held).to(dt.int64), dims, keepdim) == 0
    return held.to(g.out().dtype)


@rule("count_nonzero")
def _count_nonzero(g: Builder, x: Term, dims: Dims) -> Term:
    return g.reduce("Sum", x.to(dt.bool_).to(dt.int64), dims, False)


@rule("p_norm")
def _p_norm(g: Builder, x: Term, p: float, dims: Dims, keepdim: bool) -> Term:
    size = g("Abs", x)
    if p == 0:
        return g.reduce("Sum", (x != 0).to(x.dtype), dims, keepdim)
    if math.isinf(p):
        return g.reduce("Max" if p > 0 else "Min", size, dims, keepdim)
    if p in (1, 2) and dims:
        return g.reduce(f"L{p:g}", x, dims, keepdim)
    if p == 1 or not dims:
        return size
    return g.power(g.reduce("Sum", g.power(size, float(p)), dims, keepdim), 1 / p)


# ----- where the extremes are -----


@rule("argmax", "argmin")
def _arg(g: Builder, x: Term, dim: int | None, keepdim: bool) -> Term:
    flat = dim is None or not x.ndim
    seen = g.reshape(x, (-1,)) if flat else x
    made = argument(g, g.instr.op == "argmax", seen, 0 if flat else dim, keepdim and not flat)
    return g.reshape(made, g.out().shape) if flat else made


def argument(g: Builder, largest: bool, x: Term, dim: Any, keepdim: bool) -> Term:
    """The first place of the extreme; a NaN is one."""
    seen = x.to(dt.int32) if x.dtype in (dt.bool_, dt.int8, dt.int16, dt.uint8) else x
    name = "ArgMax" if largest else "ArgMin"
    if seen.dtype.is_floating_point:
        bad = g("IsNaN", seen, dtype=dt.bool_)
        seen = g.where(bad, math.inf if largest else -math.inf, seen)
        plain = g(name, seen, axis=dim, keepdims=int(keepdim), dtype=dt.int64)
        marks = bad.to(dt.int32)
        first = g("ArgMax", marks, axis=dim, keepdims=int(keepdim), dtype=dt.int64)
        spoiled = g.reduce("Max", marks, (dim,), keepdim) > 0
        return g.where(spoiled, first, plain)
    return g(name, seen, axis=dim, keepdims=int(keepdim), dtype=dt.int64)


@rule("max_dim", "min_dim")
def _extreme_dim(g: Builder, x: Term, dim: int, keepdim: bool) -> tuple[Term, Term]:
    seen = vector(g, x)
    at = argument(g, g.instr.op == "max_dim", seen, dim, True)
    return picked(g, x, seen, at, dim, keepdim)


def picked(g: Builder, x: Term, seen: Term, at: Term, dim: int, keepdim: bool) -> Any:
    """The elements at places along an axis, and the places."""
    values = g("GatherElements", seen, at, axis=dim)
    if not x.ndim:
        return g.reshape(values, ()), g.reshape(at, ())
    if keepdim:
        return values, at
    return g("Squeeze", values, (dim,)), g("Squeeze", at, (dim,))


# ----- losses over classes -----


@rule("nll_loss")
def _nll_loss(g: Builder, x: Term, target: Term, weight: Term | None, ignore_index: int,
              reduction: str) -> Term:  # fmt: skip
    kept = target != ignore_index
    safe = g.where(kept, target.to(dt.int64), 0)
    chosen = g("GatherElements", x, g("Unsqueeze", safe, (1,)), axis=1)
    loss = -g("Squeeze", chosen, (1,))
    scale = kept.to(x.dtype)
    if weight is not None:
        scale = scale * g("Gather", weight, safe, axis=0)
    loss = g.where(kept, loss * scale, 0.0)
    if reduction == "none":
        return loss
    dims = tuple(range(target.ndim))
    total = g.reduce("Sum", loss, dims, False)
    return total / g.reduce("Sum", scale, dims, False) if reduction == "mean" else total


@rule("histc")
def _histc(g: Builder, x: Term, bins: int, low: float, high: float) -> Term:
    flat = g.reshape(x, (-1,)).to(dt.float64)
    if low == high:  # then they are those of the data
        ends = (g.reduce("Min", flat, (0,), True), g.reduce("Max", flat, (0,), True))
        same = (ends[0] == ends[1]).to(dt.float64)
        low, high = ends[0] - same, ends[1] + same  # type: ignore[assignment]
    place = ((flat - low) * bins / (high - low)).to(dt.int64)
    place = g.where(place > bins - 1, bins - 1, place)
    place = g.where((flat >= low) & (flat <= high), place, -1)
    rows = g("Unsqueeze", place, (1,)) == g.constant(np.arange(bins), dt.int64)
    return g.reduce("Sum", rows.to(x.dtype), (0,), False)
