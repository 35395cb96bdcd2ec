"""Rules of loops and branches: `scan`, `cond`, and running sums, products and extremes.

What a body reads from outside it names; its constants lie in the graph around it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from backlit import dtypes as dt
from backlit.onnx.exporting.graph import Body, Port
from backlit.onnx.exporting.lowering import lower, marked, rule
from backlit.onnx.exporting.terms import Builder, Term
from backlit.program.ir import Program, Value

Step = Callable[..., Sequence[Term]]


def looped(g: Builder, step: Step, states: Sequence[Term], rows: Sequence[Term], dim: int,
           made: int, reverse: bool = False) -> list[Term]:  # fmt: skip
    """ONNX's Scan: `step(inner, *states, *rows of an axis)` gives states, then `made` outputs."""
    inner = g.inner()
    inner.instr = g.instr
    lanes = [_without(x.shape, dim) for x in rows]
    shapes = [*(s.shape for s in states), *lanes]
    given = [
        Term(inner, inner.fresh("in"), x.dtype, shape) for x, shape in zip((*states, *rows), shapes)
    ]
    found = list(step(inner, *given))
    body = _closed(g, inner, given, found)
    way = (int(reverse),)
    outputs = g("Scan", *states, *rows, body=body, num_scan_inputs=len(rows),
                scan_input_axes=(dim,) * len(rows), scan_output_axes=(dim,) * made,
                scan_input_directions=way * len(rows), scan_output_directions=way * made,
                outputs=len(found))  # fmt: skip
    outputs = [outputs] if len(found) == 1 else list(outputs)
    for term, inside in zip(outputs, found):
        term.dtype = inside.dtype
    return outputs


def _without(shape: tuple[int, ...], dim: int) -> tuple[int, ...]:
    return (*shape[:dim], *shape[dim + 1 :])


def _closed(g: Builder, inner: Builder, given: Sequence[Term], found: Sequence[Term]) -> Body:
    """The body; each output is a value that a node of the body makes, each once."""
    outputs = [inner("Identity", x, dtype=x.dtype, shape=x.shape) for x in found]
    ports = [[Port(t.name, t.dtype) for t in terms] for terms in (given, outputs)]
    return g.body(inner, *ports)


# ----- loops and branches of Programs -----


@rule("scan")
def _scan(g: Builder, *xs: Term, body: Program, consts: int, carries: int, length: int,
          reverse: bool) -> tuple[Term, ...]:  # fmt: skip
    states, rows = xs[consts : consts + carries], list(xs[consts + carries :])
    if not length:
        return (*states, *(g.filled((0, *v.shape), 0, v.dtype) for v in body.outputs[carries:]))  # type: ignore[union-attr]
    clock = [] if rows else [g.filled((length,), 0, dt.int64)]
    instr = g.instr

    def step(inner: Builder, *given: Term) -> list[Any]:
        return _run(inner, body, instr, (*xs[:consts], *given[: len(given) - len(clock)]))

    made = len(body.outputs) - carries
    return tuple(looped(g, step, states, [*rows, *clock], 0, made, reverse))


@rule("fused")
def _fused(g: Builder, *xs: Term, body: Program) -> tuple[Any, ...]:
    outer, known = (g.instr, g.wanted, g.stem), g.known
    found = _run(g, body, g.instr, xs)
    (g.instr, g.wanted, g.stem), g.known = outer, known
    return tuple(found)


@rule("branch")
def _branch(g: Builder, pred: Term, *xs: Term, then: Program, otherwise: Program) -> Any:
    bodies: dict[str, Any] = {}
    kinds = []
    for name, program in (("then_branch", then), ("else_branch", otherwise)):
        inner = g.inner()
        found = _run(inner, program, g.instr, xs, name)
        kinds = [t.dtype for t in found]
        bodies[name] = _closed(g, inner, (), found)
    made = g("If", pred, outputs=len(kinds), **bodies)
    made = (made,) if len(kinds) == 1 else made
    for term, kind in zip(made, kinds):
        term.dtype = kind
    return made


def _run(inner: Builder, program: Program, instr: Any, given: Sequence[Term],
         side: str = "body") -> list[Any]:  # fmt: skip
    """A Program within a body, its values under names of their own."""
    known = {v.name: Term(inner, t.name, t.dtype, t.shape) for v, t in zip(program.inputs, given)}
    own = marked(program, instr, side)
    inner.instr = instr
    found = lower(inner, own, known)
    kinds = [v.dtype if isinstance(v, Value) else dt.result_type(v) for v in own.outputs]
    return [
        Term(inner, x.name, x.dtype, x.shape) if isinstance(x, Term) else inner.constant(x, kind)
        for x, kind in zip(found, kinds)
    ]


# ----- running values along an axis -----


@rule("cumsum")
def _cumsum(g: Builder, x: Term, dim: int) -> Term:
    if not x.ndim:
        return x
    small = x.dtype in (dt.int8, dt.int16, dt.uint8, dt.bool_)
    wide = x.to(dt.int64) if small else x
    return g("CumSum", wide, g.constant(dim, dt.int64)).to(x.dtype)


def _running(g: Builder, x: Term, dim: int, start: float,
             combine: Callable[[Builder, Term, Term], Term]) -> Term:  # fmt: skip
    if not x.ndim or 0 in x.shape:
        return x
    first = g.filled(_without(x.shape, dim), start, x.dtype)

    def step(inner: Builder, state: Term, row: Term) -> list[Term]:
        after = combine(inner, state, row)
        return [after, after]

    return looped(g, step, [first], [x], dim, 1)[1]


@rule("cumprod")
def _cumprod(g: Builder, x: Term, dim: int) -> Term:
    return _running(g, x, dim, 1, lambda inner, s, row: s * row)


@rule("logcumsumexp")
def _logcumsumexp(g: Builder, x: Term, dim: int) -> Term:
    """log(e^s + e^x) by the larger of both; two infinities of one sign have no difference."""

    def combine(inner: Builder, s: Term, row: Term) -> Term:
        top = inner("Max", s, row)
        away = -inner("Abs", s - row)
        total = top + inner("Log", inner("Exp", away) + 1)
        return inner.where(s == row, top + math.log(2), total)

    return _running(g, x, dim, -math.inf, combine)


@rule("linear_scan")
def _linear_scan(g: Builder, a: Term, b: Term, dim: int) -> Term:
    if 0 in b.shape:
        return b
    first = g.filled(_without(b.shape, dim), 0, b.dtype)

    def step(inner: Builder, state: Term, factor: Term, row: Term) -> list[Term]:
        after = row + factor * state
        return [after, after]

    wide = a if a.shape == b.shape else Term(g, g("Expand", a, b.shape).name, a.dtype, b.shape)
    return looped(g, step, [first], [wide, b], dim, 1)[1]


@rule("running_max", "running_min")
def _running_extreme(g: Builder, x: Term, dim: int) -> Any:
    """The extreme so far, the last place that held it, and the place that is next."""
    if not x.ndim or 0 in x.shape:
        return x, g.filled(x.shape, 0, dt.int64)
    lane = _without(x.shape, dim)
    whole = not x.dtype.is_floating_point
    seen = x.to(dt.int64) if whole else x
    seen = Term(g, seen.name, seen.dtype, x.shape)
    largest = g.instr.op == "running_max"
    worst = -math.inf if largest else math.inf
    if whole:
        worst = dt.iinfo(dt.int64).min if largest else dt.iinfo(dt.int64).max
    starts = [g.filled(lane, worst, seen.dtype), g.filled(lane, 0, dt.int64),
              g.filled((), 0, dt.int64)]  # fmt: skip

    def step(inner: Builder, best: Term, place: Term, here: Term, row: Term) -> list[Term]:
        after = inner("Max" if largest else "Min", best, row)
        hit = row == after
        if not whole:
            hit = hit | inner("IsNaN", row, dtype=dt.bool_)
        at = inner.where(hit, here, place)
        return [after, at, here + 1, after, at]

    values, places = looped(g, step, starts, [seen], dim, 2)[3:]
    return values.to(x.dtype), places
