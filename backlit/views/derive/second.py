"""Second order: the derivation of a derivative, which is one more recorded graph.

The graph is run again with a gradient that is itself recorded; that gradient is the result of a
graph of its own, and the chain rule is applied to it. For inputs that are single numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from backlit.autograd.engine import grad
from backlit.state import state
from backlit.views.derive.chain import Chain
from backlit.views.derive.lines import Line, equation, heading, in_numbers
from backlit.views.derive.notation import Notation
from backlit.views.derive.terms import Partial, Symbol
from backlit.views.derive.words import word
from backlit.views.graph import Graph, Wire
from backlit.views.record import record
from backlit.views.rerun import leaf, rerun


def second_lines(
    graph: Graph, notation: Notation, targets: list[Wire], numbers: bool, language: str
) -> Iterator[Line]:
    """The derivation of each first derivative, then the second derivatives that it gives."""
    scalars = [w for w in targets if w.shape == () and w.maker is None]
    for wire in scalars:
        gradient, leaves = _gradient(graph, wire)
        if gradient.node is None:  # it is constant
            continue
        inner = record(gradient).graph
        known = {id(made): source for source, made in leaves.items()}
        for w in inner.wires:
            source = known.get(id(w.tensor))
            if source is not None:
                w.name, w.given = source.name, True
            elif w.maker is not None:
                w.given = False  # what the program called it belongs to the first order
        symbol = f"{notation.loss}_{{{notation.symbol(wire)}}}"
        names = Notation(inner, symbol=symbol)
        yield heading(f"{word('second', language)}: {symbol}".replace("{", "").replace("}", ""))
        first = Symbol(notation.grad(wire).symbol, wire.grad)
        yield equation(Symbol(symbol, inner.loss.array), [first], language)
        asked = [w for w in inner.leaves if id(w.tensor) in known]
        yield from Chain(inner, names, asked, numbers, language).lines()
        yield from _named(notation, wire, asked, symbol, language)


def _gradient(graph: Graph, wire: Wire) -> tuple[Any, dict[Wire, Any]]:
    """The derivative by a wire as a recorded tensor, and the leaves that it depends on."""
    leaves = {w: leaf(w) for w in graph.leaves}
    outer, state.grad = state.grad, True
    try:
        result = rerun(graph, dict(leaves))[graph.loss]
        (found,) = grad(result, leaves[wire], create_graph=True)
    finally:
        state.grad = outer
    return found, leaves


def _named(
    notation: Notation, wire: Wire, asked: list[Wire], symbol: str, language: str
) -> Iterator[Line]:
    """The second derivatives by their own symbols."""
    by = notation.symbol(wire)
    for w in asked:
        other = notation.symbol(notation.graph.wire(w.name))
        below = rf"\partial {by}^{{2}}" if other == by else rf"\partial {by} \, \partial {other}"
        left = Symbol(rf"\frac{{\partial^{{2}} {notation.loss}}}{{{below}}}", w.grad)
        right = Partial(symbol, other, w.grad)
        yield equation(left, [right], language)
        yield in_numbers(left, [], language)
