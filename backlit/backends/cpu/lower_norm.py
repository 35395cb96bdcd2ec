"""Batch normalization and its gradient as tasks of a plan, alone or with what stands beside them.

`lower_batch_norm` and `lower_batch_norm_grad` take the bare operators; `lower_fused_norm` takes a
`fused` instruction whose body has one of them and, before and after it, elementwise instructions
of the same shape, which join its passes over memory (`compiler/passes/fuse_conv.py` makes
these). Three tasks: sums per block of rows, their join in float64, and the pass that applies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.program.ir import Instr, Program, Value

from . import conv_plan, lanewise_plan, lower_conv
from . import norm_plan_kernels as kernels
from .conv_finish import Finish
from .lanewise import lane_element
from .lanewise_plan import Beside, beside
from .layout import ordered
from .lower_conv import Ending
from .lower_layout import channels_last_place
from .plan import Place, Plan, Task

BLOCK_BYTES = 32 * 1024
FLOATS = ("float32", "float64", "bfloat16", "float16")
NORMS = ("batch_norm", "batch_norm_grad")
HEAVY = {"conv": lower_conv.lower_conv, "conv_grad_input": lower_conv.lower_conv_grad_input}


@dataclass(frozen=True, eq=False)
class Group:
    """One normalization and the elementwise instructions before and after it; `ends` are the
    values that are needed outside."""

    before: tuple[Instr, ...]
    norm: Instr
    after: tuple[Instr, ...]
    ends: frozenset[str]
    heavy: Instr | None = None

    def needed(self, values: Sequence[Value | None]) -> list[Value]:
        return [v for v in values if v is not None and v.name in self.ends]

    def made(self, instrs: Sequence[Instr]) -> list[Value]:
        return self.needed([v for i in instrs for v in i.outputs])


def lower_batch_norm(plan: Plan, instr: Instr) -> Any:
    """y, mean and rstd of a batch normalization."""
    return _lower(plan, _bare(instr))


def lower_batch_norm_grad(plan: Plan, instr: Instr) -> Any:
    """The gradients by x, weight and bias."""
    return _lower(plan, _bare(instr))


def lower_fused_norm(plan: Plan, instr: Instr) -> Any:
    """A body of elementwise instructions around one normalization."""
    return _lower(plan, _grouped(instr))


def _bare(instr: Instr) -> Group:
    ends = frozenset(v.name for v in instr.outputs if v is not None)
    return Group((), instr, (), ends)


def _grouped(instr: Instr) -> Group:
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
    return Group(before, instrs[at], tuple(instrs[at + 1 :]), ends, heavy)


def _lower(plan: Plan, group: Group) -> Any:
    backward = group.norm.op == "batch_norm_grad"
    x = group.norm.inputs[1 if backward else 0]
    if not _known(plan, group, x):
        return NotImplemented
    heavy = group.heavy
    if heavy is not None and has_ending(heavy):
        return (_gradient_ending if backward else _forward_ending)(plan, group)
    if heavy is not None and HEAVY[heavy.op](plan, heavy) is NotImplemented:
        return NotImplemented
    return _gradient(plan, group) if backward else _forward(plan, group)


def has_ending(heavy: Instr) -> bool:
    """Whether a convolution's kernel can take the sums: its chunks must hold all channels."""
    return heavy.params["groups"] == 1


def _forward_ending(plan: Plan, group: Group) -> Any:
    """The convolution sums what it stores; then join and apply."""
    x, w, b = group.norm.inputs
    _, mean, rstd = group.norm.outputs
    assert isinstance(x, Value) and group.heavy is not None
    rows = Rows(plan, x)
    kept: list[Any] = []

    def end(found: conv_plan.Gather) -> Ending:
        partial = rows.chunks(found, x.shape[0], 3)
        kept.extend((partial, rows.chunk_counts(found, x.shape[0])))
        words = {"partial": partial, "partial_step": found.padded_channels}
        finish = Finish(rows.dtype, sums="statistics")
        return Ending(finish, words, (), (partial,))

    if HEAVY[group.heavy.op](plan, group.heavy, end) is NotImplemented:
        return NotImplemented
    partial, counts = kept
    found = join_statistics(plan, rows, partial, counts, w, b, mean, rstd, group)
    return apply_norm(plan, group, rows, plan.place(x), found)


def _gradient_ending(plan: Plan, group: Group) -> Any:
    """The convolution goes on to the gradient that the normalization takes, and sums it."""
    g, x, _, mean, _ = group.norm.inputs
    heavy = group.heavy
    assert isinstance(x, Value) and isinstance(g, Value) and isinstance(mean, Value)
    assert heavy is not None
    (made,) = heavy.outputs
    assert made is not None
    rows = Rows(plan, x)
    source, means = channels_last_place(plan, x), plan.dense(mean)
    # g is read again by the pass that applies
    outer = Group(group.before, group.norm, group.after, group.ends | {g.name})
    kept: list[Any] = []

    def end(found: conv_plan.Gather) -> Ending:
        partial = rows.chunks(found, x.shape[0], 2)
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
    found = join_gradient(plan, group, rows, partial, chunks)
    return apply_gradient(plan, group, rows, source, means, again, found)


def _known(plan: Plan, group: Group, x: Any) -> bool:
    """Whether the kernels cover these operands."""
    if not isinstance(x, Value) or x.dtype.name not in FLOATS or not math.prod(x.shape):
        return False
    wide = np.dtype(np.float64 if lane_element(x.dtype.numpy) == "double" else np.float32)
    vectors = [v for v in group.norm.inputs if isinstance(v, Value) and len(v.shape) == 1]
    if any(v.dtype.numpy != wide for v in vectors):
        return False
    main = group.norm.outputs[0]
    if group.before and lanewise_plan.kinds_of(plan, group.before, None, x.shape) is None:
        return False
    return lanewise_plan.kinds_of(plan, group.after, main, x.shape) is not None


def _forward(plan: Plan, group: Group) -> None:
    x, w, b = group.norm.inputs
    _, mean, rstd = group.norm.outputs
    assert isinstance(x, Value)
    source = channels_last_place(plan, x)
    rows = Rows(plan, x)
    partial = rows.partial(3)
    rows.add(
        "statistics",
        kernels.statistics(plan.machine, source.dtype),
        ordered(kernels.STATISTICS, x=source, partial=partial, **rows.words),
        (source,),
        (partial,),
    )
    found = join_statistics(plan, rows, partial, rows.counts(), w, b, mean, rstd, group)
    apply_norm(plan, group, rows, source, found)


def join_statistics(
    plan: Plan,
    rows: Rows,
    partial: Place,
    counts: np.ndarray,
    w: Any,
    b: Any,
    mean: Value | None,
    rstd: Value | None,
    group: Group,
) -> dict[str, Place]:
    """From partial sums to mean, scale and shift per channel."""
    element, channels = rows.element, rows.channels
    found = {
        "mean": rows.vector(mean),
        "rstd": rows.vector(rstd),
        "scale": rows.vector(None),
        "shift": rows.vector(None),
    }
    weight, bias = rows.parameter(w, partial), rows.parameter(b, partial)
    table = plan.constant(np.stack([counts, 1 / counts], axis=1))
    words = ordered(
        kernels.JOIN_STATISTICS,
        partial=partial,
        step=partial.shape[-1],
        blocks=len(counts),
        counts=table,
        rows=rows.count,
        channels=channels,
        weight=weight,
        has_weight=w is not None,
        bias=bias,
        has_bias=b is not None,
        eps=float(group.norm.params["eps"]),
        **found,
    )
    plan.add(
        Task(
            "batch_norm join",
            kernels.join_statistics(plan.machine, element),
            words,
            chunks=rows.slices,
            reads=(partial, weight, bias),
            writes=tuple(found.values()),
        )
    )
    return found


def apply_norm(
    plan: Plan, group: Group, rows: Rows, source: Place, found: dict[str, Place]
) -> None:
    """The pass that normalizes, with what comes after."""
    x, y = group.norm.inputs[0], group.norm.outputs[0]
    assert isinstance(x, Value)
    main = y or Value("normalized", x.shape, x.dtype)
    stored = [*group.needed([y]), *group.made(group.after)]
    if not stored:
        return
    then = beside(plan, group.after, main, None, stored, x, "after")
    fields = [*kernels.APPLY, *then.lanewise.fields]
    factors = {name: found[name] for name in ("mean", "scale", "shift")}
    rows.add(
        "batch_norm",
        kernels.apply(plan.machine, source.dtype, then.lanewise),
        ordered(fields, x=source, **factors, **rows.words, **then.words),
        (source, *factors.values(), *then.reads),
        then.writes,
        in_place=((source, then.writes[0]), *then.in_place()),
    )


def _gradient(plan: Plan, group: Group) -> None:
    g, x, _, mean, rstd = group.norm.inputs
    assert isinstance(x, Value) and isinstance(g, Value)
    assert isinstance(mean, Value) and isinstance(rstd, Value)
    source = channels_last_place(plan, x)
    rows = Rows(plan, x)
    partial = rows.partial(2)
    kept = group.made(group.before)
    before = beside(plan, group.before, None, g, kept, x, "before")
    means = plan.dense(mean)
    fields = [*kernels.GRAD_SUMS, *before.lanewise.fields]
    rows.add(
        "gradient sums",
        kernels.grad_sums(plan.machine, source.dtype, before.lanewise),
        ordered(fields, x=source, mean=means, partial=partial, **rows.words, **before.words),
        (source, means, *before.reads),
        (partial, *before.writes),
        in_place=before.in_place(),
    )
    # a gradient that was stored is read again; another is computed again
    again = beside(plan, () if g.name in group.ends else group.before, None, g, (), x, "before")
    found = join_gradient(plan, group, rows, partial, rows.blocks)
    apply_gradient(plan, group, rows, source, means, again, found)


def join_gradient(
    plan: Plan, group: Group, rows: Rows, partial: Place, blocks: int
) -> dict[str, Place]:
    """From partial sums to the gradients of weight and bias, and coefficients per channel."""
    _, _, w, _, rstd = group.norm.inputs
    _, gw, gb = group.norm.outputs
    assert isinstance(rstd, Value)
    found = {
        "gw": rows.vector(gw),
        "gb": rows.vector(gb),
        "scale": rows.vector(None),
        "slope": rows.vector(None),
        "shift": rows.vector(None),
    }
    weight, deviation = rows.parameter(w, partial), plan.dense(rstd)
    words = ordered(
        kernels.JOIN_GRADIENT,
        partial=partial,
        step=partial.shape[-1],
        blocks=blocks,
        rows=rows.count,
        channels=rows.channels,
        weight=weight,
        has_weight=w is not None,
        rstd=deviation,
        **found,
    )
    plan.add(
        Task(
            "batch_norm_grad join",
            kernels.join_gradient(plan.machine, rows.element),
            words,
            chunks=rows.slices,
            reads=(partial, weight, deviation),
            writes=tuple(found.values()),
        )
    )
    return found


def apply_gradient(
    plan: Plan,
    group: Group,
    rows: Rows,
    source: Place,
    means: Place,
    before: Beside,
    found: dict[str, Place],
) -> None:
    """The pass that makes the gradient by x, with what comes after."""
    x, gx = group.norm.inputs[1], group.norm.outputs[0]
    assert isinstance(x, Value)
    main = gx or Value("gradient", x.shape, x.dtype)
    stored = [*group.needed([gx]), *group.made(group.after)]
    if not stored:
        return
    then = beside(plan, group.after, main, None, stored, x, "after")
    fields = [*kernels.GRAD_APPLY, *before.lanewise.fields, *then.lanewise.fields]
    factors = {name: found[name] for name in ("scale", "slope", "shift")}
    words = {**factors, **rows.words, **before.words, **then.words}
    pairs = Beside(before.lanewise, (), before.reads, then.writes).in_place()
    rows.add(
        "batch_norm_grad",
        kernels.grad_apply(plan.machine, source.dtype, before.lanewise, then.lanewise),
        ordered(fields, x=source, mean=means, **words),
        (source, means, *factors.values(), *before.reads, *then.reads),
        then.writes,
        in_place=(*pairs, *then.in_place()),
    )


class Rows:
    """An array (N, C, *S) as rows of channels, cut into blocks."""

    def __init__(self, plan: Plan, x: Value) -> None:
        self.plan, self.dtype = plan, x.dtype.numpy
        self.element = lane_element(self.dtype)
        self.wide = np.dtype(np.float64 if self.element == "double" else np.float32)
        self.channels = x.shape[1]
        self.count = math.prod(x.shape) // self.channels
        row = self.channels * self.dtype.itemsize
        self.block_rows = min(self.count, max(1, BLOCK_BYTES // row))
        self.blocks = -(-self.count // self.block_rows)
        self.slices = -(-self.channels // plan.machine.width("double"))
        self.words = {
            "rows": self.count, "channels": self.channels, "block_rows": self.block_rows,
        }  # fmt: skip

    def partial(self, results: int) -> Place:
        """Memory for the blocks' sums."""
        return self.plan.temporary((self.blocks, results, self.channels), self.wide)

    def counts(self) -> np.ndarray:
        """How many rows each block has."""
        starts = np.arange(self.blocks) * self.block_rows
        return np.minimum(self.block_rows, self.count - starts).astype(np.float64)

    def chunks(self, found: conv_plan.Gather, images: int, results: int) -> Place:
        """Memory for the sums of a convolution's chunks."""
        count = len(found.blocks_of(images))
        return self.plan.temporary((count, results, found.padded_channels), self.wide)

    def chunk_counts(self, found: conv_plan.Gather, images: int) -> np.ndarray:
        """How many rows each chunk of a convolution makes."""
        return found.blocks_of(images).astype(np.float64)

    def vector(self, value: Value | None) -> Place:
        """One value per channel: an output, or scratch."""
        if value is not None:
            return self.plan.result(value)
        return self.plan.temporary((self.channels,), self.wide)

    def parameter(self, value: Any, absent: Place) -> Place:
        """Where a parameter lies; any readable memory for an absent one."""
        return absent if value is None else self.plan.dense(value)

    def add(
        self,
        label: str,
        kernel: int,
        words: list[Any],
        reads: tuple[Place, ...],
        writes: tuple[Place, ...],
        in_place: tuple[tuple[Place, Place], ...] = (),
    ) -> None:
        """A task whose chunks are the blocks."""
        self.plan.add(
            Task(label, kernel, words, self.blocks, reads=reads, writes=writes, in_place=in_place)
        )
