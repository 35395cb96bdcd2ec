"""Batch normalization by running statistics: its elementwise instructions as one again.

In evaluation it is recorded as what it computes; ONNX has an operator for it, which runtimes fold
into the convolution before. Read next: rules_layers.py, which has the rule for it.
"""

from __future__ import annotations

import re
from dataclasses import replace

from backlit.program.ir import Instr, Program, Value

NAME = "batch_norm_by_running"
_STEPS = re.compile(r"add rsqrt (mul )?neg mul (add )?reshape mul reshape add$")


def gathered(program: Program) -> Program:
    """The Program with one instruction for each such normalization."""
    instrs: list[Instr] = []
    at = 0
    while at < len(program.instrs):
        found = _match(program.instrs, at)
        if found is None:
            instrs.append(program.instrs[at])
            at += 1
        else:
            made, count = found
            instrs.append(made)
            at += count
    return replace(program, instrs=tuple(instrs))


def _match(instrs: tuple[Instr, ...], at: int) -> tuple[Instr, int] | None:
    first = instrs[at]
    if first.op != "add" or first.scope.split("/")[-1] != "batch_norm":
        return None
    for count in (10, 9, 8):
        block = instrs[at : at + count]
        same = all(i.scope == first.scope and i.module == first.module for i in block)
        steps = _STEPS.match(" ".join(i.op for i in block)) if same else None
        if steps:
            made = _joined(block, steps[1] is not None, steps[2] is not None)
            return None if made is None else (made, count)
    return None


def _joined(block: tuple[Instr, ...], weighted: bool, biased: bool) -> Instr | None:
    """One instruction, if each step reads what the one before made."""
    waiting = list(block)
    start = waiting.pop(0)
    variance, eps = start.inputs
    root = waiting.pop(0)
    scale = waiting.pop(0) if weighted else root
    minus = waiting.pop(0)
    shift = waiting.pop(0)
    moved = waiting.pop(0) if biased else shift
    wide_scale, product, wide_shift, total = waiting
    flow = (
        (root, 0, start), (minus, None, None), (shift, 0, minus), (shift, 1, scale),
        (wide_scale, 0, scale), (product, 1, wide_scale), (wide_shift, 0, moved),
        (total, 0, product), (total, 1, wide_shift),
        *(((scale, 0, root),) if weighted else ()), *(((moved, 0, shift),) if biased else ()),
    )  # fmt: skip
    if not isinstance(eps, float) or any(
        maker is not None and reader.inputs[slot] != maker.outputs[0]
        for reader, slot, maker in flow
    ):
        return None
    x = product.inputs[0]
    values = (x, scale.inputs[1] if weighted else None, moved.inputs[1] if biased else None,
              minus.inputs[0], variance)  # fmt: skip
    if not isinstance(x, Value) or any(
        isinstance(v, Value) and v.dtype is not x.dtype for v in values
    ):
        return None
    return replace(total, op=NAME, inputs=values, params={"eps": eps})
