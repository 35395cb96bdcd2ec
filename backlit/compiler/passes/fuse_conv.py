"""Gather what stands around a normalization into one instruction: conv, masks, activations, sums.

A group has one `batch_norm` or `batch_norm_grad`, perhaps the convolution that feeds it, and
elementwise instructions of the same shape before and after. Its passes over memory are then
shared: the convolution's epilogue takes the channel sums, the pass that normalizes goes on to the
activation. Groups stand where the normalization stood. Lowered in `backends/cpu/conv/normed.py`.
"""

from __future__ import annotations

import math
from dataclasses import replace

from backlit import dtypes as dt
from backlit.ops.op import REGISTRY, Elementwise
from backlit.program.ir import Instr, Program, Value

FORWARD, BACKWARD = "batch_norm", "batch_norm_grad"
HEAVY = {FORWARD: "conv", BACKWARD: "conv_grad_input"}
MOST_BESIDE = 8  # instructions on either side
# dtypes that may stand beside 16-bit floats, which are computed in float32
BESIDE = {d.name: (d, dt.float32, dt.bool_) for d in (dt.bfloat16, dt.float16)}


def fuse_conv(program: Program) -> Program:
    """Group every batch normalization with its neighbours."""
    graph = _Graph(program)
    for at, instr in enumerate(program.instrs):
        if instr.op in HEAVY and instr.outputs[0] is not None:
            graph.group(at)
    return graph.program()


class _Graph:
    """The instructions, who makes and who reads each value, and the groups found so far."""

    def __init__(self, program: Program) -> None:
        self.source, self.instrs = program, program.instrs
        self.maker: dict[str, int] = {}
        self.readers: dict[str, list[int]] = {}
        for at, instr in enumerate(self.instrs):
            for v in instr.outputs:
                if v is not None:
                    self.maker[v.name] = at
            for x in instr.inputs:
                if isinstance(x, Value):
                    self.readers.setdefault(x.name, []).append(at)
        self.ends = {x.name for x in program.outputs if isinstance(x, Value)}
        self.stand = list(range(len(self.instrs)))  # where each instruction will stand
        self.groups: dict[int, list[int]] = {}

    def group(self, at: int) -> None:
        """Grow the group of the normalization at `at`, and note it if it has more than that."""
        norm = self.instrs[at]
        backward = norm.op == BACKWARD
        x = norm.inputs[1 if backward else 0]
        main = norm.inputs[0]
        if not isinstance(x, Value) or not isinstance(main, Value):
            return
        members = {at}
        if backward:
            self._grow_before(main, members, at, x)
        self._grow_after(norm, members, at, x)
        self._add_heavy(members, at, x, HEAVY[norm.op])
        if len(members) > 1:
            self.groups[at] = sorted(members)
            for m in members:
                self.stand[m] = at

    def _grow_before(self, value: Value, members: set[int], at: int, like: Value) -> None:
        """Take the elementwise instructions behind the gradient, as far as nobody reads them
        earlier."""
        waiting = [value]
        while waiting and len(members) <= MOST_BESIDE:
            found = self.maker.get(waiting.pop().name)
            if found is None or not self._can_join(found, members, at, like):
                continue
            members.add(found)
            waiting += [x for x in self.instrs[found].inputs if isinstance(x, Value)]

    def _grow_after(self, norm: Instr, members: set[int], at: int, like: Value) -> None:
        """Take the elementwise instructions that go on with the result, as long as all else that
        they read is there before."""
        made = {norm.outputs[0].name} if norm.outputs[0] is not None else set()
        count, waiting = 0, sorted(self.readers.get(next(iter(made), ""), []))
        while waiting and count < MOST_BESIDE:
            found = waiting.pop(0)
            instr = self.instrs[found]
            if found in members or not self._is_beside(found, like):
                continue
            if bool(instr.backward_of) != bool(norm.backward_of):
                continue
            others = [x for x in instr.inputs if isinstance(x, Value) and x.name not in made]
            if any(self._made_at(x) >= at for x in others):
                continue
            members.add(found)
            count += 1
            (output,) = instr.outputs
            assert output is not None
            made.add(output.name)
            waiting = sorted({*waiting, *self.readers.get(output.name, [])})

    def _add_heavy(self, members: set[int], at: int, like: Value, op: str) -> None:
        """Take the one convolution whose result the group reads before it normalizes."""
        read = [x for m in sorted(members) if m <= at for x in self.instrs[m].inputs]
        for x in read:
            found = self.maker.get(x.name) if isinstance(x, Value) else None
            if found is None or found in members or self.stand[found] != found:
                continue
            (output, *_) = self.instrs[found].outputs
            fits = output is not None and output.shape == like.shape
            if self.instrs[found].op == op and fits and self._read_after(found, members, at):
                members.add(found)
                return

    def _can_join(self, found: int, members: set[int], at: int, like: Value) -> bool:
        return (
            found not in members
            and self._is_beside(found, like)
            and (self._read_after(found, members, at))
        )

    def _is_beside(self, found: int, like: Value) -> bool:
        """Whether an instruction is elementwise, of full shape, in no group yet, and reads only
        what lies well beside arrays of that shape."""
        instr = self.instrs[found]
        lanewise = instr.op == "cast" or issubclass(REGISTRY[instr.op], Elementwise)
        if self.stand[found] != found or not lanewise:
            return False
        (output,) = instr.outputs
        if output is None or output.shape != like.shape:
            return False
        values = [v for v in (output, *instr.inputs) if isinstance(v, Value)]
        if any(v.dtype not in BESIDE.get(like.dtype.name, (like.dtype, dt.bool_)) for v in values):
            return False
        return all(_lies_beside(x.shape, like.shape) for x in values)

    def _read_after(self, found: int, members: set[int], at: int) -> bool:
        """Whether all others that read its results stand behind the group."""
        return all(
            reader in members or self.stand[reader] > at
            for v in self.instrs[found].outputs
            if v is not None
            for reader in self.readers.get(v.name, [])
        )

    def _made_at(self, value: Value) -> int:
        found = self.maker.get(value.name)
        return -1 if found is None else self.stand[found]

    def program(self) -> Program:
        """The Program with each group as one instruction."""
        taken = {m for members in self.groups.values() for m in members}
        instrs: list[Instr] = []
        for at, instr in enumerate(self.instrs):
            if at in self.groups:
                instrs.append(self._fused(at))
            elif at not in taken:
                instrs.append(instr)
        return replace(self.source, instrs=tuple(instrs))

    def _fused(self, at: int) -> Instr:
        """The group's normalization in the middle: what it needs before it, the rest after."""
        members, norm = self.groups[at], self.instrs[at]
        before = self._needed(members, at)
        order = [m for m in members if m in before] + [at]
        order += [m for m in members if m not in before and m != at]
        inside = [self.instrs[m] for m in order]
        made = {v.name for i in inside for v in i.outputs if v is not None}
        inputs: dict[str, Value] = {}
        for i in inside:
            for x in i.inputs:
                if isinstance(x, Value) and x.name not in made:
                    inputs.setdefault(x.name, x)
        outputs = tuple(
            v for i in inside for v in i.outputs if v is not None and self._leaves(v, members)
        )
        body = Program(f"{norm.op}_group", tuple(inputs.values()), tuple(inside), outputs)
        return Instr("fused", tuple(inputs.values()), outputs, {"body": body}, norm.line,
                     norm.module, norm.scope, norm.backward_of)  # fmt: skip

    def _needed(self, members: list[int], at: int) -> set[int]:
        """The members whose results the normalization needs, directly or not."""
        found: set[int] = set()
        waiting = [at]
        while waiting:
            for x in self.instrs[waiting.pop()].inputs:
                maker = self.maker.get(x.name) if isinstance(x, Value) else None
                if maker in members and maker not in found:
                    found.add(maker)
                    waiting.append(maker)
        return found

    def _leaves(self, value: Value, members: list[int]) -> bool:
        """Whether anybody outside reads it."""
        readers = self.readers.get(value.name, [])
        return value.name in self.ends or any(r not in members for r in readers)


def _lies_beside(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    """Full shape, one value per channel, or a single value."""
    if shape == full or math.prod(shape) == 1:
        return len(shape) <= len(full)
    rest = len(full) - len(shape)
    padded = (1,) * rest + shape
    return rest >= 0 and padded == (1, full[1], *(1,) * (len(full) - 2))
