"""Rows of backlit/ops/convert.py."""

from __future__ import annotations

from rows import Row, T

import backlit as bl

X = T((2, 3))
WHOLE = T((2, 3), domain=(-5, 5), dtype="int64")


def doubled(x):
    return x.to(bl.float64)


ROWS = [
    Row("clone", args=[(X,), (WHOLE,), (T(()),), (T((0, 3)),)]),
    Row(doubled, op="cast", args=[(X,), (WHOLE,)], torch="Tensor.double", half=False),
    Row("Tensor.detach", op=(), args=[(X,)], grad=False),
]
