"""U-Net for dense prediction: an encoder that halves, a decoder that doubles, skips between.

Ronneberger et al. 2015, "U-Net: convolutional networks for biomedical image segmentation", with
padded convolutions and batch normalization.
"""

from __future__ import annotations

import backlit as bl
from backlit import nn
from backlit.errors import ShapeError
from backlit.nn import functional as F
from backlit.tensor import Tensor


class DoubleConv(nn.Module):
    """Twice: 3 x 3 convolution, BatchNorm, ReLU.

    >>> from backlit.models.unet import DoubleConv
    >>> DoubleConv(1, 4)(bl.zeros(1, 1, 6, 6)).shape == (1, 4, 6, 6)
    True
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)))


class UNet(nn.Module):
    """Images (N, channels, H, W) to logits (N, classes, H, W); sides divisible by 2^depth.

    >>> from backlit import models
    >>> models.UNet(classes=2, width=4)(bl.zeros(1, 1, 16, 16)).shape == (1, 2, 16, 16)
    True
    """

    def __init__(
        self, classes: int = 2, channels: int = 1, width: int = 16, depth: int = 3
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        insides = [channels, *widths[:-1]]
        self.enc = nn.ModuleList(
            DoubleConv(i, o) for i, o in zip(insides, widths[:-1], strict=False)
        )
        self.mid = DoubleConv(widths[-2] if depth else channels, widths[-1])
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, stride=2) for w in widths[:-1])
        self.dec = nn.ModuleList(DoubleConv(2 * w, w) for w in widths[:-1])
        self.out = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        fold = 2 ** len(self.enc)
        if x.shape[-2] % fold or x.shape[-1] % fold:
            raise ShapeError(
                f"UNet: the sides of images {tuple(x.shape)} must be multiples of {fold}",
                hint="pad them, as F.pad does, or give the network another depth",
            )
        skips = []
        for encoder in self.enc:
            x = encoder(x)
            skips.append(x)
            x = F.max_pool2d(x, 2)
        x = self.mid(x)
        for level in reversed(range(len(skips))):
            x = self.dec[level](bl.cat([self.up[level](x), skips[level]], 1))
        return self.out(x)  # type: ignore[no-any-return]
