"""Scaled dot-product attention, closed for speed, and multi-head attention around it.

`attention` keeps its weights for `attention_grad`; with dropout on the weights it is made of
products and a softmax. Shapes: query (..., L, E), key (..., S, E), value (..., S, V).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.ops.op import (
    Composite,
    Operator,
    Spec,
    apply,
    broadcast_shapes,
    require_float,
    slot,
)
from backlit.ops.random import Dropout


def _wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def causal_mask(rows: int, columns: int) -> np.ndarray:
    """True where a query may look: at its own place and before."""
    return np.tri(rows, columns, dtype=bool)


def weigh(scores: np.ndarray, mask: np.ndarray | None, causal: bool) -> np.ndarray:
    """Softmax of masked scores, in place; a row with nothing allowed is 0."""
    if causal:
        allowed = causal_mask(*scores.shape[-2:])
        mask = allowed if mask is None else mask & allowed
    if mask is not None and mask.dtype == bool:
        np.copyto(scores, -np.inf, where=~mask)
    elif mask is not None:
        scores += mask
    if not scores.size:
        return scores
    top = scores.max(axis=-1, keepdims=True)
    if mask is not None:
        top[np.isneginf(top)] = 0
    scores -= top
    np.exp(scores, out=scores)
    total = scores.sum(axis=-1, keepdims=True)
    if mask is not None:
        total[total == 0] = 1
    scores /= total
    return scores


class Attention(Operator):
    """softmax(q k^T scale + mask) v; also returns the weights.

    Source: Vaswani et al. (2017).
    """

    exports = ""
    inputs = ("q", "k", "v", "mask")
    outputs = ("y", "weights")
    nondifferentiable = ("weights",)

    def infer(q, k, v, mask, *, scale, causal):
        for x in (q, k, v):
            require_float(x)
            if x.ndim < 2:
                raise ShapeError(f"expected (..., length, size), got {x.shape}")
            if x.dtype is not q.dtype:
                raise DTypeError(
                    f"query is {q.dtype.name}, key {k.dtype.name}, value {v.dtype.name}",
                    hint="convert them to one dtype",
                )
        if q.shape[-1] != k.shape[-1]:
            raise ShapeError(f"query {q.shape} and key {k.shape} differ in their last size")
        if k.shape[-2] != v.shape[-2]:
            raise ShapeError(f"key {k.shape} and value {v.shape} differ in length")
        rows, columns = q.shape[-2], k.shape[-2]
        weights = (*broadcast_shapes(q.shape[:-2], k.shape[:-2]), rows, columns)
        if mask is not None:
            _check_mask(mask, weights)
        lead = broadcast_shapes(weights[:-2], v.shape[:-2])
        return Spec((*lead, rows, v.shape[-1]), q.dtype), Spec(weights, q.dtype)

    def forward(q, k, v, mask, *, scale, causal):
        wide = _wide(q)
        scores = (wide * wide.dtype.type(scale)) @ _wide(k).swapaxes(-1, -2)
        weights = weigh(scores, mask, causal)
        y = weights @ _wide(v)
        return y.astype(q.dtype, copy=False), weights.astype(q.dtype, copy=False)

    def backward(g_y, q, k, v, mask, weights, scale, causal, needs):
        # A bool mask has no gradient, and one that wants none is not computed.
        return apply(AttentionGrad, g_y, q, k, v, mask, weights, scale=scale, causal=causal,
                     masked=needs[3])  # fmt: skip

    def latex(q, k, v, mask=None, *, scale, causal):
        inner = rf"{scale:g} \, {q} {{{k}}}^{{\top}}" + (f" + {mask}" if mask else "")
        return rf"\operatorname{{softmax}}\left({inner}\right) {v}"


def _check_mask(mask: Spec, weights: tuple) -> None:
    if mask.dtype.kind not in "bf":
        raise DTypeError(f"attn_mask must be bool or floating point, got {mask.dtype.name}")
    if broadcast_shapes(mask.shape, weights) != weights:
        raise ShapeError(f"attn_mask of shape {mask.shape} does not broadcast to {weights}")


class AttentionGrad(Operator):
    """The gradients of `attention`; differentiated through `expand`."""

    exports = ""
    inputs = ("g0", "q", "k", "v", "mask", "weights")
    outputs = ("gq", "gk", "gv", "gmask")

    def infer(g, q, k, v, mask, weights, *, scale, causal, masked):
        lead = broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
        grads = (Spec((*lead, *x.shape[-2:]), x.dtype) for x in (q, k, v))
        return *grads, weights if masked else None

    def forward(g, q, k, v, mask, weights, *, scale, causal, masked):
        wide, p = _wide(g), _wide(weights)
        gv = p.swapaxes(-1, -2) @ wide
        gp = wide @ _wide(v).swapaxes(-1, -2)
        gp -= np.vecdot(gp, p)[..., None]
        gp *= p
        scaled = gp * gp.dtype.type(scale)
        gq, gk = scaled @ _wide(k), scaled.swapaxes(-1, -2) @ _wide(q)
        grads = tuple(a.astype(g.dtype, copy=False) for a in (gq, gk, gv))
        return *grads, gp.astype(g.dtype, copy=False) if masked else None

    def expand(g, q, k, v, mask, weights, *, scale, causal, masked):
        p = attention_weights(q, k, mask, scale, causal)
        gp = g @ v.mT
        gs = p * (gp - (gp * p).sum(-1, keepdim=True))
        return (gs @ k) * scale, (gs.mT @ q) * scale, p.mT @ g, gs if masked else None

    def latex(g, q, k, v, mask=None, weights=None, **params):
        inputs = f"({q}, {k}, {v})"
        return rf"\frac{{\partial \operatorname{{attention}}}}{{\partial {inputs}}}^{{\top}} {g}"


def attention_weights(q: Any, k: Any, mask: Any, scale: float, causal: bool) -> Any:
    """The weights of attention, in plain operators; a row with nothing allowed is 0."""
    scores, allowed = (q * scale) @ k.mT, None
    if causal:
        allowed = slot.wrap(causal_mask(*scores.shape[-2:]))
    if mask is not None and mask.dtype.is_floating_point:
        scores = scores + mask
        mask = mask.detach() != -math.inf
    if mask is not None:
        allowed = mask if allowed is None else allowed & mask
    if allowed is None:
        return scores.softmax(-1)
    # Where nothing is allowed, softmax sees what it likes and its result is dropped.
    open_rows = allowed.any(-1, keepdim=True)
    closed = (open_rows & ~allowed).expand(scores.shape)
    seen = scores.masked_fill(~open_rows.expand(scores.shape), 0.0)
    weights = seen.masked_fill(closed, -math.inf).softmax(-1)
    return weights.masked_fill(~open_rows.expand(scores.shape), 0.0)


class ScaledDotProductAttention(Composite):
    """softmax(query key^T scale + mask) value, the heart of a transformer.

    query (..., L, E), key (..., S, E), value (..., S, V); `attn_mask` (..., L, S) is bool (True:
    may look) or added to the scores. `is_causal` hides what comes later. `scale` is 1 / sqrt(E)
    unless given. `enable_gqa` repeats the heads (axis -3) of key and value.

    >>> x = bl.ones(1, 2, 4)
    >>> F.scaled_dot_product_attention(x, x, x, is_causal=True).shape
    backlit.Size([1, 2, 4])
    """

    exports = "F"

    def expand(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None,
               enable_gqa=False):  # fmt: skip
        for x in (query, key, value):
            if not hasattr(x, "cell"):
                raise ArgumentTypeError(
                    f"scaled_dot_product_attention: expected a Tensor, got {type(x).__name__}"
                )
        if is_causal and attn_mask is not None:
            raise ArgumentError(
                "scaled_dot_product_attention: give attn_mask or is_causal=True, not both"
            )
        if scale is None:
            scale = 1.0 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0
        if enable_gqa:
            key, value = (_repeat_heads(x, query) for x in (key, value))
        causal = bool(is_causal)
        if not dropout_p:
            return apply(Attention, query, key, value, attn_mask, scale=float(scale),
                         causal=causal)[0]  # fmt: skip
        weights = attention_weights(query, key, attn_mask, float(scale), causal)
        return Dropout.call(weights, dropout_p) @ value


def _repeat_heads(x: Any, query: Any) -> Any:
    """Every head as often as there are query heads for it."""
    if x.ndim < 3 or query.ndim < 3 or not x.shape[-3] or query.shape[-3] % x.shape[-3]:
        raise ShapeError(
            f"enable_gqa: query {tuple(query.shape)} has no whole number of heads for each of"
            f" {tuple(x.shape)}"
        )
    times = query.shape[-3] // x.shape[-3]
    if times == 1:
        return x
    grown = x.unsqueeze(-3).expand((*x.shape[:-2], times, *x.shape[-2:]))
    return grown.reshape((*x.shape[:-3], query.shape[-3], *x.shape[-2:]))
