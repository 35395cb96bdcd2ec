"""Rows of backlit/ops/attention.py and multihead.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rows import Row, T

import backlit as bl
from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.nn import functional as F

Q, K, V = T((2, 4, 3, 5)), T((2, 4, 6, 5)), T((2, 4, 6, 2))
HALF_K, HALF_V = T((2, 2, 6, 5)), T((2, 2, 6, 2))
# One row may look nowhere; the first may look at all.
ALLOWED = T((3, 6), dtype="bool", values=[[1] * 6, [0] * 6, [1, 0, 0, 1, 1, 0]])
CLOSED = T(
    (3, 6),
    values=[
        [0.0] * 6,
        [0.5, -math.inf, -math.inf, 1.0, 2.0, -1.0],
        [-math.inf, 0.0, 1.0, 0.0, 0.0, 0.0],
    ],
    grad=False,
)
FAR = T((2, 4, 3, 5), domain=(-1e4, 1e4), grad=False)
CAUSAL = {"is_causal": True}


def dropped_weights(q: Any, k: Any, v: Any) -> Any:
    """With dropout, from a fixed state of the generator."""
    bl.manual_seed(3)
    return F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)


def dropped_by_hand(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    scores = q @ np.swapaxes(k, -1, -2) / math.sqrt(q.shape[-1])
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    bl.manual_seed(3)
    kept = F.dropout(bl.ones(*weights.shape, dtype=bl.float64), 0.5).numpy()
    return (weights * kept) @ v


DOT = [
    Row("F.scaled_dot_product_attention",
        op=("scaled_dot_product_attention", "attention", "attention_grad"), args=[
            (Q, K, V), (Q, K, V, T((3, 6))), (Q, K, V, T((2, 1, 1, 6))), (Q, K, V, ALLOWED),
            (Q, K, V, CLOSED), (Q, K, V, CAUSAL), (Q, K, V, {"scale": 0.3}),
            (T((3, 5)), T((6, 5)), T((6, 2))), (Q, HALF_K, HALF_V, {"enable_gqa": True}),
            (FAR, K, V), (T((2, 0, 5)), T((2, 6, 5)), T((2, 6, 3))),
        ], grad=True, bad=[
            ((Q, T((2, 4, 6, 4)), V), ShapeError, "last size"),
            ((Q, K, T((2, 4, 5, 2))), ShapeError, "length"),
            ((Q, K, V, T((4, 6))), ShapeError, "broadcast"),
            ((Q, K, V, T((3, 6), dtype="int64")), DTypeError, "bool or floating"),
            ((Q, K, V, ALLOWED, CAUSAL), ArgumentError, "not both"),
            ((Q, T((2, 3, 6, 5)), V, {"enable_gqa": True}), ShapeError, "enable_gqa"),
            ((Q, K, 1.0), ArgumentTypeError, "expected a Tensor"),
            ((Q, T((2, 4, 6, 5), dtype="float32"), V), DTypeError, "convert"),
        ]),
    Row(dropped_weights, op=(), args=[(Q, K, V)], torch=None, numpy=dropped_by_hand, grad=True),
]  # fmt: skip

X, S = T((3, 2, 4)), T((5, 2, 4))
IN, BIAS, OUT, SHIFT = T((12, 4)), T((12,)), T((4, 4)), T((4,))
EXTRA = (T((1, 1, 4)), T((1, 1, 4)))
HIDDEN = T((3, 5), dtype="bool", values=[[0, 0, 0, 0, 1], [0, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
PADDED = T((2, 5), dtype="bool", values=[[0] * 5, [0, 0, 0, 1, 1]])


def _heads(x: T = X, s: T = S, inner: tuple = (IN, BIAS), extra: tuple = (None, None),
           zero: bool = False, out: Any = SHIFT, **keywords: Any) -> tuple:  # fmt: skip
    return (x, s, s, 4, 2, *inner, *extra, zero, 0.0, OUT, out, keywords)


HEADS = [
    Row("F.multi_head_attention_forward", args=[
        _heads(), _heads(inner=(IN, None), out=None, average_attn_weights=False),
        _heads(extra=EXTRA), _heads(zero=True, attn_mask=HIDDEN),
        _heads(extra=EXTRA, zero=True, attn_mask=HIDDEN, key_padding_mask=PADDED),
        _heads(attn_mask=T((4, 3, 5)), need_weights=False),
        _heads(T((3, 4)), T((5, 4)), attn_mask=T((3, 5))),
        _heads(inner=(None, BIAS), use_separate_proj_weight=True, q_proj_weight=T((4, 4)),
               k_proj_weight=T((4, 4)), v_proj_weight=T((4, 4)), training=False),
    ], grad=True, bad=[
        (_heads(x=T((3, 2, 5))), ShapeError, "embedding"),
        (_heads(attn_mask=T((2, 5))), ShapeError, "attn_mask"),
        (_heads(key_padding_mask=T((2, 3), dtype="bool")), ShapeError, "key_padding_mask"),
        (_heads(attn_mask=T((3, 5), dtype="int64")), DTypeError, "bool or floating"),
        (_heads(is_causal=True), ArgumentError, "attn_mask"),
        (_heads(x=T((3, 4))), ShapeError, "all be"),
    ]),
]  # fmt: skip

ROWS = [*DOT, *HEADS]
