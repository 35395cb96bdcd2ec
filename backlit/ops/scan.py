"""A Program run over and over: `scan`, its backward, which is a scan in reverse, and `detach`.

The body's inputs are what stays the same (`consts`), what each step hands to the next (`carries`),
and one row of every stacked operand. Its outputs are the next carries, then rows of the results.
What the backward reads of a step is a result like others. Read next: control.py, the public form.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backlit.ops.fused import check_operands
from backlit.ops.op import REGISTRY, Operator, Spec, apply, slot
from backlit.program.interpret import interpret
from backlit.program.ir import Instr, Operand, Program, Value
from backlit.program.parts import hoisted, in_segment, needed, read_by
from backlit.state import state


class Detach(Operator):
    """The value itself, through which no gradient goes."""

    exports = ""
    view = True
    differentiable = False

    def infer(x):
        return x

    def forward(x):
        return x


slot.detach = Detach


class Scan(Operator):
    """A loop whose instruction holds one step as a Program."""

    exports = ""
    variadic = True

    def infer(*specs, body, consts, carries, length, reverse):
        rows = consts + carries
        check_operands(body, [
            Spec(s.shape[1:], s.dtype) if i >= rows and s.shape[:1] == (length,) else s
            for i, s in enumerate(specs)
        ])  # fmt: skip
        made = [Spec(v.shape, v.dtype) for v in body.outputs]
        check_operands(replace(body, inputs=body.inputs[consts:rows]), made[:carries])
        return (*made[:carries], *(Spec((length, *s.shape), s.dtype) for s in made[carries:]))

    def forward(*xs, body, consts, carries, length, reverse):
        fixed, now, rows = xs[:consts], xs[consts : consts + carries], xs[consts + carries :]
        made = [np.empty((length, *v.shape), v.dtype.numpy) for v in body.outputs[carries:]]
        for t in reversed(range(length)) if reverse else range(length):
            found = interpret(body, [*fixed, *now, *(x[t, ...] for x in rows)], REGISTRY)
            now = found[:carries]
            for whole, row in zip(made, found[carries:]):
                whole[t] = row
        return (*now, *made)

    def record(*xs, body, consts, carries, length, reverse):
        """Apply it; where a gradient is due, with the values that the backward will read as
        further results."""
        count = len(body.outputs)
        once, body = hoisted(body, consts)
        xs = (*slot.replay(once, xs[:consts]), *xs[consts:])
        consts = len(once.outputs)
        by = [bool(state.grad and x.requires_grad) for x in xs]
        if any(by):
            body = _with_saved(body, consts, carries, _examples(xs, consts + carries, reverse), by)
        found = apply(Scan, *xs, body=body, consts=consts, carries=carries, length=length,
                      reverse=reverse)  # fmt: skip
        return found[:count]

    def backward(gs, xs, ys, needs, body, consts, carries, length, reverse):
        if not length:
            return _of_no_steps(gs, xs, needs, consts, carries)
        back = _Backward(gs, xs, ys, needs, body, consts, carries, reverse)
        made = Scan.record(*back.operands, body=back.body, consts=len(back.consts),
                           carries=back.carries, length=length, reverse=not reverse)  # fmt: skip
        return back.by_input(made)


def _examples(xs: Any, first_row: int, reverse: bool) -> list[np.ndarray]:
    """What the body reads at its first step."""
    arrays = [x.cell.array for x in xs]
    last = -1 if reverse else 0
    return [
        a if i < first_row else a[last, ...] if len(a) else np.zeros(a.shape[1:], a.dtype)
        for i, a in enumerate(arrays)
    ]


def _varying(body: Program, consts: int, carries: int, by: Any) -> list[bool]:
    """By which inputs of the body its derivative is taken: wanted ones, and carries of floats."""
    return [
        v.dtype.is_floating_point and (bool(by[i]) or consts <= i < consts + carries)
        for i, v in enumerate(body.inputs)
    ]


def _with_saved(body: Program, consts: int, carries: int, examples: list, by: Any) -> Program:
    """The body, with the values that its backward reads as further rows."""
    wanted = _varying(body, consts, carries, by)
    given = [v.dtype.is_floating_point for v in body.outputs]  # type: ignore[union-attr]
    joint = slot.joint(body, examples, wanted, given)
    _, saved = _read_back(joint, consts, carries)
    already = {v.name for v in joint.outputs[carries:]}
    outputs = (*joint.outputs, *(v for v in saved if v.name not in already))
    return Program(body.name, joint.inputs, needed(joint.forward, outputs), outputs)


def _read_back(joint: Any, consts: int, carries: int) -> tuple[list[Instr], list[Value]]:
    """What the backward of a step repeats of its forward (views, what stays the same, what
    `recompute` ran), and the values that it must find saved."""
    makers = {v.name: i for i in joint.forward for v in i.outputs if v is not None}
    steady = {v.name for v in joint.inputs[:consts]} | joint.constants.keys()
    for instr in joint.forward:
        if all(v.name in steady for v in read_by(instr)):
            steady.update(v.name for v in instr.outputs if v is not None)
    moving = {v.name for v in joint.inputs[consts : consts + carries]}
    saved: dict[str, Value] = {}
    again: set[int] = set()
    waiting = list(joint.read)
    while waiting:
        v = waiting.pop()
        maker = makers.get(v.name)
        if maker is None:
            if v.name in moving:
                saved[v.name] = v
        elif v.name in steady or REGISTRY[maker.op].view or in_segment(maker):
            if id(maker) not in again:
                again.add(id(maker))
                waiting += read_by(maker)
        else:
            saved[v.name] = v
    every = (*joint.inputs, *(v for i in joint.forward for v in i.outputs if v is not None))
    return [i for i in joint.forward if id(i) in again], [v for v in every if v.name in saved]


class _Backward:
    """The scan that walks back over another: its body and operands, and what its results are."""

    def __init__(self, gs: Any, xs: Any, ys: Any, needs: Any, body: Program, consts: int,
                 carries: int, reverse: bool):  # fmt: skip
        self.needs, self.count, self.moving = needs, consts, range(consts, consts + carries)
        wanted = _varying(body, consts, carries, needs)
        given = [g is not None or (i < carries and v.dtype.is_floating_point)  # type: ignore
                 for i, (g, v) in enumerate(zip(gs, body.outputs))]  # fmt: skip
        first_row = consts + carries
        self.joint = slot.joint(body, _examples(xs, first_row, reverse), wanted, given)
        again, saved = _read_back(self.joint, consts, carries)
        self.consts: list[tuple[Value, Any]] = [
            *zip(self.joint.inputs[:consts], xs), *self.joint.constants.values()
        ]  # fmt: skip
        self.zeros: dict[Any, Value] = {}
        rows = [*zip(self.joint.inputs[first_row:], xs[first_row:])]
        kept = {v.name: ys[i] for i, v in enumerate(self.joint.outputs) if i >= carries}
        rows += [(v, kept[v.name]) for v in saved]
        into = self.joint.gradients  # of the outputs: a Value, or None
        rows += [(v, gs[i]) for i, v in enumerate(into) if v is not None and i >= carries]
        self._assemble(gs, again, into[:carries], rows)

    def _assemble(self, gs: Any, again: list[Instr], into: Any, rows: list) -> None:
        joint, sums = self.joint, []
        states: list[tuple[Value, Any]] = []  # of the walk back: gradients of carries, and sums
        results: list[Operand] = []
        self.at: dict[int, int] = {}  # input of the forward scan: result of this one
        due = self._due(into, (*again, *joint.backward))
        for i, v in zip(self.moving, into):
            if i in due:
                self.at[i] = len(states)
                g = gs[i - self.count]
                states.append((v, g if g is not None else self._zero(v)[1]))
                found = joint.grads[i]
                results.append(found if found is not None else self._zero(v)[0])
        for i, g in enumerate(joint.grads[: self.count]):
            if g is not None:
                self.at[i] = len(states)
                total = Value(f"a{i}", g.shape, g.dtype)
                sums.append(Instr("add", (total, g), (replace(total, name=f"s{i}"),)))
                states.append((total, self._zero(g)[1]))
                results.append(sums[-1].outputs[0])
        self.carries = len(states)
        for i, g in enumerate(joint.grads[self.moving.stop :], self.moving.stop):
            if g is not None:
                self.at[i] = len(results)
                results.append(g)
        instrs = needed((*again, *joint.backward, *sums), results)
        read = {v.name for i in instrs for v in read_by(i)}
        read |= {v.name for v in results if isinstance(v, Value)}
        self.consts = [(v, x) for v, x in self.consts if v.name in read]
        rows = [(v, x) for v, x in {v.name: (v, x) for v, x in rows}.values() if v.name in read]
        every = (*self.consts, *states, *rows)
        name = f"{joint.name}_back" if not joint.name.endswith("_back") else joint.name
        self.body = Program(name, tuple(v for v, _ in every), instrs, tuple(results))
        self.operands = [x for _, x in every]

    def _due(self, into: Any, instrs: tuple[Instr, ...]) -> set[int]:
        """The carries whose gradients are wanted, or lead to some that are."""
        grads, moving = self.joint.grads, self.moving
        others = [g for i, g in enumerate(grads) if g is not None and i not in moving]
        due = {i for i, v in zip(moving, into) if v is not None and self.needs[i]}
        while True:
            ends = [*others, *(grads[i] for i in due)]
            read = {v.name for i in needed(instrs, ends) for v in read_by(i)}
            read |= {v.name for v in ends if v is not None}
            more = {i for i, v in zip(moving, into) if v is not None and v.name in read}
            if more <= due:
                return due
            due |= more

    def _zero(self, like: Value) -> tuple[Value, Any]:
        """Zeros, as a value that stays the same."""
        kind = (like.shape, like.dtype)
        if kind not in self.zeros:
            made = Value(f"z{len(self.zeros)}", *kind)
            self.consts.append((made, slot.wrap(np.zeros(like.shape, like.dtype.numpy))))
            self.zeros[kind] = made
        return next((v, x) for v, x in self.consts if v is self.zeros[kind])

    def by_input(self, made: tuple) -> list:
        """The gradient of each operand of the forward scan."""
        return [
            made[self.at[i]] if need and i in self.at else None for i, need in enumerate(self.needs)
        ]


def _of_no_steps(gs: Any, xs: Any, needs: Any, consts: int, carries: int) -> list:
    """Without steps the last carries are the first ones."""
    carried = range(consts, consts + carries)
    return [None if not n or i not in carried else gs[i - consts] for i, n in enumerate(needs)]
