"""DenseNet for 32 x 32 images: every layer sees the outputs of all layers before it.

Huang et al. 2016, "Densely connected convolutional networks": layers with bottlenecks of 4 k
channels (B) or plain, and transitions that compress channels (C). BC of depth 100 and growth 12
has 0.8 million parameters. `join` says how a layer meets the earlier maps: concatenated as in
the paper, added or multiplied element by element, or each through a branch of its own.
"""

from __future__ import annotations

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.tensor import Tensor

ELEMENTWISE = ("add", "mul")  # these keep the channels
JOINS = ("concat", *ELEMENTWISE, "branch")


def _joined(x: Tensor, y: Tensor, join: str) -> Tensor:
    """The earlier maps x and a layer's own y, as what the next layer reads."""
    if join == "add":
        return x + y
    return x * y if join == "mul" else bl.cat([x, y], 1)


class DenseLayer(nn.Module):
    """BN, ReLU, 1 x 1 to 4 growth, BN, ReLU, 3 x 3 to growth; its channels are appended.

    With `join="add"` or `"mul"` the 3 x 3 gives as many channels as came in, to add or multiply.

    >>> from backlit.models.densenet import DenseLayer
    >>> DenseLayer(6, 2, dropout=0.0)(bl.zeros(1, 6, 4, 4)).shape == (1, 8, 4, 4)
    True
    """

    def __init__(self, inside: int, growth: int, dropout: float, join: str = "concat") -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv1 = nn.Conv2d(inside, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        outside = inside if join in ELEMENTWISE else growth
        self.conv2 = nn.Conv2d(4 * growth, outside, 3, padding=1, bias=False)
        self.dropout, self.join = dropout, join

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.bn1(x)))
        y = self.conv2(F.relu(self.bn2(y)))
        if self.dropout:
            y = F.dropout(y, self.dropout, self.training)
        return _joined(x, y, self.join)


class PlainLayer(nn.Module):
    """The same without a bottleneck: BN, ReLU, 3 x 3.

    >>> from backlit.models.densenet import PlainLayer
    >>> PlainLayer(6, 2, dropout=0.0)(bl.zeros(1, 6, 4, 4)).shape == (1, 8, 4, 4)
    True
    """

    def __init__(self, inside: int, growth: int, dropout: float, join: str = "concat") -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(inside)
        outside = inside if join in ELEMENTWISE else growth
        self.conv = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        self.dropout, self.join = dropout, join

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(F.relu(self.bn(x)))
        if self.dropout:
            y = F.dropout(y, self.dropout, self.training)
        return _joined(x, y, self.join)


class BranchLayer(nn.Module):
    """Each earlier map goes through a layer of its own; what the branches give is summed.

    `sizes` are the channels of the maps that are joined in the input.

    >>> from backlit.models.densenet import BranchLayer
    >>> BranchLayer([4, 2], 2, dropout=0.0)(bl.zeros(1, 6, 4, 4)).shape == (1, 8, 4, 4)
    True
    """

    def __init__(self, sizes: list[int], growth: int, dropout: float) -> None:
        super().__init__()
        self.sizes, self.dropout = sizes, dropout
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm2d(size), nn.ReLU(), nn.Conv2d(size, growth, 3, padding=1, bias=False)
            )
            for size in sizes
        )

    def forward(self, x: Tensor) -> Tensor:
        maps = x.split(self.sizes, 1)
        y = self.branches[0](maps[0])
        for branch, earlier in zip(self.branches[1:], maps[1:]):
            y = y + branch(earlier)
        if self.dropout:
            y = F.dropout(y, self.dropout, self.training)
        return bl.cat([x, y], 1)


class Transition(nn.Module):
    """Changes the channels by a 1 x 1 convolution and halves the image by mean pooling.

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

    Without `bottleneck` (the paper's first form, with compression 1) blocks have (depth - 4) / 3
    layers and start from 16 channels. With `join` "add" or "mul" layers keep a block's channels.

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
        bottleneck: bool = True,
        join: str = "concat",
    ) -> None:
        super().__init__()
        if join not in JOINS:
            raise ArgumentError(f"DenseNet: join must be one of {JOINS}, got {join!r}")
        convolutions = 2 if bottleneck and join != "branch" else 1
        layers, rest = divmod(depth - 4, 3 * convolutions)
        if layers < 1 or rest:
            raise ArgumentError(
                f"DenseNet: depth must be {3 * convolutions} n + 4, such as 40 or 100, got {depth}"
            )
        width = 2 * growth if bottleneck else 16
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        for stage in (1, 2, 3):
            block = _block(layers, width, growth, dropout, bottleneck, join)
            self.add_module(f"block{stage}", block)
            width += 0 if join in ELEMENTWISE else layers * growth
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


def _block(
    layers: int, width: int, growth: int, dropout: float, bottleneck: bool, join: str
) -> nn.Sequential:
    """Layers between two transitions, each reading what the ones before it gave."""
    if join == "branch":
        sizes = [[width, *[growth] * layer] for layer in range(layers)]
        return nn.Sequential(*(BranchLayer(maps, growth, dropout) for maps in sizes))
    kind = DenseLayer if bottleneck else PlainLayer
    grown = 0 if join in ELEMENTWISE else growth
    insides = [width + layer * grown for layer in range(layers)]
    return nn.Sequential(*(kind(inside, growth, dropout, join) for inside in insides))
