"""Formulas as vector code: the mathematics `m` over the values of a kernel under construction.

`LaneMath` offers what formulas use, for every element type and any vector width; a formula that
needs more raises `Unsupported`, and its operator keeps its NumPy form. Values, conversions, loads
and stores are in value.py, the functions in exp.py, trig.py and
remainder.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.backends.cpu.native.codegen import Function, _element, _width, vector

from .exp import Exponentials
from .remainder import Remainders
from .trig import Trigonometry
from .value import (
    Lane,
    Unsupported,
    convert_lane,
    element_of,
    load_lane,
    load_splat,
    memory_element,
    rounded_to,
    select,
    store_lane,
    truth,
)

__all__ = [
    "Lane",
    "LaneMath",
    "Unsupported",
    "convert_lane",
    "load_lane",
    "load_splat",
    "memory_element",
    "rounded_to",
    "store_lane",
]


class LaneMath(Exponentials, Trigonometry, Remainders):
    """The functions of formulas; `like` is any lane of the kernel: numbers get its type."""

    def __init__(self, like: Lane):
        self.f, self.kind, self.like = like.f, like.v.kind, like
        self.single = _element(self.kind) == "float"
        self.lanes = _width(self.kind)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        raise Unsupported(name)

    @classmethod
    def of(cls, f: Function, dtype: Any, width: int) -> LaneMath:
        """The mathematics of a dtype at a width, without a lane at hand."""
        element, unsigned = element_of(dtype)
        one = truth(f, True, width) if element == "i1" else f.constant(vector(element, width), 1)
        return cls(Lane(f, one, unsigned))

    def sibling(self, dtype: Any) -> LaneMath:
        """The mathematics of another dtype at the same width."""
        return LaneMath.of(self.f, dtype, self.lanes)

    # ----- building blocks -----

    def lift(self, x: Any) -> Lane:
        """A number as a lane; a lane as it is."""
        return x if isinstance(x, Lane) else self.like.number(x)

    def lift_pair(self, x: Any, y: Any) -> tuple[Lane, Lane]:
        """Two operands; a number takes the type of the other."""
        if isinstance(x, Lane):
            return x, y if isinstance(y, Lane) else x.number(y)
        return (y.number(x), y) if isinstance(y, Lane) else (self.lift(x), self.lift(y))

    def _intrinsic(self, name: str, *args: Any) -> Lane:
        """One of LLVM's own functions that is an instruction everywhere."""
        like = next((a for a in args if isinstance(a, Lane)), self.like)
        given = [a.v if isinstance(a, Lane) else like.number(a).v for a in args]
        kind, element = like.v.kind, like.element
        bits = {"float": "f32", "double": "f64"}.get(element, element)
        full = f"@llvm.{name}.{bits if like.width == 1 else f'v{like.width}{bits}'}"
        types = ", ".join([kind] * len(given))
        self.f.declarations.add(f"declare {kind} {full}({types})")
        passed = ", ".join(f"{kind} {v.name}" for v in given)
        found = self.f.emit(kind, f"call {kind} {full}({passed})")
        return Lane(self.f, found, like.unsigned)

    def fma(self, a: Any, b: Any, c: Any) -> Lane:
        like = next((x for x in (a, b, c) if isinstance(x, Lane)), self.like)
        given = [x if isinstance(x, Lane) else like.number(x) for x in (a, b, c)]
        if not like.is_float:
            return given[0] * given[1] + given[2]
        return Lane(self.f, self.f.fma(*(x.v for x in given)))

    def polynomial(self, coefficients: tuple[float, ...], x: Lane) -> Lane:
        """Horner's scheme, highest power first."""
        total: Any = coefficients[0]
        for c in coefficients[1:]:
            total = self.fma(total, x, c)
        return self.lift(total)

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        if isinstance(condition, bool):
            return x if condition else y
        a, b = self.lift_pair(x, y)
        if a.v.kind != b.v.kind:
            raise Unsupported(f"a choice between {a.v.kind} and {b.v.kind}")
        return select(condition, a, b)

    # ----- one instruction each -----

    def abs(self, x: Any) -> Lane:
        x = self.lift(x)
        if x.is_float:
            return self._intrinsic("fabs", x)
        return x if x.unsigned or x.is_mask else select(x < 0, -x, x)

    def sqrt(self, x: Any) -> Lane:
        return self._intrinsic("sqrt", x)

    def _rounding(self, name: str, x: Any) -> Lane:
        """Whole numbers stay as they are."""
        x = self.lift(x)
        return self._intrinsic(name, x) if x.is_float else x

    def floor(self, x: Any) -> Lane:
        return self._rounding("floor", x)

    def ceil(self, x: Any) -> Lane:
        return self._rounding("ceil", x)

    def trunc(self, x: Any) -> Lane:
        return self._rounding("trunc", x)

    def round(self, x: Any) -> Lane:
        return self._rounding("rint", x)

    def copysign(self, x: Any, y: Any) -> Lane:
        x, y = (v if v.is_float else convert_lane(v, np.float64) for v in self.lift_pair(x, y))
        return self._intrinsic("copysign", x, y)

    def at_most(self, x: Lane, bound: float) -> Lane:
        """Bounded from above by a number; NaN stays. One instruction where CPUs have `min`."""
        return self.where(x > bound, bound, x)

    def at_least(self, x: Lane, bound: float) -> Lane:
        return self.where(x < bound, bound, x)

    def _extreme(self, x: Any, y: Any, first: Callable[[Lane, Lane], Lane]) -> Lane:
        if isinstance(x, Lane) and not isinstance(y, Lane) and y == y:
            bound = x.number(y)
            return select(first(bound, x), bound, x)
        a, b = self.lift_pair(x, y)
        chosen = select(first(a, b), a, b)
        return select(a != a, a, chosen) if a.is_float else chosen

    def minimum(self, x: Any, y: Any) -> Lane:
        """The smaller; NaN wins."""
        return self._extreme(x, y, lambda a, b: a < b)

    def maximum(self, x: Any, y: Any) -> Lane:
        """The larger; NaN wins."""
        return self._extreme(x, y, lambda a, b: a > b)

    def sign(self, x: Any) -> Lane:
        x = self.lift(x)
        if x.is_mask:
            return x
        if x.unsigned:
            return self.where(x > 0, x.number(1), x)
        return self.where(x > 0, x.number(1), self.where(x < 0, x.number(-1), x))

    # ----- kinds of numbers, logic -----

    def isnan(self, x: Any) -> Lane:
        x = self.lift(x)
        return x != x

    def isfinite(self, x: Any) -> Lane:
        x = self.lift(x)
        return self.abs(x) < math.inf if x.is_float else x == x

    def isinf(self, x: Any) -> Lane:
        x = self.lift(x)
        return self.abs(x) == math.inf if x.is_float else x != x

    def holds(self, x: Any) -> Lane:
        """The truth of an element: whether it is not zero."""
        x = self.lift(x)
        return x if x.is_mask else x != 0

    def logical_and(self, x: Any, y: Any) -> Lane:
        return self.holds(x) & self.holds(y)

    def logical_or(self, x: Any, y: Any) -> Lane:
        return self.holds(x) | self.holds(y)

    def logical_xor(self, x: Any, y: Any) -> Lane:
        return self.holds(x) ^ self.holds(y)

    def logical_not(self, x: Any) -> Lane:
        return ~self.holds(x)
