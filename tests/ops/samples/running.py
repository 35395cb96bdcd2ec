"""Rows of backlit/ops/running.py."""

from __future__ import annotations

import math

import numpy as np
from rows import Row, T

from backlit.errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError
from backlit.ops.op import apply
from backlit.ops.running import LinearScan

X = T((2, 3, 4), distinct=True)
WHOLE = T((2, 4), domain=(-5, 5), dtype="int64")
FLAGS = T((2, 3), dtype="bool")
ZEROS = T((2, 4), values=[[1.0, 0.0, 2.0, 3.0], [0.0, 2.0, 0.0, -1.5]])
HOLES = T((2, 4), values=[[1.0, math.nan, 3.0, math.nan], [4.0, 2.0, 3.0, 0.5]], grad=False)
TIES = T((6,), values=[1.0, 3.0, 3.0, 2.0, 3.0, 5.0])
FAR = T((5,), values=[-1e4, 1e3, 1e4, 0.0, -3.0])
BAD_DIM = [((X, 3), IndexOutOfRange, "out of range")]
ALONG = [(X, 0), (X, 1), (X, -1), (T(()), 0), (T((0, 3)), 0), (T((2, 0)), 1)]


def linear_scan(a, b):
    return apply(LinearScan, a, b, dim=1)


def recurrence(a, b):
    s = np.zeros_like(b)
    for i in range(b.shape[1]):
        s[:, i] = b[:, i] + (a[:, i] * s[:, i - 1] if i else 0)
    return s


ROWS = [
    Row("cumsum", args=[*ALONG, (WHOLE, 1), (FLAGS, 0), (T((2, 3)), {"dim": 1})], bad=BAD_DIM),
    Row("cumprod", args=[*ALONG, (WHOLE, 1), (FLAGS, 0), (ZEROS, 1), (ZEROS, 0)], bad=BAD_DIM),
    # In single PyTorch subtracts numbers near 1e4, whose last digit is a thousandth.
    Row("logcumsumexp", args=[*ALONG, (FAR, 0)], tol32=1e-3,
        bad=[*BAD_DIM, ((WHOLE, 0), DTypeError, "floating point")]),
    Row(linear_scan, op="linear_scan", args=[(T((2, 5)), T((2, 5))), (T((2, 0)), T((2, 0)))],
        torch=None, numpy=recurrence),
    Row("cummax", op=("cummax", "running_max"), args=[*ALONG, (WHOLE, 1), (HOLES, 1), (HOLES, 0)],
        bad=BAD_DIM, grad=True),
    Row("cummin", op=("cummin", "running_min"), args=[*ALONG, (WHOLE, 1), (HOLES, 1), (HOLES, 0)],
        bad=BAD_DIM, grad=True),
    Row("cummax", op=(), args=[(TIES, 0)], grad=True, smooth=False),
    Row("cummin", op=(), args=[(TIES, 0)], grad=True, smooth=False),
    Row("diff", args=[(X,), (X, 2), (X, 1, 0), (X, 0), (X, 5), (FLAGS,), (WHOLE,),
                      (X, {"prepend": T((2, 3, 1)), "append": T((2, 3, 2))})],
        bad=[((T(()),), ShapeError, "0-dim"), ((X, -1), ArgumentError, "negative")]),
    *(Row(n, args=[(X,), (X, T((4,))), (X, T((2, 3, 4))), (X, {"dx": 0.5}), (X, {"dim": 0}),
                   (X, T((3,)), {"dim": 1})],
          bad=[((T(()),), ShapeError, "0-dim"), ((X, T((3,))), ShapeError, "but 3 points")])
      for n in ("trapezoid", "cumulative_trapezoid")),
]  # fmt: skip
