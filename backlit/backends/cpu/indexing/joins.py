"""Lowerings that only move elements: joins, pads, flips, repetitions, writes through views.

Each is a few copies between windows of places, so the plan's copy kernel does the work. A window
is found by asking NumPy for it on memory whose contents nobody cares about.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.backends.cpu.plans.plan import Place, Plan
from backlit.ops.pad import per_axis
from backlit.ops.shape import look
from backlit.program.ir import Instr, Value

Show = Callable[[np.ndarray], np.ndarray]


def window(place: Place, show: Show) -> Place | None:
    """The part of a place that `show` shows of an array; None where it is no view."""
    whole = blank(place)
    if whole is None:
        return None
    part = show(whole)
    if not part.size:
        return Place(place.buffer, place.offset, part.shape, (0,) * part.ndim, place.dtype)
    if not np.may_share_memory(part, whole):
        return None
    start = part.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    strides = tuple(s // place.dtype.itemsize for s in part.strides)
    return Place(place.buffer, place.offset + start, part.shape, strides, place.dtype)


def at_index(place: Place, index: tuple) -> Place:
    """The part of a place at slices and numbers of its first axes."""
    offset, sizes, steps = 0, [], []
    for axis, (n, step) in enumerate(zip(place.shape, place.strides)):
        i = index[axis] if axis < len(index) else slice(None)
        if isinstance(i, int):
            offset += i * step
            continue
        start, stop, by = i.indices(n)
        offset += start * step
        sizes.append(len(range(start, stop, by)))
        steps.append(step * by)
    start = place.offset + offset * place.dtype.itemsize
    return Place(place.buffer, start, tuple(sizes), tuple(steps), place.dtype)


def blank(place: Place) -> np.ndarray | None:
    """An array of the place's shape and strides over memory that is never touched."""
    if any(s < 0 for s in place.strides):
        return None
    span = sum((n - 1) * s for n, s in zip(place.shape, place.strides) if n) + 1
    strides = [s * place.dtype.itemsize for s in place.strides]
    memory = np.empty(span * place.dtype.itemsize, np.uint8)
    return np.ndarray(place.shape, place.dtype, memory, 0, strides)


def natural_order(place: Place) -> tuple[int, ...] | None:
    """The order of axes in which a place has no gaps; None (C order) where it has."""
    order = place.order()
    return order if place.is_dense(order) else None


def move(plan: Plan, source: Place, target: Place) -> None:
    """Copy, broadcasting the source; nothing where there is nothing."""
    if target.size:
        plan.copy(spread(source, target.shape), target)


def spread(place: Place, shape: tuple[int, ...]) -> Place:
    """The place broadcast to a shape; axes of size 1 in front may be dropped."""
    extra = len(place.shape) - len(shape)
    sizes, steps = place.shape[max(extra, 0) :], place.strides[max(extra, 0) :]
    new = len(shape) - len(sizes)
    strides = [0] * new + [0 if n == 1 else s for n, s in zip(sizes, steps)]
    return Place(place.buffer, place.offset, tuple(shape), tuple(strides), place.dtype)


def number(plan: Plan, value: Any, dtype: np.dtype) -> Place:
    """A number as a 0-dim place."""
    return plan.constant(np.asarray(value).astype(dtype))


def operand(plan: Plan, x: Any, dtype: np.dtype) -> Place:
    """An operand's place; a number becomes one."""
    return plan.place(x) if isinstance(x, Value) else number(plan, x, dtype)


def made_of(plan: Plan, x: Any, out: Value, order: tuple[int, ...] | None = None) -> Place:
    """The result, filled with another operand or a number."""
    target = plan.result(out, order)
    move(plan, operand(plan, x, target.dtype), target)
    return target


def _one(instr: Instr) -> Value:
    (out,) = instr.outputs
    assert out is not None
    return out


def _fits(*values: Any) -> bool:
    """Whether all are values of one dtype, without what the copy kernel lacks."""
    return len({v.dtype for v in values}) == 1


# ----- joins -----


def lower_cat(plan: Plan, instr: Instr) -> Any:
    out, dim = _one(instr), instr.params["dim"]
    xs: Any = instr.inputs
    if not _fits(out, *xs):
        return NotImplemented
    target = plan.result(out, natural_order(plan.place(xs[0])))
    start = 0
    for x in xs:
        stop = start + x.shape[dim]
        part = at_index(target, (*(slice(None),) * dim, slice(start, stop)))
        move(plan, plan.place(x), part)
        start = stop
    return None


def lower_stack(plan: Plan, instr: Instr) -> Any:
    out, dim = _one(instr), instr.params["dim"]
    xs: Any = instr.inputs
    if not _fits(out, *xs):
        return NotImplemented
    target = plan.result(out)
    for i, x in enumerate(xs):
        part = at_index(target, (*(slice(None),) * dim, i))
        move(plan, plan.place(x), part)
    return None


def lower_repeat(plan: Plan, instr: Instr) -> Any:
    (x,), out = instr.inputs, _one(instr)
    assert isinstance(x, Value)
    repeats = instr.params["repeats"]
    sizes = (1,) * (len(repeats) - len(x.shape)) + tuple(x.shape)
    split = tuple(n for pair in zip(repeats, sizes) for n in pair)
    part = window(plan.result(out), lambda a: a.reshape(split))
    assert part is not None
    source = spread(plan.place(x), sizes)
    strides = tuple(s for pair in zip((0,) * len(sizes), source.strides) for s in pair)
    move(plan, Place(source.buffer, source.offset, split, strides, source.dtype), part)
    return None


# ----- something around, something within -----


def _within(plan: Plan, instr: Instr, background: Any, x: Any, show: Show) -> Any:
    """`x` where `show` shows, `background` elsewhere."""
    out = _one(instr)
    if isinstance(x, Value) and x.dtype is not out.dtype:
        return NotImplemented
    order = natural_order(plan.place(background)) if isinstance(background, Value) else None
    if order is None and isinstance(x, Value) and len(x.shape) == len(out.shape):
        order = natural_order(plan.place(x))
    probe = np.empty(out.shape, out.dtype.numpy)
    if show(probe).size and not np.may_share_memory(show(probe), probe):
        return NotImplemented
    target = made_of(plan, background, out, order)
    part = window(target, show)
    if part is None:
        return NotImplemented
    move(plan, operand(plan, x, target.dtype), part)
    return None


def lower_slice_put(plan: Plan, instr: Instr) -> Any:
    from backlit.ops.index import basic_index

    index = basic_index(instr.params["parts"])
    return _within(plan, instr, 0, instr.inputs[0], lambda a: a[index])


def lower_diagonal_put(plan: Plan, instr: Instr) -> Any:
    from backlit.ops.diagonal import Diagonal

    chosen = {k: v for k, v in instr.params.items() if k != "shape"}
    show: Any = Diagonal.forward
    return _within(plan, instr, 0, instr.inputs[0], lambda a: show(a, **chosen))


def lower_view_put(plan: Plan, instr: Instr) -> Any:
    x, v = instr.inputs
    return _within(plan, instr, x, v, lambda a: look(a, instr.params["path"]))


def lower_pad_constant(plan: Plan, instr: Instr) -> Any:
    (x,), out = instr.inputs, _one(instr)
    assert isinstance(x, Value)
    around = per_axis(instr.params["sides"], len(x.shape))
    kept = tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, around))
    source = window(plan.place(x), lambda a: a[kept])
    if source is None:
        return NotImplemented
    inside = tuple(slice(max(a, 0), max(a, 0) + n) for n, (a, _) in zip(source.shape, around))
    order = natural_order(plan.place(x))
    if source.shape == tuple(out.shape):
        move(plan, source, plan.result(out, order))
        return None
    target = made_of(plan, instr.params["value"] or 0, out, order)
    part = window(target, lambda a: a[inside])
    assert part is not None
    move(plan, source, part)
    return None


# ----- other orders -----


def lower_flip(plan: Plan, instr: Instr) -> Any:
    (x,), out = instr.inputs, _one(instr)
    assert isinstance(x, Value)
    source = window(plan.place(x), lambda a: np.flip(a, instr.params["dims"]))
    if source is None:
        return NotImplemented
    move(plan, source, plan.result(out, natural_order(plan.place(x))))
    return None


def lower_roll(plan: Plan, instr: Instr) -> Any:
    """Along each axis two pieces change places."""
    (x,), out = instr.inputs, _one(instr)
    assert isinstance(x, Value)
    if not x.shape or 0 in x.shape:
        return NotImplemented
    shifts = [0] * len(x.shape)
    for shift, dim in zip(instr.params["shifts"], instr.params["dims"]):
        shifts[dim] = (shifts[dim] + shift) % x.shape[dim]
    pieces = [
        [(slice(0, n - s), slice(s, n)), (slice(n - s, n), slice(0, s))] if s else
        [(slice(0, n), slice(0, n))]
        for n, s in zip(x.shape, shifts)
    ]  # fmt: skip
    source, target = plan.place(x), plan.result(out, natural_order(plan.place(x)))
    for chosen in itertools.product(*pieces):
        old, new = tuple(p[0] for p in chosen), tuple(p[1] for p in chosen)
        move(plan, at_index(source, old), at_index(target, new))
    return None
