"""DenseNet for 224 x 224 images: DenseNet-121, 161, 169 and 201.

Huang et al. 2016, "Densely connected convolutional networks", table 1. Parameters are named
as in torchvision, so that its checkpoints load. For 32 x 32 images: densenet.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import backlit as bl
from backlit import nn
from backlit.nn import functional as F
from backlit.tensor import Tensor


class DenseLayer(nn.Module):
    """BN, ReLU, 1 x 1 to 4 growth, BN, ReLU, 3 x 3 to growth; its channels are appended.

    >>> from backlit.models.densenet_imagenet import DenseLayer
    >>> DenseLayer(6, 2, dropout=0.0)(bl.zeros(1, 6, 4, 4)).shape == (1, 8, 4, 4)
    True
    """

    def __init__(self, inside: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x)))
        y = self.conv2(F.relu(self.norm2(y)))
        if self.dropout:
            y = F.dropout(y, self.dropout, self.training)
        return bl.cat([x, y], 1)


class Transition(nn.Sequential):
    """BN, ReLU, 1 x 1 convolution to half the channels, mean pooling over 2 x 2.

    >>> from backlit.models.densenet_imagenet import Transition
    >>> Transition(6)(bl.zeros(1, 6, 4, 4)).shape == (1, 3, 2, 2)
    True
    """

    def __init__(self, inside: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inside)
        self.relu = nn.ReLU()
        self.conv = nn.Conv2d(inside, inside // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2)


class ImageNetDenseNet(nn.Module):
    """Images (N, channels, H, W), sides of at least 32, to logits (N, classes).

    `layers` per block; `width` channels from the first convolution, growing by `growth` a layer.

    >>> from backlit import models
    >>> net = models.ImageNetDenseNet([1, 1, 1, 1], growth=4, width=8, classes=10)
    >>> net(bl.zeros(2, 3, 32, 32)).shape == (2, 10)
    True
    """

    def __init__(
        self,
        layers: Sequence[int] = (6, 12, 24, 16),
        growth: int = 32,
        width: int = 64,
        classes: int = 1000,
        dropout: float = 0.0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        self.features.add_module("conv0", nn.Conv2d(channels, width, 7, 2, padding=3, bias=False))
        self.features.add_module("norm0", nn.BatchNorm2d(width))
        self.features.add_module("relu0", nn.ReLU())
        self.features.add_module("pool0", nn.MaxPool2d(3, 2, padding=1))
        for stage, count in enumerate(layers, 1):
            block = nn.Sequential()
            for index in range(1, count + 1):
                block.add_module(f"denselayer{index}", DenseLayer(width, growth, dropout))
                width += growth
            self.features.add_module(f"denseblock{stage}", block)
            if stage < len(layers):
                self.features.add_module(f"transition{stage}", Transition(width))
                width //= 2
        self.features.add_module("norm5", nn.BatchNorm2d(width))
        self.classifier = nn.Linear(width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.features(x)).mean((2, 3))
        return self.classifier(x)  # type: ignore[no-any-return]


def densenet121(classes: int = 1000, growth: int = 32, width: int = 64) -> ImageNetDenseNet:
    """DenseNet-121: 7,978,856 parameters with 1000 classes.

    >>> from backlit import models
    >>> len(models.densenet121(growth=2, width=4).features.denseblock3)
    24
    """
    return ImageNetDenseNet((6, 12, 24, 16), growth, width, classes)


def densenet161(classes: int = 1000, growth: int = 48, width: int = 96) -> ImageNetDenseNet:
    """DenseNet-161: 28,681,000 parameters with 1000 classes.

    >>> from backlit import models
    >>> len(models.densenet161(growth=2, width=4).features.denseblock3)
    36
    """
    return ImageNetDenseNet((6, 12, 36, 24), growth, width, classes)


def densenet169(classes: int = 1000, growth: int = 32, width: int = 64) -> ImageNetDenseNet:
    """DenseNet-169: 14,149,480 parameters with 1000 classes.

    >>> from backlit import models
    >>> len(models.densenet169(growth=2, width=4).features.denseblock3)
    32
    """
    return ImageNetDenseNet((6, 12, 32, 32), growth, width, classes)


def densenet201(classes: int = 1000, growth: int = 32, width: int = 64) -> ImageNetDenseNet:
    """DenseNet-201: 20,013,928 parameters with 1000 classes.

    >>> from backlit import models
    >>> len(models.densenet201(growth=2, width=4).features.denseblock3)
    48
    """
    return ImageNetDenseNet((6, 12, 48, 32), growth, width, classes)
