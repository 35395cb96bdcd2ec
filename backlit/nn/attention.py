"""Multi-head attention; Vaswani et al. 2017. Next: transformer.py.

Also PyTorch's address for the choice of a kernel, of which there is one here.

Parameters, masks and returned weights follow PyTorch: a boolean mask is True where attention is
forbidden, a float mask is added to the scores. Inside, everything is (N, heads, T, features).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.nn import functional as F
from backlit.nn import init
from backlit.nn.linear import Linear
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter, empty
from backlit.tensor import Tensor


class MultiheadAttention(Module):
    """Attention of queries (L, N, E) to keys (S, N, kdim) and values (S, N, vdim).

    With `batch_first` N comes first; without a batch there is no N. Gives (output, weights):
    weights are (N, L, S), per head with `average_attn_weights=False`, None without `need_weights`.

    >>> attention = nn.MultiheadAttention(8, num_heads=2)
    >>> x = bl.zeros(5, 3, 8)
    >>> output, weights = attention(x, x, x)
    >>> output.shape == (5, 3, 8) and weights.shape == (3, 5, 5)
    True
    """

    in_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if embed_dim <= 0 or num_heads <= 0 or embed_dim % num_heads:
            raise ArgumentError(
                f"MultiheadAttention: embed_dim {embed_dim} must be a positive multiple of "
                f"num_heads {num_heads}"
            )
        self.embed_dim, self.num_heads, self.dropout = embed_dim, num_heads, dropout
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.head_dim, self.batch_first = embed_dim // num_heads, batch_first
        self.add_zero_attn = add_zero_attn
        place = {"device": device, "dtype": dtype}
        joint = self.kdim == self.vdim == embed_dim
        for name, width in (
            ("q_proj_weight", embed_dim),
            ("k_proj_weight", self.kdim),
            ("v_proj_weight", self.vdim),
        ):
            self.register_parameter(name, None if joint else empty(embed_dim, width, **place))
        whole = empty(3 * embed_dim, embed_dim, **place) if joint else None
        self.register_parameter("in_proj_weight", whole)
        self.register_parameter("in_proj_bias", empty(3 * embed_dim, **place) if bias else None)
        self.out_proj = Linear(embed_dim, embed_dim, bias=bias, **place)
        for name in ("bias_k", "bias_v"):
            self.register_parameter(name, empty(1, 1, embed_dim, **place) if add_bias_kv else None)
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            weight = getattr(self, name)
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)  # type: ignore[arg-type]
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        self._check_inputs(query, key, value)
        if is_causal and attn_mask is None:
            raise ArgumentError(
                "MultiheadAttention: is_causal only says that attn_mask is causal; "
                "pass attn_mask as well (Transformer.generate_square_subsequent_mask)"
            )
        batched = query.ndim == 3
        q, k, v = self._project(query, key, value)
        q, k, v = (self._to_heads(x, batched) for x in (q, k, v))
        mask = self._mask(q, k, key_padding_mask, attn_mask)
        k, v, mask = self._with_extra_keys(k, v, mask)
        dropout = self.dropout if self.training else 0.0
        weights = None
        if need_weights:
            scores = (q / math.sqrt(self.head_dim)) @ k.transpose(-2, -1)
            weights = F.softmax(scores if mask is None else scores + mask, -1)
            weights = F.dropout(weights, dropout) if dropout else weights
            heads = weights @ v
        else:
            heads = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        output = self.out_proj(heads.transpose(1, 2).flatten(2))
        if not batched:
            output = output.squeeze(0)
        elif not self.batch_first:
            output = output.transpose(0, 1)
        if weights is not None:
            weights = weights.mean(1) if average_attn_weights else weights
            weights = weights if batched else weights.squeeze(0)
        return output, weights

    def _check_inputs(self, query: Tensor, key: Tensor, value: Tensor) -> None:
        ranks = {x.ndim for x in (query, key, value)}
        if ranks not in ({2}, {3}):
            raise ShapeError(
                "MultiheadAttention: query, key and value must all be 2D or all be 3D, got "
                f"{tuple(query.shape)}, {tuple(key.shape)}, {tuple(value.shape)}"
            )
        sizes = {"query": self.embed_dim, "key": self.kdim, "value": self.vdim}
        for (name, size), x in zip(sizes.items(), (query, key, value), strict=True):
            if x.shape[-1] != size:
                raise ShapeError(
                    f"MultiheadAttention: {name} has {x.shape[-1]} features, expected {size}"
                )
        if key.shape[:-1] != value.shape[:-1]:
            raise ShapeError(
                "MultiheadAttention: key and value differ in length or batch: "
                f"{tuple(key.shape)}, {tuple(value.shape)}"
            )

    def _project(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, ...]:
        if self.in_proj_weight is not None and query is key and key is value:
            return F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        weights: Any = (self.q_proj_weight, self.k_proj_weight, self.v_proj_weight)
        if self.in_proj_weight is not None:
            weights = self.in_proj_weight.chunk(3)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.chunk(3)
        inputs = (query, key, value)
        return tuple(F.linear(x, w, b) for x, w, b in zip(inputs, weights, biases, strict=True))

    def _to_heads(self, x: Tensor, batched: bool) -> Tensor:
        """(T, E), (T, N, E) or (N, T, E) to (N, heads, T, head_dim)."""
        if not batched:
            x = x.unsqueeze(0)
        elif not self.batch_first:
            x = x.transpose(0, 1)
        return x.unflatten(-1, (self.num_heads, self.head_dim)).transpose(1, 2)

    def _mask(
        self, q: Tensor, k: Tensor, key_padding: Tensor | None, attention: Tensor | None
    ) -> Tensor | None:
        """Both masks as one that is added to scores (N, heads, L, S)."""
        batch, heads, length = q.shape[:3]
        width, mask = k.shape[2], None
        if attention is not None:
            allowed = ((length, width), (batch * heads, length, width))
            if tuple(attention.shape) not in allowed:
                raise ShapeError(
                    f"MultiheadAttention: attn_mask has shape {tuple(attention.shape)}, "
                    f"expected {allowed[0]} or {allowed[1]}"
                )
            mask = _additive("attn_mask", attention, q)
            mask = mask.reshape(batch, heads, length, width) if mask.ndim == 3 else mask
        if key_padding is not None:
            padding = _additive("key_padding_mask", key_padding, q)
            padding = padding.unsqueeze(0) if padding.ndim == 1 else padding
            if tuple(padding.shape) != (batch, width):
                raise ShapeError(
                    f"MultiheadAttention: key_padding_mask has shape "
                    f"{tuple(key_padding.shape)}, expected {(batch, width)}"
                )
            padding = padding.reshape(batch, 1, 1, width)
            mask = padding if mask is None else mask + padding
        return mask

    def _with_extra_keys(
        self, k: Tensor, v: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Append the learned key and the zero key, which no mask hides."""
        batch, heads, width, size = k.shape
        if self.bias_k is not None and self.bias_v is not None:
            extra = [b.reshape(1, heads, 1, size) for b in (self.bias_k, self.bias_v)]
            k, v = (
                bl.cat([x, e.expand(batch, heads, 1, size)], 2)
                for x, e in zip((k, v), extra, strict=True)
            )
        if self.add_zero_attn:
            k, v = (bl.cat([x, x.new_zeros((batch, heads, 1, size))], 2) for x in (k, v))
        added = k.shape[2] - width
        return k, v, F.pad(mask, (0, added)) if mask is not None and added else mask


def _additive(name: str, mask: Tensor, like: Tensor) -> Tensor:
    if mask.dtype == bl.bool:
        zeros = like.new_zeros(tuple(mask.shape))
        return zeros.masked_fill(mask, float("-inf"))
    if not mask.is_floating_point():
        raise DTypeError(f"MultiheadAttention: {name} must be bool or float, got {mask.dtype}")
    return mask.to(like.dtype)


class SDPBackend(enum.IntEnum):
    """PyTorch's names for kernels of scaled dot product attention."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextmanager
def sdpa_kernel(
    backends: SDPBackend | list[SDPBackend], set_priority: bool = False
) -> Iterator[None]:
    """Takes programs' choice of kernels, which changes nothing: there is one.

    >>> from backlit.nn.attention import SDPBackend, sdpa_kernel
    >>> with sdpa_kernel([SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]):
    ...     F.scaled_dot_product_attention(*[bl.ones(1, 2, 4)] * 3).shape
    backlit.Size([1, 2, 4])
    """
    chosen = [backends] if isinstance(backends, SDPBackend) else list(backends)
    if not chosen or not all(isinstance(each, SDPBackend) for each in chosen):
        raise ArgumentError(f"sdpa_kernel: expected SDPBackend or a list of them, got {backends!r}")
    yield
