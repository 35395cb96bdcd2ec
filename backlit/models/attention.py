"""A classifier of sequences by self-attention alone.

Vaswani et al. 2017, "Attention is all you need": an encoder with sinusoidal positions, here
with normalization first; its mean over the steps is classified. For images: vit.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, ShapeError
from backlit.tensor import Tensor


class AttentionClassifier(nn.Module):
    """Sequences (N, T, features), with their `lengths` (N,) from 1 to T, to logits (N, classes).

    Steps beyond a length are neither attended nor averaged. Without `positions` the order of the
    steps has no influence.

    >>> from backlit import models
    >>> net = models.AttentionClassifier(features=2, width=16, heads=2, classes=10)
    >>> net(bl.zeros(3, 8, 2), lengths=bl.tensor([8, 5, 1])).shape == (3, 10)
    True
    """

    def __init__(
        self,
        features: int,
        width: int = 64,
        heads: int = 4,
        depth: int = 2,
        classes: int = 10,
        dropout: float = 0.0,
        positions: bool = True,
    ) -> None:
        super().__init__()
        if width % heads or width % 2:
            raise ArgumentError(
                f"AttentionClassifier: width {width} must be even and a multiple of heads {heads}"
            )
        self.positions = positions
        self.embed = nn.Linear(features, width)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, heads, 4 * width, dropout, "gelu", batch_first=True, norm_first=True
            )
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        steps, beyond = x.shape[1], None
        if lengths is not None:
            lengths = bl.as_tensor(lengths, device=x.device)
            if lengths.shape != x.shape[:1]:
                raise ShapeError(
                    f"AttentionClassifier: {len(x)} sequences need as many lengths, "
                    f"got shape {tuple(lengths.shape)}"
                )
            beyond = bl.arange(steps, device=x.device) >= lengths.unsqueeze(1)
        x = self.embed(x)
        if self.positions:
            x = x + sinusoids(steps, x.shape[-1], x.dtype).to(x.device)
        for layer in self.layers:
            x = layer(x, src_key_padding_mask=beyond)
        x = self.norm(x)
        if beyond is None:
            return self.fc(x.mean(1))  # type: ignore[no-any-return]
        within = (~beyond).unsqueeze(-1).to(x.dtype)
        return self.fc((x * within).sum(1) / within.sum(1))  # type: ignore[no-any-return]


def sinusoids(steps: int, width: int, dtype: bl.dtype | None = None) -> Tensor:
    """Position codes (steps, width): sines, then cosines, wavelengths from 2 pi to 20000 pi.

    >>> from backlit.models.attention import sinusoids
    >>> sinusoids(3, 4)[0].tolist()
    [0.0, 0.0, 1.0, 1.0]
    """
    dtype = bl.get_default_dtype() if dtype is None else dtype
    rates = bl.exp(bl.arange(width // 2, dtype=dtype) * (-2.0 * math.log(10000.0) / width))
    angles = bl.arange(steps, dtype=dtype).unsqueeze(1) * rates
    return bl.cat([angles.sin(), angles.cos()], 1)
