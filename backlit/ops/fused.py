"""Instructions that only passes make: one made of instructions, and positions along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backlit.errors import DTypeError, ProgramError
from backlit.ops.op import REGISTRY, Operator, Spec
from backlit.program.interpret import interpret
from backlit.program.ir import Program


def check_operands(body: Program, specs: Sequence[Any]) -> None:
    """Refuse operands that are not what the inputs of a Program say."""
    expected = [Spec(v.shape, v.dtype) for v in body.inputs]
    if list(specs) != expected:
        shown = [f"{s.dtype.name}{list(s.shape)}" if isinstance(s, Spec) else s for s in specs]
        raise ProgramError(f"operands {shown} for the inputs {list(map(str, body.inputs))}")


class Fused(Operator):
    """A Program in place of an operator: its instructions become one kernel."""

    exports = ""
    variadic = True
    differentiable = False

    def infer(*specs: Any, body: Program) -> tuple[Spec, ...]:
        check_operands(body, specs)
        return tuple(Spec(v.shape, v.dtype) for v in body.outputs)  # type: ignore[union-attr]

    def forward(*xs: Any, body: Program) -> tuple[Any, ...]:
        return interpret(body, xs, REGISTRY)


class Positions(Operator):
    """The index along one axis, in a shape that is 1 elsewhere."""

    exports = ""
    differentiable = False

    def infer(*, shape: tuple, dim: int, dtype: Any) -> Spec:
        if dtype.is_floating_point:
            raise DTypeError(f"positions are whole numbers, not {dtype.name}")
        return Spec(tuple(shape), dtype)

    def forward(*, shape: tuple, dim: int, dtype: Any) -> Any:
        return np.arange(shape[dim], dtype=dtype.numpy).reshape(shape)
