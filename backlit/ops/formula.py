"""The scalar language of elementwise operators, read in several ways.

A formula is a Python function of a mathematics `m` and values; `m` decides what it means:
NUMPY computes arrays, TENSOR records Nodes, LATEX writes what a reader sees. Generated kernels
read the same formulas with an `m` of their own (backends). Arithmetic and comparisons come from
the values' operators; `m` holds the functions of NAMES, `where`, and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

# What every reading of a formula must offer.
NAMES = (
    "exp", "expm1", "log", "log1p", "log2", "log10", "exp2", "sqrt", "sin", "cos", "tan", "asin",
    "acos", "atan", "atan2", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "abs",
    "sign", "floor", "ceil", "round", "trunc", "minimum", "maximum", "power", "fmod",
    "remainder", "isnan", "isfinite", "isinf", "where", "logical_and", "logical_or",
    "logical_not", "logical_xor", "copysign",
)  # fmt: skip


def polynomial(coefficients: tuple[float, ...], x: Any) -> Any:
    """Horner's scheme, highest power first."""
    total = coefficients[0]
    for c in coefficients[1:]:
        total = total * x + c
    return total


# Rational approximations of W. J. Cody, Math. Comp. 23 (1969): erf to 16 digits.
_SMALL_P = (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2,
            3.77485237685302021e2, 3.20937758913846947e3)  # fmt: skip
_SMALL_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
            2.84423683343917062e3)  # fmt: skip
_MIDDLE_P = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0,
             6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2,
             1.71204761263407058e3, 2.05107837782607147e3, 1.23033935479799725e3)  # fmt: skip
_MIDDLE_Q = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
             1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3,
             3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip
_LARGE_P = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
            1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4)  # fmt: skip
_LARGE_Q = (1.0, 2.56852019228982242e0, 1.87295284992346047e0, 5.27905102951428412e-1,
            6.05183413124413191e-2, 2.33520497626869185e-3)  # fmt: skip


def _tail(a: np.ndarray) -> np.ndarray:
    """erfc of numbers above 0.46875."""
    cut = np.trunc(a * 16) / 16  # e^(-a^2) keeps its digits when the square is split
    scale = np.exp(-cut * cut) * np.exp((cut - a) * (cut + a))
    middle = polynomial(_MIDDLE_P, a) / polynomial(_MIDDLE_Q, a)
    if not a.size or a.max() <= 4.0:
        return scale * middle
    z = 1.0 / np.maximum(a * a, 1.0)
    r = z * polynomial(_LARGE_P, z) / polynomial(_LARGE_Q, z)
    large = (1.0 / math.sqrt(math.pi) - r) / np.maximum(a, 1.0)
    return scale * np.where(a <= 4.0, middle, large)


def _near_zero(x: np.ndarray) -> np.ndarray:
    """erf of numbers of at most 0.46875 in size."""
    s = x * x
    return x * polynomial(_SMALL_P, s) / polynomial(_SMALL_Q, s)


ERF_SMALL, ERF_MIDDLE = (_SMALL_P, _SMALL_Q), (_MIDDLE_P, _MIDDLE_Q)
ERF_LARGE = (_LARGE_P, _LARGE_Q)


def _working(x: np.ndarray) -> np.ndarray:
    """The array in the precision to compute in: single for 16 and 32 bits."""
    return x.astype(np.float32 if x.dtype.kind in "fV" and x.itemsize < 8 else np.float64)


def erf(x: Any) -> Any:
    """The error function of an array, by Cody's three ranges."""
    x = np.asarray(x)
    work = _working(x)
    a = np.abs(work)
    outer = np.copysign(1.0 - _tail(np.minimum(a, 6.0)), work)  # beyond 6 it is 1 in every digit
    found = np.where(a <= 0.46875, _near_zero(work), np.where(np.isnan(work), work, outer))
    return found.astype(x.dtype if x.dtype.kind == "f" else np.float64)


def erfc(x: Any) -> Any:
    """1 - erf of an array, with all digits where it is small."""
    x = np.asarray(x)
    work = _working(x)
    a = np.abs(work)
    tail = _tail(np.clip(a, 0.4, 30.0))  # from 27 on it is 0
    outer = np.where(work > 0, tail, 2.0 - tail)
    found = np.where(a <= 0.46875, 1.0 - _near_zero(work), np.where(np.isnan(work), work, outer))
    return found.astype(x.dtype if x.dtype.kind == "f" else np.float64)


def rint(x: Any) -> Any:
    """The nearest whole number, halves to even; whole numbers stay as they are."""
    return x if getattr(x, "dtype", np.dtype(float)).kind in "iu" else np.rint(x)


class NumpyMath:
    """Formulas as NumPy computations: the reference."""

    exp, expm1, log, log1p = np.exp, np.expm1, np.log, np.log1p
    log2, log10, exp2, sqrt = np.log2, np.log10, np.exp2, np.sqrt
    sin, cos, tan, asin, acos, atan = np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan
    atan2, sinh, cosh, tanh = np.arctan2, np.sinh, np.cosh, np.tanh
    asinh, acosh, atanh = np.arcsinh, np.arccosh, np.arctanh
    abs, sign, floor, ceil, trunc = np.abs, np.sign, np.floor, np.ceil, np.trunc
    round = staticmethod(rint)
    minimum, maximum, power = np.minimum, np.maximum, np.power
    fmod, remainder, copysign = np.fmod, np.remainder, np.copysign
    isnan, isfinite, isinf = np.isnan, np.isfinite, np.isinf
    logical_and, logical_or = np.logical_and, np.logical_or
    logical_not, logical_xor = np.logical_not, np.logical_xor
    erf = staticmethod(erf)

    @staticmethod
    def where(condition: Any, x: Any, y: Any) -> Any:
        if type(x) is float and type(y) is float and type(condition) is np.ndarray:
            return _choice(condition, x, y)
        return np.where(condition, x, y)


def _choice(condition: np.ndarray, x: float, y: float) -> np.ndarray:
    """One of two numbers; np.where mispredicts every other branch and widens float32."""
    if x == 1.0 and y == 0.0:
        return condition  # as a factor it is the same, and keeps the other's dtype
    table = np.array([y, x], np.float32 if _in_single(x, y) else np.float64)
    return table[condition.view(np.int8)]


def _in_single(*numbers: float) -> bool:
    """Whether float32 holds these numbers exactly."""
    return all(float(np.float32(n)) == n for n in numbers)


class TensorMath:
    """Formulas as Tensors: every function is a recorded operator, so they differentiate."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        from backlit.ops.op import REGISTRY

        if name not in NAMES:
            raise AttributeError(name)
        function = REGISTRY["pow" if name == "power" else name].call
        setattr(self, name, function)
        return function

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        from backlit.ops.op import REGISTRY, apply, slot

        if type(x) is float and type(y) is float and not _in_single(x, y):
            x = slot.wrap(np.float64(x))  # two numbers would meet in the default dtype
        return apply(REGISTRY["where"], condition, x, y)


# ----- LaTeX -----

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = 1, 2, 3, 4, 5


def parenthesize(text: str) -> str:
    return rf"\left({text}\right)"


def number(value: Any) -> str:
    """A Python number as LaTeX."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if math.isinf(value):
        return r"\infty" if value > 0 else r"-\infty"
    return f"{value:g}"


class Tex:
    """A LaTeX expression that knows how tightly it binds."""

    __slots__ = ("rank", "text")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str, rank: int = _ATOM):
        self.text, self.rank = text, rank

    def __str__(self) -> str:
        return self.text

    @staticmethod
    def of(value: Any) -> Tex:
        if isinstance(value, Tex):
            return value
        negative = isinstance(value, (int, float)) and value < 0
        return Tex(number(value), _SIGN if negative else _ATOM)

    def at(self, rank: int) -> str:
        """The text, in parentheses if it binds less tightly than `rank`."""
        return self.text if self.rank >= rank else parenthesize(self.text)

    def _binary(self, other: Any, sign: str, rank: int, right: int) -> Tex:
        return Tex(f"{self.at(rank)} {sign} {Tex.of(other).at(right)}", rank)

    def __add__(self, o: Any) -> Tex:
        return self._binary(o, "+", _SUM, _PRODUCT)

    def __radd__(self, o: Any) -> Tex:
        return Tex.of(o) + self

    def __sub__(self, o: Any) -> Tex:
        return self._binary(o, "-", _SUM, _PRODUCT)

    def __rsub__(self, o: Any) -> Tex:
        return Tex.of(o) - self

    def __mul__(self, o: Any) -> Tex:
        return self._binary(o, r"\cdot", _PRODUCT, _SIGN + 1)

    def __rmul__(self, o: Any) -> Tex:
        return Tex.of(o) * self

    def __truediv__(self, o: Any) -> Tex:
        return Tex(rf"\frac{{{self}}}{{{Tex.of(o)}}}", _ATOM)

    def __rtruediv__(self, o: Any) -> Tex:
        return Tex.of(o) / self

    def __floordiv__(self, o: Any) -> Tex:
        return Tex(rf"\left\lfloor {self / o} \right\rfloor")

    def __rfloordiv__(self, o: Any) -> Tex:
        return Tex.of(o) // self

    def __neg__(self) -> Tex:
        return Tex(f"-{self.at(_PRODUCT + 1)}", _SIGN)

    def __pow__(self, o: Any) -> Tex:
        return Tex(f"{{{self.at(_ATOM)}}}^{{{Tex.of(o)}}}", _POWER)

    def __rpow__(self, o: Any) -> Tex:
        return Tex.of(o) ** self

    def _relation(self, o: Any, sign: str) -> Tex:
        return Tex(f"{self} {sign} {Tex.of(o)}", 0)

    def __and__(self, o: Any) -> Tex:
        return self._binary(o, r"\mathbin{\&}", _SUM, _PRODUCT)

    def __or__(self, o: Any) -> Tex:
        return self._binary(o, r"\mathbin{|}", _SUM, _PRODUCT)

    def __xor__(self, o: Any) -> Tex:
        return self._binary(o, r"\oplus", _SUM, _PRODUCT)

    def __lshift__(self, o: Any) -> Tex:
        return self._binary(o, r"\ll", _SUM, _PRODUCT)

    def __rshift__(self, o: Any) -> Tex:
        return self._binary(o, r"\gg", _SUM, _PRODUCT)

    def __invert__(self) -> Tex:
        return Tex(rf"\sim {self.at(_ATOM)}", _SIGN)

    def __gt__(self, o: Any) -> Tex:
        return self._relation(o, ">")

    def __lt__(self, o: Any) -> Tex:
        return self._relation(o, "<")

    def __ge__(self, o: Any) -> Tex:
        return self._relation(o, r"\ge")

    def __le__(self, o: Any) -> Tex:
        return self._relation(o, r"\le")

    def __eq__(self, o: Any) -> Tex:  # type: ignore[override]
        return self._relation(o, "=")

    def __ne__(self, o: Any) -> Tex:  # type: ignore[override]
        return self._relation(o, r"\ne")


_NAMED = {
    "log": r"\ln", "sin": r"\sin", "cos": r"\cos", "tan": r"\tan", "asin": r"\arcsin",
    "acos": r"\arccos", "atan": r"\arctan", "sinh": r"\sinh", "cosh": r"\cosh",
    "tanh": r"\tanh", "minimum": r"\min", "maximum": r"\max", "log2": r"\log_2",
    "log10": r"\log_{10}",
}  # fmt: skip


class LatexMath:
    """Formulas as LaTeX text."""

    def __getattr__(self, name: str) -> Callable[..., Tex]:
        if name not in NAMES:
            raise AttributeError(name)
        shown = _NAMED.get(name, rf"\operatorname{{{name.replace('_', chr(92) + '_')}}}")
        return lambda *args: Tex(shown + parenthesize(", ".join(str(Tex.of(a)) for a in args)))

    @staticmethod
    def exp(x: Any) -> Tex:
        return Tex(f"e^{{{Tex.of(x)}}}", _POWER)

    @staticmethod
    def sqrt(x: Any) -> Tex:
        return Tex(rf"\sqrt{{{Tex.of(x)}}}")

    @staticmethod
    def abs(x: Any) -> Tex:
        return Tex(rf"\left|{Tex.of(x)}\right|")

    @staticmethod
    def floor(x: Any) -> Tex:
        return Tex(rf"\lfloor {Tex.of(x)} \rfloor")

    @staticmethod
    def ceil(x: Any) -> Tex:
        return Tex(rf"\lceil {Tex.of(x)} \rceil")

    @staticmethod
    def power(x: Any, y: Any) -> Tex:
        return Tex.of(x) ** y

    @staticmethod
    def where(condition: Any, x: Any, y: Any) -> Tex:
        cases = rf"{Tex.of(x)} & {Tex.of(condition)} \\ {Tex.of(y)} & \text{{otherwise}}"
        return Tex(rf"\begin{{cases}} {cases} \end{{cases}}")

    @staticmethod
    def logical_and(x: Any, y: Any) -> Tex:
        return Tex(rf"{Tex.of(x)} \land {Tex.of(y)}", 0)

    @staticmethod
    def logical_or(x: Any, y: Any) -> Tex:
        return Tex(rf"{Tex.of(x)} \lor {Tex.of(y)}", 0)

    @staticmethod
    def logical_not(x: Any) -> Tex:
        return Tex(rf"\lnot {Tex.of(x).at(_ATOM)}", _SIGN)


NUMPY, TENSOR, LATEX = NumpyMath(), TensorMath(), LatexMath()
