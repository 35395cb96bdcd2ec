"""Rows of backlit/ops/statistics.py."""

from __future__ import annotations

from rows import Row, T

from backlit.errors import ArgumentError, DTypeError, ShapeError

X = T((4, 5))
LONG = T((50,), domain=(-3.0, 3.0))
COUNTED = T((9,), domain=(0, 4), dtype="int64")
TIMES = T((5,), domain=(1, 3), dtype="int64")
SHARES = T((5,), domain=(0.5, 2.0), grad=False)

ROWS = [
    Row("histc", args=[(LONG,), (LONG, 7), (LONG, 5, -1.0, 2.0), (T((0,)), 3),
                       (T((3,), values=[1.5, 1.5, 1.5]), 4)],
        bad=[((LONG, 0), ArgumentError, "bins must be positive"),
             ((LONG, 3, 2, 1), ArgumentError, "must not be below"),
             ((COUNTED,), DTypeError, "floating point")], half=False),
    Row("bincount", args=[(COUNTED,), (COUNTED, {"minlength": 8}), (T((0,), dtype="int64"),),
                          (COUNTED, T((9,), grad=False)), (T((4,), (0, 3), dtype="uint8"),)],
        bad=[((X,), DTypeError, "whole numbers"),
             ((T((2, 2), (0, 1), dtype="int64"),), ShapeError, "one axis"),
             ((T((1,), values=[-1], dtype="int64"),), ArgumentError, "from 0 on"),
             ((COUNTED, T((3,))), ShapeError, "weights of shape")], half=False),
    Row("cov", args=[(X,), (LONG,), (X, {"correction": 0}), (X, {"fweights": TIMES}),
                     (X, {"aweights": SHARES}), (X, {"fweights": TIMES, "aweights": SHARES})],
        bad=[((T((2, 2, 2)),), ShapeError, "at most two axes")], half=False),
    Row("corrcoef", args=[(X,), (T((2, 6)),)], half=False),
]  # fmt: skip
