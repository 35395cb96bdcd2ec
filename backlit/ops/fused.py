"""An instruction made of instructions: what fusion leaves behind. Never applied by users."""

from __future__ import annotations

from typing import Any

from backlit.ops.op import REGISTRY, Operator, Spec
from backlit.program.interpret import interpret
from backlit.program.ir import Program


class Fused(Operator):
    """A Program in place of an operator: its instructions become one kernel."""

    exports = ""
    variadic = True
    differentiable = False

    def infer(*specs: Any, body: Program) -> tuple[Spec, ...]:
        return tuple(Spec(v.shape, v.dtype) for v in body.outputs)  # type: ignore[union-attr]

    def forward(*xs: Any, body: Program) -> tuple[Any, ...]:
        return interpret(body, xs, REGISTRY)
