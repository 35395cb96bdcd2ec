"""One of two Programs, chosen by a value when it runs: `bl.cond`. Both read the same operands.

Its backward is one too: each branch repeats its forward and walks back over it.
Read next: control.py, the public form.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ProgramError
from backlit.ops.fused import check_operands
from backlit.ops.op import REGISTRY, Operator, Spec, apply, slot
from backlit.program.interpret import interpret
from backlit.program.ir import Instr, Program, Value
from backlit.program.parts import needed


class Branch(Operator):
    """The outputs of `then` where the predicate holds, else of `otherwise`."""

    exports = ""
    inputs = ("pred",)
    variadic = True

    def infer(pred, *specs, then, otherwise):
        if not isinstance(pred, Spec) or pred.shape != () or pred.dtype.kind != "b":
            raise ProgramError(f"the predicate must be one bool, got {pred}")
        check_operands(then, specs)
        check_operands(otherwise, specs)
        made = [Spec(v.shape, v.dtype) for v in then.outputs]
        if made != [Spec(v.shape, v.dtype) for v in otherwise.outputs]:
            raise ProgramError("the branches return different shapes or dtypes")
        return tuple(made)

    def forward(pred, *xs, then, otherwise):
        return interpret(then if pred else otherwise, xs, REGISTRY)

    def backward(gs, pred, xs, needs, then, otherwise):
        given = [g is not None for g in gs]
        wanted = list(needs[1:])
        operands = [*xs, *(g for g in gs if g is not None)]
        joints = [slot.joint(b, [x.cell.array for x in xs], wanted, given)
                  for b in (then, otherwise)]  # fmt: skip
        used = [i for i in range(len(xs)) if any(j.grads[i] is not None for j in joints)]
        if not used:
            return [None] * len(needs)
        extra = [x for j in joints for _, x in j.constants.values()]
        zeros: list[Any] = []
        bodies = []
        for number, joint in enumerate(joints):
            bodies.append(_branch(joint, joints, number, used, zeros, xs))
        bodies = [_with_inputs(b, bodies[0].inputs, zeros) for b in bodies]
        found = iter(apply(Branch, pred, *operands, *extra, *(z for _, z in zeros), then=bodies[0],
                           otherwise=bodies[1]))  # fmt: skip
        by_operand = {i: next(found) for i in used}
        return [None, *(by_operand.get(i) for i in range(len(xs)))]


def _branch(
    joint: Any, joints: list, number: int, used: list[int], zeros: list, xs: Any
) -> Program:
    """Forward and backward of a branch: its operands and gradients in, gradients out."""
    constants = []
    for n, j in enumerate(joints):
        for v, _ in j.constants.values():
            constants.append(v if n == number else Value(f"u{len(constants)}", v.shape, v.dtype))
    outputs = []
    for i in used:
        g = joint.grads[i]
        if g is None:
            array = xs[i].cell.array
            name = f"z{len(zeros)}"
            g = Value(name, joint.inputs[i].shape, joint.inputs[i].dtype)
            zeros.append((g, slot.wrap(np.zeros(array.shape, array.dtype))))
        outputs.append(g)
    instrs: tuple[Instr, ...] = needed((*joint.forward, *joint.backward), outputs)
    into = [v for v in joint.gradients if v is not None]
    return Program(f"{joint.name}_back", (*joint.inputs, *into, *constants), instrs, tuple(outputs))


def _with_inputs(branch: Program, like: tuple[Value, ...], zeros: list) -> Program:
    """The branch with the zeros among its inputs: both branches take the same operands."""
    assert len(branch.inputs) == len(like)
    inputs = (*branch.inputs, *(v for v, _ in zeros))
    return Program(branch.name, inputs, branch.instrs, branch.outputs)
