"""Matrix rules worked out by indices: sums over all elements, and which of them stay.

For a linear gate Y = X W the line of the matrix form is derived: the derivative of one element of
Y by one of X, the chain rule as a double sum, the sum with its zeros dropped, and the matrix form
again. Every side is evaluated with its indices by np.einsum. Convolutions have no other form.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backlit.ops.formula import Tex
from backlit.views.derive.indices_conv import conv_lines
from backlit.views.derive.lines import Element, Line, equation
from backlit.views.derive.rules import Back
from backlit.views.derive.terms import (
    PRODUCT,
    Plus,
    Shown,
    Symbol,
    Term,
    element,
    number_tex,
    wide,
)

LARGEST = 200_000  # elements of a Jacobian that is written down

Factor = tuple[Symbol, str]


class Sums(Term):
    """A product of elements, summed over some of its indices; `free` are the others, in order."""

    def __init__(self, bound: str, free: str, *factors: Factor):
        self.bound_indices, self.free, self.factors = bound, free, factors
        self.parts = tuple(symbol for symbol, _ in factors)

    def tex(self, numbers: bool = False) -> Tex:
        if numbers:
            return number_tex(self.value)
        sums = "".join(rf"\sum_{{{letter}}} " for letter in self.bound_indices)
        return Tex(sums + r" \, ".join(s.at(i) for s, i in self.factors), PRODUCT)

    def _einsum(self, arrays: list[Any]) -> Any:
        terms = ",".join(i for _, i in self.factors)
        return np.einsum(f"{terms}->{self.free}", *arrays)

    def compute(self) -> Any:
        return self._einsum([p.value for p in self.parts])

    def bounds(self) -> Any:
        return self._einsum([p.bound for p in self.parts])


class Same(Symbol):
    """1 where two indices are equal, else 0."""

    def __init__(self, size: int):
        super().__init__("1", np.eye(size))

    def at(self, indices: str) -> str:
        return rf"\left[{indices[0]} = {indices[1]}\right]"


class Slope(Symbol):
    """The derivative of one element by another, all of them as an array."""

    def __init__(self, of: str, by: str, split: int, array: Any):
        super().__init__(rf"\frac{{\partial {of}}}{{\partial {by}}}", array)
        self.of, self.by, self.split = of, by, split

    def at(self, indices: str) -> str:
        of, by = indices[: self.split], indices[self.split :]
        above, below = element(self.of, of), element(self.by, by)
        return rf"\frac{{\partial {above}}}{{\partial {below}}}"


def bracketed(term: Term, indices: str) -> Term:
    """A matrix term as its element."""
    return Shown(lambda t: rf"\left[{t}\right]_{{{indices}}}", lambda v: v, term)


def index_lines(back: Back, i: int, language: str) -> Iterator[Line]:
    """The derivation by indices of what input `i` gets, where the gate has one."""
    make = _FORMS.get(back.gate.op.name)
    if make is not None and back.gate.upstream[0] is not None:
        yield from make(back, i, language)


# ----- products of matrices -----


def _product(back: Back, i: int, language: str) -> Iterator[Line]:
    """Y = X W (matmul) or X W' (linear), of matrices or of one row."""
    x, w, y = back.x(0), back.x(1), back.y
    if not isinstance(x, Symbol) or not isinstance(w, Symbol) or w.value.ndim != 2:
        return
    linear = back.gate.op.name == "linear"
    if x.value.ndim > 2 or (x.value.ndim < 2 and not linear):
        return
    m = "m" if x.value.ndim == 2 else ""
    weight = "nk" if linear else "kn"
    if i < 2:
        yield _forward(back, x, w, y, m, weight)
        yield from _by_factor(back, i, x, w, m, linear, language)
    else:
        yield from _by_bias(back, m, language)


def _forward(back: Back, x: Symbol, w: Symbol, y: Symbol, m: str, weight: str) -> Line:
    made: Term = Sums("k", f"{m}n", (x, f"{m}k"), (w, weight))
    if len(back.gate.inputs) > 2 and back.gate.inputs[2] is not None:
        b = back.x(2)
        assert isinstance(b, Symbol)
        made = Plus(made, Element(b, "n") if b.value.ndim else b)
    return equation(Element(y, f"{m}n"), [made])


def _by_factor(
    back: Back, i: int, x: Symbol, w: Symbol, m: str, linear: bool, language: str
) -> Iterator[Line]:
    """dL/dX_ij = sum_m sum_n dL/dY_mn dY_mn/dX_ij = sum_n dL/dY_in W_jn, and so for W."""
    source = (x, w)[i]
    free = ("ij" if m else "j") if i == 0 else "ij"
    if back.y.value.size * source.value.size > LARGEST:
        return
    rows = back.y.shape[0] if m else 1
    same: list[Factor]
    if i == 0:
        same = [(Same(rows), "mi")] if m else []
        rest = [(w, "nj" if linear else "jn")]
        short = Sums("n", free, (back.g, "in" if m else "n"), *rest)
    else:
        n, k = ("i", "j") if linear else ("j", "i")
        same = [(Same(back.y.shape[-1]), f"n{n}")]
        rest = [(x, f"m{k}" if m else k)]
        short = Sums(m, free, (back.g, f"m{n}" if m else n), *rest)
    slope = Slope(back.y.symbol, source.symbol, len(f"{m}n"), _jacobian(back, i, f"{m}n" + free))
    local = Sums("", f"{m}n{free}", *same, *rest)
    yield equation(Element(slope, f"{m}n{free}"), [local], language)
    target = back.notation.grad(back.wire(i), back.gate.downstream[i])
    yield equation(
        Element(target, free),
        [
            Sums(f"{m}n", free, (back.g, f"{m}n"), (slope, f"{m}n{free}")),
            Sums(f"{m}n", free, (back.g, f"{m}n"), *same, *rest),
            short,
            bracketed(back.contribution(i), free),
        ],
        language,
    )  # fmt: skip


def _jacobian(back: Back, i: int, letters: str) -> np.ndarray:
    """All derivatives of a gate that is linear in input `i`: its forward on unit arrays."""
    values = [None if w is None else wide(w.value) for w in back.gate.inputs]
    shape, columns = back.shape(i), []
    zero = list(values)
    zero[i] = np.zeros(shape)
    rest = back.gate.op.forward(*zero, **back.params)
    for at in np.ndindex(shape):
        unit = np.zeros(shape)
        unit[at] = 1.0
        values[i] = unit
        columns.append(back.gate.op.forward(*values, **back.params) - rest)
    made = np.stack(columns, -1).reshape(*back.y.shape, *shape)
    assert made.ndim == len(letters)
    return made


def _by_bias(back: Back, m: str, language: str) -> Iterator[Line]:
    """dL/db_j = sum_m sum_n dL/dY_mn [n = j] = sum_m dL/dY_mj."""
    if back.shape(2) != back.y.shape[-1:]:
        return
    target = back.notation.grad(back.wire(2), back.gate.downstream[2])
    yield equation(
        Element(target, "j"),
        [
            Sums(f"{m}n", "j", (back.g, f"{m}n"), (Same(back.y.shape[-1]), "nj")),
            Sums(m, "j", (back.g, f"{m}j")),
        ],
        language,
    )  # fmt: skip


_FORMS = {"matmul": _product, "linear": _product, "conv": conv_lines}
ALWAYS = frozenset(("conv",))  # written by indices in every form
