"""Running sums and products along an axis, and linear recurrences, as tasks of a plan.

One line of memory after the other: the axis is walked in order, as NumPy walks it, while the lanes
are neighbours along another axis. Lines share the work.
"""

from __future__ import annotations

import math
from typing import Any

from backlit.backends.cpu.lanes.formulas import Lane
from backlit.backends.cpu.native import codegen, features, jit
from backlit.backends.cpu.native.codegen import Kernel, halves, vector
from backlit.backends.cpu.native.codegen import Value as Word
from backlit.backends.cpu.plans.plan import Place, Plan, Task
from backlit.program.ir import Instr, Value

FIELDS = ["y", "a", "x", "outer", "steps", "inner", "block"]
ELEMENTS = {"float32": "float", "float64": "double", "int32": "i32", "int64": "i64"}
SMALL = 4096  # elements of a chunk at least


@jit.recipe
def address_of(mode: str, dtype: str, wide: bool, machine: features.Machine) -> int:
    """The kernel of "cumsum", "cumprod" or "linear_scan"; `wide`: lanes along the inner axis."""
    element = ELEMENTS[dtype]
    f = Kernel(f"{mode}_{dtype}", FIELDS)
    y, a, x = (f.field(n, "ptr") for n in FIELDS[:3])
    outer, steps, inner, block = (f.field(n) for n in FIELDS[3:])
    # lines are numbered through: outer ones, and inner ones where lanes lie along them
    lines = outer if wide else outer * inner

    def line(first: Word, step: Word, lanes: int) -> None:
        kind = vector(element, lanes)

        def at(pointer: Word, i: Word) -> Word:
            return f.at(pointer, first + i * step, element)

        def advance(i: Word, before: Word) -> list[Word]:
            new, old = Lane(f, f.load(at(x, i), kind)), Lane(f, before)
            if mode == "linear_scan":
                new = _exactly(new, _exactly(Lane(f, f.load(at(a, i), kind)), old, "mul"), "add")
            else:
                new = _exactly(old, new, "add" if mode == "cumsum" else "mul")
            f.store(new.v, at(y, i))
            return [new.v]

        f.loop(0, steps, 1, advance, [f.constant(kind, 1 if mode == "cumprod" else 0)])

    def chunk(number: Word) -> None:
        start = number * block
        stop = f.smaller(start + block, lines)

        def wide_line(i: Word) -> None:
            f.each_slice(inner, halves(1, machine.width(element)),
                         lambda j, _, lanes: line(i * steps * inner + j, inner, lanes))  # fmt: skip

        def thin_line(i: Word) -> None:
            before = i // inner
            line(before * steps * inner + (i - before * inner), inner, 1)

        f.loop(start, stop, 1, wide_line if wide else thin_line)

    f.each_chunk(chunk)
    return jit.compile_function(codegen.module([f]), f.name, machine)


def _exactly(a: Lane, b: Lane, name: str) -> Lane:
    """A sum or product that nothing may contract: NumPy rounds both."""
    kind = a.v.kind
    text = f"{'f' if a.is_float else ''}{name} {kind} {a.v.name}, {b.v.name}"
    return Lane(a.f, a.f.emit(kind, text))


def lower_scan(plan: Plan, instr: Instr) -> Any:
    """`cumsum`, `cumprod` and `linear_scan`, along `dim`."""
    xs: Any = instr.inputs
    (out,), dim = instr.outputs, instr.params["dim"]
    assert isinstance(out, Value)
    if out.dtype.name not in ELEMENTS or not out.shape or 0 in out.shape:
        return NotImplemented
    if any(x.dtype is not out.dtype or x.shape != out.shape for x in xs):
        return NotImplemented
    sources: list[Place] = [plan.dense(x) for x in xs]
    target = plan.result(out)
    outer, inner = math.prod(out.shape[:dim]), math.prod(out.shape[dim + 1 :])
    wide = inner > 1
    lines = outer if wide else outer * inner
    block = max(1, SMALL // (out.shape[dim] * (inner if wide else 1)))
    words = [target, sources[0], sources[-1], outer, out.shape[dim], inner, block]
    plan.add(
        Task(
            instr.op,
            address_of(instr.op, out.dtype.name, wide, plan.machine),
            words,
            -(-lines // block),
            tuple(sources),
            (target,),
        )
    )
    return None
