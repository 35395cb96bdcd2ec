"""Derivations: the chain rule of a computation, line by line, each line checked as it is made."""

from __future__ import annotations

from typing import Any

from backlit.errors import ArgumentError
from backlit.views.derive.lines import Derivation as Derivation, Line as Line


def derive(
    subject: Any, wrt: Any = None, *inputs: Any, form: str = "matrix", numbers: bool = True,
    language: str = "en", gradient: Any = None, proofs: bool = False,
    order: int = 1, **values: Any,
) -> Derivation:  # fmt: skip
    """The chain rule of a computation in LaTeX and plain text, with symbols and with numbers.

    `subject` is a tensor, a function called with `inputs`, or a formula with `values`; `wrt` the
    tensor or name to differentiate by (None: all leaves). `form="index"` writes matrix rules by
    indices. Every line is evaluated when it is made; one that does not hold is marked.

    >>> print(bl.see.derive("x * y", "x", x=3, y=-4).lines[-1].text)
    ∂f/∂x = 1 · (-4) = -4
    """
    from backlit.views.derive.bp import Network, bp_lines
    from backlit.views.derive.chain import Chain, targets_of
    from backlit.views.derive.layers import asked, layered
    from backlit.views.derive.notation import Notation
    from backlit.views.derive.proofs import Proofs
    from backlit.views.derive.second import second_lines
    from backlit.views.derive.words import check_language
    from backlit.views.record import record

    check_language(language)
    _check("form", form, ("matrix", "index"))
    _check("order", order, (1, 2))
    graph = record(subject, *inputs, gradient=gradient, **values).graph
    notation = Notation(graph, gradient is not None or graph.loss.shape != ())
    targets = targets_of(graph, wrt)
    lines = list(Chain(graph, notation, targets, numbers, language, form).lines())
    if order == 2:
        lines += second_lines(graph, notation, targets, numbers, language)
    layers = asked(layered(graph), targets)
    if layers:
        network = Network(layers, notation, targets)
        lines += bp_lines(network, numbers, language)
        if proofs:
            lines += Proofs(network, language).lines()
    return Derivation(lines, graph, graph.title)


def _check(name: str, value: Any, known: tuple) -> None:
    if value not in known:
        shown = " or ".join(map(repr, known))
        raise ArgumentError(f"{name} must be {shown}, got {value!r}")
