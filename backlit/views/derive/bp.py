"""BP1 to BP4 of a layered network: delta of every layer, and the gradients that follow from it.

Nielsen's notation: z^l, a^l, W^l, b^l, delta^l of layer l, the input being layer 1. A batch in
rows has its own form of the same equations (the transposed one). The matrix form comes first,
then the same by elements. Source: M. Nielsen, Neural Networks and Deep Learning (2015), ch. 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from backlit.ops import formula as fm
from backlit.ops.formula import Tex
from backlit.views.derive.indices import Sums
from backlit.views.derive.layers import Layer
from backlit.views.derive.lines import Element, Line, equation, heading, in_numbers, words
from backlit.views.derive.notation import Notation
from backlit.views.derive.operators import of_arrays
from backlit.views.derive.patterns import closed_form, penalty
from backlit.views.derive.rules import Back
from backlit.views.derive.terms import (
    Matmul,
    Outer,
    Partial,
    Plus,
    Shown,
    Symbol,
    Term,
    Times,
    Total,
    Transposed,
    added,
    wide,
)
from backlit.views.derive.words import word
from backlit.views.graph import Wire


class Network:
    """A chain of layers in the notation of the four equations."""

    def __init__(self, layers: list[Layer], notation: Notation, targets: list[Wire]):
        self.targets = {id(w) for w in targets}
        self.layers = layers
        names: dict[int, str] = {}
        for layer in layers:
            at = layer.number
            names |= {id(layer.input): f"a^{{{at - 1}}}", id(layer.weight): f"W^{{{at}}}"}
            names |= {id(layer.a): f"a^{{{at}}}", id(layer.z): f"z^{{{at}}}"}
            if layer.bias is not None:
                names[id(layer.bias)] = f"b^{{{at}}}"
        self.notation = notation.renamed(names)
        self.layout = layers[0].layout
        self.rows = self.layout == "rows"

    def symbol(self, name: str, layer: Layer | int, array: Any) -> Symbol:
        number = layer if isinstance(layer, int) else layer.number
        return Symbol(f"{name}^{{{number}}}", array)

    def w(self, layer: Layer) -> Symbol:
        return self.symbol("W", layer, layer.weight.array)

    def matrix(self, layer: Layer) -> Term:
        """The weight as (out, in)."""
        return Transposed(self.w(layer)) if layer.turned else self.w(layer)

    def b(self, layer: Layer) -> Symbol:
        assert layer.bias is not None
        return self.symbol("b", layer, layer.bias.array)

    def z(self, layer: Layer) -> Symbol:
        return self.symbol("z", layer, layer.z.array)

    def a(self, layer: Layer) -> Symbol:
        return self.symbol("a", layer, layer.a.array)

    def before(self, layer: Layer) -> Symbol:
        """What enters a layer."""
        array = layer.input.array
        if self.layout == "vector":
            array = array.reshape(-1)
        return self.symbol("a", layer.number - 1, array)

    def delta(self, layer: Layer) -> Symbol:
        return self.symbol(r"\delta", layer, layer.z.grad)

    def by(self, name: str, layer: Layer, array: Any) -> Partial:
        return Partial(self.cost, f"{name}^{{{layer.number}}}", array)

    @property
    def cost(self) -> str:
        return self.notation.loss

    def slope(self, layer: Layer) -> Term:
        """sigma'(z) of a layer."""
        gate = layer.activation
        assert gate is not None
        name = Activation(layer).prime
        values = {k: wide(v) if isinstance(v, np.ndarray) else v
                  for k, v in gate.named_values().items()}  # fmt: skip
        place = gate.inputs.index(layer.z)
        made = gate.op.local(fm.NUMPY, place, values, gate.params)
        shape = layer.z.shape
        return Shown(
            lambda z: rf"{name}\left({z}\right)",
            lambda z: np.broadcast_to(np.asarray(made, np.float64), shape), self.z(layer),
        )  # fmt: skip

    def slope_formula(self, layer: Layer) -> Term:
        """sigma'(z) as the activation's own formula, of z and a."""
        gate = layer.activation
        assert gate is not None
        names, place = self.notation.in_formula(gate), gate.inputs.index(layer.z)
        text = Tex.of(gate.op.local(fm.LATEX, place, names, gate.params))
        value = self.slope(layer)
        return Shown(lambda: Tex(of_arrays(text.text), text.rank), lambda: value.value)


class Activation:
    """How an activation is written: sigma and sigma' for the sigmoid, else f and f'."""

    def __init__(self, layer: Layer):
        gate = layer.activation
        assert gate is not None
        sigmoid = gate.op.name == "sigmoid"
        if gate.op.name in ("maximum", "clamp"):
            self.name, self.prime = r"\max_{0}", r"\max_{0}'"
            return
        symbol = getattr(gate.op, "symbol", "")
        self.name = r"\sigma" if sigmoid or not symbol else symbol
        self.name = rf"\{gate.op.name}" if gate.op.name in ("tanh", "sin") else self.name
        self.prime = f"{self.name}'" if len(self.name) < 9 else f"{{{self.name}}}'"


def bp_lines(network: Network, numbers: bool, language: str) -> Iterator[Line]:
    """The four equations for every layer, last layer first."""
    yield heading(word("layers", language))

    def both(left: Symbol, sides: list[Term]) -> Iterator[Line]:
        yield equation(left, sides, language)
        if numbers:
            yield in_numbers(left, sides[:1], language)

    for layer in network.layers:
        yield from forward_lines(network, layer, language)
    last = network.layers[-1]
    yield words(f"BP1, {word('layer', language, layer=last.number)}")
    yield from both(network.delta(last), bp1(network))
    for layer, following in reversed(list(pairwise(network.layers))):
        yield words(f"BP2, {word('layer', language, layer=layer.number)}")
        yield from both(network.delta(layer), bp2(network, layer, following))
    for layer in reversed(network.layers):
        shown = word("layer", language, layer=layer.number)
        if layer.bias is not None and id(layer.bias) in network.targets:
            yield words(f"BP3, {shown}")
            left = network.by("b", layer, layer.bias.grad)
            yield from both(left, [with_others(network, layer.bias, layer, bp3(network, layer))])
        if id(layer.weight) in network.targets:
            yield words(f"BP4, {shown}")
            left = network.by("W", layer, layer.weight.grad)
            yield from both(left, [with_others(network, layer.weight, layer, bp4(network, layer))])
    yield from element_lines(network, language)


def forward_lines(network: Network, layer: Layer, language: str) -> Iterator[Line]:
    """z^l = W^l a^(l-1) + b^l and a^l = sigma(z^l)."""
    a, w = network.before(layer), network.matrix(layer)
    made: Term = Matmul(a, _transposed(w)) if network.rows else Matmul(w, a)
    if layer.bias is not None:
        made = Plus(made, network.b(layer))
    yield equation(network.z(layer), [made], language)
    gate = layer.activation
    if gate is not None:
        name, place = Activation(layer).name, gate.inputs.index(layer.z)
        values = [None if w is None else _raw(w) for w in gate.inputs]

        def run(z: Any) -> Any:
            return gate.op.forward(*values[:place], z, *values[place + 1 :], **gate.params)

        shown = Shown(lambda z: rf"{name}\left({z}\right)", run, network.z(layer))
        yield equation(network.a(layer), [shown], language)


def _raw(wire: Wire) -> Any:
    return wide(wire.value) if isinstance(wire.value, np.ndarray) else wire.value


def _transposed(x: Term) -> Term:
    """Without turning twice."""
    return x.parts[0] if isinstance(x, Transposed) else Transposed(x)


# ----- the four equations -----


def bp1(network: Network) -> list[Term]:
    """delta^L = grad_a C * sigma'(z^L); without an activation it is the gradient itself."""
    last, notation = network.layers[-1], network.notation
    closed = closed_form(last.a, notation)
    if last.activation is None:
        found = [Back(gate, notation).contribution(i) for gate, i, _ in last.z.contributions]
        return [added(found), *([closed] if closed is not None else [])]
    gradient = Symbol(rf"\nabla_{{a}} {network.cost}", last.a.grad)
    slope = network.slope(last)
    sides: list[Term] = [Times(gradient, slope)]
    if closed is not None:
        sides.append(Times(closed, slope))
    sides.append(Times(gradient, network.slope_formula(last)))
    return sides


def bp2(network: Network, layer: Layer, following: Layer) -> list[Term]:
    """delta^l = (W^(l+1))' delta^(l+1) * sigma'(z^l)."""
    w, delta = network.matrix(following), network.delta(following)
    back: Term = Matmul(delta, w) if network.rows else Matmul(_transposed(w), delta)
    if layer.activation is None:
        return [back]
    return [Times(back, network.slope(layer)), Times(back, network.slope_formula(layer))]


def bp3(network: Network, layer: Layer) -> Term:
    """dC/db = delta, summed over the batch."""
    delta = network.delta(layer)
    assert layer.bias is not None
    if delta.shape == layer.bias.shape:
        return delta
    axes = (0,) if network.rows else (1,)
    return Total(delta, axes, layer.bias.shape)


def bp4(network: Network, layer: Layer) -> Term:
    """dC/dW = delta a', or its transpose where the program keeps (in, out)."""
    delta, a = network.delta(layer), network.before(layer)
    if network.layout == "vector":
        return Outer(a, delta) if layer.turned else Outer(delta, a)
    first, second = (a, delta) if layer.turned else (delta, a)
    if network.rows:
        return Matmul(Transposed(first), second)
    return Matmul(first, Transposed(second))


def with_others(network: Network, wire: Wire, layer: Layer, own: Term) -> Term:
    """A parameter's gradient with what else reads it: a regularization, a second use."""
    others: list[Term] = []
    closed: dict[int, Term] = {}
    for gate, i, _ in wire.contributions:
        leads = gate is layer.gate or gate.output is layer.z or _turns_into(gate, layer)
        known = None if leads else penalty(gate, wire, network.notation)
        if known is not None:
            closed[id(gate)] = known
        elif not leads:
            others.append(Back(gate, network.notation).contribution(i))
    others += closed.values()
    return Plus(own, added(others)) if others else own


def _turns_into(gate: Any, layer: Layer) -> bool:
    """Whether a gate only turns the weight for the layer's product."""
    return gate.op.name == "permute" and any(w is gate.output for w in layer.gate.inputs)


# ----- by elements -----


def element_lines(network: Network, language: str) -> Iterator[Line]:
    """The equations once more, element by element: w_jk leads from neuron k to neuron j."""
    if network.layout == "columns":
        return
    n = "n" if network.rows else ""
    yield heading(word("notation", language))
    for layer in network.layers:
        yield equation(Element(network.z(layer), f"{n}j"), [element_z(network, layer)], language)
    for layer, following in reversed(list(pairwise(network.layers))):
        if layer.activation is None:
            continue
        slope = prime(network, layer)
        w, delta = small_w(network, following), network.delta(following)
        made = Sums("k", f"{n}j", (w, "kj"), (delta, f"{n}k"), (slope, f"{n}j"))
        yield equation(Element(network.delta(layer), f"{n}j"), [made], language)
    for layer in reversed(network.layers):
        grad = layer.weight.grad
        if len(layer.weight.readers) != 1 or id(layer.weight) not in network.targets:
            continue
        assert grad is not None
        grad = grad.T if layer.turned else grad
        left = Element(network.by("w", layer, grad), "jk")
        a, delta = network.before(layer), network.delta(layer)
        yield equation(left, [Sums(n, "jk", (a, f"{n}k"), (delta, f"{n}j"))], language)


def small_w(network: Network, layer: Layer) -> Symbol:
    """w^l, whose element jk leads from neuron k to neuron j."""
    array = layer.weight.array.T if layer.turned else layer.weight.array
    return network.symbol("w", layer, array)


def element_z(network: Network, layer: Layer) -> Term:
    """z_j = sum_k w_jk a_k + b_j."""
    n = "n" if network.rows else ""
    w, a = small_w(network, layer), network.before(layer)
    made: Term = Sums("k", f"{n}j", (w, "jk"), (a, f"{n}k"))
    if layer.bias is None:
        return made
    b = network.b(layer)
    return Plus(made, Element(b, "j") if b.value.ndim else b)


def prime(network: Network, layer: Layer) -> Symbol:
    """sigma'(z^l) as a symbol whose elements can be named."""
    return Slopes(Activation(layer).prime, network.z(layer), network.slope(layer).value)


def activated(network: Network, layer: Layer) -> Symbol:
    """sigma(z^l) in the same way."""
    return Slopes(Activation(layer).name, network.z(layer), layer.a.array)


class Slopes(Symbol):
    """sigma(z) or sigma'(z), written with the index at z."""

    def __init__(self, prime: str, z: Symbol, array: Any):
        super().__init__(rf"{prime}\left({z.symbol}\right)", array)
        self.prime, self.z = prime, z

    def at(self, indices: str) -> str:
        return rf"{self.prime}\left({self.z.at(indices)}\right)"
