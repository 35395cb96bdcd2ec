"""Rows of backlit/ops/elementwise.py."""

from __future__ import annotations

import math

from rows import Row, T

from backlit.errors import ArgumentError, DTypeError, ShapeError

X = T((2, 3))
POSITIVE = T((2, 3), domain=(0.2, 3.0))
WHOLE = T((2, 3), domain=(-5, 5), dtype="int64")
UNLIKE = (T((2, 3)), T((2, 4)))
CLASH = [(UNLIKE, ShapeError, "do not broadcast")]
CASTS = [(WHOLE,), (T((2, 3), dtype="bool"),), (T((0, 3)),), (T(()),)]
INF, NAN = math.inf, math.nan
SPECIAL = T((6,), values=[0.0, -0.0, 1.0, INF, -INF, NAN], grad=False)


def unary(name: str, x: T = X, more: tuple = (), casts: bool = True, **kw) -> Row:
    """A function of one tensor; whole numbers, bools, empty and 0-dim tensors included."""
    scalar = T((), domain=x.domain, kink=x.kink)
    wide = [(T((2, 3), domain=(1, 2), dtype="int64"),), (T((2, 3), domain=(1, 2), dtype="int8"),)]
    extra = wide if casts else []
    return Row(name, args=[(x,), (scalar,), (T((0, 3)),), *extra, *more], **kw)


def binary(name: str, a: T = X, b: T = X, more: tuple = (), casts: bool = True, **kw) -> Row:
    """A function of two: broadcast both ways, with 0-dim tensors, numbers and whole numbers."""
    row = T((3,), domain=b.domain, kink=b.kink)
    column = T((2, 1), domain=a.domain, kink=a.kink)
    lone = T((), domain=b.domain, kink=b.kink)
    args = [(a, b), (a, row), (column, row), (a, lone), (T((0, 3)), T((3,)))]
    if casts:
        positive = T((2, 3), domain=(1, 4), dtype="int64")
        args += [(positive, positive), (positive, b), (a, T((3,), domain=(1, 4), dtype="int32"))]
    kw.setdefault("bad", CLASH)
    return Row(name, args=[*args, *more], **kw)


ARITHMETIC = [
    binary("add", more=((X, 2.5), (X, X, {"alpha": 3}), (WHOLE, 2), (WHOLE, 2.5))),
    binary("sub", more=((X, 2.5), (X, X, {"alpha": 3}), (WHOLE, 2))),
    binary("mul", more=((X, 2.5), (WHOLE, 2), (WHOLE, 0.5))),
    binary("div", b=POSITIVE, more=(
        (X, 4.0), (WHOLE, 2), (T((2, 3), kink=(0,)), T((3,), domain=(0.3, 0.9)),
        {"rounding_mode": "floor"}), (X, 0.7, {"rounding_mode": "trunc"}),
    ), bad=[*CLASH, ((X, X, {"rounding_mode": "up"}), ArgumentError, "rounding_mode")],
        op=("div", "floor_divide", "trunc"), grad=True, double=True),
    binary("floor_divide", b=POSITIVE, more=((WHOLE, 2), (WHOLE, -3)), grad=False),
    binary("remainder", b=POSITIVE, more=((X, 0.7), (X, -0.7), (WHOLE, 3), (WHOLE, -3))),
    binary("fmod", b=POSITIVE, more=((X, 0.7), (WHOLE, 3), (WHOLE, -3))),
    unary("neg", bad=[((T((2,), dtype="bool"),), DTypeError, "no negative")]),
    unary("abs", T((2, 3), kink=(0,)), more=((SPECIAL,),)),
    unary("sign", T((2, 3), kink=(0,)), more=((T((3,), values=[-0.0, INF, -INF], grad=False),),)),
    unary("reciprocal", POSITIVE, more=((SPECIAL,),)),
    unary("square"),
    binary("pow", POSITIVE, X, more=(
        (X, 2), (X, 3), (POSITIVE, 0.5), (POSITIVE, -1), (POSITIVE, 2.5), (X, 0), (X, 1), (X, 4),
        (2.0, X), (WHOLE, 2), (T((4,), values=[0.0, 1.0, 2.0, 3.0]), 2.0),
    ), bad=[*CLASH, ((WHOLE, -2), DTypeError, "negative power")]),
]  # fmt: skip

EXPONENTIALS = [
    unary("exp", more=((SPECIAL,),)),
    unary("exp2"),
    unary("expm1", more=((T((4,), domain=(-1e-6, 1e-6)),),)),
    unary("log", POSITIVE, more=((SPECIAL,),)),
    unary("log1p", POSITIVE, more=((T((4,), domain=(-1e-6, 1e-6), grad=False),),)),
    unary("log2", POSITIVE),
    unary("log10", POSITIVE),
    unary("sqrt", POSITIVE, more=((SPECIAL,),)),
    unary("rsqrt", POSITIVE),
]

INSIDE = T((2, 3), domain=(-0.8, 0.8))
TRIGONOMETRY = [
    *(unary(n) for n in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "atan", "asinh", "erf")),
    *(unary(n, INSIDE, casts=False) for n in ("asin", "acos", "atanh")),
    unary("tan", INSIDE),
    unary("acosh", T((2, 3), domain=(1.2, 3.0))),
    unary("erf", T((9,), domain=(-7.0, 7.0)), more=((SPECIAL,),)),
    binary("atan2", POSITIVE, POSITIVE, more=((T((4,), kink=(0,)), T((4,), kink=(0,))),)),
]

STEPS = tuple(i / 2 for i in range(-4, 5))
ROUNDING = [
    *(unary(n, T((2, 3), kink=STEPS)) for n in ("floor", "ceil", "trunc")),
    unary("round", T((2, 3), kink=STEPS), more=(
        (T((4,), values=[0.5, 1.5, 2.5, -0.5], grad=False),),
        (T((3,), values=[0.127, 1.249, -3.331], grad=False), {"decimals": 2}),
    )),
]  # fmt: skip

CONDITION = T((2, 3), dtype="bool")
CHOICE = [
    binary("maximum", more=((WHOLE, WHOLE), (SPECIAL, SPECIAL))),
    binary("minimum", more=((WHOLE, WHOLE), (SPECIAL, SPECIAL))),
    Row("where", args=[
        (CONDITION, X, X), (CONDITION, X, 0.5), (CONDITION, 1.5, X), (CONDITION, WHOLE, 0),
        (CONDITION, T((3,)), T((2, 1))), (T((0, 3), dtype="bool"), T((0, 3)), T((3,))),
    ], bad=[
        ((X, X, X), DTypeError, "must be a bool tensor"),
        ((CONDITION, X, T((2, 4))), ShapeError, "do not broadcast"),
    ]),
    Row("clamp", args=[
        (T((2, 3), kink=(-1, 1)), -1.0, 1.0), (T((2, 3), kink=(0.5,)), None, 0.5),
        (T((2, 3), kink=(0.5,)), 0.5), (WHOLE, -2, 2), (WHOLE, None, 2), (X, {"min": X, "max": X}),
        (X, {"min": T((3,))}), (T((0, 3)), 0.0, 1.0), (SPECIAL, -1.0, 1.0),
    ], bad=[((X,), ArgumentError, "at least one of min and max")]),
]  # fmt: skip

EQUALS = T((2, 3), domain=(0, 2), dtype="int64")
BITS = T((2, 3), domain=(-8, 8), dtype="int32")
BOOLS = T((2, 3), dtype="bool")
FLAG = T((3,), dtype="bool")
COMPARISONS = [
    *(binary(n, more=((EQUALS, EQUALS), (EQUALS, 1), (SPECIAL, SPECIAL), (SPECIAL, 0.0)))
      for n in ("eq", "ne", "lt", "le", "gt", "ge")),
    *(binary(n, more=((BOOLS, FLAG), (EQUALS, EQUALS), (SPECIAL, SPECIAL)))
      for n in ("logical_and", "logical_or", "logical_xor")),
    unary("logical_not", more=((BOOLS,), (EQUALS,), (SPECIAL,))),
    *(unary(n, more=((SPECIAL,),)) for n in ("isnan", "isinf", "isfinite")),
    *(Row(n, args=[(BITS, BITS), (BITS, T((3,), domain=(0, 9), dtype="int64")), (BITS, 5),
                   (BOOLS, FLAG), (T((0, 3), dtype="int8"), 1)],
          bad=[((X, 1), DTypeError, "not of floats")])
      for n in ("bitwise_and", "bitwise_or", "bitwise_xor")),
    Row("bitwise_not", args=[(BITS,), (BOOLS,)], bad=[((X,), DTypeError, "not of floats")]),
    *(Row(n, args=[(BITS, T((3,), domain=(0, 4), dtype="int32")), (BITS, 2), (BITS, 40)],
          bad=[((BOOLS, FLAG), DTypeError, "can't be shifted"), ((X, 1), DTypeError, "floats")])
      for n in ("bitwise_left_shift", "bitwise_right_shift")),
]  # fmt: skip

ROWS = [*ARITHMETIC, *EXPONENTIALS, *TRIGONOMETRY, *ROUNDING, *CHOICE, *COMPARISONS]
