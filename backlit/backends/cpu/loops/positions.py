"""Places of extremes and triangles of matrices, as bodies of loops with a table of positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.backends.cpu.plans.plan import Plan
from backlit.program.ir import Instr, Program, Value

from . import lowering

_FAR = 2**62  # no position is so large


def lower_triangle(plan: Plan, instr: Instr) -> Any:
    """`tril` and `triu`: a mask of the last two axes."""
    (x,), (out,) = instr.inputs, instr.outputs
    assert isinstance(x, Value) and isinstance(out, Value)
    if 0 in x.shape or x.dtype.kind == "b":
        return NotImplemented
    rows, columns = x.shape[-2:]
    below = np.tri(rows, columns, instr.params["diagonal"] - (instr.op == "triu"), bool)
    mask = Value(f"{out.name}_mask", (rows, columns), dt.bool_)
    plan.places[mask.name] = plan.constant(below if instr.op == "tril" else ~below)
    zero = 0.0 if x.dtype.is_floating_point else 0
    choice = Instr("where", (mask, x, zero), (out,))
    return lowering.lower_body(plan, Program("triangle", (mask, x), (choice,), (out,)), (mask, x))


def lower_extreme(plan: Plan, instr: Instr) -> Any:
    """`argmax` and `argmin` along one axis: the first place of what compares equal, or of a NaN."""
    (x,), (out,) = instr.inputs, instr.outputs
    assert isinstance(x, Value) and isinstance(out, Value)
    dim, keepdim = instr.params.get("dim"), instr.params.get("keepdim", False)
    if dim is None or not x.shape or 0 in x.shape or x.dtype.kind == "b":
        return NotImplemented
    ramp = np.arange(x.shape[dim]).reshape([-1 if a == dim else 1 for a in range(len(x.shape))])
    index = Value(f"{out.name}_place", ramp.shape, dt.int64)
    plan.places[index.name] = plan.constant(ramp)
    kept = tuple(1 if a == dim else n for a, n in enumerate(x.shape))
    best = Value(f"{out.name}_best", kept, x.dtype)
    chosen = Value(f"{out.name}_chosen", x.shape, dt.bool_)
    held = Value(f"{out.name}_held", x.shape, dt.int64)
    over: dict[str, Any] = {"dims": (dim,)}
    top = "amax" if instr.op == "argmax" else "amin"
    instrs = [Instr(top, (x,), (best,), {**over, "keepdim": True})]
    if x.dtype.is_floating_point:
        same, nan = (Value(f"{out.name}_{n}", x.shape, dt.bool_) for n in ("same", "nan"))
        instrs += [
            Instr("eq", (x, best), (same,)), Instr("ne", (x, x), (nan,)),
            Instr("logical_or", (same, nan), (chosen,)),
        ]  # fmt: skip
    else:
        instrs.append(Instr("eq", (x, best), (chosen,)))
    instrs += [
        Instr("where", (chosen, index, _FAR), (held,)),
        Instr("amin", (held,), (out,), {**over, "keepdim": keepdim}),
    ]
    body = Program("extreme", (x, index), tuple(instrs), (out,))
    return lowering.lower_body(plan, body, (x, index))
