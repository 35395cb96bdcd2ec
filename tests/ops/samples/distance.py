"""Rows of backlit/ops/distance.py."""

from __future__ import annotations

import math

from rows import Row, T

from backlit.errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError

X = T((2, 3, 4), kink=(0,))
ROWS_A, ROWS_B = T((3, 4)), T((2, 4))
WHOLE = T((2, 4), domain=(-5, 5), dtype="int64")
ZERO = T((2, 3), values=[[0.0, 0.0, 0.0], [0.0, 1.0, -2.0]])
ORDERS = (0, 0.5, 1, 1.5, 2, 2.5, 3, math.inf, -math.inf)

ROWS = [
    Row("norm", op=("norm", "p_norm"), args=[
        (X,), (X, "fro"), (X, None, 1), *((X, p, 1) for p in ORDERS), (X, 2, (0, 2), True),
        (X, 3, -1, True), (T(()),), (T((0, 3)), 2, 0), (X, {"p": 1}),
    ], bad=[
        ((WHOLE,), DTypeError, "floating point"), ((X, "x"), ArgumentError, "'fro' or 'nuc'"),
        ((X, 2, 3), IndexOutOfRange, "out of range"),
        ((T((0,)), math.inf), ArgumentError, "size 0"),
    ]),
    # At 0 the gradient is PyTorch's choice; there is no derivative to compare with.
    Row("norm", op=(), args=[(ZERO, p, 1) for p in (1, 1.5, 2, 3, math.inf)], grad=True,
        smooth=False),
    Row("F.normalize", args=[(X,), (X, 1.0), (X, 2.0, 0), (X, 3.0, -1), (T((0, 3)),)]),
    Row("F.cosine_similarity", args=[(X, X), (X, T((3, 4))), (X, X, -1), (X, X, {"dim": 0})],
        bad=[((X, X, 3), IndexOutOfRange, "out of range")]),
    Row("F.pairwise_distance", args=[(ROWS_A, ROWS_A), (ROWS_A, T((4,))), (ROWS_A, ROWS_A, 1.0),
                                     (ROWS_A, ROWS_A, 3.0, 1e-3, True)],
        bad=[((ROWS_A, ROWS_B), ShapeError, "do not broadcast")]),
    Row("cdist", args=[(ROWS_A, ROWS_B), *((ROWS_A, ROWS_B, p) for p in (0.0, 1.0, 3.0, math.inf)),
                       (T((2, 3, 4)), T((2, 4))), (T((0, 4)), ROWS_B)],
        bad=[((ROWS_A, T((2, 3))), ShapeError, "no distance"),
             ((ROWS_A, ROWS_B, -1.0), ArgumentError, "must not be negative")]),
    Row("F.pdist", args=[(ROWS_A,), (ROWS_A, 1.0)], double=True,
        bad=[((X,), ShapeError, "expected rows")]),
    Row("dist", args=[(ROWS_A, ROWS_A), (ROWS_A, T((4,)), 1), (ROWS_A, ROWS_A, 3)]),
    Row("renorm", args=[(ROWS_A, 2, 0, 1.5), (X, 1, 1, 3.0), (X, 2, -1, 0.5)],
        bad=[((T((3,)), 2, 0, 1.0), ShapeError, "no slices"),
             ((ROWS_A, 0, 0, 1.0), ArgumentError, "must be positive")]),
]  # fmt: skip
