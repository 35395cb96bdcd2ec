"""Batch normalization and its gradient as tasks of a plan, alone or with what stands beside them.

A `Group` has elementwise instructions of the same shape before and after its normalization, which
join the passes over memory. Three tasks: sums per block of rows, their join in float64, and the
pass that applies. Who makes groups, and the sums that a convolution takes: conv/normed.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.backends.cpu.channels.lanewise import lane_element
from backlit.backends.cpu.channels.operands import Beside, beside, kinds_of
from backlit.backends.cpu.channels.places import channels_last_place
from backlit.backends.cpu.native.words import ordered
from backlit.backends.cpu.plans.plan import Place, Plan, Task
from backlit.program.ir import Instr, Value

from . import plan_kernels as kernels

BLOCK_BYTES = 32 * 1024
FLOATS = ("float32", "float64", "bfloat16", "float16")
NORMS = ("batch_norm", "batch_norm_grad")


@dataclass(frozen=True, eq=False)
class Group:
    """One normalization and the elementwise instructions before and after it; `ends` are the
    values that are needed outside."""

    before: tuple[Instr, ...]
    norm: Instr
    after: tuple[Instr, ...]
    ends: frozenset[str]

    def needed(self, values: Sequence[Value | None]) -> list[Value]:
        return [v for v in values if v is not None and v.name in self.ends]

    def made(self, instrs: Sequence[Instr]) -> list[Value]:
        return self.needed([v for i in instrs for v in i.outputs])


def lower_batch_norm(plan: Plan, instr: Instr) -> Any:
    """y, mean and rstd of a batch normalization."""
    return lower_group(plan, _bare(instr))


def lower_batch_norm_grad(plan: Plan, instr: Instr) -> Any:
    """The gradients by x, weight and bias."""
    return lower_group(plan, _bare(instr))


def _bare(instr: Instr) -> Group:
    ends = frozenset(v.name for v in instr.outputs if v is not None)
    return Group((), instr, (), ends)


def lower_group(plan: Plan, group: Group) -> Any:
    """A normalization in passes of its own, with what stands beside it."""
    if not is_known(plan, group):
        return NotImplemented
    return _gradient(plan, group) if is_gradient(group) else _forward(plan, group)


def is_gradient(group: Group) -> bool:
    return group.norm.op == "batch_norm_grad"


def is_known(plan: Plan, group: Group) -> bool:
    """Whether the kernels cover these operands."""
    x = group.norm.inputs[1 if is_gradient(group) else 0]
    if not isinstance(x, Value) or x.dtype.name not in FLOATS or not math.prod(x.shape):
        return False
    wide = np.dtype(np.float64 if lane_element(x.dtype.numpy) == "double" else np.float32)
    vectors = [v for v in group.norm.inputs if isinstance(v, Value) and len(v.shape) == 1]
    if any(v.dtype.numpy != wide for v in vectors):
        return False
    main = group.norm.outputs[0]
    if group.before and kinds_of(plan, group.before, None, x.shape) is None:
        return False
    return kinds_of(plan, group.after, main, x.shape) is not None


def _forward(plan: Plan, group: Group) -> None:
    x = group.norm.inputs[0]
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
    finish_forward(plan, group, rows, source, partial, rows.counts())


def finish_forward(
    plan: Plan, group: Group, rows: Rows, source: Place, partial: Place, counts: np.ndarray
) -> None:
    """From partial sums to what is normalized; `counts` are the rows of each partial sum."""
    found = _join_statistics(plan, group, rows, partial, counts)
    _apply(plan, group, rows, source, found)


def _join_statistics(
    plan: Plan, group: Group, rows: Rows, partial: Place, counts: np.ndarray
) -> dict[str, Place]:
    """From partial sums to mean, scale and shift per channel."""
    _, w, b = group.norm.inputs
    _, mean, rstd = group.norm.outputs
    found = {
        "mean": rows.vector(mean),
        "rstd": rows.vector(rstd),
        "scale": rows.vector(None),
        "shift": rows.vector(None),
    }
    weight, bias = rows.parameter(w, partial), rows.parameter(b, partial)
    words = {
        "weight": weight, "has_weight": w is not None, "bias": bias, "has_bias": b is not None,
        "counts": plan.constant(np.stack([counts, 1 / counts], axis=1)),
        "eps": float(group.norm.params["eps"]),
    }  # fmt: skip
    kernel = kernels.join_statistics(plan.machine, rows.element)
    rows.join("batch_norm join", kernel, kernels.JOIN_STATISTICS, partial, len(counts),
              (weight, bias), found, words)  # fmt: skip
    return found


def _apply(plan: Plan, group: Group, rows: Rows, source: Place, found: dict[str, Place]) -> None:
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
    finish_gradient(plan, group, rows, source, means, again, partial, rows.blocks)


def finish_gradient(
    plan: Plan,
    group: Group,
    rows: Rows,
    source: Place,
    means: Place,
    before: Beside,
    partial: Place,
    blocks: int,
) -> None:
    """From partial sums to the gradients; `before` is how the upstream gradient is read again."""
    found = _join_gradient(plan, group, rows, partial, blocks)
    _apply_gradient(plan, group, rows, source, means, before, found)


def _join_gradient(
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
    words = {"weight": weight, "has_weight": w is not None, "rstd": deviation}
    kernel = kernels.join_gradient(plan.machine, rows.element)
    rows.join("batch_norm_grad join", kernel, kernels.JOIN_GRADIENT, partial, blocks,
              (weight, deviation), found, words)  # fmt: skip
    return found


def _apply_gradient(
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

    def vector(self, value: Value | None) -> Place:
        """One value per channel: an output, or scratch."""
        if value is not None:
            return self.plan.result(value)
        return self.plan.temporary((self.channels,), self.wide)

    def parameter(self, value: Any, absent: Place) -> Place:
        """Where a parameter lies; any readable memory for an absent one."""
        return absent if value is None else self.plan.dense(value)

    def join(
        self,
        label: str,
        kernel: int,
        fields: Sequence[str],
        partial: Place,
        blocks: int,
        reads: tuple[Place, ...],
        found: dict[str, Place],
        words: dict[str, Any],
    ) -> None:
        """A task from the partial sums of so many blocks to `found`; chunks are vectors of
        channels."""
        given = ordered(fields, partial=partial, step=partial.shape[-1], blocks=blocks,
                        rows=self.count, channels=self.channels, **found, **words)  # fmt: skip
        self.plan.add(Task(label, kernel, given, self.slices, reads=(partial, *reads),
                           writes=tuple(found.values())))  # fmt: skip

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
