"""Vision transformer: an image as a sequence of patches, read by pre-norm attention blocks.

Dosovitskiy et al. 2020, "An image is worth 16x16 words". The class token's last state is read.
"""

from __future__ import annotations

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.tensor import Tensor


class Block(nn.Module):
    """x + proj(attention(ln1(x))), then x + fc2(gelu(fc1(ln2(x)))), GELU in its tanh form.

    >>> from backlit.models.vit import Block
    >>> Block(8, heads=2, hidden=16)(bl.zeros(1, 5, 8)).shape == (1, 5, 8)
    True
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.ln2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, d = x.shape
        qkv = self.qkv(self.ln1(x)).view(n, t, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, t, d)
        x = x + self.proj(seen)
        return x + self.fc2(F.gelu(self.fc1(self.ln2(x)), approximate="tanh"))  # type: ignore[no-any-return]


class VisionTransformer(nn.Module):
    """Images (N, channels, H, W) to logits (N, classes), by patches of `patch` x `patch`.

    Without `channels` in the input, (N, H, W) is taken as one channel.

    >>> from backlit import models
    >>> models.VisionTransformer()(bl.zeros(2, 28, 28)).shape == (2, 10)
    True
    """

    def __init__(
        self,
        image: int = 28,
        patch: int = 7,
        channels: int = 1,
        width: int = 64,
        depth: int = 4,
        heads: int = 4,
        hidden: int = 128,
        classes: int = 10,
    ) -> None:
        super().__init__()
        if image % patch or width % heads:
            raise ArgumentError(
                f"VisionTransformer: image {image} must be a multiple of patch {patch}, "
                f"width {width} of heads {heads}"
            )
        self.size, self.channels = patch, channels
        self.patch = nn.Linear(channels * patch * patch, width)
        self.cls = nn.Parameter(bl.zeros(1, 1, width))
        self.pos = nn.Parameter(bl.zeros((image // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Block(width, heads, hidden) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.cls, std=0.02)
        nn.init.trunc_normal_(self.pos, std=0.02)

    def _patches(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, patches, C * patch * patch), row by row."""
        n, p = x.shape[0], self.size
        rows, columns = x.shape[-2] // p, x.shape[-1] // p
        cut = x.reshape(n, self.channels, rows, p, columns, p).permute(0, 2, 4, 1, 3, 5)
        return cut.reshape(n, rows * columns, self.channels * p * p)

    def forward(self, x: Tensor) -> Tensor:
        n = x.shape[0]
        tokens = bl.cat([self.cls.expand(n, 1, -1), self.patch(self._patches(x))], 1)
        x = self.blocks(tokens + self.pos)
        return self.head(self.norm(x[:, 0]))  # type: ignore[no-any-return]
