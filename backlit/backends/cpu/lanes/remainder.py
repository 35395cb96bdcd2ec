"""Remainders of floats as vector code: exact, by subtracting multiples of the divisor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.backends.cpu.native.codegen import Value

from .value import Lane, convert_lane, truncated_remainder


class Remainders:
    """Mixed into LaneMath."""

    single: bool
    f: Any

    def __getattr__(self, name: str) -> Any: ...

    def fmod(self, x: Any, y: Any) -> Lane:
        """The remainder with the sign of x."""
        x, y = self.lift_pair(x, y)
        return self._float_remainder(x, y) if x.is_float else truncated_remainder(x, y)

    def remainder(self, x: Any, y: Any) -> Lane:
        """The remainder with the sign of y."""
        x, y = self.lift_pair(x, y)
        if not x.is_float:
            return x % y
        r = self.fmod(x, y)
        moved = self.where(self.logical_and(r != 0.0, (r < 0.0) ^ (y < 0.0)), r + y, r)
        return self.where(r == 0.0, self.copysign(0.0, y), moved)

    def floor_quotient(self, x: Lane, y: Any) -> Lane:
        """x // y of floats, as Python and NumPy define it."""
        x, y = self.lift_pair(x, y)
        r = self.fmod(x, y)
        exact = (x - r) / y
        exact = self.where(self.logical_and(r != 0.0, (r < 0.0) ^ (y < 0.0)), exact - 1.0, exact)
        whole = self.floor(exact)
        whole = self.where(exact - whole > 0.5, whole + 1.0, whole)
        whole = self.where(exact == 0.0, self.copysign(0.0, x / y), whole)
        return self.where(y == 0.0, x / y, whole)

    def _float_remainder(self, x: Lane, y: Lane) -> Lane:
        """In float64: every round takes off a multiple of y of 26 bits, which is exact."""
        m = self.sibling(np.float64)
        a, b = (m.abs(convert_lane(v, np.float64)) for v in (x, y))
        sound = m.logical_and(a < math.inf, b > 0.0)  # b may be infinite, and is no NaN
        start = m.where(sound, a, 0.0)
        b = m.where(m.logical_and(sound, b < math.inf), b, 1e308)

        def reduce(_: Value, left: Value) -> tuple[Value]:
            return (_reduced(m, Lane(self.f, left), b).v,)

        (found,) = self.f.loop(0, _rounds(m, start / b), 1, reduce, (start.v,))
        r = Lane(self.f, found)
        r = m.where(r >= b, r - b, r)
        r = m.where(m.abs(convert_lane(y, np.float64)) < math.inf, r, start)
        r = m.copysign(r, convert_lane(x, np.float64))
        r = convert_lane(r, np.float32) if self.single else r
        return self.where(sound, r, self.where(x != x, x, self.where(y != y, y, math.nan)))


def _rounds(m: Any, ratio: Lane) -> Value:
    """How many rounds the largest ratio of all lanes needs."""
    exponent = ratio.bits().shift("lshr", 52) - 1023
    # a ratio beyond all exponents says no more than that
    rounds = m.where(exponent < 1024, exponent, exponent.number(2100))
    if rounds.width > 1:
        name = f"@llvm.vector.reduce.smax.v{rounds.width}i64"
        m.f.declarations.add(f"declare i64 {name}({rounds.v.kind})")
        found = m.f.emit("i64", f"call i64 {name}({rounds.v.kind} {rounds.v.name})")
    else:
        found = rounds.v
    return m.f.larger(found, 0) // 24 + 1


def _reduced(m: Any, r: Lane, b: Lane) -> Lane:
    """r less a multiple of b that is never too large."""
    for _ in range(2):  # so that the quotient stays finite
        b = m.where(r * 2.0**-600 > b, b * 2.0**600, b)
    q = (r / b) * (1.0 - 2.0**-52)
    q = m.floor((q.bits() & (-1 << 27)).cast("bitcast", "double"))
    high = (b.bits() & (-1 << 27)).cast("bitcast", "double")
    return (r - q * high) - q * (b - high)
