"""Residual networks for 32 x 32 images: 6 n + 2 layers in three stages of 16, 32, 64 channels.

He et al. 2015, "Deep residual learning for image recognition", section 4.2, with 1 x 1
projections where a stage halves the image (their option B).
"""

from __future__ import annotations

from backlit import nn
from backlit.nn import functional as F
from backlit.tensor import Tensor


class BasicBlock(nn.Module):
    """relu(x + bn(conv(relu(bn(conv(x)))))); the first convolution may halve the image.

    >>> from backlit.models.resnet import BasicBlock
    >>> BasicBlock(4, 8, stride=2)(bl.zeros(1, 4, 6, 6)).shape == (1, 8, 3, 3)
    True
    """

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outside)
        self.downsample: nn.Module | None = None
        if stride != 1 or inside != outside:
            self.downsample = nn.Sequential(
                nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class ResNet(nn.Module):
    """Images (N, channels, H, W) to logits (N, classes); `blocks` per stage, widths doubling.

    Convolutions start normal with fan-out (He et al.), BatchNorm at one and zero.

    >>> from backlit import models
    >>> models.ResNet(blocks=1)(bl.zeros(2, 3, 8, 8)).shape == (2, 10)
    True
    """

    def __init__(
        self, blocks: int = 3, classes: int = 10, width: int = 16, channels: int = 3
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = self._stage(width, width, blocks, stride=1)
        self.layer2 = self._stage(width, 2 * width, blocks, stride=2)
        self.layer3 = self._stage(2 * width, 4 * width, blocks, stride=2)
        self.fc = nn.Linear(4 * width, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @staticmethod
    def _stage(inside: int, outside: int, blocks: int, stride: int) -> nn.Sequential:
        first = BasicBlock(inside, outside, stride)
        return nn.Sequential(first, *(BasicBlock(outside, outside) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))  # type: ignore[no-any-return]


def resnet20(classes: int = 10) -> ResNet:
    """ResNet-20: 0.27 million parameters.

    >>> from backlit import models
    >>> sum(p.numel() for p in models.resnet20().parameters())
    272474
    """
    return ResNet(3, classes)


def resnet32(classes: int = 10) -> ResNet:
    """ResNet-32: 0.47 million parameters.

    >>> from backlit import models
    >>> len(models.resnet32().layer1)
    5
    """
    return ResNet(5, classes)


def resnet44(classes: int = 10) -> ResNet:
    """ResNet-44: 0.66 million parameters.

    >>> from backlit import models
    >>> len(models.resnet44().layer1)
    7
    """
    return ResNet(7, classes)


def resnet56(classes: int = 10) -> ResNet:
    """ResNet-56: 0.86 million parameters.

    >>> from backlit import models
    >>> len(models.resnet56().layer1)
    9
    """
    return ResNet(9, classes)


def resnet110(classes: int = 10) -> ResNet:
    """ResNet-110: 1.7 million parameters.

    >>> from backlit import models
    >>> len(models.resnet110().layer1)
    18
    """
    return ResNet(18, classes)
