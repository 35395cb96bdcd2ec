"""All paths from the result to one input, multiplied out: what the chain rule adds up.

For circuits of numbers only. The derivatives along the paths are symbols; the line is checked
against the engine's gradient like every other. Many or long paths are left to the steps.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backlit.views.derive.lines import Line, equation, heading, in_numbers
from backlit.views.derive.notation import Notation
from backlit.views.derive.operators import Local
from backlit.views.derive.terms import Plus, Symbol, Term, Times
from backlit.views.derive.words import word
from backlit.views.graph import Gate, Graph, Wire

MOST, LONGEST = 6, 9

Step = tuple[Gate, Wire]
Known = dict[int, list[list[Step]] | None]


def path_lines(
    graph: Graph, notation: Notation, targets: list[Wire], numbers: bool, language: str
) -> Iterator[Line]:
    """One equation for each target that is reached by few paths, none of them trivial."""
    found = {id(w): paths(graph, w, {}) for w in targets}
    shown = [w for w in targets if _worth(found[id(w)])]
    if shown:
        yield heading(word("paths", language))
    for wire in shown:
        left = notation.grad(wire)
        terms = [_multiplied(path, notation) for path in found[id(wire)] or ()]
        made = Plus(*terms) if len(terms) > 1 else terms[0]
        yield equation(left, [made], language)
        if numbers:
            yield in_numbers(left, [made], language)


def _worth(found: list[list[Step]] | None) -> bool:
    if not found or len(found) > MOST:
        return False
    return 2 < max(map(len, found)) + len(found) - 1 <= LONGEST


def paths(graph: Graph, wire: Wire, known: Known) -> list[list[Step]] | None:
    """Every way from the loss to a wire, or None for too many or too long ones; a gate that
    reads a wire twice is one step. `known` has those of other wires."""
    if wire is graph.loss:
        return [[]]
    if id(wire) in known:
        return known[id(wire)]
    known[id(wire)] = None  # while it is not known to be few
    if len(known) > MOST * LONGEST:
        return None
    made: list[list[Step]] = []
    for gate in dict.fromkeys(gate for gate, _, _ in wire.contributions):
        above = paths(graph, gate.output, known)
        made.extend([*path, (gate, wire)] for path in above or ())
        if above is None or len(made) > MOST or any(len(p) > LONGEST for p in made):
            return None
    known[id(wire)] = made
    return made


def _multiplied(path: list[Step], notation: Notation) -> Term:
    factors: list[Term] = [local(gate, wire, notation) for gate, wire in path]
    return Times(*factors) if len(factors) > 1 else factors[0]


def local(gate: Gate, wire: Wire, notation: Notation) -> Symbol:
    """The derivative of a gate's output by a wire that it reads, once or twice."""
    slots = [i for i, w in enumerate(gate.inputs) if w is wire and i in gate.op.locals]
    value = sum(np.asarray(Local(gate, i, notation).value, float) for i in slots)
    return notation.local(gate, wire, value)
