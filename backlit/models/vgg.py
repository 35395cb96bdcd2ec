"""VGG: stacks of 3 x 3 convolutions, halved by pooling five times, then three linear layers.

Simonyan and Zisserman 2014, "Very deep convolutional networks for large-scale image
recognition", configurations A, B, D and E (11, 13, 16, 19 layers), with or without
BatchNorm. Parameters are named as in torchvision, so that its checkpoints load.
"""

from __future__ import annotations

from backlit import nn
from backlit.errors import ArgumentError
from backlit.tensor import Tensor

# Convolutions in each of the five stages, by depth.
STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


class VGG(nn.Module):
    """Images (N, channels, H, W), sides of at least 32, to logits (N, classes).

    Stages have 1, 2, 4, 8 and 8 times `width` channels; `hidden` units in the linear layers.

    >>> from backlit import models
    >>> models.VGG(11, classes=10, width=2, hidden=8)(bl.zeros(1, 3, 32, 32)).shape == (1, 10)
    True
    """

    def __init__(
        self,
        depth: int = 16,
        batch_norm: bool = False,
        classes: int = 1000,
        dropout: float = 0.5,
        width: int = 64,
        hidden: int = 4096,
        channels: int = 3,
    ) -> None:
        super().__init__()
        if depth not in STAGES:
            raise ArgumentError(f"VGG: depth must be one of {list(STAGES)}, got {depth}")
        layers: list[nn.Module] = []
        inside = channels
        for convolutions, times in zip(STAGES[depth], (1, 2, 4, 8, 8)):
            for _ in range(convolutions):
                layers.append(nn.Conv2d(inside, times * width, 3, padding=1))
                inside = times * width
                layers += [nn.BatchNorm2d(inside)] if batch_norm else []
                layers.append(nn.ReLU())
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(inside * 7 * 7, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )
        self._draw()

    def _draw(self) -> None:
        """Convolutions by fan-out (He et al.), linear layers normal with 0.01, biases zero."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avgpool(self.features(x))
        return self.classifier(x.flatten(1))  # type: ignore[no-any-return]


def vgg11(
    classes: int = 1000, batch_norm: bool = False, width: int = 64, hidden: int = 4096
) -> VGG:
    """VGG-11: 132,863,336 parameters with 1000 classes, 132,868,840 with BatchNorm.

    >>> from backlit import models
    >>> models.vgg11(10, width=1, hidden=4).classifier[6]
    Linear(in_features=4, out_features=10, bias=True)
    """
    return VGG(11, batch_norm, classes, width=width, hidden=hidden)


def vgg13(
    classes: int = 1000, batch_norm: bool = False, width: int = 64, hidden: int = 4096
) -> VGG:
    """VGG-13: 133,047,848 parameters with 1000 classes, 133,053,736 with BatchNorm.

    >>> from backlit import models
    >>> models.vgg13(10, width=1, hidden=4).classifier[6]
    Linear(in_features=4, out_features=10, bias=True)
    """
    return VGG(13, batch_norm, classes, width=width, hidden=hidden)


def vgg16(
    classes: int = 1000, batch_norm: bool = False, width: int = 64, hidden: int = 4096
) -> VGG:
    """VGG-16: 138,357,544 parameters with 1000 classes, 138,365,992 with BatchNorm.

    >>> from backlit import models
    >>> models.vgg16(10, width=1, hidden=4).classifier[6]
    Linear(in_features=4, out_features=10, bias=True)
    """
    return VGG(16, batch_norm, classes, width=width, hidden=hidden)


def vgg19(
    classes: int = 1000, batch_norm: bool = False, width: int = 64, hidden: int = 4096
) -> VGG:
    """VGG-19: 143,667,240 parameters with 1000 classes, 143,678,248 with BatchNorm.

    >>> from backlit import models
    >>> models.vgg19(10, width=1, hidden=4).classifier[6]
    Linear(in_features=4, out_features=10, bias=True)
    """
    return VGG(19, batch_norm, classes, width=width, hidden=hidden)
