"""Rows of backlit/ops/softmax.py."""

from __future__ import annotations

import math

from rows import Row, T

from backlit.errors import DTypeError, IndexOutOfRange

X = T((3, 4))
FAR = T((4,), values=[-1e4, 0.0, 1e4, 1e4 - 1])
MASKED = T((3,), values=[0.5, -math.inf, 1.0])
ARGS = [(X, 0), (X, 1), (X, -1), (T((2, 3, 4)), 1), (T(()), 0), (T((0, 3)), 1), (T((3, 0)), 1),
        (FAR, 0), (MASKED, 0), (X, {"dim": 1})]  # fmt: skip
BAD = [((X, 2), IndexOutOfRange, "out of range"),
       ((T((3,), dtype="int64"), 0), DTypeError, "floating point")]  # fmt: skip

ROWS = [
    Row("softmax", args=ARGS, bad=BAD),
    Row("log_softmax", args=ARGS[:8], bad=BAD),
    Row("F.softmax", args=[(X, 1)]),
    Row("F.softmin", args=[(X, 1), (X, {"dim": 0}), (FAR, 0)], grad=True, bad=BAD),
    Row("F.log_softmax", args=[(X, 1)]),
    Row("Tensor.softmax", args=[(X, 1)]),
    Row("Tensor.log_softmax", args=[(X, 1)]),
    Row("special.log_softmax", args=[(X, 1)]),
]
