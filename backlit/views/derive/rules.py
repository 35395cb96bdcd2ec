"""What a gate hands back to its inputs, as terms: upstream, times the local derivative.

Elementwise operators by their own formula; the operators of textbooks by the textbook's rule,
which is evaluated against the engine (so the two must agree); all others by their own backward,
as it runs (recorded.py). Rules of matrices and sums are here, those of layers in rules_layers.py.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from backlit.ops import formula as fm
from backlit.views.derive.forms import one_over
from backlit.views.derive.notation import Notation
from backlit.views.derive.operators import Local
from backlit.views.derive.recorded import recorded
from backlit.views.derive.terms import (
    Matmul,
    Minus,
    Outer,
    Partial,
    Plus,
    Shown,
    Spread,
    Symbol,
    Term,
    Times,
    Total,
    Transposed,
    total_to,
)
from backlit.views.graph import Gate, Wire

Rule = Callable[["Back", int], "Term | None"]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """The rule of the operators of these names."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


class Back:
    """One gate on the way back, and the symbols of what is around it."""

    def __init__(self, gate: Gate, notation: Notation):
        self.gate, self.notation = gate, notation
        self.params = gate.params
        self.where: list[tuple[Symbol, Term]] = []  # what a rule abbreviates
        self.kept: dict[int, Any] = {}  # arrays that several lines of one input need

    @property
    def g(self) -> Partial:
        """The gradient of the first output."""
        return self.notation.grad(self.gate.output, self.gate.upstream[0])

    @property
    def y(self) -> Symbol:
        return Symbol(self.notation.symbol(self.gate.output), self.gate.output.array)

    def x(self, i: int) -> Term:
        term = self.notation.wire(self.gate.inputs[i])
        assert term is not None
        return term

    def wire(self, i: int) -> Wire:
        wire = self.gate.inputs[i]
        assert wire is not None
        return wire

    def shape(self, i: int) -> tuple[int, ...]:
        return self.wire(i).shape

    @cached_property
    def _recorded(self) -> dict[int, Term]:
        terms, self.where = recorded(self.gate, self.notation)
        return terms

    def contribution(self, i: int) -> Term:
        """What input `i` gets from this gate."""
        if self.gate.op.elementwise:
            return elementwise(self, i)
        made = RULES[self.gate.op.name](self, i) if self._by_rule(i) else None
        return self._recorded[i] if made is None else made

    def _by_rule(self, i: int) -> bool:
        others = [g for g in self.gate.upstream[1:] if g is not None]
        return self.gate.op.name in RULES and not others and self.gate.upstream[0] is not None


# ----- element by element -----


def elementwise(back: Back, i: int) -> Term:
    """Upstream times local, summed where the input was broadcast."""
    local = Local(back.gate, i, back.notation)
    plain = None if back.notation.scalar else local.plain()
    made: Term
    if plain in (1, -1):
        made = back.g if plain == 1 else Minus(back.g)
    else:
        scales = local.scalar and not back.g.scalar
        made = Times(local, back.g) if scales else Times(back.g, local)
    mask = local.mask
    if mask is not None:
        made = Times(made, masked(back, i, mask))
    if made.shape != back.y.value.shape:
        made = Spread(made, back.y.value.shape)
    return total_to(made, back.shape(i))


def masked(back: Back, i: int, mask: Any) -> Term:
    """1 where the mask holds, 0 elsewhere."""
    text = back.gate.op.mask(fm.LATEX, i, back.notation.in_formula(back.gate))
    return Symbol(rf"\mathbf{{1}}\left[{text}\right]", mask)


# ----- products of matrices -----


@rule("matmul")
def _matmul(back: Back, i: int) -> Term:
    """Y = A B: dA = dY B', dB = A' dY."""
    if i == 0:
        return total_to(Matmul(back.g, Transposed(back.x(1))), back.shape(0))
    return total_to(Matmul(Transposed(back.x(0)), back.g), back.shape(1))


@rule("linear")
def _linear(back: Back, i: int) -> Term:
    """Y = X W' + b: dX = dY W, dW = dY' X, db = the sum of the rows of dY."""
    g, one = back.g, len(back.shape(0)) == 1
    if i == 0:
        return Matmul(Transposed(back.x(1)), g) if one else Matmul(g, back.x(1))
    if i == 1:
        return Outer(g, back.x(0)) if one else Matmul(Transposed(rows(g)), rows(back.x(0)))
    return total_to(g, back.shape(2))


def rows(x: Term) -> Term:
    """A term as a matrix of its last axis."""
    if x.value.ndim == 2:
        return x
    return Shown(
        lambda t: rf"\operatorname{{rows}}\left({t}\right)",
        lambda v: v.reshape(-1, v.shape[-1]), x, linear=True,
    )  # fmt: skip


# ----- sums -----


def lifted(g: Term, shape: tuple[int, ...], dims: tuple[int, ...]) -> Term:
    """A reduced value back in the shape that it was reduced from."""
    if not dims:
        return g
    kept = tuple(1 if k in dims else n for k, n in enumerate(shape))
    if g.value.ndim:
        g = reshaped(g, kept)
    elif not shape:
        return g
    elif len(dims) < len(shape):
        g = reshaped(g, kept)
    return Spread(g, shape)


def reshaped(x: Term, shape: tuple[int, ...]) -> Term:
    """The same elements in another shape, which is not written."""
    if x.shape == shape:
        return x
    return Shown(lambda t: t, lambda v: v.reshape(shape), x, linear=True)


@rule("sum")
def _sum(back: Back, i: int) -> Term:
    """Every element gets the gradient of the sum."""
    return lifted(back.g, back.shape(0), back.params["dims"])


@rule("mean")
def _mean(back: Back, i: int) -> Term | None:
    """Every element gets its share, 1/N."""
    dims, shape = back.params["dims"], back.shape(0)
    count = int(np.prod([shape[d] for d in dims], dtype=int))
    if not dims or not count:
        return None
    return Times(one_over(count), lifted(back.g, shape, dims))


# ----- elements that only move -----


@rule("reshape", "unsqueeze", "squeeze", "clone")
def _reshape(back: Back, i: int) -> Term:
    return reshaped(back.g, back.shape(0))


@rule("permute")
def _permute(back: Back, i: int) -> Term:
    dims = back.params["dims"]
    if len(dims) == 2 and dims == (1, 0):
        return Transposed(back.g)
    order = tuple(int(k) for k in np.argsort(dims))
    shown = ", ".join(map(str, order))
    return Shown(
        lambda x: rf"\operatorname{{permute}}_{{{shown}}}\left({x}\right)",
        lambda x: x.transpose(order), back.g, linear=True,
    )  # fmt: skip


@rule("expand")
def _expand(back: Back, i: int) -> Term:
    return total_to(back.g, back.shape(0))


@rule("cast")
def _cast(back: Back, i: int) -> Term:
    return back.g


@rule("cat")
def _cat(back: Back, i: int) -> Term:
    """Each part gets its piece."""
    axis = back.params["dim"]
    start = sum(w.shape[axis] for w in back.gate.inputs[:i] if w is not None)
    stop = start + back.shape(i)[axis]
    place = (slice(None),) * axis + (slice(start, stop),)
    shown = ", ".join([":"] * axis + [f"{start}:{stop}"])
    return Shown(
        lambda x: rf"\left[{x}\right]_{{{shown}}}", lambda x: x[place], back.g, linear=True
    )


# ----- the largest -----


@rule("amax", "amin")
def _extreme(back: Back, i: int) -> Term:
    """The gradient goes to where the extreme is; ties share it."""
    dims, shape = back.params["dims"], back.shape(0)
    name = back.gate.op.name[1:]
    y = lifted(back.y, shape, dims)

    def shares(x: Any, top: Any) -> Any:
        hit = (x == top).astype(np.float64)
        return hit / hit.sum(axis=dims, keepdims=True) if dims else hit

    where = Shown(lambda x, top: rf"\mathbf{{1}}\left[{x} = \{name}\right]", shares, back.x(0), y)
    return Times(lifted(back.g, shape, dims), where)


@rule("softmax")
def _softmax(back: Back, i: int) -> Term | None:
    """y (g - the sum of g y)."""
    dim, y = back.params["dim"], back.y
    if not y.value.ndim:
        return None
    kept = tuple(1 if k == dim else n for k, n in enumerate(y.shape))
    return Times(y, Plus(back.g, Minus(Total(Times(back.g, y), (dim,), kept))))


@rule("log_softmax")
def _log_softmax(back: Back, i: int) -> Term | None:
    """g - softmax(x) times the sum of g."""
    dim, y = back.params["dim"], back.y
    if not y.value.ndim:
        return None
    kept = tuple(1 if k == dim else n for k, n in enumerate(y.shape))
    total = Total(back.g, (dim,), kept)
    return Plus(back.g, Minus(Times(softmax(back.x(0), dim), total)))


def softmax(x: Term, dim: int) -> Term:
    """The softmax of a term."""

    def compute(v: np.ndarray) -> np.ndarray:
        e = np.exp(v - v.max(axis=dim, keepdims=True))
        return e / e.sum(axis=dim, keepdims=True)

    return Shown(lambda t: rf"\operatorname{{softmax}}\left({t}\right)", compute, x)
