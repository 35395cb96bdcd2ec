"""Multi-head attention as one function: projections, masks, extra keys, heads, output.

Sequences come first: query (L, N, E), key (S, N, E), value (S, N, E), or all without the batch
axis. The attention itself is in attention.py.
"""

from __future__ import annotations

import math
from typing import Any

from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.ops.attention import ScaledDotProductAttention
from backlit.ops.op import Composite
from backlit.ops.pad import pad_constant
from backlit.ops.random import Dropout
from backlit.ops.softmax import Softmax
from backlit.ops.steps import affine, cat


class MultiHeadAttentionForward(Composite):
    """Attention in `num_heads` heads: (output (L, N, E), weights (N, L, S) or None).

    query (L, N, E), key and value (S, N, E); masks are bool (True: hidden) or added to the scores:
    `key_padding_mask` (N, S), `attn_mask` (L, S) or (N * heads, L, S).
    Source: Vaswani et al. (2017).

    >>> x, w = bl.ones(3, 1, 4), bl.ones(4, 4)
    >>> y, p = F.multi_head_attention_forward(
    ...     x, x, x, 4, 2, bl.ones(12, 4), None, None, None, False, 0.0, w, None)
    >>> y.shape, p.shape
    (backlit.Size([3, 1, 4]), backlit.Size([1, 3, 3]))
    """

    exports = "F"

    def expand(query, key, value, embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias,
               bias_k, bias_v, add_zero_attn, dropout_p, out_proj_weight, out_proj_bias,
               training=True, key_padding_mask=None, need_weights=True, attn_mask=None,
               use_separate_proj_weight=False, q_proj_weight=None, k_proj_weight=None,
               v_proj_weight=None, static_k=None, static_v=None, average_attn_weights=True,
               is_causal=False):  # fmt: skip
        _check(query, key, value, embed_dim_to_check, num_heads, is_causal, attn_mask)
        single = query.ndim == 2
        if single:
            query, key, value = (x.unsqueeze(1) for x in (query, key, value))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask.unsqueeze(0)
        weights: Any = (q_proj_weight, k_proj_weight, v_proj_weight)
        if not use_separate_proj_weight:
            weights = in_proj_weight.chunk(3, 0)
        biases: Any = (None,) * 3 if in_proj_bias is None else in_proj_bias.chunk(3, 0)
        q, k, v = (affine(x, w, b) for x, w, b in zip((query, key, value), weights, biases))
        k, v, added = _with_learned(k, v, bias_k, bias_v, static_k, static_v)
        q = _to_heads(q, num_heads)
        k = _to_heads(k, num_heads) if static_k is None else _split_static(k, q)
        v = _to_heads(v, num_heads) if static_v is None else _split_static(v, q)
        if add_zero_attn:
            k, v = (cat([x, x.new_zeros((*x.shape[:2], 1, x.shape[3]))], 2) for x in (k, v))
            added += 1
        mask = joint_mask(q, k.shape[2] - added, key_padding_mask, attn_mask)
        if mask is not None and added:  # no mask hides the extra keys
            mask = pad_constant(mask, (0, added), 0.0)
        dropout = dropout_p if training else 0.0
        heads, weights = attend(q, k, v, mask, dropout, need_weights)
        length, batch = query.shape[0], query.shape[1]
        joined = heads.permute(2, 0, 1, 3).reshape((length, batch, embed_dim_to_check))
        output = affine(joined, out_proj_weight, out_proj_bias)
        if weights is not None and average_attn_weights:
            weights = weights.sum(1) * (1.0 / num_heads)
        if single:
            output = output.squeeze(1)
            weights = None if weights is None else weights.squeeze(0)
        return output, weights


def _check(query: Any, key: Any, value: Any, size: int, heads: int, causal: bool,
           mask: Any) -> None:  # fmt: skip
    shapes = f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
    if {query.ndim, key.ndim, value.ndim} not in ({2}, {3}):
        raise ShapeError(
            "multi_head_attention_forward: query, key and value must all be (L, N, E) or all be"
            f" (L, E), got {shapes}"
        )
    if query.shape[-1] != size:
        raise ShapeError(
            f"multi_head_attention_forward: expected an embedding of {size}, got {shapes}"
        )
    if key.shape[:-1] != value.shape[:-1]:
        raise ShapeError(
            f"multi_head_attention_forward: key and value differ in length or batch: {shapes}"
        )
    if heads < 1 or size % heads:
        raise ArgumentError(
            f"multi_head_attention_forward: {size} does not divide into {heads} heads"
        )
    if causal and mask is None:
        raise ArgumentError(
            "multi_head_attention_forward: is_causal only says that attn_mask is causal",
            hint="pass attn_mask as well",
        )


def _with_learned(k: Any, v: Any, bias_k: Any, bias_v: Any, static_k: Any, static_v: Any) -> tuple:
    """The learned extra key and value, or given ones in place of the projected."""
    if bias_k is None or bias_v is None:
        return (k if static_k is None else static_k), (v if static_v is None else static_v), 0
    if static_k is not None or static_v is not None:
        raise ArgumentError("multi_head_attention_forward: bias_k goes without static_k")
    batch = k.shape[1]
    k, v = (cat([x, b.expand((1, batch, b.shape[-1]))], 0) for x, b in ((k, bias_k), (v, bias_v)))
    return k, v, 1


def _to_heads(x: Any, heads: int) -> Any:
    """(T, N, E) to (N, heads, T, E / heads)."""
    steps, batch, size = x.shape
    return x.reshape((steps, batch, heads, size // heads)).permute(1, 2, 0, 3)


def _split_static(x: Any, q: Any) -> Any:
    """(N * heads, S, size) to (N, heads, S, size)."""
    return x.reshape((q.shape[0], q.shape[1], *x.shape[1:]))


def joint_mask(q: Any, width: int, key_padding: Any, attention: Any) -> Any:
    """Both masks as one that is added to scores (N, heads, L, S), or None."""
    batch, heads, length = q.shape[:3]
    mask = None
    if attention is not None:
        allowed = ((length, width), (batch * heads, length, width))
        if tuple(attention.shape) not in allowed:
            raise ShapeError(
                f"multi_head_attention_forward: attn_mask has shape {tuple(attention.shape)},"
                f" expected {allowed[0]} or {allowed[1]}"
            )
        mask = _added("attn_mask", attention, q)
        if mask.ndim == 3:
            mask = mask.reshape((batch, heads, length, width))
    if key_padding is not None:
        if tuple(key_padding.shape) != (batch, width):
            raise ShapeError(
                f"multi_head_attention_forward: key_padding_mask has shape"
                f" {tuple(key_padding.shape)}, expected {(batch, width)}"
            )
        padding = _added("key_padding_mask", key_padding, q).reshape((batch, 1, 1, width))
        mask = padding if mask is None else mask + padding
    return mask


def _added(name: str, mask: Any, like: Any) -> Any:
    """A bool mask (True: hidden) as one that is added to scores."""
    if mask.dtype.kind == "b":
        return like.new_zeros(tuple(mask.shape)).masked_fill(mask, -math.inf)
    if not mask.dtype.is_floating_point:
        raise DTypeError(
            f"multi_head_attention_forward: {name} must be bool or floating point,"
            f" got {mask.dtype.name}"
        )
    return mask.to(like.dtype)


def attend(q: Any, k: Any, v: Any, mask: Any, dropout: float, need_weights: bool) -> tuple:
    """The heads' outputs, and the weights where they are wanted."""
    if not need_weights:
        return ScaledDotProductAttention.call(q, k, v, mask, dropout), None
    scores = (q * (1.0 / math.sqrt(q.shape[-1]))) @ k.mT
    scores = scores if mask is None else scores + mask
    weights = Softmax.call(scores, -1)
    weights = Dropout.call(weights, dropout) if dropout else weights
    return weights @ v, weights
