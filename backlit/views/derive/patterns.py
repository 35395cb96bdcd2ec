"""Closed forms: what several gates together do to a gradient, where the field has a formula.

Softmax followed by cross-entropy gives (Y - T) / N, a quadratic cost 2 (a - y) / N, the gates of
a sigmoid s (1 - s). A form is recognised by its gates and then checked like every other side.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from backlit.views.derive.forms import one_over
from backlit.views.derive.notation import Notation, is_number
from backlit.views.derive.patterns_margin import multiclass_hinge
from backlit.views.derive.rules import softmax
from backlit.views.derive.terms import Minus, Plus, Shown, Symbol, Term, Times, added
from backlit.views.graph import Gate, Wire


def closed_form(wire: Wire, notation: Notation) -> Term | None:
    """The gradient of a wire as one formula, or None."""
    for pattern in PATTERNS:
        found = pattern(wire, notation)
        if found is not None:
            return found
    return None


def reader(wire: Wire | None, *names: str) -> Gate | None:
    """The only reader of a wire, if it is one of these operators."""
    if wire is None or len({id(g) for g, _ in wire.readers}) != 1:
        return None
    gate = wire.readers[0][0]
    return gate if not names or gate.op.name in names else None


# ----- classification -----


def softmax_cross_entropy(wire: Wire, notation: Notation) -> Term | None:
    """(softmax(z) - T) / N: logits, log_softmax, nll_loss."""
    log = reader(wire, "log_softmax")
    loss = reader(log.output, "nll_loss") if log is not None else None
    if log is None or loss is None or loss.inputs[2] is not None:
        return None
    target, reduction = loss.inputs[1], loss.params["reduction"]
    if target is None or reduction == "none" or (target.array == loss.params["ignore_index"]).any():
        return None
    axis = log.params["dim"]
    if axis != 1:
        return None
    z = Symbol(notation.symbol(wire), wire.array)
    labels = one_hot(Symbol(notation.symbol(target), target.array), wire.shape)
    apart = Plus(softmax(z, axis), Minus(labels))
    made: Term = apart
    if reduction == "mean":
        made = Times(one_over(target.array.size), apart)
    return scaled(made, loss, notation)


def one_hot(target: Symbol, shape: tuple[int, ...]) -> Term:
    """Labels as rows with a single 1."""

    def compute(t: np.ndarray) -> np.ndarray:
        made = np.zeros(shape)
        np.put_along_axis(made, t[:, None], 1.0, 1)
        return made

    return Shown(lambda t: rf"\operatorname{{onehot}}\left({t}\right)", compute, target)


def scaled(term: Term, gate: Gate, notation: Notation) -> Term:
    """Times what arrives at the gate, unless that is 1."""
    g = gate.upstream[0]
    if g is not None and g.shape == () and float(g) == 1.0:
        return term
    return Times(notation.grad(gate.output, g), term)


# ----- regression -----


def quadratic(wire: Wire, notation: Notation) -> Term | None:
    """2 c (a - y): a difference, its square, a sum or mean, constant factors c."""
    apart = reader(wire, "sub")
    if apart is None or wire.shape != apart.output.shape:
        return None
    square = _square(apart.output)
    if square is None:
        return None
    reduce = reader(square.output, "sum", "mean")
    last, share = (square, 1.0) if reduce is None else (reduce, _share(reduce))
    factor = share * 2.0
    while (more := _constant_factor(last.output)) is not None:
        last, factor = more[0], factor * more[1]
    if last is square or (reduce is not None and last.output.shape != ()):
        return None
    first, second = (notation.wire(w) for w in apart.inputs)
    if first is None or second is None:
        return None
    a_first = apart.inputs[0] is wire
    x, y = (first, second) if a_first else (second, first)
    difference = Plus(x, Minus(y))
    made = difference if factor == 1.0 else Times(constant(factor), difference)
    return scaled(made, last, notation)


def _square(wire: Wire) -> Gate | None:
    found = reader(wire, "square", "pow", "mul")
    if found is None:
        return None
    return found if _squares(found, wire) else None


def _squares(gate: Gate, wire: Wire) -> bool:
    """Whether a gate is the square of a wire, however it is written."""
    if gate.op.name == "pow":
        power = gate.inputs[1]
        return power is not None and is_number(power) and power.value == 2
    if gate.op.name == "mul":
        return gate.inputs[0] is wire and gate.inputs[1] is wire
    return gate.op.name == "square"


def _share(gate: Gate) -> float:
    source = gate.inputs[0]
    assert source is not None
    count = int(np.prod([source.shape[d] for d in gate.params["dims"]], dtype=int))
    return 1.0 / count if gate.op.name == "mean" and count else 1.0


def _constant_factor(wire: Wire) -> tuple[Gate, float] | None:
    gate = reader(wire, "mul", "div")
    if gate is None:
        return None
    a, b = gate.inputs
    other = b if a is wire else a
    if other is None or not is_number(other) or (gate.op.name == "div" and a is not wire):
        return None
    value = float(other.value)
    if gate.op.name == "div":
        return (gate, 1.0 / value) if value else None
    return gate, value


def constant(value: float) -> Term:
    """A factor, as a fraction where it is 1/n or 2/n."""
    if float(f"{value:.4g}") == value:
        return Shown(lambda: f"{value:g}", lambda: np.asarray(value))
    inverse = 1.0 / value if value else 0.0
    for above in (1, 2):
        below = round(above * inverse)
        if below > 1 and abs(above * inverse - below) < 1e-9 * below:
            text = rf"\frac{{{above}}}{{{below}}}"
            return Shown(partial(str, text), lambda: np.asarray(value))
    return Shown(lambda: f"{value:g}", lambda: np.asarray(value))


# ----- regularization -----


def penalty(gate: Gate, wire: Wire, notation: Notation) -> Term | None:
    """2 lambda W: what a sum of squares hands back, times its constant factors."""
    square = gate if _squares(gate, wire) else None
    reduce = reader(square.output, "sum", "mean") if square is not None else None
    if reduce is None or reduce.output.shape != ():
        return None
    last, factors, share = reduce, [2.0], _share(reduce)
    while (more := _constant_factor(last.output)) is not None:
        last, factors = more[0], [*factors, more[1]]
    w = notation.wire(wire)
    assert w is not None
    shown = [constant(f) for f in factors]
    if share != 1.0:
        shown.append(one_over(round(1.0 / share)))
    return scaled(Times(*shown, w), last, notation)


def with_penalty(wire: Wire, parts: list[tuple[Gate, Term]], notation: Notation) -> Term | None:
    """The contributions with those of penalties in closed form, if there is one."""
    closed = [penalty(gate, wire, notation) for gate, _ in parts]
    if not any(term is not None for term in closed):
        return None
    return added([own if term is None else term for term, (_, own) in zip(closed, parts)])


# ----- the sigmoid, gate by gate -----


def sigmoid(wire: Wire, notation: Notation) -> Term | None:
    """s (1 - s) for the gates of 1 / (1 + e^-z)."""
    minus = reader(wire, "neg")
    power = reader(minus.output, "exp") if minus is not None else None
    plus = reader(power.output, "add") if power is not None else None
    last = reader(plus.output, "div", "reciprocal") if plus is not None else None
    if power is None or plus is None or last is None:
        return None
    one = next(w for w in plus.inputs if w is not power.output)
    if one is None or not _is_one(one):
        return None
    if last.op.name == "div" and not (last.inputs[1] is plus.output and _is_one(last.inputs[0])):
        return None
    z = Symbol(notation.symbol(wire), wire.array)

    def of(v: np.ndarray) -> np.ndarray:
        return 1.0 / (1.0 + np.exp(-v))

    s = Shown(lambda t: rf"\sigma\left({t}\right)", of, z)
    slope = Times(s, Shown(lambda t: rf"\left(1 - {t}\right)", lambda v: 1.0 - v, s))
    return scaled(slope, last, notation)


def _is_one(wire: Wire | None) -> bool:
    return wire is not None and is_number(wire) and float(wire.value) == 1.0


PATTERNS: tuple[Callable[[Wire, Notation], Term | None], ...] = (
    softmax_cross_entropy,
    quadratic,
    multiclass_hinge,
    sigmoid,
)
