"""A convolution and the normalization behind it: sums are taken where the outputs are made.

`lower_fused_norm` takes a `fused` instruction whose body has one normalization, elementwise
instructions beside it and, maybe, the convolution before it (`compiler/passes/fuse_conv.py` makes
these). The convolution's kernel sums what it stores, or the gradient that it goes on to, which
saves the normalization a pass; join and application are those of norm/lowering.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.backends.cpu.channels.operands import beside
from backlit.backends.cpu.channels.places import channels_last_place
from backlit.backends.cpu.norm.lowering import (
    NORMS,
    Group,
    Rows,
    finish_forward,
    finish_gradient,
    is_gradient,
    is_known,
    lower_group,
)
from backlit.backends.cpu.plans.plan import Place, Plan
from backlit.program.ir import Instr, Program, Value

from .finish import Finish
from .geometry import Gather
from .lowering import Ending, lower_conv, lower_conv_grad_input

HEAVY = {"conv": lower_conv, "conv_grad_input": lower_conv_grad_input}


def lower_fused_norm(plan: Plan, instr: Instr) -> Any:
    """A body of elementwise instructions around one normalization, and a convolution before it."""
    group, heavy = _grouped(instr)
    if heavy is None or not is_known(plan, group):
        return lower_group(plan, group)
    if has_ending(heavy):
        return (_gradient_ending if is_gradient(group) else _forward_ending)(plan, group, heavy)
    if HEAVY[heavy.op](plan, heavy) is NotImplemented:
        return NotImplemented
    return lower_group(plan, group)


def _grouped(instr: Instr) -> tuple[Group, Instr | None]:
    """The body with the names that its operands and results have outside."""
    body: Program = instr.params["body"]
    names: dict[str, Any] = {}
    for outer, inner in (*zip(instr.inputs, body.inputs), *zip(instr.outputs, body.outputs)):
        if isinstance(inner, Value) and outer is not None:
            names[inner.name] = outer
    instrs = [
        Instr(
            i.op,
            tuple(names.get(x.name, x) if isinstance(x, Value) else x for x in i.inputs),
            tuple(names.get(v.name, v) if v is not None else None for v in i.outputs),
            i.params,
        )
        for i in body.instrs
    ]
    (at,) = [k for k, i in enumerate(instrs) if i.op in NORMS]
    ends = frozenset(v.name for v in instr.outputs if v is not None)
    before = tuple(i for i in instrs[:at] if i.op not in HEAVY)
    heavy = next((i for i in instrs[:at] if i.op in HEAVY), None)
    return Group(before, instrs[at], tuple(instrs[at + 1 :]), ends), heavy


def has_ending(heavy: Instr) -> bool:
    """Whether a convolution's kernel can take the sums: its chunks must hold all channels."""
    return heavy.params["groups"] == 1


def _forward_ending(plan: Plan, group: Group, heavy: Instr) -> Any:
    """The convolution sums what it stores; then join and apply."""
    x = group.norm.inputs[0]
    assert isinstance(x, Value)
    rows = Rows(plan, x)
    kept: list[Any] = []

    def end(found: Gather) -> Ending:
        partial = _partial(rows, found, x.shape[0], 3)
        kept.extend((partial, found.blocks_of(x.shape[0]).astype(np.float64)))
        words = {"partial": partial, "partial_step": found.padded_channels}
        finish = Finish(rows.dtype, sums="statistics")
        return Ending(finish, words, (), (partial,))

    if HEAVY[heavy.op](plan, heavy, end) is NotImplemented:
        return NotImplemented
    partial, counts = kept
    return finish_forward(plan, group, rows, plan.place(x), partial, counts)


def _gradient_ending(plan: Plan, group: Group, heavy: Instr) -> Any:
    """The convolution goes on to the gradient that the normalization takes, and sums it."""
    g, x, _, mean, _ = group.norm.inputs
    assert isinstance(x, Value) and isinstance(g, Value) and isinstance(mean, Value)
    (made,) = heavy.outputs
    assert made is not None
    rows = Rows(plan, x)
    source, means = channels_last_place(plan, x), plan.dense(mean)
    # g is read again by the pass that applies
    outer = Group(group.before, group.norm, group.after, group.ends | {g.name})
    kept: list[Any] = []

    def end(found: Gather) -> Ending:
        partial = _partial(rows, found, x.shape[0], 2)
        kept.extend((partial, len(found.blocks_of(x.shape[0]))))
        stored = [v for v in outer.made(group.before) if v.name != made.name]
        then = beside(plan, group.before, made, g, stored, x, "before")
        finish = Finish(
            rows.dtype,
            stored=made.name in outer.ends,
            after=then.lanewise,
            sums="gradient",
            tails=bool(found.panels[:, 2].any()),
        )
        words = {
            "partial": partial, "partial_step": found.padded_channels, "normed": source,
            "mean": means, **then.words,
        }  # fmt: skip
        return Ending(finish, words, (source, means, *then.reads), (partial, *then.writes))

    if HEAVY[heavy.op](plan, heavy, end) is NotImplemented:
        return NotImplemented
    partial, chunks = kept
    again = beside(plan, (), None, g, (), x, "before")
    return finish_gradient(plan, group, rows, source, means, again, partial, chunks)


def _partial(rows: Rows, found: Gather, images: int, results: int) -> Place:
    """Memory for the sums of a convolution's chunks."""
    count = len(found.blocks_of(images))
    return rows.plan.temporary((count, results, found.padded_channels), rows.wide)
