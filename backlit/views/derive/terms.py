"""The expressions of a derivation: each can be written as LaTeX and evaluated with NumPy.

A line of a derivation is an equation between such terms, and it is checked by evaluating both
sides in float64 (lines.py). Symbols hold arrays of the recorded graph; everything else computes.
Knows no graph and no operator. Read next: operators.py, rules.py, which build terms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from backlit.ops import formula as fm
from backlit.ops.formula import Tex
from backlit.views.derive.figures import figure

SUM, PRODUCT, SIGN, POWER, ATOM = fm._SUM, fm._PRODUCT, fm._SIGN, fm._POWER, fm._ATOM


def wide(value: Any) -> np.ndarray:
    """Floats as float64; whole numbers and truth values as they are."""
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind in "fV" else array


class Term:
    """Part of a formula. `tex(True)` writes the numbers in place of the symbols."""

    parts: tuple[Term, ...] = ()

    def tex(self, numbers: bool = False) -> Tex:
        raise NotImplementedError

    def compute(self) -> Any:
        """The value, from the values of the parts."""
        raise NotImplementedError

    def bounds(self) -> Any:
        """How large the value could be if nothing in it cancelled: the scale of rounding."""
        return np.abs(self.value)

    @cached_property
    def value(self) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self.compute())

    @cached_property
    def bound(self) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(self.bounds())

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    @property
    def scalar(self) -> bool:
        return self.value.ndim == 0

    @property
    def small(self) -> bool:
        """Whether every array in it can be printed number by number."""
        return figure(self.value) is not None and all(p.small for p in self.parts)


def element(symbol: str, indices: str) -> str:
    """A symbol with indices; in brackets where it has a subscript of its own."""
    if not indices:
        return symbol
    if symbol.endswith("}") and "_{" in symbol and "^" not in symbol:
        return rf"\left[{symbol}\right]_{{{indices}}}"
    return f"{{{symbol}}}_{{{indices}}}"


class Symbol(Term):
    """A name for an array."""

    def __init__(self, tex: str, array: Any):
        self.symbol, self.array = tex, array

    def tex(self, numbers: bool = False) -> Tex:
        return number_tex(self.value) if numbers else Tex(self.symbol)

    def compute(self) -> Any:
        return wide(self.array)

    def at(self, indices: str) -> str:
        """The symbol of one element."""
        return element(self.symbol, indices)


class Partial(Symbol):
    """A derivative of one symbol by another, as a symbol of its own."""

    def __init__(self, of: str, by: str, array: Any):
        super().__init__(rf"\frac{{\partial {of}}}{{\partial {by}}}", array)
        self.of, self.by = of, by

    def tex(self, numbers: bool = False) -> Tex:
        return number_tex(self.value) if numbers else Tex(self.symbol, POWER)

    def at(self, indices: str) -> str:
        return rf"\frac{{\partial {self.of}}}{{\partial {element(self.by, indices)}}}"


class Number(Term):
    """A number that the formula itself contains."""

    def __init__(self, number: Any, given: Any = None):
        self.number = number
        self.given = number if given is None else given  # as the program wrote it

    def tex(self, numbers: bool = False) -> Tex:
        return Tex.of(self.number)

    def compute(self) -> Any:
        return self.number


def number_tex(array: np.ndarray) -> Tex:
    """An array as numbers; large ones as shape and norm."""
    from backlit.views.derive.figures import summary

    text = figure(array)
    if text is None:
        return Tex(summary(array))
    return Tex(text, SIGN if text.startswith("-") else PRODUCT if r"\cdot" in text else ATOM)


class Times(Term):
    """The product element by element, with broadcasting."""

    def __init__(self, *factors: Term):
        self.parts = factors

    def tex(self, numbers: bool = False) -> Tex:
        first, *rest = self.parts
        made, scalar = first.tex(numbers), first.scalar
        text = made.at(SIGN + 1) if isinstance(first, Matmul) and rest else made.at(PRODUCT)
        for factor in rest:
            sign = r"\cdot" if scalar and factor.scalar else r"\odot"
            if scalar != factor.scalar:
                sign = r"\," if not numbers else r"\cdot"
            text = f"{text} {sign} {factor.tex(numbers).at(SIGN + 1)}"
            scalar = scalar and factor.scalar
        return Tex(text, PRODUCT)

    def compute(self) -> Any:
        return _product([p.value for p in self.parts])

    def bounds(self) -> Any:
        return _product([p.bound for p in self.parts])


def _product(values: Sequence[Any]) -> Any:
    total = values[0]
    for v in values[1:]:
        if (
            getattr(getattr(v, "dtype", None), "kind", "") == "b"
        ):  # a mask: 0 outside, whatever is there
            total = np.where(v, total, 0.0)
        else:
            total = total * v
    return total


class Matmul(Term):
    """The product of matrices, or of a matrix and a vector."""

    def __init__(self, a: Term, b: Term):
        self.parts = (a, b)

    def tex(self, numbers: bool = False) -> Tex:
        a, b = (p.tex(numbers) for p in self.parts)
        return Tex(f"{a.at(PRODUCT)} {b.at(SIGN + 1)}", PRODUCT)

    def compute(self) -> Any:
        a, b = (p.value for p in self.parts)
        return np.matmul(a, b)

    def bounds(self) -> Any:
        a, b = (p.bound for p in self.parts)
        return np.matmul(a, b)


class Outer(Term):
    """A column times a row."""

    def __init__(self, a: Term, b: Term):
        self.parts = (a, b)

    def tex(self, numbers: bool = False) -> Tex:
        a, b = (p.tex(numbers) for p in self.parts)
        return Tex(rf"{a.at(PRODUCT)} {{{b.at(ATOM)}}}^{{\top}}", PRODUCT)

    def compute(self) -> Any:
        return np.multiply.outer(*(p.value for p in self.parts))


class Transposed(Term):
    """Rows as columns: the last two axes swapped; vectors stay as they are."""

    def __init__(self, x: Term):
        self.parts = (x,)

    def tex(self, numbers: bool = False) -> Tex:
        return Tex(rf"{{{self.parts[0].tex(numbers).at(ATOM)}}}^{{\top}}", POWER)

    def compute(self) -> Any:
        return _turned(self.parts[0].value)

    def bounds(self) -> Any:
        return _turned(self.parts[0].bound)


def _turned(x: np.ndarray) -> np.ndarray:
    return np.swapaxes(x, -1, -2) if x.ndim > 1 else x


LONGEST = 10  # terms of a sum that are all written


class Plus(Term):
    """A sum; parts that are negative are written with a minus."""

    def __init__(self, *terms: Term):
        self.parts = terms

    def tex(self, numbers: bool = False) -> Tex:
        text = self.parts[0].tex(numbers).at(SUM)
        shown_parts = self.parts[1:]
        if len(self.parts) > LONGEST:
            shown_parts = (*self.parts[1:4], ELLIPSIS, self.parts[-1])
        for part in shown_parts:
            sign, part = ("-", part.parts[0]) if isinstance(part, Minus) else ("+", part)
            made = part.tex(numbers)
            shown = made.at(PRODUCT) if sign == "-" else made.text
            text += f" {sign} {fm.parenthesize(shown) if shown.startswith('-') else shown}"
        return Tex(text, SUM) if len(self.parts) > 1 else self.parts[0].tex(numbers)

    def compute(self) -> Any:
        return _sum([p.value for p in self.parts])

    def bounds(self) -> Any:
        return _sum([p.bound for p in self.parts])


ELLIPSIS = Symbol(r"\cdots", 0.0)


def _sum(values: Sequence[Any]) -> Any:
    total = values[0]
    for v in values[1:]:
        total = total + v
    return total


def added(terms: list[Term]) -> Term:
    """The sum of terms; equal ones are counted."""
    counted: dict[str, list[Term]] = {}
    for term in terms:
        counted.setdefault(str(term.tex()), []).append(term)
    found = [
        same[0] if len(same) == 1 else Times(Number(len(same)), same[0])
        for same in counted.values()
    ]
    return found[0] if len(found) == 1 else Plus(*found)


class Minus(Term):
    """The negative."""

    def __init__(self, x: Term):
        self.parts = (x,)

    def tex(self, numbers: bool = False) -> Tex:
        return Tex(f"-{self.parts[0].tex(numbers).at(SIGN + 1)}", SIGN)

    def compute(self) -> Any:
        return -self.parts[0].value

    def bounds(self) -> Any:
        return self.parts[0].bound


LETTERS = "ijklmnpqrstuvw"


class Total(Term):
    """The sum over axes; the result takes `shape` (broadcast axes of size 1 may stay)."""

    def __init__(self, x: Term, axes: tuple[int, ...], shape: tuple[int, ...]):
        self.parts, self.axes, self.target = (x,), axes, shape

    def tex(self, numbers: bool = False) -> Tex:
        x = self.parts[0]
        inner = x.tex(numbers)
        letters = LETTERS[: len(x.shape)].ljust(len(x.shape), "w")
        bound = ",".join(letters[a] for a in self.axes)
        free = "".join(c if a in self.axes else ":" for a, c in enumerate(letters))
        kept = ",".join(free) if len(x.shape) > 1 else free
        if isinstance(x, Symbol) and not numbers:
            return Tex(rf"\sum_{{{bound}}} {x.at(kept)}", PRODUCT)
        return Tex(rf"\sum_{{{bound}}} \left[{inner}\right]_{{{kept}}}", PRODUCT)

    def compute(self) -> Any:
        return self._summed(self.parts[0].value)

    def bounds(self) -> Any:
        return self._summed(self.parts[0].bound)

    def _summed(self, x: np.ndarray) -> np.ndarray:
        return x.sum(axis=self.axes).reshape(self.target)


def total_to(x: Term, shape: tuple[int, ...]) -> Term:
    """A term summed over the axes along which `shape` was broadcast."""
    given = x.shape
    if given == shape:
        return x
    if len(given) < len(shape) or np.prod(given, dtype=int) < np.prod(shape, dtype=int):
        return Spread(x, shape)
    extra = len(given) - len(shape)
    axes = (*range(extra), *(extra + k for k, n in enumerate(shape) if n != given[extra + k]))
    return Total(x, axes, shape)


class Spread(Term):
    """One value repeated to a shape."""

    def __init__(self, x: Term, shape: tuple[int, ...]):
        self.parts, self.target = (x,), shape

    def tex(self, numbers: bool = False) -> Tex:
        x = self.parts[0]
        ones = rf"\mathbf{{1}}_{{{size_tex(self.target)}}}"
        sign = r"\," if x.scalar else r"\odot"
        return Tex(rf"{x.tex(numbers).at(SIGN + 1)} {sign} {ones}", PRODUCT)

    def compute(self) -> Any:
        return np.broadcast_to(self.parts[0].value, self.target)

    def bounds(self) -> Any:
        return np.broadcast_to(self.parts[0].bound, self.target)


def size_tex(shape: Sequence[int]) -> str:
    """A shape: `2 \times 3`."""
    return r" \times ".join(map(str, shape)) or "1"


class Shown(Term):
    """Whatever has a notation and a value of its own.

    `write` makes LaTeX of the LaTeX of the parts, `function` the value of their values; `linear`
    says that it only moves and adds, so that bounds go through it as well.
    """

    def __init__(self, write: Callable[..., Any], function: Callable[..., Any], *parts: Term,
                 rank: int = ATOM, linear: bool = False):  # fmt: skip
        self.write, self.function, self.parts = write, function, parts
        self.rank, self.linear = rank, linear

    def tex(self, numbers: bool = False) -> Tex:
        made = self.write(*(p.tex(numbers) for p in self.parts))
        return made if isinstance(made, Tex) else Tex(made, self.rank)

    def compute(self) -> Any:
        return self.function(*(p.value for p in self.parts))

    def bounds(self) -> Any:
        if self.linear:
            return np.abs(self.function(*(p.bound for p in self.parts)))
        return np.abs(self.value)


def largest_bound(term: Term) -> float:
    """The largest number met on the way to a term's value."""
    found = term.bound[np.isfinite(term.bound)] if term.bound.dtype.kind == "f" else term.bound
    own = float(np.max(np.abs(found), initial=0.0)) if np.size(found) else 0.0
    return own
