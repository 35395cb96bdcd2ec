"""Residual networks for 224 x 224 images: ResNet-18, 34, 50, 101 and 152.

He et al. 2015, "Deep residual learning for image recognition", table 1. Parameters are named
as in torchvision, so that its checkpoints load; as there, bottlenecks stride in their 3 x 3
convolution. For 32 x 32 images: resnet.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from backlit import nn
from backlit.nn import functional as F
from backlit.tensor import Tensor


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside the shortcut, each with BatchNorm.

    >>> from backlit.models.resnet_imagenet import BasicBlock
    >>> BasicBlock(4, 8, stride=2)(bl.zeros(1, 4, 6, 6)).shape == (1, 8, 3, 3)
    True
    """

    expansion = 1

    def __init__(self, inside: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(inside, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + shortcut)


class Bottleneck(nn.Module):
    """1 x 1 to `width` channels, 3 x 3, 1 x 1 to four times as many, beside the shortcut.

    >>> from backlit.models.resnet_imagenet import Bottleneck
    >>> Bottleneck(4, 2, stride=2)(bl.zeros(1, 4, 6, 6)).shape == (1, 8, 3, 3)
    True
    """

    expansion = 4

    def __init__(self, inside: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inside, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(inside, 4 * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + shortcut)


def _shortcut(inside: int, outside: int, stride: int) -> nn.Module | None:
    """A 1 x 1 projection where the block changes the shape, else the identity."""
    if stride == 1 and inside == outside:
        return None
    return nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))


class ImageNetResNet(nn.Module):
    """Images (N, channels, H, W) to logits (N, classes): four stages of `blocks`, widths doubling.

    Convolutions start normal with fan-out (He et al.), BatchNorm at one and zero.

    >>> from backlit.models.resnet_imagenet import BasicBlock, ImageNetResNet
    >>> net = ImageNetResNet(BasicBlock, [1, 1, 1, 1], classes=10, width=4)
    >>> net(bl.zeros(2, 3, 32, 32)).shape == (2, 10)
    True
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        blocks: Sequence[int],
        classes: int = 1000,
        width: int = 64,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inside = width
        for stage, count in enumerate(blocks):
            layers: list[nn.Module] = []
            for index in range(count):
                stride = 2 if stage > 0 and index == 0 else 1
                layers.append(block(inside, width * 2**stage, stride))
                inside = width * 2**stage * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*layers))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inside, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(F.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))  # type: ignore[no-any-return]


def resnet18(classes: int = 1000, width: int = 64, channels: int = 3) -> ImageNetResNet:
    """ResNet-18: 11,689,512 parameters with 1000 classes.

    >>> from backlit import models
    >>> len(models.resnet18(width=2).layer3)
    2
    """
    return ImageNetResNet(BasicBlock, [2, 2, 2, 2], classes, width, channels)


def resnet34(classes: int = 1000, width: int = 64, channels: int = 3) -> ImageNetResNet:
    """ResNet-34: 21,797,672 parameters with 1000 classes.

    >>> from backlit import models
    >>> len(models.resnet34(width=2).layer3)
    6
    """
    return ImageNetResNet(BasicBlock, [3, 4, 6, 3], classes, width, channels)


def resnet50(classes: int = 1000, width: int = 64, channels: int = 3) -> ImageNetResNet:
    """ResNet-50: 25,557,032 parameters with 1000 classes.

    >>> from backlit import models
    >>> len(models.resnet50(width=2).layer3)
    6
    """
    return ImageNetResNet(Bottleneck, [3, 4, 6, 3], classes, width, channels)


def resnet101(classes: int = 1000, width: int = 64, channels: int = 3) -> ImageNetResNet:
    """ResNet-101: 44,549,160 parameters with 1000 classes.

    >>> from backlit import models
    >>> len(models.resnet101(width=2).layer3)
    23
    """
    return ImageNetResNet(Bottleneck, [3, 4, 23, 3], classes, width, channels)


def resnet152(classes: int = 1000, width: int = 64, channels: int = 3) -> ImageNetResNet:
    """ResNet-152: 60,192,808 parameters with 1000 classes.

    >>> from backlit import models
    >>> len(models.resnet152(width=2).layer3)
    36
    """
    return ImageNetResNet(Bottleneck, [3, 8, 36, 3], classes, width, channels)
