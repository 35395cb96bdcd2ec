"""Angles as vector code: sin, cos, tan and their inverses.

Arguments are reduced by multiples of pi/2 in float64: in three parts of pi/2 up to 10^5, beyond
by a multiplication with as many bits of 2/pi as the exponent asks for, lane by lane.
Sources: Payne and Hanek (1983) for large arguments; Cephes' ranges for the inverses.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

import numpy as np

from backlit.backends.cpu.native.codegen import Value

from .value import Lane, convert_lane, select

# (sin(r) - r) / r^3 in r^2, for |r| <= pi / 4
_SIN = {
    "float": (-0.00019516479860451393, 0.008332172282158459, -0.16666654854209081),
    "double": (1.58964163223964e-10, -2.5050751783409084e-08, 2.755731365292185e-06,
               -0.00019841269829699865, 0.008333333333322285, -0.16666666666666632),
}  # fmt: skip
# (cos(r) - 1 + r^2 / 2) / r^4 in r^2
_COS = {
    "float": (2.443753265715251e-05, -0.001388735978795092, 0.04166664671520721),
    "double": (-1.1359361160511827e-11, 2.0875717890717764e-09, -2.755731431396202e-07,
               2.4801587289354035e-05, -0.0013888888888873927, 0.041666666666666595),
}  # fmt: skip
# (atan(t) - t) / t^3 in t^2, for |t| <= tan(pi / 8)
_ATAN = {
    "float": (-0.06082494012799472, 0.10595641760853172, -0.1424380283780594,
              0.19998487167704396, -0.33333315471170283),
    "double": (0.01523080126418392, -0.03350771010557383, 0.04504886181763527,
               -0.052187073599446576, 0.05877064332403524, -0.06666230584096958,
               0.07692282979139478, -0.09090908152388864, 0.11111111088335525,
               -0.14285714285389328, 0.19999999999997667, -0.33333333333333326),
}  # fmt: skip
# (asin(s) - s) / s^3 in s^2, for |s| <= 1/2
_ASIN = {
    "float": (0.03756521318219183, 0.014402598218087334, 0.031817613339267886,
              0.044515720100356655, 0.07500510918199613, 0.16666659871893982),
    "double": (0.03268758315881945, -0.021094191895077573, 0.021775284935159307,
               0.00367826901509527, 0.010787771865267973, 0.011397558366318368,
               0.013980987489968955, 0.017351597971764932, 0.02237221577509244,
               0.030381942679671068, 0.044642857175200105, 0.07499999999970182,
               0.16666666666666763),
}  # fmt: skip
# pi / 2 in three parts: small whole numbers times the first two are exact
_HALF_PI = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
_HALF_PI_REST = 6.123233995736766e-17  # what float64 leaves of pi / 2
_NEAR = 1e5
_TABLE_WORDS = 20


class Trigonometry:
    """Mixed into LaneMath."""

    single: bool
    lanes: int
    f: Any

    def __getattr__(self, name: str) -> Any: ...

    # ----- angles -----

    def sin(self, x: Any) -> Lane:
        s, c, quadrant = self._angle(self.lift(x))
        found = select((quadrant & 1) != 0, c, s)
        return select((quadrant & 2) != 0, -found, found)

    def cos(self, x: Any) -> Lane:
        s, c, quadrant = self._angle(self.lift(x))
        found = select((quadrant & 1) != 0, s, c)
        return select(((quadrant + 1) & 2) != 0, -found, found)

    def tan(self, x: Any) -> Lane:
        s, c, quadrant = self._angle(self.lift(x))
        odd = (quadrant & 1) != 0
        return select(odd, -c, s) / select(odd, s, c)

    def _angle(self, x: Lane) -> tuple[Lane, Lane, Lane]:
        """Sine and cosine of what is left of x by multiples of pi/2, and their number."""
        m = self.sibling(np.float64)
        wide = convert_lane(x, np.float64)
        r, quadrant = _reduced(m, wide)
        r, quadrant = _far_reduced(m, wide, r, quadrant)
        if self.single:
            r, quadrant = convert_lane(r, np.float32), convert_lane(quadrant, np.int32)
        z = r * r
        s = self.fma(r * z, self.polynomial(_SIN[r.element], z), r)
        c = self.fma(z * z, self.polynomial(_COS[r.element], z), 1.0 - z * 0.5)
        return self.where(self.abs(x) < 1e-9, x, s), c, quadrant

    # ----- inverses -----

    def atan(self, x: Any) -> Lane:
        x = self.lift(x)
        return self.copysign(self._atan_positive(self.abs(x)), x)

    def _atan_positive(self, a: Lane) -> Lane:
        far, middle = a > 2.414213562373095, a > 0.4142135623730951
        one = self.lift(1.0)
        upper = self.where(far, -one, self.where(middle, a - 1.0, a))
        t = upper / self.where(far, a, self.where(middle, a + 1.0, one))
        z = t * t
        found = self.fma(t * z, self.polynomial(_ATAN[a.element], z), t)
        part = self.where(far, 1.0, self.where(middle, 0.5, 0.0))
        return self._plus_half_pi(part, found)

    def _plus_half_pi(self, part: Lane, x: Lane) -> Lane:
        """part pi/2 + x; the constant in two parts."""
        head = float(np.float32(math.pi / 2)) if self.single else math.pi / 2
        rest = math.pi / 2 - head if self.single else _HALF_PI_REST
        return part * head + self.fma(part, rest, x)

    def atan2(self, y: Any, x: Any) -> Lane:
        y, x = self.lift_pair(y, x)
        a, b = self.abs(y), self.abs(x)
        steep = a > b
        low, high = select(steep, b, a), select(steep, a, b)
        ratio = self.where(low == high, 1.0, low / high)
        ratio = self.where(low == 0.0, 0.0, ratio)
        angle = self._atan_positive(ratio)
        angle = self.where(steep, self._plus_half_pi(self.lift(1.0), -angle), angle)
        backwards = self.copysign(1.0, x) < 0.0
        angle = self.where(backwards, self._plus_half_pi(self.lift(2.0), -angle), angle)
        broken = self.logical_or(y != y, x != x)
        return self.where(broken, x + y, self.copysign(angle, y))

    def _half_asin(self, a: Lane) -> tuple[Lane, Lane]:
        """asin(a) for small a, half of acos(a) for large a; and which."""
        large = a > 0.5
        z = self.where(large, (1.0 - a) * 0.5, a * a)
        s = self.where(large, self.sqrt(z), a)
        return self.fma(s * z, self.polynomial(_ASIN[a.element], z), s), large

    def asin(self, x: Any) -> Lane:
        x = self.lift(x)
        found, large = self._half_asin(self.abs(x))
        outer = self._plus_half_pi(self.lift(1.0), found * -2.0)
        return self.copysign(self.where(large, outer, found), x)

    def acos(self, x: Any) -> Lane:
        x = self.lift(x)
        found, large = self._half_asin(self.abs(x))
        double = found + found
        outer = self.where(x < 0.0, self._plus_half_pi(self.lift(2.0), -double), double)
        inner = self._plus_half_pi(self.lift(1.0), -self.copysign(found, x))
        return self.where(large, outer, inner)


def _reduced(m: Any, x: Lane) -> tuple[Lane, Lane]:
    """x less the nearest multiple n of pi/2, and n in its lowest bits; for |x| <= 10^5."""
    magic = 1.5 * 2.0**52
    shifted = m.fma(x, 2 / math.pi, magic)
    n = shifted - magic
    r = x
    for part in _HALF_PI:
        r = m.fma(n, -part, r)
    return r, shifted.bits()


def _far_reduced(m: Any, x: Lane, r: Lane, quadrant: Lane) -> tuple[Lane, Lane]:
    """The same for lanes beyond, where there are any."""
    f, width = m.f, x.width
    far = m.abs(x) > _NEAR
    some = far.v
    if width > 1:
        packed = f.emit(f"i{width}", f"bitcast {far.v.kind} {far.v.name} to i{width}")
        some = f.compare("ne", packed, 0)
    count = f.select(some, f.integer(width), f.integer(0))

    def one(i: Value, *carried: Value) -> tuple[Value, Value]:
        angle, number = _payne_hanek(f, _picked(f, x.v, i))
        return _placed(f, carried[0], angle, i), _placed(f, carried[1], number, i)

    found = f.loop(0, count, 1, one, (r.v, quadrant.v))
    return select(far, Lane(f, found[0]), r), select(far, Lane(f, found[1]), quadrant)


def _picked(f: Any, v: Value, i: Value) -> Value:
    if v.kind[0] != "<":
        return v
    return f.emit("double", f"extractelement {v.kind} {v.name}, i64 {i.name}")


def _placed(f: Any, v: Value, x: Value, i: Value) -> Value:
    if v.kind[0] != "<":
        return x
    return f.emit(v.kind, f"insertelement {v.kind} {v.name}, {x.kind} {x.name}, i64 {i.name}")


def _payne_hanek(f: Any, x: Value) -> tuple[Value, Value]:
    """A scalar: the multiple of 2/pi modulo 4 with 128 bits behind the point."""
    bits = Lane(f, f.emit("i64", f"bitcast double {x.name} to i64"))
    exponent = bits.shift("lshr", 52) & 0x7FF
    mantissa = (bits & ((1 << 52) - 1)) | (1 << 52)
    # bits of 2/pi that only count whole turns are left out; the table starts with 64 zeros
    first = exponent - (1075 + 2 - 64)
    last = (_TABLE_WORDS - 4) * 64 + 63  # infinite and NaN lanes read what is there
    first = select(first < 0, first.number(0), first)
    first = select(first > last, first.number(last), first)
    high, middle = _windows(f, mantissa, first)
    fraction_high = (high << 2) | middle.shift("lshr", 62)
    fraction_low = middle << 2
    whole = high.shift("lshr", 62)
    above = fraction_high < 0  # the fraction is a half or more
    whole = select(above, whole + 1, whole)
    size_high = select(above, ~fraction_high, fraction_high)  # the bit that ~ is off by is lost
    size_low = select(above, ~fraction_low, fraction_low)
    size = size_high.cast("uitofp", "double") * 2.0**-64
    size = size + size_low.cast("uitofp", "double") * 2.0**-128
    angle = size * (math.pi / 2)
    negative = (bits < 0) ^ above
    whole = select(bits < 0, -whole, whole)
    broken = exponent == 0x7FF
    angle = select(negative, -angle, angle)
    return select(broken, angle.number(math.nan), angle).v, whole.v


def _windows(f: Any, mantissa: Lane, first: Lane) -> tuple[Lane, Lane]:
    """The upper two of three words of the product with 192 bits of 2/pi from bit `first` on."""
    words = ", ".join(f"i64 {w}" for w in _two_over_pi())
    f.declarations.add(f"@two_over_pi = private constant [{_TABLE_WORDS} x i64] [{words}], align 8")
    f.declarations.add("declare i64 @llvm.fshl.i64(i64, i64, i64)")
    start = first.shift("lshr", 6)
    pointer = f.emit("ptr", f"getelementptr i64, ptr @two_over_pi, i64 {start.v.name}")
    table = [f.load(f.at(pointer, k, "i64"), "i64") for k in range(4)]
    shift = (first & 63).v
    w = [
        f.emit("i64", "call i64 @llvm.fshl.i64("
               f"i64 {a.name}, i64 {b.name}, i64 {shift.name})")
        for a, b in itertools.pairwise(table)
    ]  # fmt: skip
    m = f.convert("zext", mantissa.v, "i128")
    low = _wide_product(f, m, w[2])
    carry = f.emit("i128", f"lshr i128 {low.name}, 64")
    middle = f.emit("i128", f"add i128 {_wide_product(f, m, w[1]).name}, {carry.name}")
    carry = f.emit("i128", f"lshr i128 {middle.name}, 64")
    high = f.emit("i128", f"add i128 {_wide_product(f, m, w[0]).name}, {carry.name}")
    return Lane(f, f.convert("trunc", high, "i64")), Lane(f, f.convert("trunc", middle, "i64"))


def _wide_product(f: Any, m: Value, word: Value) -> Value:
    wide = f.convert("zext", word, "i128")
    return f.emit("i128", f"mul i128 {m.name}, {wide.name}")


@functools.cache
def _two_over_pi() -> tuple[int, ...]:
    """The bits of 2/pi behind 64 zeros, in words; pi by Machin's formula."""
    digits = 64 * _TABLE_WORDS + 64
    one = 1 << digits

    def inverse_tangent(n: int) -> int:
        total, term, k = 0, one // n, 1
        while term:
            total += term // k if k % 4 == 1 else -(term // k)
            term, k = term // (n * n), k + 2
        return total

    pi = 4 * (4 * inverse_tangent(5) - inverse_tangent(239))
    bits = (2 * one << digits) // pi >> (digits - 64 * (_TABLE_WORDS - 1))
    found = [(bits >> (64 * k)) & (2**64 - 1) for k in reversed(range(_TABLE_WORDS - 1))]
    signed = [w - 2**64 if w >= 2**63 else w for w in found]
    return (0, *signed)
