"""The backward of any operator as a term: its own rule, run once and read off as it runs.

An operator without a textbook rule in rules.py is applied again on the gate's arrays, and what
its backward applies is written with the LaTeX of the operators in it. Long backwards stay closed:
one Jacobian transposed, times the gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.autograd.engine import grad
from backlit.autograd.observe import Observer, observe
from backlit.ops.op import apply
from backlit.state import state
from backlit.tensor import Tensor, wrap
from backlit.views.derive.notation import Notation
from backlit.views.derive.operators import Applied, applied
from backlit.views.derive.terms import Number, Shown, Symbol, Term
from backlit.views.graph import Gate

LONGEST = 14  # applications that are written out
WIDEST = 260  # characters of LaTeX


class Backward(Observer):
    """Terms for all arrays that the operators of a backward make, by the id of the array."""

    def __init__(self) -> None:
        self.terms: dict[int, Term] = {}
        self.alive: list[Any] = []
        self.count = 0

    def know(self, array: Any, term: Term) -> None:
        self.alive.append(array)
        self.terms[id(array)] = term

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        if state.backward_of is None:
            return
        self.count += 1
        if self.count > LONGEST:
            return
        args = [self._term(x) for x in inputs]
        for i, t in enumerate(outputs):
            if t is not None and id(t.cell.array) not in self.terms:
                self.know(t.cell.array, applied(op, params, args, i))

    def _term(self, x: Any) -> Term | None:
        if x is None:
            return None
        value = x.cell.array if isinstance(x, Tensor) else x
        known = self.terms.get(id(value))
        if known is not None:
            return known
        array = np.asarray(value)
        if array.ndim == 0:
            return Number(array[()].item())
        return Symbol(r"\mathrm{const}", array)


def recorded(gate: Gate, notation: Notation) -> dict[int, Term]:
    """For every input with a gradient, what the gate hands back to it."""
    watch = Backward()
    inputs = [_leaf(w, gate.downstream[i] is not None) for i, w in enumerate(gate.inputs)]
    for x, wire in zip(inputs, gate.inputs):
        term = notation.wire(wire)
        if isinstance(x, Tensor) and term is not None:
            watch.know(x.cell.array, term)
    outer = state.autocast, state.grad, state.backward_of
    state.autocast, state.grad, state.backward_of = None, True, None
    try:
        op = gate.op
        made = op.user.apply(*inputs) if hasattr(op, "user") else apply(op, *inputs, **gate.params)
        outputs = made if isinstance(made, tuple) else (made,)
        found = _walk(gate, notation, watch, inputs, outputs)
    finally:
        state.autocast, state.grad, state.backward_of = outer
    return {i: _readable(gate, i, found[i], watch, notation) for i in found}


def _leaf(wire: Any, wanted: bool) -> Any:
    if wire is None or not isinstance(wire.value, np.ndarray):
        return None if wire is None else wire.value
    made = wrap(wire.value)
    return made.requires_grad_() if wanted else made


def _walk(
    gate: Gate, notation: Notation, watch: Backward, inputs: list, outputs: tuple
) -> dict[int, Any]:
    """Run the backward under the watch: the arrays of the gradients by input."""
    roots, seeds = [], []
    for t, wire, g in zip(outputs, gate.outputs, gate.upstream):
        if t is None or wire is None:
            continue
        watch.know(t.cell.array, notation.wire(wire))  # type: ignore[arg-type]
        if g is not None and t.requires_grad:
            seed = wrap(g)
            watch.know(seed.cell.array, notation.grad(wire, g))
            roots.append(t)
            seeds.append(seed)
    wanted = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]
    with observe(watch):
        grads = grad(roots, [inputs[i] for i in wanted], seeds, allow_unused=True)
    return {i: g.cell.array for i, g in zip(wanted, grads) if g is not None}


def _readable(gate: Gate, i: int, array: Any, watch: Backward, notation: Notation) -> Term:
    term = watch.terms.get(id(array))
    if isinstance(term, Applied) and term.op.name.endswith("_grad") and len(term.op.outputs) > 1:
        return closed(gate, i, term.value, notation)
    if term is not None and watch.count <= LONGEST and len(term.tex().text) <= WIDEST:
        return term
    return closed(gate, i, array, notation)


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
