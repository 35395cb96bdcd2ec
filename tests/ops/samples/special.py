"""Rows of backlit/ops/special.py."""

from __future__ import annotations

import math

import numpy as np
from rows import Row, T

from backlit.errors import ArgumentError, ShapeError

X = T((2, 3))
POSITIVE = T((2, 3), domain=(0.2, 4.0))
OPEN = T((2, 3), domain=(0.1, 0.9))
WHOLE = T((2, 3), domain=(1, 4), dtype="int64")
NAMED = T((6,), values=[0.0, 1.0, -1.0, math.inf, -math.inf, math.nan], grad=False)
ZEROS = T((6,), values=[0.0, 0.0, 0.0, 1.0, 2.0, 0.0], grad=False)
OTHERS = T((6,), values=[0.0, -1.0, math.nan, math.nan, 0.0, math.inf], grad=False)
CLASH = [((X, T((2, 4))), ShapeError, "do not broadcast")]
WIDE = T((7,), domain=(-5.0, 5.0))
FAR = T((7,), values=[-1e4, -30.0, -1.0, 0.5, 3.0, 30.0, 1e4])
TAIL = T((6,), values=[-3.0, -0.4, 2.0, 5.0, 10.0, 25.0])
NEAR = T((7,), values=[0.0, 1e-9, 1e-3, 5e-3, 6e-3, -7e-3, 0.3])
CLOSE_TO_ONE = T((6,), values=[1 - 1e-3, 1 - 1e-7, -0.999, 1e-5, -0.3, 0.9], grad=False)

ROWS = [
    Row("xlogy", args=[(X, POSITIVE), (X, T((3,), domain=(1.0, 2.0))), (2.0, POSITIVE), (X, 3.0),
                       (ZEROS, OTHERS), (WHOLE, WHOLE)], bad=CLASH),
    Row("special.xlog1py", args=[(X, POSITIVE), (ZEROS, OTHERS), (X, 0.5)], bad=CLASH),
    Row("special.entr", args=[(POSITIVE,), (NAMED,), (WHOLE,)]),
    Row("logit", args=[(OPEN,), (OPEN, 1e-6), (T((5,), domain=(-1, 2), kink=(0.2, 0.8)), 0.2),
                       (T((3,), values=[0.0, 1.0, 2.0], grad=False),), (T((0, 3)),)]),
    Row("logaddexp", args=[(X, X), (X, T((3,))), (FAR, FAR), (NAMED, ZEROS)], bad=CLASH),
    Row("logaddexp2", args=[(X, X), (X, T((3,))), (FAR, FAR)], bad=CLASH),
    Row("sinc", args=[(X,), (T((3,), values=[0.0, 1.0, 2.5]),), (WHOLE,)]),
    Row("sinc", op=(), args=[(NEAR,)], torch=None, numpy=np.sinc, grad=True),  # PyTorch's cancels
    Row("erfc", args=[(X,), (WIDE,), (NAMED,), (WHOLE,)]),
    # The tail against the C library's digits: relative to each element, not to the largest.
    Row("erfc", op=(), args=[(T((1,), values=[v], grad=False),) for v in (2.0, 5.0, 10.0, 25.0)],
        torch=None, numpy=lambda x: math.erfc(float(x[0])) * (x / x), tol=1e-13),
    Row("erfinv", args=[(T((2, 3), domain=(-0.9, 0.9)),), (CLOSE_TO_ONE,), (NAMED,)], half=False,
        double=False),
    Row("erfinv", op=(), args=[(T((2, 3), domain=(-0.9, 0.9)),)]),
    Row("lgamma", args=[(POSITIVE,), (T((4,), domain=(-2.8, -2.2)),), (NAMED,), (WHOLE,),
                        (T((3,), domain=(50, 200)),)]),
    Row("special.gammaln", args=[(POSITIVE,)]),
    # PyTorch's trigamma keeps nine digits; differences check the gradients to seven.
    Row("digamma", tol=1e-9, args=[(POSITIVE,), (T((4,), domain=(-2.8, -2.2)),), (NAMED,), (WHOLE,),
                         (T((3,), domain=(50, 200)),)]),
    Row("polygamma", args=[*((n, POSITIVE) for n in range(4)), (1, T((3,), domain=(20, 90)))],
        bad=[((-1, POSITIVE), ArgumentError, "must not be negative")], tol=1e-9, tol32=1e-4),
    Row("special.ndtr", args=[(X,), (WIDE,), (WHOLE,), (NAMED,)]),
    Row("mvlgamma", op="multigammaln", args=[(T((3,), domain=(2.0, 5.0)), n) for n in (1, 2, 4)],
        bad=[((X, 0), ArgumentError, "p must be positive")], tol=1e-9),
    Row("Tensor.polygamma", op=(), args=[(POSITIVE, 1)], torch="Tensor.polygamma", tol=1e-9),
]  # fmt: skip
