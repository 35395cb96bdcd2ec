"""Padding at the borders, and windows that slide over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ShapeError
from backlit.ops.op import Operator, Spec, apply


class PadConstant(Operator):
    """`x` with a constant around it; negative sides cut off.

    `sides` are (before, after) of the last axis, then of the one before it, and so on.
    """

    exports = ""
    moves = True

    def infer(x, *, sides, value):
        shape = tuple(n + a + b for n, (a, b) in zip(x.shape, per_axis(sides, x.ndim)))
        if any(n < 0 for n in shape):
            raise ShapeError(f"sides {tuple(sides)} cut off more than there is of {x.shape}")
        return Spec(shape, x.dtype)

    def forward(x, *, sides, value):
        around = per_axis(sides, x.ndim)
        kept = x[tuple(slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, around))]
        shape = [n + max(a, 0) + max(b, 0) for n, (a, b) in zip(kept.shape, around)]
        made = np.full(shape, value, x.dtype) if value else np.zeros(shape, x.dtype)
        made[tuple(slice(max(a, 0), max(a, 0) + n) for n, (a, _) in zip(kept.shape, around))] = kept
        return made

    def grad_x(g, sides):
        return apply(PadConstant, g, sides=tuple(-n for n in sides), value=0.0)

    def latex(x, *, sides, value):
        return rf"\operatorname{{pad}}\left({x}\right)"


def per_axis(sides: tuple, ndim: int) -> list[tuple[int, int]]:
    """(before, after) of every axis, first axis first."""
    if len(sides) % 2 or len(sides) > 2 * ndim:
        raise ShapeError(f"{len(sides)} sides for a tensor of {ndim} axes",
                         hint="two for each axis, the last axis first")  # fmt: skip
    pairs = [(sides[i], sides[i + 1]) for i in range(0, len(sides), 2)]
    return [(0, 0)] * (ndim - len(pairs)) + pairs[::-1]


def pad_constant(x: Any, sides: tuple, value: float = 0.0) -> Any:
    """`x` with `value` around it; see PadConstant for the order of the sides."""
    return apply(PadConstant, x, sides=tuple(sides), value=value)
