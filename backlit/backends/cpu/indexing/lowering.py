"""Lowerings of reading and writing by index tensors: embeddings, gather, scatter, x[i], x[i] = v.

Owns the strides: which axis an index chooses from, and how every operand lies along the loops.
Writes follow the order of the indices, so that the last one wins and sums are those of NumPy.
An index out of range is found by the kernel and raised after the call. Code: kernels.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.backends.cpu.plans.plan import Place, Plan, Task, Word
from backlit.errors import IndexOutOfRange
from backlit.ops import index as by_index
from backlit.ops.op import broadcast_shapes
from backlit.program.ir import Instr, Value

from . import kernels
from .joins import made_of, move, number, operand, spread, window

CHUNK = 16384  # elements that one chunk moves
SMALL_WORK = 65536
MOST_AXES = 8


@dataclass(frozen=True)
class Chosen:
    """An index tensor: its strides along the loops, stride and size of the axis it picks from."""

    place: Place
    strides: tuple[int, ...]
    step: int
    size: int


def _values(instr: Instr) -> tuple[Any, ...]:
    """The operands; those that are indices are Values."""
    return instr.inputs


def _output(instr: Instr) -> Value:
    (out,) = instr.outputs
    assert out is not None
    return out


def _can(out: Any, shape: Sequence[int], indices: Sequence[Any], mode: str) -> bool:
    """Whether there is something to do, and a kernel that does it."""
    kinds = all(isinstance(i, Value) and i.dtype.kind == "i" for i in indices)
    sums = out.dtype.itemsize > 2 if out.dtype.kind == "f" else out.dtype.kind in "iu"
    return kinds and 0 not in shape and len(shape) <= MOST_AXES and (mode != "add" or sums)


def _add(plan: Plan, mode: str, shape: Sequence[int], y: Place, ys: Sequence[int], x: Place,
         xs: Sequence[int], chosen: Sequence[Chosen], wrap: bool) -> None:  # fmt: skip
    """The task of one kernel over loops of `shape`."""
    if not shape:
        shape, ys, xs = (1,), (0,), (0,)
        chosen = [Chosen(c.place, (0,), c.step, c.size) for c in chosen]
    last = len(shape) - 1
    free = all(c.strides[last] == 0 for c in chosen)
    unit = free and ys[last] == 1 and xs[last] == 1
    # writes by index meet: only columns that no index chooses are apart
    split = 0 if mode == "pick" or not unit else last
    block = _block(mode, shape, split if unit or mode == "pick" else -1)
    dtype = y.dtype.name if mode == "add" else kernels.RAW[y.dtype.itemsize]
    kinds = tuple(c.place.dtype.name for c in chosen)
    picking = kernels.Picking(mode, dtype, kinds, len(shape), unit, wrap, split)
    fault = _fault(plan, plan.instr.op if plan.instr else mode)
    words: list[Word] = [y, x, fault, block, *shape, *ys, *xs]
    for c in chosen:
        words += [c.place, c.step, c.size, *c.strides]
    reads = (x, *(c.place for c in chosen), *((y,) if mode != "pick" else ()))
    task = Task(mode, kernels.address_of(picking, plan.machine), words,
                -(-shape[split] // block), reads, (y,), work=_work(y, shape))  # fmt: skip
    plan.add(task)


def _work(y: Place, shape: Sequence[int]) -> int:
    return 4 * math.prod(shape) * y.dtype.itemsize


def _block(mode: str, shape: Sequence[int], split: int) -> int:
    """How much of the split axis one chunk takes."""
    if split < 0 or (mode != "pick" and math.prod(shape) < SMALL_WORK):
        return max(1, shape[max(split, 0)])
    if mode == "pick":
        return max(1, CHUNK // max(1, math.prod(shape[1:])))
    return max(64, -(-shape[split] // 8))


def _fault(plan: Plan, name: str) -> Place:
    """Where the kernel tells of an index that does not exist; looked at after every call."""
    place = plan.constant(np.zeros(3, np.int64))
    cell = place.buffer.memory
    assert cell is not None

    def check() -> IndexOutOfRange | None:
        if not cell[0]:
            return None
        size, index = int(cell[1]), int(cell[2])
        cell[0] = 0
        return IndexOutOfRange(f"{name}: index {index} is out of range for an axis of size {size}")

    plan.checks.append(check)
    return place


# ----- x[i, j] -----


@dataclass(frozen=True)
class _Window:
    """A place seen through the basic parts of an index, and the loops of the whole index."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    place: Place
    chosen: list[Chosen]


def _indexed(plan: Plan, place: Place, parts: tuple, indices: Sequence[Value]) -> _Window | None:
    seen = window(place, lambda a: by_index.window(a, parts))
    if seen is None:
        return None
    axes = by_index._chosen(parts)
    common = broadcast_shapes(*(tuple(i.shape) for i in indices))
    before, after = by_index._spread(seen.shape, parts, common)
    rest = [s for a, s in enumerate(seen.strides) if a not in axes]
    middle = len(common)
    strides = (*rest[: len(before)], *(0,) * middle, *rest[len(before) :])
    chosen = []
    for i, axis in zip(indices, axes):
        at = spread(plan.place(i), common).strides
        along = ((0,) * len(before)) + at + ((0,) * len(after))
        chosen.append(Chosen(plan.place(i), along, seen.strides[axis], seen.shape[axis]))
    return _Window((*before, *common, *after), strides, seen, chosen)


def lower_index(plan: Plan, instr: Instr) -> Any:
    x, *indices = _values(instr)
    out = _output(instr)
    parts = instr.params["parts"]
    if not indices or not _can(out, out.shape, indices, "pick"):
        return NotImplemented
    found = _indexed(plan, plan.place(x), parts, indices)
    if found is None or any(c.size == 0 for c in found.chosen):
        return NotImplemented
    target = plan.result(out)
    _add(plan, "pick", found.shape, target, target.strides, found.place, found.strides,
         found.chosen, wrap=True)  # fmt: skip
    return None


def lower_index_sum(plan: Plan, instr: Instr) -> Any:
    v, *indices = _values(instr)
    return _write(plan, instr, 0, v, indices, "add")


def lower_index_put(plan: Plan, instr: Instr) -> Any:
    x, v, *indices = _values(instr)
    mode = "add" if instr.params["accumulate"] else "put"
    return _write(plan, instr, x, v, indices, mode)


def _write(plan: Plan, instr: Instr, x: Any, v: Any, indices: Sequence[Any], mode: str) -> Any:
    out, parts = _output(instr), instr.params["parts"]
    shape = by_index.indexed_shape(out.shape, parts, tuple(indices))
    if not _can(out, shape, indices, mode) or (not indices and mode == "add"):
        return NotImplemented
    if isinstance(v, Value) and v.dtype is not out.dtype:
        return NotImplemented
    seen = by_index.window_shape(out.shape, parts)
    if any(seen[a] == 0 for a in by_index._chosen(parts)):
        return NotImplemented
    target = made_of(plan, x, out)
    source = operand(plan, v, target.dtype)
    if not indices:
        part = window(target, lambda a: a[by_index.basic_index(parts)])
        assert part is not None
        move(plan, source, part)
        return None
    found = _indexed(plan, target, parts, indices)
    assert found is not None
    source = spread(source, shape)
    y = Place(target.buffer, found.place.offset, target.shape, target.strides, target.dtype)
    _add(plan, mode, shape, y, found.strides, source, source.strides, found.chosen, wrap=True)
    return None


# ----- along one axis -----


def _along(place: Place, dim: int) -> tuple[int, ...]:
    """Strides with none along `dim`, where the index decides."""
    return tuple(0 if a == dim else s for a, s in enumerate(place.strides))


def lower_gather(plan: Plan, instr: Instr) -> Any:
    x, index = _values(instr)
    out, dim = _output(instr), instr.params["dim"]
    if not _can(out, index.shape, [index], "pick") or len(x.shape) != len(index.shape):
        return NotImplemented
    if not x.shape or not x.shape[dim]:
        return NotImplemented
    source, at, target = plan.place(x), plan.place(index), plan.result(out)
    chosen = [Chosen(at, at.strides, source.strides[dim], x.shape[dim])]
    _add(plan, "pick", index.shape, target, target.strides, source, _along(source, dim), chosen,
         wrap=False)  # fmt: skip
    return None


def _lower_scatter(plan: Plan, instr: Instr, x: Any, index: Any, v: Any, mode: str) -> Any:
    out, dim = _output(instr), instr.params["dim"]
    if not _can(out, index.shape, [index], mode) or len(out.shape) != len(index.shape):
        return NotImplemented
    if not out.shape or not out.shape[dim]:
        return NotImplemented
    if isinstance(v, Value) and (v.dtype is not out.dtype or len(v.shape) != len(index.shape)):
        return NotImplemented
    target, at = made_of(plan, x, out), plan.place(index)
    source = operand(plan, v, target.dtype)
    xs = source.strides if isinstance(v, Value) else (0,) * len(index.shape)
    chosen = [Chosen(at, at.strides, target.strides[dim], out.shape[dim])]
    _add(plan, mode, index.shape, target, _along(target, dim), source, xs, chosen, wrap=False)
    return None


def lower_gather_sum(plan: Plan, instr: Instr) -> Any:
    v, index = _values(instr)
    return _lower_scatter(plan, instr, 0, index, v, "add")


def lower_scatter_add(plan: Plan, instr: Instr) -> Any:
    x, index, v = _values(instr)
    return _lower_scatter(plan, instr, x, index, v, "add")


def lower_scatter(plan: Plan, instr: Instr) -> Any:
    x, index, v = _values(instr)
    return _lower_scatter(plan, instr, x, index, v, "put")


# ----- whole slices: the index is a vector along `dim` of the loops -----


def _vector(place: Place, dim: int, ndim: int) -> tuple[int, ...]:
    step = place.strides[0] if place.shape else 0
    return tuple(step if a == dim else 0 for a in range(ndim))


def lower_index_select(plan: Plan, instr: Instr) -> Any:
    x, index = _values(instr)
    out, dim = _output(instr), instr.params["dim"]
    if not _can(out, out.shape, [index], "pick") or not x.shape[dim]:
        return NotImplemented
    source, at, target = plan.place(x), plan.place(index), plan.result(out)
    along = _vector(at, dim, len(out.shape))
    chosen = [Chosen(at, along, source.strides[dim], x.shape[dim])]
    _add(plan, "pick", out.shape, target, target.strides, source, _along(source, dim), chosen,
         wrap=False)  # fmt: skip
    return None


def _lower_slices(plan: Plan, instr: Instr, x: Any, index: Any, v: Any) -> Any:
    out, dim = _output(instr), instr.params["dim"]
    if not out.shape or len(v.shape) != len(out.shape) or not out.shape[dim]:
        return NotImplemented
    if not _can(out, v.shape, [index], "add") or v.dtype is not out.dtype:
        return NotImplemented
    target, at, source = made_of(plan, x, out), plan.place(index), plan.place(v)
    along = _vector(at, dim, len(out.shape))
    chosen = [Chosen(at, along, target.strides[dim], out.shape[dim])]
    _add(plan, "add", v.shape, target, _along(target, dim), source, source.strides, chosen,
         wrap=False)  # fmt: skip
    return None


def lower_select_sum(plan: Plan, instr: Instr) -> Any:
    v, index = _values(instr)
    return _lower_slices(plan, instr, 0, index, v)


def lower_index_add(plan: Plan, instr: Instr) -> Any:
    x, index, v = _values(instr)
    return _lower_slices(plan, instr, x, index, v)


# ----- tables -----


def lower_embedding(plan: Plan, instr: Instr) -> Any:
    w, index = _values(instr)
    out = _output(instr)
    if not _can(out, out.shape, [index], "pick") or not w.shape[0]:
        return NotImplemented
    source, at, target = plan.place(w), plan.place(index), plan.result(out)
    chosen = [Chosen(at, (*at.strides, 0), source.strides[0], w.shape[0])]
    xs = (*(0,) * len(index.shape), source.strides[1])
    _add(plan, "pick", out.shape, target, target.strides, source, xs, chosen, wrap=False)
    return None


def lower_embedding_sum(plan: Plan, instr: Instr) -> Any:
    g, index = _values(instr)
    out, padding = _output(instr), instr.params["padding"]
    if instr.params["by_frequency"] or not _can(out, g.shape, [index], "add"):
        return NotImplemented
    target, at = made_of(plan, 0, out), plan.place(index)
    source = plan.place(g)
    chosen = [Chosen(at, (*at.strides, 0), target.strides[0], out.shape[0])]
    ys = (*(0,) * len(index.shape), target.strides[1])
    _add(plan, "add", g.shape, target, ys, source, source.strides, chosen, wrap=False)
    if padding is not None:  # the row got nothing but what does not count
        row = window(target, lambda a: a[padding])
        assert row is not None
        move(plan, number(plan, 0, target.dtype), row)
    return None


def lower_one_hot(plan: Plan, instr: Instr) -> Any:
    (index,) = _values(instr)
    out = _output(instr)
    if not _can(out, index.shape, [index], "put"):
        return NotImplemented
    target, at = made_of(plan, 0, out), plan.place(index)
    one = number(plan, 1, target.dtype)
    chosen = [Chosen(at, at.strides, target.strides[-1], out.shape[-1])]
    _add(plan, "put", index.shape, target, target.strides[:-1], one, (0,) * len(index.shape),
         chosen, wrap=False)  # fmt: skip
    return None
