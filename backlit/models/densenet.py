"""DenseNet-BC for 32 x 32 images: every layer sees the outputs of all layers before it.

Huang et al. 2016, "Densely connected convolutional networks": bottlenecks of 4 k channels (B)
and transitions that compress channels (C). Depth 100 with growth 12 has 0.8 million parameters.
"""

from __future__ import annotations

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.tensor import Tensor


class DenseLayer(nn.Module):
    """Appends `growth` channels: BN, ReLU, 1 x 1 to 4 growth, BN, ReLU, 3 x 3 to growth.

    >>> from backlit.models.densenet import DenseLayer
    >>> DenseLayer(6, 2, dropout=0.0)(bl.zeros(1, 6, 4, 4)).shape == (1, 8, 4, 4)
    True
    """

    def __init__(self, inside: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        if self.dropout:
            y = F.dropout(y, self.dropout, self.training)
        return bl.cat([x, y], 1)


class Transition(nn.Module):
    """Compresses channels by a 1 x 1 convolution and halves the image by mean pooling.

    >>> from backlit.models.densenet import Transition
    >>> Transition(6, 3)(bl.zeros(1, 6, 4, 4)).shape == (1, 3, 2, 2)
    True
    """

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(inside)
        self.conv = nn.Conv2d(inside, outside, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv(F.relu(self.bn(x))), 2)


class DenseNet(nn.Module):
    """Images (N, channels, H, W) to logits (N, classes); three blocks of (depth - 4) / 6 layers.

    >>> from backlit import models
    >>> sum(p.numel() for p in models.DenseNet(depth=40, growth=12).parameters())
    176122
    """

    def __init__(
        self,
        depth: int = 100,
        growth: int = 12,
        compression: float = 0.5,
        dropout: float = 0.0,
        classes: int = 10,
        channels: int = 3,
    ) -> None:
        super().__init__()
        if depth < 10 or (depth - 4) % 6:
            raise ArgumentError(f"DenseNet: depth must be 6 n + 4, such as 40 or 100, got {depth}")
        width = 2 * growth
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        for stage in (1, 2, 3):
            layers = []
            for _ in range((depth - 4) // 6):
                layers.append(DenseLayer(width, growth, dropout))
                width += growth
            self.add_module(f"block{stage}", nn.Sequential(*layers))
            if stage < 3:
                narrow = int(width * compression)
                self.add_module(f"transition{stage}", Transition(width, narrow))
                width = narrow
        self.bn = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.transition1(self.block1(self.conv1(x)))
        x = self.block3(self.transition2(self.block2(x)))
        return self.fc(F.relu(self.bn(x)).mean((2, 3)))  # type: ignore[no-any-return]
