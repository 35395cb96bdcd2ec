"""The elementwise instructions of a body, evaluated on lanes.

`run_body` serves epilogues and prologues of products and convolutions; loops/kernel.py walks a
body itself, by `apply`. Values of float16 and bfloat16 are float32 lanes here: they are rounded
where they are stored, or where a cast says so. Knows no memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backlit.backends.cpu.native.codegen import Function, Value, vector
from backlit.ops.op import REGISTRY, Elementwise
from backlit.program.ir import Instr, Program
from backlit.program.ir import Value as Name

from .formulas import LaneMath
from .value import Lane, Unsupported, convert_lane, element_of

# Operators that leave every element as it is, seen from the lanes.
SAME = ("clone", "expand", "reshape", "permute", "unsqueeze", "squeeze", "detach")


def is_lanewise(instr: Instr) -> bool:
    """Whether an instruction computes each element from elements at the same place."""
    op = REGISTRY[instr.op]
    return issubclass(op, Elementwise) or instr.op in SAME or instr.op == "cast"


def run_body(math: LaneMath, body: Program, values: Sequence[Any]) -> list[Any]:
    """The outputs of a body of elementwise instructions.

    `values` are its inputs: lanes of the width of `math` in the types that `element_of` gives for
    their dtypes (bools as masks), or Python numbers.
    """
    known: dict[str, Any] = {v.name: x for v, x in zip(body.inputs, values, strict=True)}
    for instr in body.instrs:
        given = [known[x.name] if isinstance(x, Name) else x for x in instr.inputs]
        (output,) = instr.outputs
        assert output is not None
        known[output.name] = apply(math.f, instr, given, math.lanes)
    return [known[x.name] if isinstance(x, Name) else x for x in body.outputs]


def apply(f: Function, instr: Instr, given: Sequence[Any], width: int) -> Lane:
    """One instruction on lanes of `width`; scalar lanes among wide ones are spread."""
    (output,) = instr.outputs
    assert output is not None
    given = [spread(f, x, width) if isinstance(x, Lane) else x for x in given]
    if instr.op in SAME:
        return given[0]
    if instr.op == "cast":
        return convert_lane(given[0], instr.params["dtype"].numpy)
    element, unsigned = element_of(output.dtype.numpy)
    wanted = Lane(f, Value(f, vector(element, width), "poison"), unsigned)
    op: Any = REGISTRY[instr.op]
    if op.result == "float" and wanted.is_float:  # whole numbers become floats first
        given = [x if not isinstance(x, Lane) or x.is_float
                 else convert_lane(x, output.dtype.numpy) for x in given]  # fmt: skip
    first = next((x for x in given if isinstance(x, Lane)), wanted)
    like = first if wanted.is_mask else wanted
    try:
        found = op.formula(LaneMath(like), *given, **instr.params)
    except NotImplementedError:  # a primitive without a formula
        raise Unsupported(instr.op) from None
    if not isinstance(found, Lane):
        found = wanted.number(found)
    if found.v.kind != wanted.v.kind:
        raise Unsupported(f"{instr.op} gives {found.v.kind} for {output}")
    return found


def spread(f: Function, x: Lane, width: int) -> Lane:
    """The lane in `width` lanes; one value is repeated."""
    return x if x.width == width else Lane(f, f.splat(x.v, width), x.unsigned)
