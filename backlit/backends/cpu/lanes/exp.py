"""Exponentials, logarithms, powers, hyperbolic and error functions as vector code.

Polynomials are minimax fits on the reduced range, of the least degree that keeps an error of at
most 2 units in the last place over all arguments, subnormal and infinite ones included.
Sources: Cody and Waite (1980) for the reductions; Muller, "Elementary Functions" (2016).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.backends.cpu.native.codegen import Value, vector

from .value import BITS, Lane, select

# (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2
_EXP = {
    "float": (0.0013950488098419952, 0.008368887677600688, 0.041666205847614816,
              0.16666518853547696, 0.500000009517128),
    "double": (2.5118093326095466e-08, 2.7631292552780136e-07, 2.7557215560560897e-06,
               2.4801489907772006e-05, 0.000198412699182141, 0.0013888888947048632,
               0.008333333333306823, 0.0416666666665153, 0.166666666666667,
               0.5000000000000012),
}  # fmt: skip
# (2 atanh(s) / s - 2) / s^2 in s^2, for s = f / (2 + f), 1 + f between the roots of 1/2 and 2
_LOG = {
    "float": (0.2987185372783896, 0.3997753726779738, 0.6666677641306779),
    "double": (0.1479609873447206, 0.15314036450498839, 0.18183564844832759, 0.2222219856386223,
               0.28571428742471633, 0.3999999999941433, 0.6666666666666734),
}  # fmt: skip
# what follows 2/3 in that series, in more digits; and what float64 leaves of 2/3
_LOG_REST = (0.11984164466532625, 0.11675406934373618, 0.13336288198571875, 0.15384557634504245,
             0.18181818859095825, 0.22222222217627866, 0.28571428571444735,
             0.3999999999999998)  # fmt: skip
_THIRD_REST = 3.700743415417188e-17
# (tanh(x) / x - 1) / x^2 in x^2, for |x| <= 0.4, or 0.55 in float64
_TANH = {
    "float": (0.01875122763738529, -0.053564142140094605, 0.13331234659534927,
              -0.33333299254848003),
    "double": (8.32599338495498e-06, -3.456176747453699e-05, 9.523591563420689e-05,
               -0.00023879251579801561, 0.0005899998559660914, -0.0014558375102378663,
               0.0035921291508121877, -0.008863235664365364, 0.02186948854473673,
               -0.05396825396854785, 0.13333333333333813, -0.33333333333333337),
}  # fmt: skip
# (erf(x) / x - 1) in x^2, for |x| <= 1
_ERF_SMALL = {
    "float": (7.889122826941148e-05, -0.0008020842265944134, 0.005189535449960039,
              -0.026854444649054687, 0.11283600177590329, -0.37612627136079324,
              0.1283791659137669),
    "double": (-7.804110663428842e-10, 1.3724736787595447e-08, -1.6209634403463184e-07,
               1.6447585213973824e-06, -1.4924750845056053e-05, 0.00012055295684113682,
               -0.0008548326003427601, 0.005223977607746053, -0.02686617064332018,
               0.11283791670945556, -0.37612638903183554, 0.12837916709551256),
}  # fmt: skip
# log(erfc(a)) in a - 1, for a from 1 to 4
_ERFC_LOG = (2.5129189130759207e-07, -2.330398572608652e-05, 0.00029362101456985844,
             -0.0020171906284560904, 0.010050037132789026, -0.04156478453072383,
             -0.8431068512059403, -2.6389675305658655, -1.849605509831183)  # fmt: skip
# e^(a^2) erfc(a) in (a - 2) / (a + 2), for a from 1 to 6
_ERFC_SCALED = (-0.0011577196339385858, -0.00149998957120164, -0.0005953864616928594,
                1.109839863796038e-05, 0.00010764721102469985, 0.0001888980744624773,
                4.15342403678026e-05, -0.0009828308794118902, -0.0008471800939145448,
                0.006997474796844869, 0.0037328937433826724, -0.07897858105042148,
                0.24165819423526042, -0.42718584741405025, 0.25539567631050963)  # fmt: skip
# ln(2) in two parts: whole numbers of the exponent's size times the head are exact
_LN2 = {
    "float": (0.693359375, -2.12194440e-4),
    "double": (6.93147180369123816490e-1, 1.90821492927058770002e-10),
}


class Exponentials:
    """Mixed into LaneMath, which gives `fma`, `polynomial`, `where` and the element type."""

    f: Any
    single: bool
    lanes: int

    def __getattr__(self, name: str) -> Any: ...

    # ----- exponentials -----

    def _magic(self) -> tuple[float, int]:
        """Adding this number rounds to a whole one, whose bits are then the lowest ones."""
        return (1.5 * 2.0**23, 23) if self.single else (1.5 * 2.0**52, 52)

    def _reduced(self, x: Lane) -> tuple[Lane, Lane, Lane]:
        """Whole n, its bits moved to the exponent's place, and small r with x = n ln 2 + r."""
        magic, mantissa = self._magic()
        shifted = self.fma(x, 1 / math.log(2), magic)
        n = shifted - magic
        head, tail = _LN2[x.element]
        r = self.fma(n, -tail, self.fma(n, -head, x))
        return n, shifted.bits().shift("shl", mantissa), r

    def _one(self) -> int:
        """The bits of 1.0."""
        return 0x3F800000 if self.single else 0x3FF0000000000000

    def _power(self, moved: Lane) -> Lane:
        """2^n from the bits of n at the exponent's place."""
        return (moved + self._one()).cast("bitcast", "float" if self.single else "double")

    def _expm1_small(self, r: Lane) -> Lane:
        """e^r - 1 for |r| at most half of ln 2."""
        return self.fma(r * r, self.polynomial(_EXP[r.element], r), r)

    def exp(self, x: Any) -> Lane:
        x = self.lift(x)
        low, high = (-104.0, 89.0) if self.single else (-746.0, 710.0)
        # the comparison is false for NaN, so that it stays
        x = self.at_least(self.at_most(x, high), low)
        n, moved, r = self._reduced(x)
        magic, mantissa = self._magic()
        # in two factors: 2^n alone may leave the range of the exponent
        half = self.fma(n, 0.5, magic).bits().shift("shl", mantissa)
        found = self._expm1_small(r) + 1.0
        return found * self._power(half) * self._power(moved - half)

    def exp_bounded(self, x: Any) -> Lane:
        """e^x where neither it nor its inverse is subnormal: |x| <= 87 (708 in float64)."""
        _, moved, r = self._reduced(self.lift(x))
        return (self._expm1_small(r) + 1.0) * self._power(moved)

    def _expm1_bounded(self, x: Lane) -> Lane:
        _, moved, r = self._reduced(x)
        scale = self._power(moved)
        return self.fma(self._expm1_small(r), scale, scale - 1.0)

    def expm1(self, x: Any) -> Lane:
        x = self.lift(x)
        low, high = (-30.0, 88.0) if self.single else (-60.0, 709.0)
        found = self._expm1_bounded(self.at_least(self.at_most(x, high), low))
        found = self.where(x > high, self.exp(x), found)
        tiny = self.abs(x) < (1e-10 if self.single else 1e-20)  # keeps -0 and subnormals
        return self.where(tiny, x, found)

    def exp2(self, x: Any) -> Lane:
        x = self.lift(x)
        low, high = (-151.0, 129.0) if self.single else (-1076.0, 1025.0)
        x = self.at_least(self.at_most(x, high), low)
        magic, mantissa = self._magic()
        shifted = x + magic
        n, whole = shifted - magic, shifted.bits().shift("shl", mantissa)
        half = self.fma(n, 0.5, magic).bits().shift("shl", mantissa)
        found = self._expm1_small((x - n) * math.log(2)) + 1.0
        return found * self._power(half) * self._power(whole - half)

    def tanh(self, x: Any) -> Lane:
        x = self.lift(x)
        a = self.abs(x)
        e = self._expm1_bounded(self.at_most(a, 10.0 if self.single else 22.0) * -2.0)
        d = e + 2.0
        lost = e - (d - 2.0)  # by rounding; the inverse of d is between 1/2 and 1
        q = e / d
        z = a * a
        small = self.fma(a * z, self.polynomial(_TANH[x.element], z), a)
        cut = 0.4 if self.single else 0.55
        return self.copysign(self.where(a < cut, small, self.fma(q * lost, -0.72, q)), x)

    def sinh(self, x: Any) -> Lane:
        x = self.lift(x)
        a = self.abs(x)
        e = self._expm1_bounded(self.at_most(a, 44.0))
        middle = (e + e / (e + 1.0)) * 0.5
        w = self.exp(a * 0.5)
        found = self.where(a > 22.0, w * 0.5 * w, middle)
        return self.copysign(self.where(a < 1e-10, a, found), x)

    def cosh(self, x: Any) -> Lane:
        a = self.abs(self.lift(x))
        w = self.exp(a * 0.5)
        e = self._expm1_bounded(self.at_most(a, 44.0))
        middle = 1.0 + e * e / ((e + 1.0) * 2.0)
        return self.where(a > 22.0, w * 0.5 * w, middle)

    # ----- logarithms -----

    def _split(self, x: Lane) -> tuple[Lane, Lane]:
        """Exponent e and fraction m with x = m 2^e, for positive numbers; m near 1."""
        mantissa, bias, root = (23, 127, 0x3F3504F3) if self.single else (
            52, 1023, 0x3FE6A09E667F3BCD)  # fmt: skip
        tiny = x < (2.0**-126 if self.single else 2.0**-1022)
        bits = self.where(tiny, x * 2.0 ** (mantissa + 1), x).bits()
        # the exponent is counted so that m lies between 1/sqrt(2) and sqrt(2)
        moved = bits + ((bias << mantissa) - root)
        whole = moved & (-1 << mantissa)
        m = (bits - whole + (bias << mantissa)).cast("bitcast", x.element)
        # whole numbers become floats by their place below the implied bit of 2^mantissa
        base = 2.0**mantissa
        placed = moved.shift("lshr", mantissa) | self.lift(base).bits()
        counted = placed.cast("bitcast", x.element) - (base + bias)
        return counted - self.where(tiny, float(mantissa + 1), 0.0), m

    def _log_terms(self, m: Lane) -> tuple[Lane, Lane]:
        """f and t with log(m) = f - t, t of the size of f^2 / 2."""
        f = m - 1.0
        s = f / (f + 2.0)
        z = s * s
        r = self.polynomial(_LOG[m.element], z) * z
        half = f * f * 0.5
        return f, half - s * (half + r)

    def _log_ends(self, x: Lane, found: Lane) -> Lane:
        found = self.where(x < math.inf, found, x)
        return self.where(x > 0.0, found, self.where(x == 0.0, -math.inf, self._nan_of(x)))

    def _nan_of(self, x: Lane) -> Lane:
        return self.where(x != x, x, math.nan)

    def log(self, x: Any) -> Lane:
        x = self.lift(x)
        return self._log_ends(x, self._log_positive(x))

    def _log_positive(self, x: Lane, correction: Any = None) -> Lane:
        e, m = self._split(x)
        f, t = self._log_terms(m)
        head, tail = _LN2[x.element]
        small = self.fma(e, -tail, t)
        if correction is not None:
            small = small - correction
        return self.fma(e, head, f - small)

    def log1p(self, x: Any) -> Lane:
        x = self.lift(x)
        u = x + 1.0
        lost = x - (u - 1.0)
        lost = self.where(self.abs(lost) > 0.0, lost / u, 0.0)  # not where u is 0 or infinite
        found = self._log_ends(u, self._log_positive(u, lost))
        return self.where(self.abs(x) < (1e-8 if self.single else 1e-17), x, found)

    def log2(self, x: Any) -> Lane:
        x = self.lift(x)
        e, m = self._split(x)
        f, t = self._log_terms(m)
        return self._log_ends(x, self.fma(f - t, 1 / math.log(2), e))

    def log10(self, x: Any) -> Lane:
        x = self.lift(x)
        e, m = self._split(x)
        f, t = self._log_terms(m)
        # log10(2) in two parts, as ln(2) above
        head = 0.30078125 if self.single else 3.01029995663611771306e-01
        tail = math.log10(2) - head if self.single else 3.69423907715893078616e-13
        low = self.fma(e, tail, (f - t) * (1 / math.log(10)))
        return self._log_ends(x, self.fma(e, head, low))

    def asinh(self, x: Any) -> Lane:
        x = self.lift(x)
        a = self.abs(x)
        b = self.at_most(a, 1e9)
        s = b * b
        near = self.log1p(b + s / (1.0 + self.sqrt(s + 1.0)))
        far = self.log(a) + math.log(2)
        return self.copysign(self.where(a < 1e9, near, self.where(a != a, a, far)), x)

    def acosh(self, x: Any) -> Lane:
        x = self.lift(x)
        t = self.at_most(x, 1e9) - 1.0
        near = self.log1p(t + self.sqrt(t * (t + 2.0)))
        found = self.where(x > 1e9, self.log(x) + math.log(2), near)
        return self.where(x < 1.0, math.nan, found)

    def atanh(self, x: Any) -> Lane:
        x = self.lift(x)
        a = self.abs(x)
        return self.copysign(self.log1p((a + a) / (1.0 - a)) * 0.5, x)

    # ----- error function -----

    def erf(self, x: Any) -> Lane:
        x = self.lift(x)
        a = self.abs(x)
        s = x * x
        near = self.fma(x, self.polynomial(_ERF_SMALL[x.element], s), x)
        b = self.at_least(self.at_most(a, 4.0 if self.single else 6.0), 1.0)
        if self.single:
            rest = self.exp_bounded(self.polynomial(_ERFC_LOG, b - 1.0))
        else:
            scaled = self.polynomial(_ERFC_SCALED, (b - 2.0) / (b + 2.0))
            rest = self.exp_bounded(-(b * b)) * scaled
        return self.where(a <= 1.0, near, self.copysign(1.0 - rest, x))

    # ----- powers -----

    def power(self, x: Any, y: Any) -> Lane:
        """x^y as C's pow; whole numbers by squaring, as they wrap around."""
        x, y = self.lift_pair(x, y)
        if not x.is_float:
            return self._whole_power(x, y)
        a = self.abs(x)
        found = self._single_power(a, y) if self.single else self._double_power(a, y)
        return self._power_ends(x, y, a, found)

    def _single_power(self, a: Lane, y: Lane) -> Lane:
        """Through float64, whose rounding does not show."""
        math_ = self.sibling(np.float64)
        wide = math_.log(a.cast("fpext", "double")) * y.cast("fpext", "double")
        wide = math_.at_least(math_.at_most(wide, 100.0), -120.0)
        return math_.exp_bounded(wide).cast("fptrunc", "float")

    def _double_power(self, a: Lane, y: Lane) -> Lane:
        """The logarithm has 68 bits, so that the product keeps those that exp needs."""
        high, low = self._long_log(a)
        p, q = _product(self, high, y)
        q = q + low * y
        p = self.at_least(self.at_most(p, 800.0), -800.0)
        q = self.where(self.abs(q) < 1e-9, q, 0.0)  # not where the product is infinite
        found = self.exp(p)
        return self.where(self.abs(found) < math.inf, self.fma(found, q, found), found)

    def _long_log(self, a: Lane) -> tuple[Lane, Lane]:
        """log(a) as a sum of two numbers."""
        e, m = self._split(a)
        f = m - 1.0
        d, d_low = _sum(f, self.lift(2.0))
        s = f / d
        back, rest = _product(self, s, d)
        s_low = ((f - back) - rest - s * d_low) / d
        z, z_low = _product(self, s, s)
        z_low = z_low + 2.0 * s * s_low
        tail = self.polynomial(_LOG_REST, z) * z
        c, c_low = _sum(self.lift(2 / 3), tail + _THIRD_REST)
        u, u_low = _product(self, s, z)
        u_low = u_low + s * z_low + s_low * z
        w, w_low = _product(self, u, c)
        w_low = w_low + u * c_low + u_low * c
        head, last = _LN2["double"]
        high, low = _sum(e * head, s + s)
        second, second_low = _sum(high, w)
        low = low + second_low + w_low + (s_low + s_low) + e * last
        return _sum(second, low)

    def _power_ends(self, x: Lane, y: Lane, a: Lane, found: Lane) -> Lane:
        """Signs, zeros, infinities and NaN, as IEEE 754 has them."""
        up = self.where(a > 1.0, y > 0.0, y < 0.0)  # towards infinity where y is infinite
        far = self.where(up, math.inf, 0.0)
        ends = self.logical_or(a == 0.0, a == math.inf)
        ends = self.logical_or(ends, self.abs(y) == math.inf)
        found = self.where(ends, far, found)
        whole = self.floor(y) == y
        odd = self.logical_and(whole, self.floor(y * 0.5) != y * 0.5)
        negative = self.copysign(1.0, x) < 0.0
        found = self.where(self.logical_and(negative, odd), -found, found)
        strange = self.logical_and(x < 0.0, self.logical_not(whole))
        strange = self.logical_and(strange, a < math.inf)
        found = self.where(strange, math.nan, found)
        found = self.where(self.logical_or(x != x, y != y), x + y, found)
        one = self.logical_or(x == 1.0, y == 0.0)
        one = self.logical_or(one, self.logical_and(a == 1.0, self.abs(y) == math.inf))
        return self.where(one, 1.0, found)

    def _whole_power(self, x: Lane, y: Lane) -> Lane:
        def square(_: Value, *carried: Value) -> tuple[Value, ...]:
            total, base, rest = (Lane(self.f, v, x.unsigned) for v in carried)
            total = select((rest & 1) != 0, total * base, total)
            return total.v, (base * base).v, rest.shift("lshr", 1).v

        bits = BITS[x.element]
        found = self.f.loop(0, bits, 1, square, (x.number(1).v, x.v, y.v))
        return Lane(self.f, found[0], x.unsigned)


def _sum(a: Lane, b: Lane) -> tuple[Lane, Lane]:
    """The rounded sum and what rounding lost; in any order of size."""
    total = _exact("fadd", a, b)
    back = _exact("fsub", total, a)
    lost = _exact("fadd", _exact("fsub", a, _exact("fsub", total, back)), _exact("fsub", b, back))
    return total, lost


def _product(m: Any, a: Lane, b: Lane) -> tuple[Lane, Lane]:
    """The rounded product and what rounding lost, by halves of 26 bits."""
    high = _exact("fmul", a, b)
    a1, b1 = _upper(a), _upper(b)
    a2, b2 = _exact("fsub", a, a1), _exact("fsub", b, b1)
    lost = _exact("fsub", _exact("fmul", a1, b1), high)
    lost = _exact("fadd", lost, _exact("fmul", a1, b2))
    lost = _exact("fadd", lost, _exact("fmul", a2, b1))
    return high, _exact("fadd", lost, _exact("fmul", a2, b2))


def _upper(x: Lane) -> Lane:
    return (x.bits() & (-1 << 27)).cast("bitcast", "double")


def _exact(operation: str, a: Lane, b: Lane) -> Lane:
    """An operation that nothing may contract or reorder."""
    kind = vector("double", a.width)
    return Lane(a.f, a.f.emit(kind, f"{operation} {kind} {a.v.name}, {b.v.name}"))
