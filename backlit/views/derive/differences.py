"""Whether a gate's rule is the derivative of what the gate computes: central differences.

A derivation prints the operators' rules, so a rule that is wrong would be printed as it is. The
gate's forward, run a little to both sides along one direction per input, tells. At a kink the two
sides differ and nothing is said. Needs no gradient and no graph beyond the gate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.ops.op import REGISTRY
from backlit.views.derive.terms import wide
from backlit.views.graph import Gate

LARGEST = 20_000  # elements of a gate that is checked
STEP = 1e-4
TOLERANCE = 1e-3


def unlike(gate: Gate) -> tuple[float, float] | None:
    """Where they contradict each other, the slopes by differences and by the rule."""
    if gate.node is None or not _fits(gate):
        return None
    draw = np.random.default_rng(gate.id)
    for i, downstream in enumerate(gate.downstream):
        wire = gate.inputs[i]
        if downstream is None or wire is None or wire.array.dtype.kind not in "fV":
            continue
        direction = draw.uniform(0.5, 1.0, wire.shape) * draw.choice([-1.0, 1.0], wire.shape)
        direction = np.ones(wire.shape) if wire.array.size == 1 else direction
        if _symmetric(wire.array):  # some rules are for symmetric matrices only
            direction = direction + np.swapaxes(direction, -1, -2)
        found = _slopes(gate, i, direction)
        if found is None:
            return None
        claimed = float(np.sum(wide(downstream) * direction))
        slope, bend, scale = found
        if abs(slope - claimed) > TOLERANCE * max(scale, abs(claimed)) + bend:
            return slope, claimed
    return None


def _fits(gate: Gate) -> bool:
    wires = [w for w in (*gate.inputs, *gate.outputs) if w is not None]
    rounded = any(w.array.dtype.kind in "fV" and w.array.dtype.itemsize == 2 for w in wires)
    if rounded or gate.op.name == "cast":  # what rounds goes in steps
        return False
    return sum(w.array.size for w in wires) <= LARGEST and all(
        np.isfinite(w.array).all() for w in wires if w.array.dtype.kind == "f"
    )


def _symmetric(x: np.ndarray) -> bool:
    return (
        x.ndim > 1 and x.shape[-1] > 1 and x.shape[-1] == x.shape[-2]
        and np.allclose(wide(x), np.swapaxes(wide(x), -1, -2))
    )  # fmt: skip


def _slopes(gate: Gate, i: int, direction: np.ndarray) -> tuple[float, float, float] | None:
    """The slope along a direction, how much its two sides differ, and the size of its parts."""
    values = [None if w is None else _wide(w.value) for w in gate.inputs]
    centre = values[i]
    assert centre is not None
    step = STEP * max(1.0, float(np.max(np.abs(centre), initial=0.0)))
    weighed = []
    for side in (-1.0, 0.0, 1.0):
        values[i] = np.asarray(centre + side * step * direction)
        outputs = _run(gate, values)
        if outputs is None:
            return None
        weighed.append(outputs)
    slope = bend = size = 0.0
    for (g, before), (_, at), (_, after) in zip(*weighed):
        slope += float(np.sum(g * (after - before))) / (2 * step)
        bend += float(np.sum(np.abs(g * (after - 2 * at + before)))) / step
        size += float(np.sum(np.abs(g * (after - before)))) / step
    return (slope, bend, size) if np.isfinite([slope, bend, size]).all() else None


def _wide(value: Any) -> Any:
    return wide(value) if isinstance(value, np.ndarray) else value


def _run(gate: Gate, values: list[Any]) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """The gradients that arrive, each with its output."""
    try:
        with np.errstate(all="ignore"):
            made = _forward(gate, values)
    except Exception:  # a user's function may refuse float64, or what lies beside the point
        return None
    outputs = made if isinstance(made, tuple) else (made,)
    return [
        (wide(g), np.asarray(y, np.float64))
        for g, y in zip(gate.upstream, outputs)
        if g is not None and y is not None
    ]


def _forward(gate: Gate, values: list[Any]) -> Any:
    if gate.op.name in REGISTRY:
        return gate.op.forward(*values, **gate.params)
    from backlit.state import state
    from backlit.tensor import wrap

    outer, state.grad = state.grad, False
    try:
        raw = [w is None or w.raw for w in gate.inputs]
        made = gate.op.user.apply(*(v if kept else wrap(v) for v, kept in zip(values, raw)))
    finally:
        state.grad = outer
    listed = made if isinstance(made, tuple) else (made,)
    return tuple(None if t is None else t.cell.array for t in listed)
