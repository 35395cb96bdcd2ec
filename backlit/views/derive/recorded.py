"""The backward of any operator as a term: its own rule, run once and read off as it runs.

An operator without a textbook rule in rules.py is applied again on the gate's arrays, and what
its backward applies is written with the LaTeX of the operators in it: as one formula, or with
names for its parts where that would be too wide. Very long backwards, and those that are one
operator of their own (`lstm_grad`), stay closed: a Jacobian transposed, times the gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.autograd.engine import grad
from backlit.autograd.observe import Observer, observe
from backlit.ops.op import apply
from backlit.state import state
from backlit.tensor import Tensor, wrap
from backlit.views.derive.figures import figure
from backlit.views.derive.notation import Notation
from backlit.views.derive.operators import Applied, applied
from backlit.views.derive.terms import Number, Shown, Symbol, Term
from backlit.views.graph import Gate

LONGEST = 24  # applications that are written out
WIDEST = 200  # characters of LaTeX in one formula
PART = 70  # characters from which a part gets a name
REPEATED = 16  # the same, for a part that is used twice

Step = tuple[Any, dict[str, Any], tuple, tuple]  # operator, parameters, inputs, outputs
Definition = tuple[Symbol, Term]


class Backward(Observer):
    """Writes down what the rules apply: arrays in, arrays out."""

    def __init__(self) -> None:
        self.steps: list[Step] = []

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        if state.backward_of is not None:
            read = tuple(x.cell.array if isinstance(x, Tensor) else x for x in inputs)
            made = tuple(None if t is None else t.cell.array for t in outputs)
            self.steps.append((op, params, read, made))


class Reading:
    """Terms for the arrays of a backward, from what is known about its inputs."""

    def __init__(self, known: list[tuple[Any, Term]], steps: list[Step], notation: Notation | None):
        self.known, self.notation = known, notation  # with a notation parts may get names
        self.terms = {id(array): term for array, term in known}
        self.named: list[Definition] = []
        self.uses: dict[int, int] = {}
        for _, _, read, _ in steps:
            for x in read:
                self.uses[id(x)] = self.uses.get(id(x), 0) + 1
        for step in steps:
            self._read(*step)

    def _read(self, op: Any, params: dict[str, Any], read: tuple, made: tuple) -> None:
        args = [self._term(x) for x in read]
        for i, array in enumerate(made):
            if array is not None and id(array) not in self.terms:
                self.terms[id(array)] = self._named(applied(op, params, args, i), array)

    def _named(self, term: Term, array: Any) -> Term:
        if self.notation is None:
            return term
        width = len(term.tex().text)
        if width <= (REPEATED if self.uses.get(id(array), 0) > 1 else PART):
            return term
        symbol = Symbol(self.notation.fresh("t"), array)
        self.named.append((symbol, term))
        return symbol

    def _term(self, x: Any) -> Term | None:
        if x is None:
            return None
        known = self.terms.get(id(x))
        if known is not None:
            return known
        array = np.asarray(x)
        if array.ndim == 0:
            return Number(array[()].item())
        return Symbol(figure(array) or r"\mathrm{const}", array)


def recorded(gate: Gate, notation: Notation) -> tuple[dict[int, Term], list[Definition]]:
    """For every input with a gradient what the gate hands back, and the names used in that."""
    watch, known = Backward(), []
    inputs = [_leaf(w, gate.downstream[i] is not None) for i, w in enumerate(gate.inputs)]
    for x, wire in zip(inputs, gate.inputs):
        if isinstance(x, Tensor):
            known.append((x.cell.array, notation.wire(wire)))
    outer = state.autocast, state.grad, state.backward_of
    state.autocast, state.grad, state.backward_of = None, True, None
    try:
        op = gate.op
        made = op.user.apply(*inputs) if hasattr(op, "user") else apply(op, *inputs, **gate.params)
        outputs = made if isinstance(made, tuple) else (made,)
        found = _walk(gate, notation, watch, known, inputs, outputs)
    finally:
        state.autocast, state.grad, state.backward_of = outer
    return _readable(gate, found, known, watch.steps, notation)


def _leaf(wire: Any, wanted: bool) -> Any:
    if wire is None or wire.raw:
        return None if wire is None else wire.value
    made = wrap(wire.value)
    return made.requires_grad_() if wanted else made


def _walk(
    gate: Gate, notation: Notation, watch: Backward, known: list, inputs: list, outputs: tuple
) -> dict[int, Any]:
    """Run the backward under the watch: the arrays of the gradients by input."""
    roots, seeds = [], []
    for t, wire, g in zip(outputs, gate.outputs, gate.upstream):
        if t is None or wire is None:
            continue
        known.append((t.cell.array, notation.wire(wire)))
        if g is not None and t.requires_grad:
            seed = wrap(g)
            known.append((seed.cell.array, notation.grad(wire, g)))
            roots.append(t)
            seeds.append(seed)
    wanted = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    with observe(watch):
        grads = grad(roots, [inputs[i] for i in wanted], seeds, allow_unused=True)
    return {i: g.cell.array for i, g in zip(wanted, grads) if g is not None}


def _readable(
    gate: Gate, found: dict[int, Any], known: list, steps: list[Step], notation: Notation
) -> tuple[dict[int, Term], list[Definition]]:
    """One formula per input, with named parts where it would be too wide; else closed."""
    if len(steps) > LONGEST:
        return {i: closed(gate, i, array, notation) for i, array in found.items()}, []
    reading = Reading(known, steps, None)
    terms = {i: reading.terms.get(id(array)) for i, array in found.items()}
    if any(t is not None and len(t.tex().text) > WIDEST for t in terms.values()):
        reading = Reading(known, steps, notation)
        terms = {i: reading.terms.get(id(array)) for i, array in found.items()}
    made = {}
    for i, term in terms.items():
        value = found[i] if term is None else term.value
        whole = term is None or _is_own_operator(term)
        made[i] = closed(gate, i, value, notation) if whole else term
    return made, reading.named  # type: ignore[return-value]


def _is_own_operator(term: Term) -> bool:
    """Whether it is one of several results of an operator that exists to be this backward."""
    return isinstance(term, Applied) and term.op.name.endswith("_grad") and len(term.op.outputs) > 1


def closed(gate: Gate, i: int, array: Any, notation: Notation) -> Term:
    """The transposed Jacobian times the gradient, as one symbol each."""
    wires = [w for w, g in zip(gate.outputs, gate.upstream) if w is not None and g is not None]
    source = gate.inputs[i]
    assert source is not None
    shown = " + ".join(
        rf"\left(\frac{{\partial {notation.symbol(w)}}}{{\partial {notation.symbol(source)}}}"
        rf"\right)^{{\top}} {notation.grad(w).symbol}"
        for w in wires
    )
    return Shown(lambda: shown, lambda: np.asarray(array), rank=2)
