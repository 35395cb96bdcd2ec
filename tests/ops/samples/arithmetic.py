"""Rows of backlit/ops/arithmetic.py."""

from __future__ import annotations

import math

from rows import Row, T

from backlit.errors import DTypeError, ShapeError

X = T((2, 3))
POSITIVE = T((2, 3), domain=(0.5, 3.0))
WHOLE = T((2, 3), domain=(-6, 6), dtype="int64")
SMALL = T((2, 3), domain=(0, 5), dtype="int32")
FLAGS = T((2, 3), dtype="bool")
ROW, COLUMN = T((3,)), T((2, 1))
INF, NAN = math.inf, math.nan
NAMED = T((6,), values=[0.0, -0.0, 1.0, INF, -INF, NAN], grad=False)
OTHER = T((6,), values=[NAN, 0.0, NAN, 1.0, -INF, NAN], grad=False)
CLASH = [((X, T((2, 4))), ShapeError, "do not broadcast")]
AWAY = T((2, 3), kink=(0, 1, -1))
HUGE = T((2,), values=[1e200, 3.0], dtype="float64")
LEVELS = T((2, 3), values=[[0.0, -1.0, 2.0]] * 2, grad=False)
ENDS = T((3,), values=[INF, -INF, 0.0], grad=False)
STEPS = tuple(range(-2, 3))

ROWS = [
    Row("lerp", args=[(X, X, X), (X, X, 0.3), (COLUMN, ROW, T(())), (X, ROW, 0.7)],
        bad=[((X, T((2, 4)), 0.5), ShapeError, "do not broadcast")]),
    Row("addcmul", args=[(X, X, X), (X, ROW, COLUMN), (X, X, X, {"value": 0.5}),
                         (WHOLE, WHOLE, WHOLE, {"value": 2})],
        bad=[((X, X, T((2, 4))), ShapeError, "do not broadcast")]),
    Row("addcdiv", args=[(X, X, POSITIVE), (X, ROW, T((2, 1), domain=(1.0, 2.0))),
                         (X, X, POSITIVE, {"value": 0.5})],
        bad=[((WHOLE, WHOLE, WHOLE), DTypeError, "no quotient")]),
    Row("hypot", args=[(X, X), (X, ROW), (HUGE, T((2,), grad=False))], bad=CLASH),
    Row("copysign", args=[(AWAY, AWAY), (AWAY, -2.0), (AWAY, T((3,), kink=(0,))), (NAMED, OTHER),
                          (WHOLE, WHOLE)], bad=CLASH),
    Row("float_power", args=[(POSITIVE, X), (WHOLE, 2), (POSITIVE, 2.5), (2.0, X), (SMALL, SMALL)],
        tol32=1e-6, half=False),
    Row("rsub", args=[(X, X), (X, 2.0), (X, X, {"alpha": 3}), (WHOLE, 2)], bad=CLASH),
    Row("ldexp", args=[(X, SMALL), (X, X), (X, T((3,), domain=(0, 3), dtype="int64"))], bad=CLASH),
    Row("frac", args=[(T((2, 3), kink=STEPS),), (T(()),), (T((0, 3)),)],
        bad=[((WHOLE,), DTypeError, "no fraction")]),
    Row("deg2rad", args=[(X,), (WHOLE,), (T(()),)]),
    Row("rad2deg", args=[(X,), (WHOLE,), (T(()),)]),
    Row("nan_to_num", args=[(X,), (NAMED,), (NAMED, 1.5, 2.5, -3.5), (NAMED, {"posinf": 1.0}),
                            (WHOLE,)], half=False),
    Row("heaviside", args=[(LEVELS, T((2, 3), grad=False)), (ENDS, T((1,), grad=False))],
        bad=[((X, T((2, 3), dtype="float32")), DTypeError, "values are float32")]),
    Row("fmax", args=[(X, X), (X, ROW), (NAMED, OTHER), (WHOLE, WHOLE)], bad=CLASH),
    Row("fmin", args=[(X, X), (X, ROW), (NAMED, OTHER), (WHOLE, WHOLE)], bad=CLASH),
    Row("positive", op=(), grad=True, args=[(X,), (WHOLE,)],
        bad=[((FLAGS,), DTypeError, "no sign")]),
    Row("conj", op=(), grad=True, args=[(X,), (WHOLE,)]),
    Row("real", op=(), grad=True, args=[(X,), (WHOLE,)]),
    Row("angle", args=[(AWAY,), (NAMED,), (WHOLE,)]),
    Row("nextafter", args=[(X, X), (X, ROW), (NAMED, OTHER)], half=False,
        bad=[((WHOLE, WHOLE), DTypeError, "no next")]),
    Row("clamp_min", args=[(AWAY, 1.0), (WHOLE, 1), (X, X)], op=()),
    Row("clamp_max", args=[(AWAY, 1.0), (WHOLE, 1), (X, X)], op=()),
    *(Row(n, args=[(WHOLE, WHOLE), (WHOLE, T((3,), domain=(0, 9), dtype="int64")), (SMALL, SMALL)],
          bad=[((X, X), DTypeError, "of whole numbers"),
               ((WHOLE, T((4,), dtype="int64")), ShapeError, "do not broadcast")])
      for n in ("gcd", "lcm")),
    *(Row(n, args=[(X,), (NAMED,), (WHOLE,), (T((0,)),)])
      for n in ("isposinf", "isneginf", "signbit", "isreal")),
    Row("isclose", args=[(X, X), (NAMED, OTHER), (NAMED, NAMED), (X, X, 0.5, 0.5),
                         (NAMED, NAMED, {"equal_nan": True}), (X, ROW), (WHOLE, WHOLE)],
        bad=[((X, T((2, 3), dtype="float32")), DTypeError, "float32 differ")]),
    Row("allclose", op=(), grad=False, args=[(X, X), (NAMED, NAMED), (X, X, 10.0)]),
    Row("equal", op=(), grad=False, args=[(X, X), (X, ROW), (WHOLE, WHOLE), (NAMED, NAMED)]),
]  # fmt: skip
