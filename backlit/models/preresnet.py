"""Pre-activation residual networks for 32 x 32 images: nothing but additions on the main path.

He et al. 2016, "Identity mappings in deep residual networks": BatchNorm and ReLU come before
the convolutions, so that a block is x + F(x) and its Jacobian I + dF/dx. Depth 110 takes basic
blocks, 164 and 1001 bottlenecks.
"""

from __future__ import annotations

from backlit import nn
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.tensor import Tensor


class PreActBlock(nn.Module):
    """x + conv(relu(bn(conv(relu(bn(x)))))); a projection reads the first relu.

    >>> from backlit.models.preresnet import PreActBlock
    >>> PreActBlock(4, 8, stride=2)(bl.zeros(1, 4, 6, 6)).shape == (1, 8, 3, 3)
    True
    """

    expansion = 1

    def __init__(self, inside: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.downsample: nn.Module | None = None
        if stride != 1 or inside != width:
            self.downsample = nn.Conv2d(inside, width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        ready = F.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(ready)
        y = F.relu(self.bn2(self.conv1(ready)))
        return shortcut + self.conv2(y)  # type: ignore[no-any-return]


class PreActBottleneck(nn.Module):
    """The same with 1 x 1 to `width` channels, 3 x 3, and 1 x 1 to four times as many.

    >>> from backlit.models.preresnet import PreActBottleneck
    >>> PreActBottleneck(4, 2, stride=2)(bl.zeros(1, 4, 6, 6)).shape == (1, 8, 3, 3)
    True
    """

    expansion = 4

    def __init__(self, inside: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.downsample: nn.Module | None = None
        if stride != 1 or inside != 4 * width:
            self.downsample = nn.Conv2d(inside, 4 * width, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        ready = F.relu(self.bn1(x))
        shortcut = x if self.downsample is None else self.downsample(ready)
        y = F.relu(self.bn2(self.conv1(ready)))
        y = F.relu(self.bn3(self.conv2(y)))
        return shortcut + self.conv3(y)  # type: ignore[no-any-return]


class PreActResNet(nn.Module):
    """Images (N, channels, H, W) to logits (N, classes): depth 6 n + 2, or 9 n + 2 of bottlenecks.

    Three stages, widths doubling from `width`; convolutions start normal with fan-out.

    >>> from backlit import models
    >>> models.PreActResNet(8, width=4)(bl.zeros(2, 3, 8, 8)).shape == (2, 10)
    True
    """

    def __init__(
        self,
        depth: int = 20,
        bottleneck: bool = False,
        classes: int = 10,
        width: int = 16,
        channels: int = 3,
    ) -> None:
        super().__init__()
        block = PreActBottleneck if bottleneck else PreActBlock
        layers = 9 if bottleneck else 6
        blocks = (depth - 2) // layers
        if blocks < 1 or (depth - 2) % layers:
            raise ArgumentError(f"PreActResNet: depth must be {layers} n + 2, got {depth}")
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        inside = width
        for stage in range(3):
            stack: list[nn.Module] = []
            for index in range(blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                stack.append(block(inside, width * 2**stage, stride))
                inside = width * 2**stage * block.expansion
            self.add_module(f"layer{stage + 1}", nn.Sequential(*stack))
        self.bn = nn.BatchNorm2d(inside)
        self.fc = nn.Linear(inside, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(F.relu(self.bn(x)).mean((2, 3)))  # type: ignore[no-any-return]
