"""The closed form of the multiclass hinge: what margins between classes hand back to the scores.

For L = c sum_n sum_{j != y} max(0, s_j - s_y + delta) the gradient is c where the margin is
positive, and at the right class minus the count of those. Recognised from the scores on: picked
by their labels, subtracted, cut off at 0. Source: Weston and Watkins (1999).
"""

from __future__ import annotations

import numpy as np

from backlit.views.derive.notation import Notation, is_number
from backlit.views.derive.rules_layers import one_hot
from backlit.views.derive.terms import Minus, Number, Plus, Symbol, Term, Times, Total, wide
from backlit.views.graph import Gate, Wire

_PICKS, _SHAPES = ("index", "gather"), ("reshape", "unsqueeze", "squeeze")
_CUTS = ("relu", "clamp", "maximum")


def multiclass_hinge(wire: Wire, notation: Notation) -> Term | None:
    """c (M - onehot(y) times the row sums of M), with M = 1[margin > 0, j != y]."""
    if len(wire.shape) != 2 or wire.grad is None:
        return None
    pick = next((g for g, _ in wire.readers if g.op.name in _PICKS), None)
    labels = _labels(pick, wire) if pick is not None else None
    cut = _cut_off(pick, wire) if pick is not None and labels is not None else None
    if labels is None or cut is None or cut.upstream[0] is None:
        return None
    right = np.eye(wire.shape[1], dtype=bool)[labels.array.reshape(-1)]
    positive = (wide(cut.output.array) > 0) & ~right
    factor = _factor(wide(cut.upstream[0]), positive)
    if factor is None:
        return None
    y, m = notation.symbol(labels), notation.symbol(cut.output)
    margins = Symbol(rf"\mathbf{{1}}\left[{m} > 0,\ j \ne {y}\right]", positive.astype(float))
    target = Symbol(y, labels.array.reshape(-1))
    hot = one_hot(target, wire.shape[1])
    made = Plus(margins, Minus(Times(hot, Total(margins, (1,), (wire.shape[0], 1)))))
    return made if factor == 1.0 else Times(Number(factor), made)


def _labels(pick: Gate, scores: Wire) -> Wire | None:
    """The labels by which one score of each row is picked."""
    found = [w for w in pick.inputs[1:] if w is not None and w.array.dtype.kind in "iu"]
    if not found or found[-1].array.size != scores.shape[0] or pick.inputs[0] is not scores:
        return None
    if pick.op.name == "gather":
        return found[-1] if pick.params["dim"] == 1 else None
    whole = len(found) == 2 and np.array_equal(found[0].array, np.arange(scores.shape[0]))
    return found[-1] if whole else None


def _cut_off(pick: Gate, scores: Wire) -> Gate | None:
    """max(0, scores - picked + delta): the gate that cuts off at 0."""
    picked = _through(pick.output, _SHAPES)
    apart = next((g for g, i in scores.readers if g.op.name == "sub" and i == 0), None)
    if apart is None or apart.inputs[1] is not picked:
        return None
    shifted = _next(apart.output, ("add",))
    if shifted is not None and any(w is not None and is_number(w) for w in shifted.inputs):
        apart = shifted
    cut = _next(apart.output, _CUTS)
    if cut is None or cut.output.shape != scores.shape:
        return None
    limits = [w for w in cut.inputs if w is not None and w is not apart.output]
    return cut if all(is_number(w) and w.value in (0, float("inf")) for w in limits) else None


def _next(wire: Wire, names: tuple[str, ...]) -> Gate | None:
    return next((g for g, _ in wire.readers if g.op.name in names), None)


def _through(wire: Wire, names: tuple[str, ...]) -> Wire:
    """Behind the gates that only shape a value."""
    while (gate := _next(wire, names)) is not None:
        wire = gate.output
    return wire


def _factor(upstream: np.ndarray, positive: np.ndarray) -> float | None:
    """What every positive margin is multiplied with, if it is the same for all."""
    values = np.unique(np.broadcast_to(upstream, positive.shape)[positive])
    return float(values[0]) if values.size == 1 else None
