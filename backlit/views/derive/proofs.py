"""Proofs of BP1 to BP4, for the network at hand: each step of each proof is evaluated.

The derivatives of one layer's values by another's stand in the steps as whole Jacobians that the
engine computes by running the graph again; what the steps claim about them (only one term of a
sum stays, it is sigma') is thereby checked. Vectors and batches in rows. Read first: bp.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from backlit.autograd.engine import grad
from backlit.state import state
from backlit.tensor import wrap
from backlit.views.derive.bp import Network, activated, prime, small_w
from backlit.views.derive.indices import LARGEST, Same, Slope, Sums
from backlit.views.derive.layers import Layer
from backlit.views.derive.lines import Element, Line, equation, heading, words
from backlit.views.derive.terms import Plus, Symbol, Term
from backlit.views.derive.words import word
from backlit.views.graph import Graph, Wire
from backlit.views.rerun import leaf, rerun


def jacobian(graph: Graph, of: Wire, by: Wire) -> np.ndarray:
    """All derivatives of one wire by another, (*of, *by): the graph run again, row by row."""
    outer, state.grad = state.grad, True
    try:
        source = leaf(by, wide=True)
        made = rerun(graph, {by: source}, wide=True)[of]
        rows = []
        for at in np.ndindex(of.shape):
            unit = np.zeros(of.shape)
            unit[at] = 1.0
            (row,) = grad(made, source, wrap(unit), retain_graph=True, allow_unused=True)
            rows.append(np.zeros(by.shape) if row is None else row.cell.array)
    finally:
        state.grad = outer
    return np.array(rows).reshape(*of.shape, *by.shape)


class Proofs:
    """The four proofs; `n` and `m` count samples where there is a batch."""

    def __init__(self, network: Network, language: str):
        self.network, self.language = network, language
        self.graph = network.notation.graph
        self.n, self.m = ("n", "m") if network.rows else ("", "")

    def lines(self) -> Iterator[Line]:
        layers = self.network.layers
        if self.network.layout == "columns" or self._elements() > LARGEST:
            return
        if layers[-1].activation is not None:
            yield from self._bp1(layers[-1])
        for layer, following in reversed(list(pairwise(layers))):
            if layer.activation is not None:
                yield from self._bp2(layer, following)
        for layer in reversed(layers):
            yield from self._bp3(layer)
            if id(layer.weight) in self.network.targets and len(layer.weight.readers) == 1:
                yield from self._bp4(layer)

    def _elements(self) -> int:
        return max(
            layer.z.array.size * max(layer.z.array.size, layer.weight.array.size)
            for layer in self.network.layers
        )

    def _title(self, name: str, layer: Layer) -> Line:
        shown = word("layer", self.language, layer=layer.number)
        return heading(f"{word('proof', self.language, name=name)} ({shown})")

    def _say(self, key: str, **given: object) -> Line:
        return words(word(key, self.language, **given))

    def _equal(self, left: Symbol, *sides: Term) -> Line:
        return equation(left, sides, self.language)

    def _slope(self, of: Symbol, by: Symbol, array: Any) -> Slope:
        """Derivatives of elements of `of` by elements of `by`."""
        return Slope(of.symbol, by.symbol, np.ndim(of.array), array)

    def _bp1(self, last: Layer) -> Iterator[Line]:
        """delta_j = sum_k dC/da_k da_k/dz_j, of which only k = j stays."""
        net, n, m = self.network, self.n, self.m
        yield self._title("BP1", last)
        delta = net.delta(last)
        z, a = net.z(last), net.a(last)
        by_a = net.by("a", last, last.a.grad)
        slope = self._slope(a, z, jacobian(self.graph, last.a, last.z))
        own = f"{m}j"
        yield self._say("definition")
        yield self._equal(Element(delta, own), Element(net.by("z", last, last.z.grad), own))
        yield self._say("chain")
        full = Sums(f"{n}k", own, (by_a, f"{n}k"), (slope, f"{n}k{own}"))
        yield self._equal(Element(delta, own), full)
        yield self._say("own", i="k", j="j")
        kept = Sums("", own, (by_a, own), (slope, own + own))
        yield self._equal(Element(delta, own), kept)
        final = Sums("", own, (by_a, own), (prime(net, last), own))
        yield self._equal(Element(delta, own), final)

    def _bp2(self, layer: Layer, following: Layer) -> Iterator[Line]:
        """delta_j = sum_k delta_k dz_k/dz_j with dz_k/dz_j = w_kj sigma'(z_j)."""
        net, n, m = self.network, self.n, self.m
        yield self._title("BP2", layer)
        delta, ahead = net.delta(layer), net.delta(following)
        z, z_next, w = net.z(layer), net.z(following), small_w(net, following)
        array = jacobian(self.graph, following.z, layer.z)
        slope, own = self._slope(z_next, z, array), f"{m}j"
        yield self._say("definition")
        yield self._equal(Element(delta, own), Element(net.by("z", layer, layer.z.grad), own))
        yield self._say("chain")
        by_next = net.by("z", following, following.z.grad)
        yield self._equal(
            Element(delta, own),
            Sums(f"{n}k", own, (by_next, f"{n}k"), (slope, f"{n}k{own}")),
            Sums(f"{n}k", own, (ahead, f"{n}k"), (slope, f"{n}k{own}")),
        )
        same = [(Same(array.shape[0]), f"{n}{m}")] if n else []
        local = Sums("", f"{n}k{own}", *same, (w, "kj"), (prime(net, layer), own))
        yield self._say("where")
        made: Term = Sums("i", f"{n}k", (w, "ki"), (activated(net, layer), f"{n}i"))
        if following.bias is not None and following.bias.shape == following.z.shape[-1:]:
            made = Plus(made, Element(net.b(following), "k"))
        yield self._equal(Element(z_next, f"{n}k"), made)
        yield self._equal(Element(slope, f"{n}k{own}"), local)
        final = Sums("k", own, (w, "kj"), (ahead, f"{m}k"), (prime(net, layer), own))
        yield self._equal(Element(delta, own), final)

    def _bp3(self, layer: Layer) -> Iterator[Line]:
        """dC/db_j = sum_k delta_k dz_k/db_j with dz_k/db_j = [k = j]."""
        net, n, bias = self.network, self.n, layer.bias
        if bias is None or id(bias) not in self.network.targets or len(bias.readers) != 1:
            return
        if bias.shape != layer.z.shape[-1:]:
            return
        yield self._title("BP3", layer)
        delta, b = net.delta(layer), net.by("b", layer, bias.grad)
        array = jacobian(self.graph, layer.z, bias)
        slope = self._slope(net.z(layer), net.b(layer), array)
        same = Same(bias.shape[0])
        yield self._say("chain")
        yield self._equal(Element(b, "j"), Sums(f"{n}k", "j", (delta, f"{n}k"), (slope, f"{n}kj")))
        if not n:
            yield self._say("where")
            yield self._equal(Element(slope, "kj"), Sums("", "kj", (same, "kj")))
        yield self._equal(
            Element(b, "j"),
            Sums(f"{n}k", "j", (delta, f"{n}k"), (same, "kj")),
            Sums(n, "j", (delta, f"{n}j")),
        )

    def _bp4(self, layer: Layer) -> Iterator[Line]:
        """dC/dw_jk = sum_i delta_i dz_i/dw_jk with dz_i/dw_jk = [i = j] a_k."""
        net, n = self.network, self.n
        yield self._title("BP4", layer)
        delta, a, w = net.delta(layer), net.before(layer), small_w(net, layer)
        grad_w, array = layer.weight.grad, jacobian(self.graph, layer.z, layer.weight)
        assert grad_w is not None
        if layer.turned:
            grad_w, array = grad_w.T, np.swapaxes(array, -1, -2)
        left = Element(net.by("w", layer, grad_w), "jk")
        slope = self._slope(net.z(layer), w, array)
        yield self._say("chain")
        yield self._equal(left, Sums(f"{n}i", "jk", (delta, f"{n}i"), (slope, f"{n}ijk")))
        yield self._say("where")
        same = Same(layer.z.shape[-1])
        yield self._equal(
            Element(slope, f"{n}ijk"), Sums("", f"{n}ijk", (same, "ij"), (a, f"{n}k"))
        )
        yield self._equal(
            left,
            Sums(f"{n}i", "jk", (delta, f"{n}i"), (same, "ij"), (a, f"{n}k")),
            Sums(n, "jk", (a, f"{n}k"), (delta, f"{n}j")),
        )
