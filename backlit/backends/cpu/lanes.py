"""Formulas as vector code: the mathematics `m` over the values of a kernel under construction.

Owns the polynomials behind exp, log, tanh, erf and their kin, for float and double, at any vector
width. A formula that needs a function which is not here raises `Unsupported`, and its operator
keeps its NumPy form. Sources: Cody and Waite (1980); fdlibm's reductions; Cody (1969) for erf.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from backlit.ops import formula as fm

from .codegen import FAST, Function, Value, _element, _width, vector


class Unsupported(Exception):
    """A function that has no vector form yet."""


class Lane:
    """A vector value with Python's operators, as formulas write them."""

    __slots__ = ("f", "v")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, f: Function, v: Value):
        self.f, self.v = f, v

    def _with(self, other: Any) -> Value:
        if isinstance(other, Lane):
            return other.v
        if isinstance(other, (int, float)):
            return self.f.constant(self.v.kind, float(other))
        raise Unsupported(f"an operand of type {type(other).__name__}")

    def _make(self, operation: str, a: Value, b: Value) -> Lane:
        kind = self.v.kind
        return Lane(self.f, self.f.emit(kind, f"{operation} {FAST} {kind} {a.name}, {b.name}"))

    def __add__(self, o: Any) -> Lane:
        return self._make("fadd", self.v, self._with(o))

    def __sub__(self, o: Any) -> Lane:
        return self._make("fsub", self.v, self._with(o))

    def __rsub__(self, o: Any) -> Lane:
        return self._make("fsub", self._with(o), self.v)

    def __mul__(self, o: Any) -> Lane:
        return self._make("fmul", self.v, self._with(o))

    def __truediv__(self, o: Any) -> Lane:
        return self._make("fdiv", self.v, self._with(o))

    def __rtruediv__(self, o: Any) -> Lane:
        return self._make("fdiv", self._with(o), self.v)

    __radd__, __rmul__ = __add__, __mul__

    def __neg__(self) -> Lane:
        return Lane(self.f, self.f.emit(self.v.kind, f"fneg {self.v.kind} {self.v.name}"))

    def _compare(self, predicate: str, o: Any) -> Lane:
        return Lane(self.f, self.f.compare(predicate, self.v, self._with(o)))

    def __gt__(self, o: Any) -> Lane:
        return self._compare("ogt", o)

    def __lt__(self, o: Any) -> Lane:
        return self._compare("olt", o)

    def __ge__(self, o: Any) -> Lane:
        return self._compare("oge", o)

    def __le__(self, o: Any) -> Lane:
        return self._compare("ole", o)

    def __eq__(self, o: Any) -> Lane:  # type: ignore[override]
        return self._compare("oeq", o)

    def __ne__(self, o: Any) -> Lane:  # type: ignore[override]
        return self._compare("une", o)


class LaneMath:
    """The functions of formulas; `like` is any lane of the kernel, which gives type and width."""

    def __init__(self, like: Lane):
        self.f, self.kind = like.f, like.v.kind
        self.single = _element(self.kind) == "float"
        self.lanes = _width(self.kind)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise Unsupported(name)

    # ----- building blocks -----

    def lift(self, x: Any) -> Lane:
        """A number as a lane; a lane as it is."""
        if isinstance(x, Lane):
            return x
        return Lane(self.f, self.f.constant(self.kind, float(x)))

    def _intrinsic(self, name: str, *args: Any) -> Lane:
        """One of LLVM's own functions that is an instruction everywhere."""
        bits = "f32" if self.single else "f64"
        full = f"@llvm.{name}.{bits if self.lanes == 1 else f'v{self.lanes}{bits}'}"
        given = [self.lift(a).v for a in args]
        types = ", ".join([self.kind] * len(given))
        self.f.declarations.add(f"declare {self.kind} {full}({types})")
        passed = ", ".join(f"{self.kind} {v.name}" for v in given)
        return Lane(self.f, self.f.emit(self.kind, f"call {self.kind} {full}({passed})"))

    def fma(self, a: Any, b: Any, c: Any) -> Lane:
        return Lane(self.f, self.f.fma(self.lift(a).v, self.lift(b).v, self.lift(c).v))

    def polynomial(self, coefficients: tuple[float, ...], x: Lane) -> Lane:
        """Horner's scheme, highest power first."""
        total = self.lift(coefficients[0])
        for c in coefficients[1:]:
            total = self.fma(total, x, c)
        return total

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        if isinstance(condition, bool):
            return x if condition else y
        a, b = self.lift(x).v, self.lift(y).v
        return Lane(self.f, self.f.select(condition.v, a, b))

    def _bits(self) -> tuple[str, int, int]:
        """Integer type of the same width, bits of the mantissa, bias of the exponent."""
        return ("i32", 23, 127) if self.single else ("i64", 52, 1023)

    def _integer(self, operation: str, a: Value, b: int | Value) -> Value:
        kind = a.kind
        right = b if isinstance(b, Value) else self.f.constant(kind, b)
        return self.f.emit(kind, f"{operation} {kind} {a.name}, {right.name}")

    def _cast(self, operation: str, v: Value, kind: str) -> Value:
        return self.f.emit(kind, f"{operation} {v.kind} {v.name} to {kind}")

    def _power_of_two(self, n: Value) -> Lane:
        """2^n for whole numbers n inside the exponent's range."""
        _, mantissa, bias = self._bits()
        shifted = self._integer("shl", self._integer("add", n, bias), mantissa)
        return Lane(self.f, self._cast("bitcast", shifted, self.kind))

    # ----- one instruction each -----

    def abs(self, x: Any) -> Lane:
        return self._intrinsic("fabs", x)

    def sqrt(self, x: Any) -> Lane:
        return self._intrinsic("sqrt", x)

    def floor(self, x: Any) -> Lane:
        return self._intrinsic("floor", x)

    def ceil(self, x: Any) -> Lane:
        return self._intrinsic("ceil", x)

    def trunc(self, x: Any) -> Lane:
        return self._intrinsic("trunc", x)

    def round(self, x: Any) -> Lane:
        return self._intrinsic("rint", x)

    def copysign(self, x: Any, y: Any) -> Lane:
        return self._intrinsic("copysign", x, y)

    def minimum(self, x: Any, y: Any) -> Lane:
        """The smaller; NaN wins."""
        a, b = self.lift(x), self.lift(y)
        return self.where(a < b, a, self.where(a != a, a, b))

    def maximum(self, x: Any, y: Any) -> Lane:
        """The larger; NaN wins."""
        a, b = self.lift(x), self.lift(y)
        return self.where(a > b, a, self.where(a != a, a, b))

    def sign(self, x: Any) -> Lane:
        return self.where(x > 0.0, 1.0, self.where(x < 0.0, -1.0, x))

    def isnan(self, x: Any) -> Lane:
        return x != x

    def isfinite(self, x: Any) -> Lane:
        return self.abs(x) < math.inf

    def isinf(self, x: Any) -> Lane:
        return self.abs(x) == math.inf

    def _logic(self, operation: str, x: Lane, y: Lane) -> Lane:
        kind = x.v.kind
        return Lane(self.f, self.f.emit(kind, f"{operation} {kind} {x.v.name}, {y.v.name}"))

    def logical_and(self, x: Lane, y: Lane) -> Lane:
        return self._logic("and", x, y)

    def logical_or(self, x: Lane, y: Lane) -> Lane:
        return self._logic("or", x, y)

    def logical_not(self, x: Lane) -> Lane:
        true = Value(self.f, x.v.kind, "true" if self.lanes == 1 else "splat (i1 true)")
        return self._logic("xor", x, Lane(self.f, true))

    # ----- exponentials -----

    def _reduced(self, x: Lane, low: float, high: float) -> tuple[Value, Lane]:
        """Whole n and small r with x = n ln 2 + r; NaN counts as `high`."""
        clipped = self.where(x < high, x, high)
        clipped = self.where(clipped > low, clipped, low)
        n = self.round(clipped * (1 / math.log(2)))
        head, tail = (0.693359375, -2.12194440e-4) if self.single else (
            6.93147180369123816490e-1, 1.90821492927058770002e-10)  # fmt: skip
        r = self.fma(n, -tail, self.fma(n, -head, clipped))
        return self._cast("fptosi", n.v, vector(self._bits()[0], self.lanes)), r

    def _expm1_small(self, r: Lane) -> Lane:
        """e^r - 1 for |r| at most half of ln 2, by Taylor's series."""
        terms = 8 if self.single else 14
        series = tuple(1 / math.factorial(k) for k in range(terms, 0, -1))
        return self.polynomial(series, r) * r

    def exp(self, x: Any) -> Lane:
        x = self.lift(x)
        n, r = self._reduced(x, *((-104.0, 89.0) if self.single else (-746.0, 710.0)))
        half = self._integer("ashr", n, 1)
        rest = self._integer("sub", n, half)
        # in two factors: the first may not leave the range of the exponent
        scaled = (self._expm1_small(r) + 1.0) * self._power_of_two(half) * self._power_of_two(rest)
        return self.where(x != x, x, scaled)

    def expm1(self, x: Any) -> Lane:
        x = self.lift(x)
        n, r = self._reduced(x, *((-30.0, 88.0) if self.single else (-60.0, 709.0)))
        scale = self._power_of_two(n)
        found = self.fma(self._expm1_small(r), scale, scale - 1.0)
        limit = 88.0 if self.single else 709.0
        found = self.where(x > limit, self.exp(x), found)
        return self.where(x != x, x, found)

    def exp2(self, x: Any) -> Lane:
        return self.exp(self.lift(x) * math.log(2))

    def tanh(self, x: Any) -> Lane:
        x = self.lift(x)
        a = self.minimum(self.abs(x), 10.0 if self.single else 22.0)
        e = self.expm1(a + a)
        return self.where(x != x, x, self.copysign(e / (e + 2.0), x))

    # ----- logarithms -----

    def log(self, x: Any) -> Lane:
        x = self.lift(x)
        integer, mantissa, _ = self._bits()
        kind = vector(integer, self.lanes)
        tiny = x < (2.0**-126 if self.single else 2.0**-1022)
        lifted = self.where(tiny, x * 2.0 ** (mantissa + 1), x)
        bits = self._cast("bitcast", lifted.v, kind)
        # the exponent is counted so that the fraction lies between 1/sqrt(2) and sqrt(2)
        root = 0x3F3504F3 if self.single else 0x3FE6A09E667F3BCD
        offset = self._integer("sub", bits, root)
        e = self._integer("ashr", offset, mantissa)
        fraction = self._integer("sub", bits, self._integer("shl", e, mantissa))
        m = Lane(self.f, self._cast("bitcast", fraction, self.kind))
        exponent = Lane(self.f, self._cast("sitofp", e, self.kind))
        exponent = exponent - self.where(tiny, float(mantissa + 1), 0.0)
        found = self._log_fraction(m, exponent)
        found = self.where(x == math.inf, x, found)
        found = self.where(x == 0.0, -math.inf, found)
        return self.where(x < 0.0, math.nan, self.where(x != x, x, found))

    def _log_fraction(self, m: Lane, exponent: Lane) -> Lane:
        """log(m 2^e) from the series of the inverse hyperbolic tangent."""
        f = m - 1.0
        s = f / (f + 2.0)
        z = s * s
        count = 5 if self.single else 11
        r = self.polynomial(tuple(2 / (2 * k + 1) for k in range(count, 0, -1)), z) * z
        half = f * f * 0.5
        head, tail = (0.693359375, -2.12194440e-4) if self.single else (
            6.93147180369123816490e-1, 1.90821492927058770002e-10)  # fmt: skip
        small = half - self.fma(exponent, tail, s * (half + r))
        return exponent * head - (small - f)

    def log1p(self, x: Any) -> Lane:
        x = self.lift(x)
        u = x + 1.0
        scaled = self.log(u) * (x / (u - 1.0))
        return self.where(u == 1.0, x, self.where(u == math.inf, x, scaled))

    def log2(self, x: Any) -> Lane:
        return self.log(x) * (1 / math.log(2))

    def log10(self, x: Any) -> Lane:
        return self.log(x) * (1 / math.log(10))

    # ----- error function -----

    def erf(self, x: Any) -> Lane:
        x = self.lift(x)
        a = self.abs(x)
        s = a * a
        small = x * (self.polynomial(fm.ERF_SMALL[0], s) / self.polynomial(fm.ERF_SMALL[1], s))
        b = self.minimum(a, 6.0)
        tail = self.exp(-(b * b))
        middle = tail * (
            self.polynomial(fm.ERF_MIDDLE[0], b) / self.polynomial(fm.ERF_MIDDLE[1], b)
        )
        z = 1.0 / self.maximum(b * b, 1.0)
        r = z * (self.polynomial(fm.ERF_LARGE[0], z) / self.polynomial(fm.ERF_LARGE[1], z))
        large = tail * ((1 / math.sqrt(math.pi)) - r) / self.maximum(b, 1.0)
        outer = self.copysign(1.0 - self.where(a <= 4.0, middle, large), x)
        return self.where(a <= 0.46875, small, self.where(x != x, x, outer))
