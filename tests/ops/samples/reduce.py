"""Rows of backlit/ops/reduce.py."""

from __future__ import annotations

import math

from rows import Row, T

from backlit.errors import ArgumentTypeError, DTypeError, IndexOutOfRange

X = T((2, 3, 4))
MATRIX = T((3, 4))
WHOLE = T((2, 3), domain=(-5, 5), dtype="int64")
FLAGS = T((2, 3), dtype="bool")
BYTES = T((2, 3), domain=(0, 2), dtype="uint8")
EMPTY = T((0, 3))
NONE = T((0, 3), grad=False)  # its mean is NaN
SCALAR = T(())
HOLES = T((3, 3), values=[[1.0, math.nan, 2.0], [math.nan] * 3, [3.0, 4.0, -1.0]])
FAR = T((5,), values=[-1e4, 1e4, 1e4, 0.0, -3.0])
DIMS = [(X,), (X, 1), (X, -1), (X, (0, 2)), (X, 1, True), (X, {"dim": (-1, 0), "keepdim": True}),
        (SCALAR,), (SCALAR, 0), (SCALAR, -1, True)]  # fmt: skip
BAD_DIM = [((X, 3), IndexOutOfRange, "out of range"), ((X, (0, 0)), ArgumentTypeError, "twice")]
ZEROS = T((2, 4), values=[[1.0, 0.0, 2.0, 3.0], [0.0, 2.0, 0.0, -1.5]])

SUMS = [
    Row("sum", args=[*DIMS, (EMPTY,), (EMPTY, 0), (EMPTY, 1), (WHOLE,), (FLAGS, 1), (X, ())],
        bad=BAD_DIM),
    Row("mean", args=[*DIMS, (NONE,), (NONE, 0), (X, ())],
        bad=[*BAD_DIM, ((WHOLE,), DTypeError, "floating point")]),
    Row("prod", args=[(MATRIX,), (X, 1), (X, -1, True), (SCALAR,), (SCALAR, 0), (EMPTY,),
                      (EMPTY, 0), (WHOLE,), (FLAGS, 1), (ZEROS,), (ZEROS, 1), (ZEROS, 0)],
        bad=[((X, 3), IndexOutOfRange, "out of range")]),
    Row("Tensor.sum", args=[(X, 1)]),
    Row("Tensor.mean", args=[(X, 1)]),
]  # fmt: skip

SPREAD = [
    Row(n, args=[
        (X,), (X, 1), (X, (0, 2)), (X, -1, True, True), (X, 1, False), (X, False), (X, True),
        (X, {"dim": 1, "correction": 0}), (X, {"dim": (0, 1), "correction": 2, "keepdim": True}),
        (X, {"unbiased": False}), (X, {"correction": 0}),
    ], bad=[*BAD_DIM, ((WHOLE,), DTypeError, "floating point")])
    for n in ("var", "std")
] + [
    Row("Tensor.std", args=[(X, 1), (X, False), (T((3,), values=[2.0] * 3),)], op=(), grad=True,
        smooth=False),
    Row("var_mean", args=[(X,), (X, 1), (X, {"dim": 1, "correction": 0, "keepdim": True})]),
    Row("std_mean", args=[(X,), (X, 1), (X, {"dim": 1, "correction": 0, "keepdim": True})]),
]  # fmt: skip

INFINITE = T((2, 3), values=[[-math.inf, 0.5, 1.0], [2.0, -math.inf, -math.inf]], grad=False)
OTHERS = [
    Row("logsumexp", args=[(X, 1), (X, (0, 2)), (X, -1, True), (FAR, 0), (SCALAR, 0), (WHOLE, 1),
                           (INFINITE, 1), (T((1, 2), values=[[-math.inf] * 2], grad=False), 1)],
        bad=BAD_DIM),
    Row("nansum", args=[(HOLES,), (HOLES, 1), (HOLES, 0, True), (WHOLE,)]),
    Row("nanmean", args=[(HOLES,), (HOLES, 0), (T((2, 2)), 1, True)],
        bad=[((WHOLE,), DTypeError, "floating point")]),
    *(Row(n, args=[(FLAGS,), (FLAGS, 1), (FLAGS, 0, True), (WHOLE,), (BYTES, 1), (X, (0, 1)),
                   (EMPTY,), (EMPTY, 0), (SCALAR,), (HOLES, 1)], bad=BAD_DIM[:1])
      for n in ("any", "all")),
    Row("count_nonzero", args=[(WHOLE,), (WHOLE, 1), (X, (0, 1)), (EMPTY, 0), (SCALAR,), (BYTES,)],
        bad=BAD_DIM[:1]),
]  # fmt: skip

ROWS = [*SUMS, *SPREAD, *OTHERS]
