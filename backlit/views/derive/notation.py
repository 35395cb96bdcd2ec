"""Which symbol stands for which wire: the user's names, v_1, v_2, ... where there is none.

Owns the symbols of values and of gradients, nothing else. Python numbers stand for themselves.
"""

from __future__ import annotations

import re
from copy import copy
from typing import Any

import numpy as np

from backlit.ops import formula as fm
from backlit.ops.formula import Tex
from backlit.views.derive.terms import Number, Partial, Symbol, Term
from backlit.views.graph import Gate, Graph, Wire
from backlit.views.names import tex as name_tex
from backlit.views.sentences.words import short


class Notation:
    """The symbols of one graph; `loss` is that of the number that is differentiated."""

    def __init__(self, graph: Graph, seeded: bool = False, symbol: str = ""):
        self.graph = graph
        self.symbols: dict[int, str] = {id(graph.loss): symbol} if symbol else {}
        self.scalar = all(w.shape == () for w in graph.wires)  # a circuit of numbers
        self._counts: dict[str, int] = {}
        self._seeded = seeded
        self._taken = {name_tex(w.name) for w in graph.wires if w.given}
        for wire in graph.wires:
            if id(wire) not in self.symbols:
                self.symbols[id(wire)] = self._symbol(wire)
        self.loss = self._free("L") if seeded else self.symbols[id(graph.loss)]

    def _symbol(self, wire: Wire) -> str:
        if wire.given or wire.maker is None:
            return name_tex(wire.name)
        if wire is self.graph.loss and self._seeded:
            return self._free("y")
        if wire is self.graph.loss:
            return self._free("f" if wire.shape == () and len(self.graph.leaves) < 9 else "L")
        return "" if wire.output and not wire.readers else self.fresh()

    def _free(self, letter: str) -> str:
        while letter in self._taken:
            letter += "'"
        self._taken.add(letter)
        return letter

    def fresh(self, letter: str = "v") -> str:
        """A symbol that nothing else has."""
        while True:
            self._counts[letter] = self._counts.get(letter, 0) + 1
            made = f"{letter}_{{{self._counts[letter]}}}"
            if made not in self._taken:
                self._taken.add(made)
                return made

    def renamed(self, symbols: dict[int, str]) -> Notation:
        """The same with other symbols for some wires, by their ids as objects."""
        other = copy(self)
        other.symbols = self.symbols | symbols
        return other

    def wire(self, wire: Wire | None) -> Term | None:
        """A value as a term."""
        if wire is None:
            return None
        if is_number(wire):
            if not wire.numeric:
                return Number(Tex(_verbatim(short(wire.value))), wire.value)
            return Number(np.asarray(wire.value)[()].item(), wire.value)
        return Symbol(self.symbol(wire), wire.array)

    def symbol(self, wire: Wire) -> str:
        if not self.symbols[id(wire)]:
            self.symbols[id(wire)] = self.fresh()
        return self.symbols[id(wire)]

    def grad(self, wire: Wire, array: Any = None) -> Partial:
        """The gradient of the loss by a wire."""
        found = wire.grad if array is None else array
        return Partial(self.loss, self.symbol(wire), found)

    def local(self, gate: Gate, wire: Wire, array: Any) -> Partial:
        """The derivative of a gate's output by one of its inputs."""
        return Partial(self.symbol(gate.output), self.symbol(wire), array)

    def in_formula(self, gate: Gate) -> dict[str, Any]:
        """What an elementwise formula reads, by its own names: LaTeX, and plain numbers."""
        named = zip((*gate.op.inputs, *gate.op.outputs), (*gate.inputs, *gate.outputs))
        return {name: self._shown(wire) for name, wire in named if wire is not None}

    def _shown(self, wire: Wire) -> Any:
        term = self.wire(wire)
        return term.number if isinstance(term, Number) else fm.Tex(self.symbol(wire))


def _verbatim(text: str) -> str:
    escaped = re.sub(r"([#$%&_{}])", r"\\\1", text)
    return rf"\text{{{escaped}}}"


def is_number(wire: Wire) -> bool:
    """Whether the program wrote a number here: it has no name and gets no gradient."""
    return (
        wire.maker is None
        and not wire.given
        and wire.grad is None
        and wire.shape == ()
        and wire.kind == "constant"
    )
