"""Lowering of instructions that hold Programs: a table of its own, called by the table around it.

A scan's table runs `length` times a call. Its slots advance: rows of stacked operands and results
by their stride, what stays the same by none. Carries live in blocks, which a step refills in
place. A branch's two tables run once or not at all: how often is written into them by the step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.program.ir import Instr, Program, Value
from backlit.program.parts import needed

from . import driver, lower
from .executable import Executable
from .plan import Buffer, Place, Plan, Task, dense_strides


def lower_scan(plan: Plan, instr: Instr) -> None:
    """A loop within the step."""
    consts, carries = instr.params["consts"], instr.params["carries"]
    length, reverse = instr.params["length"], instr.params["reverse"]
    body, results = _wanted(instr.params["body"], instr.outputs, carries)
    blocks = {consts + i: _block(v) for i, v in enumerate(body.inputs[consts:][:carries])}
    writes = {i: blocks[consts + i] for i in range(carries)}
    inner = Executable(body, blocks, writes, plan.workers)
    moving = [_place_of(blocks[consts + i]) for i in range(carries)]
    for x, place in zip(instr.inputs[consts:], moving):
        plan.copy(plan.place(_value(x)), place)
    fixed = [plan.dense(_value(x)) for x in instr.inputs[:consts]]
    rows = [plan.dense(_value(x)) for x in instr.inputs[consts + carries :]]
    made = [_rows_like(plan, m[0], m[1], m[2], length) for m in inner.made]
    for value, place in zip(results, made):
        plan.alias(value, place)
    steps = [p.strides[0] * p.dtype.itemsize if length else 0 for p in (*rows, *made)]
    inner.advance([0] * consts + [-s if reverse else s for s in steps], length)
    words = [_at_row(p, s * (length - 1) if reverse and length else 0)
             for p, s in zip((*rows, *made), steps)]  # fmt: skip
    plan.add(Task("scan", 0, [*fixed, *words], reads=(*fixed, *rows, *moving),
                  writes=(*made, *moving), inner=inner))  # fmt: skip
    for out, place in zip(instr.outputs[:carries], moving):
        if out is not None:
            plan.alias(out, place)


def _wanted(body: Program, outputs: Any, carries: int) -> tuple[Program, list[Value]]:
    """The body without rows that nobody reads, and the results that are left."""
    kept = [i for i in range(carries, len(outputs)) if outputs[i] is not None]
    ends = (*body.outputs[:carries], *(body.outputs[i] for i in kept))
    body = replace(body, instrs=needed(body.instrs, ends), outputs=ends)
    return body, [outputs[i] for i in kept]


def lower_branch(plan: Plan, instr: Instr) -> None:
    """One of two tables, as a predicate says when the step runs."""
    pred, *operands = instr.inputs
    kept = [i for i, v in enumerate(instr.outputs) if v is not None]
    memories = [_block(instr.outputs[i]) for i in kept]
    places = [_place_of(m) for m in memories]
    given = [plan.dense(_value(x)) for x in operands]
    counts = _counts(plan, _value(pred))
    for name, count in zip(("then", "otherwise"), counts):
        body = instr.params[name]
        ends = tuple(body.outputs[i] for i in kept)
        body = replace(body, instrs=needed(body.instrs, ends), outputs=ends)
        inner = Executable(body, {}, dict(enumerate(memories)), plan.workers)
        steps = Place(Buffer(8, memory=inner.header), 8 * driver.FIELD["steps"], (), (),
                      np.dtype(np.int64))  # fmt: skip
        plan.copy(count, steps)
        plan.add(Task("branch", 0, list(given), reads=(*given, steps, *places),
                      writes=tuple(places), inner=inner))  # fmt: skip
    for i, place in zip(kept, places):
        plan.alias(instr.outputs[i], place)  # type: ignore[arg-type]


def _counts(plan: Plan, pred: Value) -> list[Place]:
    """How often each branch runs: 1 and 0, or 0 and 1."""
    opposite = Value(f"{pred.name}.not", (), pred.dtype)
    lower.lower_instr(plan, Instr("logical_not", (pred,), (opposite,)))
    found = []
    for holds in (pred, opposite):
        count = Value(f"{holds.name}.count", (), dt.int64)
        lower.lower_instr(plan, Instr("cast", (holds,), (count,), {"dtype": dt.int64}))
        found.append(plan.place(count))
    return found


def _value(x: Any) -> Value:
    assert isinstance(x, Value), x
    return x


def _block(like: Any) -> np.ndarray:
    return np.zeros(like.shape, like.dtype.numpy)


def _place_of(memory: np.ndarray) -> Place:
    buffer = Buffer(max(1, memory.nbytes), memory=memory)
    return Place(buffer, 0, memory.shape, dense_strides(memory.shape), memory.dtype)


def _at_row(place: Place, offset: int) -> Place:
    """The place where a step's row begins; as a word only its address counts."""
    return replace(place, offset=place.offset + offset)


def _rows_like(plan: Plan, shape: tuple, strides: tuple, dtype: np.dtype, length: int) -> Place:
    """Memory for a row of each step, every row laid out as a step makes it."""
    whole = plan.temporary((length, *shape), dtype)
    size = int(np.prod(shape))
    return replace(whole, strides=(size, *(s // dtype.itemsize for s in strides)))
