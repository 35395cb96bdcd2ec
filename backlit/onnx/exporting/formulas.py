"""Formulas read as ONNX nodes: one more mathematics beside NUMPY, TENSOR and LATEX.

Where ONNX has the whole operator as one node, elementwise.py uses that; all other elementwise
operators come from their formulas, by the functions here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from backlit import dtypes as dt
from backlit.onnx.exporting.terms import Builder, Term, common
from backlit.ops.formula import NAMES, NUMPY, erfc

_DIRECT = {
    "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sin": "Sin", "cos": "Cos", "tan": "Tan",
    "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh",
    "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "erf": "Erf",
    "abs": "Abs", "sign": "Sign",
}  # fmt: skip
_ROUNDINGS = {"floor": "Floor", "ceil": "Ceil", "round": "Round"}
_EXTREMES = {"minimum": ("Min", "And"), "maximum": ("Max", "Or")}


class OnnxMath:
    """The functions of formulas as nodes of one Builder."""

    def __init__(self, g: Builder) -> None:
        self.g = g

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in NAMES:
            raise AttributeError(name)
        rule = _FUNCTIONS.get(name)

        def apply(*args: Any) -> Any:
            if not any(isinstance(a, Term) for a in args):
                return getattr(NUMPY, name)(*args)
            if rule is not None:
                return rule(self.g, *args)
            return self.g(_DIRECT[name], *args)

        return apply

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        if not isinstance(condition, Term):
            return x if condition else y
        if not isinstance(x, Term) and not isinstance(y, Term):
            kind = dt.result_type(x, y)
            x = self.g.constant(x, kind)
        return self.g.where(condition, x, y)

    def primitive(self, function: Any, *args: Any, **params: Any) -> Any:
        """A function without a formula: only erfc has an ONNX form, in single precision."""
        if function is erfc:
            return 1 - self.g("Erf", *args)
        raise NotImplementedError(getattr(function, "__name__", "it"))


def _rounding(op: str) -> Any:
    def apply(g: Builder, x: Term) -> Term:
        return g(op, x) if x.dtype.is_floating_point else x

    return apply


def _trunc(g: Builder, x: Term) -> Term:
    if not x.dtype.is_floating_point:
        return x
    return g.where(x < 0, g("Ceil", x), g("Floor", x))


def _expm1(g: Builder, x: Term) -> Term:
    """Kahan's: e^x - 1 by the error that rounding e^x makes in its logarithm."""
    u = g("Exp", x)
    near = g.where(u == 1, x, (u - 1) * x / g.where(u == 1, 1.0, g("Log", u)))
    return g.where(g("Abs", x) < 0.5, near, u - 1)


def _log1p(g: Builder, x: Term) -> Term:
    """Kahan's, as for expm1."""
    u = x + 1
    near = g.where(u == 1, x, g("Log", u) * x / g.where(u == 1, 1.0, u - 1))
    return g.where(g("Abs", x) < 0.5, near, g("Log", u))


def _scaled_log(base: float) -> Any:
    return lambda g, x: g("Log", x) * (1 / math.log(base))


def _atan2(g: Builder, y: Any, x: Any) -> Term:
    """The angle of (x, y): of a quotient of at most 1, turned to its octant."""
    y, x = common(y, x)
    over, wide = g("Abs", y), g("Abs", x)
    small, large = g("Min", over, wide), g("Max", over, wide)
    slope = g("Atan", small / g.where(large == 0, 1.0, large))
    slope = g.where((small == large) & (large != 0), math.pi / 4, slope)  # also of infinities
    angle = g.where(over > wide, math.pi / 2 - slope, slope)
    angle = g.where(_negative(g, x), math.pi - angle, angle)
    return _copysign(g, angle, y)


def _negative(g: Builder, x: Term) -> Term:
    """Whether the sign bit is set; only its reciprocal shows the sign of 0."""
    if not x.dtype.is_floating_point:
        return x < 0
    return (x < 0) | ((x == 0) & ((1.0 / x) < 0))


def _copysign(g: Builder, x: Any, sign: Any) -> Term:
    x, sign = common(x, sign)
    size = g("Abs", x)
    return g.where(_negative(g, sign), -size, size)


def _extreme(whole: str, logical: str) -> Any:
    def apply(g: Builder, x: Any, y: Any) -> Term:
        x, y = common(x, y)
        if x.dtype in (dt.int8, dt.int16, dt.uint8):
            return g(whole, x.to(dt.int32), y.to(dt.int32)).to(x.dtype)
        return g(logical if x.dtype is dt.bool_ else whole, x, y)

    return apply


def _fmod(g: Builder, x: Any, y: Any) -> Term:
    x, y = common(x, y)
    return g("Mod", x, y, fmod=1)


def _truth(op: str) -> Any:
    def test(g: Builder, x: Term) -> Term:
        if not x.dtype.is_floating_point:
            return x != x
        return g(op, x, dtype=dt.bool_)

    return test


def _isfinite(g: Builder, x: Term) -> Term:
    if not x.dtype.is_floating_point:
        return x == x
    return (x - x) == 0  # of infinities and NaN it is NaN


def _logical(op: str) -> Any:
    def combine(g: Builder, *args: Any) -> Term:
        held = [
            a.to(dt.bool_) if isinstance(a, Term) else g.constant(bool(a), dt.bool_) for a in args
        ]
        return g(op, *held, dtype=dt.bool_)

    return combine


def _exp2(g: Builder, x: Term) -> Term:
    return g("Pow", g.constant(2, x.dtype), x)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{name: _rounding(op) for name, op in _ROUNDINGS.items()},
    **{name: _extreme(*ops) for name, ops in _EXTREMES.items()},
    "trunc": _trunc, "expm1": _expm1, "log1p": _log1p, "log2": _scaled_log(2),
    "log10": _scaled_log(10), "exp2": _exp2, "atan2": _atan2, "copysign": _copysign,
    "power": lambda g, x, y: g.power(x, y), "fmod": _fmod, "remainder": lambda g, x, y: x % y,
    "isnan": _truth("IsNaN"), "isinf": _truth("IsInf"), "isfinite": _isfinite,
    "logical_and": _logical("And"), "logical_or": _logical("Or"),
    "logical_xor": _logical("Xor"), "logical_not": _logical("Not"),
}  # fmt: skip
