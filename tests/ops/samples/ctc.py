"""Rows of backlit/ops/loss_ctc.py. Logits go through log_softmax first: PyTorch's gradient with
respect to log_probs is right only after that."""

from __future__ import annotations

from rows import Row, T

from backlit.errors import ArgumentError, IndexOutOfRange, ShapeError

X = T((6, 2, 4))
Y = T((2, 3), values=[[1, 2, 2], [3, 3, 1]], dtype="int64")
JOINED = T((4,), values=[1, 2, 2, 3], dtype="int64")
FULL, SOME = (T((2,), values=v, dtype="int64") for v in ([6, 6], [6, 4]))
LONG, SHORT, NONE = (T((2,), values=v, dtype="int64") for v in ([3, 3], [3, 1], [2, 0]))


def ctc_of_logits(x, *args, **params):
    """The loss of logits, in Backlit."""
    import backlit as bl

    return bl.nn.functional.ctc_loss(bl.log_softmax(x, -1), *args, **params)


def in_pytorch(x, *args, **params):
    import torch

    return torch.nn.functional.ctc_loss(torch.log_softmax(x, -1), *args, **params)


ROWS = [
    Row(ctc_of_logits, op="ctc_loss", torch=in_pytorch, half=False, args=[
        *((X, Y, FULL, LONG, {"reduction": r}) for r in ("none", "mean", "sum")),
        (X, Y, SOME, SHORT), (X, Y, SOME, NONE), (X, JOINED, SOME, SHORT),
        (X, Y, FULL, SHORT, {"blank": 0, "zero_infinity": True}),
        (T((2, 2, 4)), Y, T((2,), values=[2, 2], dtype="int64"), SHORT, {"zero_infinity": True}),
        (T((6, 4)), T((2,), values=[1, 2], dtype="int64"), T((), values=6, dtype="int64"),
         T((), values=2, dtype="int64")),
    ], bad=[
        ((X, Y, T((3,), values=[6, 6, 6], dtype="int64"), LONG), ShapeError, "3 lengths"),
        ((X, Y, T((2,), values=[7, 6], dtype="int64"), LONG), ArgumentError, "from 0 to 6"),
        ((X, Y, FULL, T((2,), values=[4, 1], dtype="int64")), ArgumentError, "do not fit"),
        ((X, Y, FULL, LONG, {"blank": 4}), ArgumentError, "blank must be from 0 to 3"),
        ((X, T((2, 1), values=[[4], [1]], dtype="int64"), FULL,
          T((2,), values=[1, 1], dtype="int64")), IndexOutOfRange, "got 0 to 4"),
        ((T((4,)), Y, FULL, LONG), ShapeError, "(T, N, C)"),
        ((X, Y, FULL, LONG, {"reduction": "all"}), ArgumentError, "'none', 'mean' or 'sum'"),
    ]),
]  # fmt: skip
