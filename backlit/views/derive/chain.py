"""The walk over a recorded graph that writes the lines: values forward, the chain rule back.

For every value on a way from the loss to what is asked for: the sum over its readers of upstream
times local, with symbols, then with numbers. Order: newest first, so that every upstream gradient
on the right was on the left of an earlier line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from backlit.errors import GradError
from backlit.views.derive import indices, rules_layers  # noqa: F401  # registers its rules
from backlit.views.derive.differences import unlike
from backlit.views.derive.figures import digits
from backlit.views.derive.lines import Line, equation, heading, in_numbers, words
from backlit.views.derive.notation import Notation
from backlit.views.derive.operators import of_gate, shown_outputs
from backlit.views.derive.paths import local, path_lines
from backlit.views.derive.patterns import closed_form, with_penalty
from backlit.views.derive.plain import plain
from backlit.views.derive.rules import Back
from backlit.views.derive.terms import Number, Symbol, Term, Times, added
from backlit.views.derive.words import sentence, word
from backlit.views.graph import Gate, Graph, Wire


class Chain:
    """Writes the lines of one graph for the wires that are asked for."""

    def __init__(self, graph: Graph, notation: Notation, targets: list[Wire], numbers: bool,
                 language: str, form: str = "matrix"):  # fmt: skip
        self.graph, self.notation, self.targets = graph, notation, targets
        self.numbers, self.language, self.form = numbers, language, form
        self.backs: dict[int, Back] = {}
        self.said: set[int] = set()  # gates whose abbreviations were printed
        self.scalar = notation.scalar and all(g.op.elementwise for g in graph.gates)

    def lines(self) -> Iterator[Line]:
        yield heading(word("forward", self.language))
        for gate in self.graph.gates:
            yield from self._values(gate)
        yield heading(word("backward", self.language))
        for wire in self._wanted():
            yield from self._gradient(wire)
        if self.scalar:
            asked = self.graph, self.notation, self.targets, self.numbers, self.language
            yield from path_lines(*asked)
        yield from self._doubts()

    # ----- forward -----

    def _values(self, gate: Gate) -> Iterator[Line]:
        for k in shown_outputs(gate):
            wire = gate.outputs[k]
            assert wire is not None
            left = Symbol(self.notation.symbol(wire), wire.array)
            yield from self._both(left, [of_gate(gate, self.notation, k)])

    def _both(self, left: Symbol, sides: list[Term]) -> Iterator[Line]:
        yield equation(left, sides, self.language)
        if self.numbers:
            yield in_numbers(left, sides, self.language)

    # ----- backward -----

    def _wanted(self) -> list[Wire]:
        """The wires between the loss and the targets, newest first."""
        below = {id(w) for w in self.targets}
        for gate in self.graph.gates:
            reads = (w for w, d in zip(gate.inputs, gate.downstream) if d is not None)
            if any(w is not None and id(w) in below for w in reads):
                below.update(id(w) for w in gate.outputs if w is not None)
        found = [w for w in self.graph.wires if id(w) in below and w.grad is not None]
        place = {id(w): k for k, w in enumerate(found)}
        return sorted(found, key=lambda w: (-_moment(w), place[id(w)]))

    def _gradient(self, wire: Wire) -> Iterator[Line]:
        left = self.notation.grad(wire)
        parts = self._contributions(wire)
        yield from self._abbreviations(parts)
        if wire is self.graph.loss and not parts:
            yield from self._start(wire)
            return
        if len(parts) > 1:
            symbol = self.notation.symbol(wire)
            yield words(*sentence("fork", self.language, symbol, count=len(parts)))
        concrete = added([term for _, term in parts])
        sides: list[Term] = []
        abstract = self._abstract(wire, parts)
        if abstract is not None:
            sides.append(abstract)
        sides.append(concrete)
        closed = closed_form(wire, self.notation) or with_penalty(wire, parts, self.notation)
        yield equation(left, [*sides, *([closed] if closed is not None else [])], self.language)
        if _hooked(wire):
            yield words(*sentence("hook", self.language, self.notation.symbol(wire)))
        yield from self._by_indices(wire)
        if self.numbers:
            yield in_numbers(left, [concrete], self.language)

    def _by_indices(self, wire: Wire) -> Iterator[Line]:
        for gate, i, _ in wire.contributions:
            if self.form == "index" or gate.op.name in indices.ALWAYS:
                yield from indices.index_lines(self.backs[id(gate)], i, self.language)

    def _abbreviations(self, parts: list[tuple[Gate, Term]]) -> Iterator[Line]:
        """What rules abbreviate, once for each gate."""
        for gate, _ in parts:
            back = self.backs[id(gate)]
            if back.where and id(gate) not in self.said:
                self.said.add(id(gate))
                yield words(word("where", self.language))
                for left, right in back.where:
                    yield equation(left, [right], self.language)

    def _doubts(self) -> Iterator[Line]:
        """Gates whose rule is not the derivative of what they compute."""
        for gate in self.graph.gates:
            slopes = unlike(gate) if id(gate) in self.backs else None
            if slopes is not None:
                slope, claimed = (plain(digits(s)) for s in slopes)
                given = {"name": gate.op.name, "slope": slope, "claimed": claimed}
                yield replace(words(word("unlike", self.language, **given)), ok=False)

    def _start(self, wire: Wire) -> Iterator[Line]:
        left = self.notation.grad(wire)
        if wire.shape == () and float(wire.grad) == 1.0:  # type: ignore[arg-type]
            yield words(word("start", self.language))
            yield equation(left, [Number(1)], self.language)
            return
        yield words(word("seed", self.language))
        yield in_numbers(left, [Symbol("G", wire.grad)], self.language)

    def _contributions(self, wire: Wire) -> list[tuple[Gate, Term]]:
        """What each reader hands back; a gate that reads the wire twice counts once."""
        found: dict[int, tuple[Gate, list[Term]]] = {}
        for gate, i, _ in wire.contributions:
            back = self.backs.setdefault(id(gate), Back(gate, self.notation))
            found.setdefault(id(gate), (gate, []))[1].append(back.contribution(i))
        return [(gate, added(terms)) for gate, terms in found.values()]

    def _abstract(self, wire: Wire, parts: list[tuple[Gate, Term]]) -> Term | None:
        """The chain rule itself: derivatives as symbols. For circuits of numbers."""
        if not self.scalar:
            return None
        terms: list[Term] = []
        for gate, _ in parts:
            g = self.notation.grad(gate.output, gate.upstream[0])
            terms.append(Times(g, local(gate, wire, self.notation)))
        return added(terms)


def _hooked(wire: Wire) -> bool:
    """Whether the program hangs a hook on the value, which may change its gradient."""
    if wire.maker is None:
        return bool(getattr(wire.tensor, "_hooks", None))
    hooks = getattr(wire.maker.node, "hooks", None) or {}
    return bool(hooks.get(wire.output))


def _moment(wire: Wire) -> float:
    """When a value came to be: as its gate ran, or just before its first reader."""
    if wire.maker is not None:
        return wire.maker.id
    return min((gate.id for gate, _ in wire.readers), default=0) - 0.5


def targets_of(graph: Graph, wrt: Any) -> list[Wire]:
    """The wires that are asked for: all leaves, or those named."""
    if wrt is None:
        return graph.leaves
    listed = wrt if isinstance(wrt, list | tuple) else [wrt]
    found = [graph.wire(w) for w in listed]
    for wire in found:
        if wire.grad is None:
            raise GradError(
                f"{wire.name}: no gradient flows there",
                hint="make it with requires_grad=True, and use it in what is differentiated",
            )
    return found
