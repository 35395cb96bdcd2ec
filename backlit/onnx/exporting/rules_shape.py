"""Rules of operators that move elements: shapes, views, joins, padding, windows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.onnx.exporting.lowering import rule
from backlit.onnx.exporting.terms import Builder, Term
from backlit.ops.index import basic_index
from backlit.ops.pad import per_axis
from backlit.ops.shape import look

LAST = np.iinfo(np.int64).max
Shape = tuple[int, ...]


@rule("clone", "detach")
def _same(g: Builder, x: Term) -> Term:
    return x


@rule("cast")
def _cast(g: Builder, x: Term, dtype: dt.dtype) -> Term:
    return x.to(dtype)


@rule("reshape")
def _reshape(g: Builder, x: Term, shape: Shape) -> Term:
    return g.reshape(x, g.out().shape)


@rule("permute")
def _permute(g: Builder, x: Term, dims: Shape) -> Term:
    return g.transpose(x, dims)


@rule("unsqueeze")
def _unsqueeze(g: Builder, x: Term, dim: int) -> Term:
    return g("Unsqueeze", x, (dim,))


@rule("squeeze")
def _squeeze(g: Builder, x: Term, dims: Shape) -> Term:
    return g("Squeeze", x, dims) if dims else x


@rule("expand")
def _expand(g: Builder, x: Term, shape: Shape) -> Term:
    return g("Expand", x, shape) if x.shape != shape else x


@rule("sum_to")
def _sum_to(g: Builder, x: Term, shape: Shape) -> Term:
    extra = x.ndim - len(shape)
    kept = [extra + i for i, n in enumerate(shape) if n == 1 and x.shape[extra + i] != 1]
    return g.reduce("Sum", g.reduce("Sum", x, kept, True), range(extra), False)


@rule("cat")
def _cat(g: Builder, *xs: Term, dim: int) -> Term:
    return g("Concat", *xs, axis=dim)


@rule("stack")
def _stack(g: Builder, *xs: Term, dim: int) -> Term:
    return g("Concat", *(g("Unsqueeze", x, (dim,)) for x in xs), axis=dim)


@rule("split")
def _split(g: Builder, x: Term, sizes: Shape, dim: int) -> Any:
    return g("Split", x, sizes, axis=dim, outputs=len(sizes))


@rule("unbind")
def _unbind(g: Builder, x: Term, dim: int) -> tuple[Any, ...]:
    return tuple(g.pick(x, dim, i) if want else None for i, want in enumerate(g.wanted))


# ----- windows by slices -----


@rule("slice")
def _slice(g: Builder, x: Term, parts: tuple) -> Term:
    return window(g, x, parts)


def window(g: Builder, x: Term, parts: tuple) -> Term:
    """The part that slices and numbers choose; axes that tensors index stay whole."""
    cuts, gone, new = [], [], []
    axis = place = 0
    for part in parts:
        if part[0] == "new":
            new.append(place)
            place += 1
            continue
        if part[0] == "int":
            cuts.append((axis, part[1], part[1] + 1, 1))
            gone.append(axis)
        else:
            if part[0] == "slice":
                cuts.append((axis, *part[1:]))
            place += 1
        axis += 1
    if len(cuts) == len(gone) == 1:
        x = g.pick(x, gone[0], cuts[0][1])
    elif cuts:
        axes, starts, stops, steps = zip(*cuts)
        x = g("Slice", x, starts, stops, axes, steps)
        x = g("Squeeze", x, tuple(gone)) if gone else x
    return g("Unsqueeze", x, tuple(new)) if new else x


def positions(shape: Shape) -> np.ndarray:
    """The place of every element in memory."""
    return np.arange(math.prod(shape)).reshape(shape)


def put(g: Builder, x: Term | None, kind: dt.dtype, shape: Shape, at: Any, v: Any,
        seen: Shape, reduction: str = "none") -> Term:  # fmt: skip
    """`x` (or zeros) with `v`, broadcast to `seen`, written at flat places."""
    flat = (g.constant(np.zeros(math.prod(shape)), kind) if x is None
            else g.reshape(x, (-1,)))  # fmt: skip
    value = v if isinstance(v, Term) else g.constant(v, kind)
    value = value if value.shape == seen else g("Expand", drop_lead(g, value, len(seen)), seen)
    where = at if isinstance(at, Term) else g.constant(at.reshape(-1), dt.int64)
    made = g("ScatterElements", flat, g.reshape(where, (-1,)), g.reshape(value, (-1,)), axis=0,
             reduction=reduction, dtype=kind)  # fmt: skip
    return g.reshape(made, shape)


def drop_lead(g: Builder, x: Term, ndim: int) -> Term:
    """Without leading axes of size 1 beyond `ndim`."""
    return x if x.ndim <= ndim else g.reshape(x, x.shape[x.ndim - ndim :])


@rule("slice_put")
def _slice_put(g: Builder, x: Term, shape: Shape, parts: tuple) -> Term:
    return put(g, None, x.dtype, shape, positions(shape)[basic_index(parts)], x, x.shape)


@rule("view_put")
def _view_put(g: Builder, x: Term, v: Any, path: tuple) -> Term:
    at = look(positions(x.shape), path)
    return put(g, x, x.dtype, x.shape, at, v, at.shape)


@rule("diagonal")
def _diagonal(g: Builder, x: Term, offset: int, dim1: int, dim2: int) -> Term:
    rest = [i for i in range(x.ndim) if i not in (dim1, dim2)]
    grid = positions((x.shape[dim1], x.shape[dim2])).diagonal(offset)
    moved = g.transpose(x, (*rest, dim1, dim2))
    flat = g.reshape(moved, (*(x.shape[i] for i in rest), x.shape[dim1] * x.shape[dim2]))
    return g("Gather", flat, g.constant(grid, dt.int64), axis=len(rest))


@rule("diagonal_put")
def _diagonal_put(g: Builder, x: Term, shape: Shape, **where: int) -> Term:
    at = positions(shape).diagonal(where["offset"], where["dim1"], where["dim2"])
    return put(g, None, x.dtype, shape, at, x, x.shape)


@rule("tril", "triu")
def _triangle(g: Builder, x: Term, diagonal: int) -> Term:
    ready = x.dtype in (dt.float32, dt.float64, dt.int64, dt.bool_)
    made = g("Trilu", x if ready else x.to(dt.int64), g.constant(diagonal, dt.int64),
             upper=int(g.instr.op == "triu"))  # fmt: skip
    return made.to(x.dtype)


# ----- rearrangements -----


@rule("flip")
def _flip(g: Builder, x: Term, dims: Shape) -> Term:
    if not dims:
        return x
    ends = (-LAST,) * len(dims)
    return g("Slice", x, (-1,) * len(dims), ends, tuple(dims), (-1,) * len(dims))


@rule("roll")
def _roll(g: Builder, x: Term, shifts: Any, dims: Any) -> Term:
    if dims is None:
        flat = _rolled(g, g.reshape(x, (-1,)), shifts, 0, math.prod(x.shape))
        return g.reshape(flat, x.shape)
    pairs = zip(shifts, dims) if isinstance(dims, tuple) else ((shifts, dims),)
    for shift, axis in pairs if x.ndim else ():
        x = _rolled(g, x, shift, axis, g.out().shape[axis])
    return x


def _rolled(g: Builder, x: Term, shift: int, axis: int, size: int) -> Term:
    turn = shift % size if size else 0
    if not turn:
        return x
    return g("Concat", g.cut(x, axis, -turn, LAST), g.cut(x, axis, 0, -turn), axis=axis)


@rule("repeat")
def _repeat(g: Builder, x: Term, repeats: Shape) -> Term:
    extra = len(repeats) - x.ndim
    wide = g("Unsqueeze", x, tuple(range(extra))) if extra else x
    return g("Tile", wide, tuple(repeats))


@rule("pad_constant")
def _pad_constant(g: Builder, x: Term, sides: Shape, value: float) -> Term:
    around = per_axis(sides, x.ndim)
    pads = (*(a for a, _ in around), *(b for _, b in around))
    if x.dtype is dt.bool_:
        wide = x.to(dt.int32)
        return g("Pad", wide, pads, g.constant(bool(value), dt.int32)).to(dt.bool_)
    return g("Pad", x, pads, g.constant(value, x.dtype))


@rule("unfold")
def _unfold(g: Builder, x: Term, dim: int, size: int, step: int) -> Term:
    if not x.ndim:
        return g.cut(g.reshape(x, (1,)), 0, 0, size)
    count = (x.shape[dim] - size) // step + 1
    at = np.arange(count)[:, None] * step + np.arange(size)
    taken = g("Gather", x, g.constant(at, dt.int64), axis=dim)
    order = [i for i in range(x.ndim + 1) if i != dim + 1]
    return g.transpose(taken, (*order, dim + 1))


@rule("unfold_sum")
def _unfold_sum(g: Builder, x: Term, shape: Shape, dim: int, size: int, step: int) -> Term:
    if not shape:
        return g.reduce("Sum", x, range(x.ndim), False)
    at = positions(shape)
    moved = np.lib.stride_tricks.sliding_window_view(at, size, axis=dim)
    moved = moved[(*(slice(None),) * dim, slice(None, None, step))]
    return put(g, None, x.dtype, shape, moved, x, x.shape, "add")


@rule("im2col")
def _im2col(g: Builder, x: Term, kernel: Shape, dilation: Shape, padding: Shape,
            stride: Shape) -> Term:  # fmt: skip
    pads = (0, 0, *padding) * 2
    seen = g("Pad", x, pads, 0) if any(padding) else x
    counts = []
    for axis, k, d, p, s in zip((2, 4), kernel, dilation, padding, stride):
        size = x.shape[2 + axis // 4] + 2 * p
        counts.append((size - d * (k - 1) - 1) // s + 1)
        at = np.arange(k)[:, None] * d + np.arange(counts[-1]) * s
        seen = g("Gather", seen, g.constant(at, dt.int64), axis=axis)
    seen = g.transpose(seen, (0, 1, 2, 4, 3, 5))
    return g.reshape(seen, g.out().shape)


@rule("col2im")
def _col2im(g: Builder, x: Term, size: Shape, kernel: Shape, dilation: Shape, padding: Shape,
            stride: Shape) -> Term:  # fmt: skip
    return g("Col2Im", x, tuple(size), tuple(kernel), dilations=tuple(dilation),
             pads=(*padding, *padding), strides=tuple(stride))  # fmt: skip
