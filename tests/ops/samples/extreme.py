"""Rows of backlit/ops/extreme.py."""

from __future__ import annotations

import math

from rows import Row, T

from backlit.errors import ArgumentError, DTypeError, IndexOutOfRange

X = T((2, 3, 4), distinct=True)
WHOLE = T((2, 4), domain=(-5, 5), dtype="int64")
TIES = T((2, 4), values=[[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 5.0]])
HOLES = T((2, 4), values=[[1.0, math.nan, 3.0, math.nan], [4.0, 2.0, 3.0, 0.5]], grad=False)
LEVELS = T((2,), (0, 1), grad=False)
EMPTY = T((0, 3))
SCALAR = T(())
BAD_DIM = [((X, 3), IndexOutOfRange, "out of range"), ((EMPTY, 0), IndexOutOfRange, "of size 0")]
ALONG = [(X,), (X, 1), (X, -1, True), (X, {"dim": 0, "keepdim": True}), (WHOLE,), (WHOLE, 1),
         (SCALAR,), (SCALAR, 0), (HOLES, 1), (T((0, 3)), 1)]  # fmt: skip
SOLE = [((EMPTY,), ArgumentError, "empty tensor")]


def tied(name: str) -> Row:
    """Ties have a gradient that differences can't see: PyTorch's is the judge."""
    return Row(name, args=[(TIES,), (TIES, 1), (TIES, 0)], op=(), grad=True, smooth=False)


ROWS = [
    *(Row(n, args=[*ALONG, (X, (0, 2)), (X, ()), (X, (0, -1), True), (HOLES,)], bad=BAD_DIM)
      for n in ("amax", "amin")),
    Row("max", op=("max", "max_dim"), args=[*ALONG, (X, X), (HOLES,), (WHOLE, T((4,)))],
        bad=[*BAD_DIM, *SOLE], grad=True),
    Row("min", op=("min", "min_dim"), args=[*ALONG, (X, X), (HOLES,), (WHOLE, T((4,)))],
        bad=[*BAD_DIM, *SOLE], grad=True),
    Row("aminmax", args=[(X,), (X, {"dim": 1}), (X, {"dim": -1, "keepdim": True}), (WHOLE,)],
        bad=[((EMPTY,), ArgumentError, "empty tensor")]),
    *(Row(n, args=[*ALONG, (X, {"keepdim": True}), (HOLES,), (TIES, 1)],
          bad=[*BAD_DIM, ((EMPTY,), IndexOutOfRange, "empty tensor")])
      for n in ("argmax", "argmin")),
    *(Row(n, op=(n, f"{n}_dim", "middle"),
          args=[*ALONG, (T((5,), distinct=True),), (HOLES,), (HOLES, 0)],
          bad=BAD_DIM, grad=True) for n in ("median", "nanmedian")),
    Row("mode", op=("mode", "mode_dim"), args=[
        (T((3, 7), domain=(0, 3), dtype="int64"),), (T((3, 7), domain=(0, 3), dtype="int64"), 0),
        (T((5,), values=[2.0, 1.0, 2.0, 1.0, 3.0]), -1, True), (SCALAR, 0),
    ], bad=BAD_DIM, smooth=False),
    *(Row(n, args=[
        (T((5,), distinct=True), 0.3), (X, 0.3, 1), (X, 0.5, -1, True), (X, 0.0), (X, 1.0, 2),
        (X, LEVELS), (X, LEVELS, 0), (X, LEVELS, 1, True),
        (HOLES, 0.4, 1), (HOLES, 0.6), (SCALAR, 0.2),
        *((X, 0.35, 1, False, {"interpolation": i})
          for i in ("lower", "higher", "midpoint", "nearest")),
    ], bad=[
        ((X, 1.5), ArgumentError, "between 0 and 1"),
        ((X, 0.5, 0, False, {"interpolation": "no"}), ArgumentError, "interpolation must be"),
        ((WHOLE, 0.5), DTypeError, "of floats"),
        ((X, T((1,), (0, 1), dtype="float32")), DTypeError, "q is float32"),
    ]) for n in ("quantile", "nanquantile")),
    tied("amax"), tied("amin"), tied("max"), tied("min"), tied("median"),
]  # fmt: skip
