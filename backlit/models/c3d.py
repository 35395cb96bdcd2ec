"""C3D: a network of 3 x 3 x 3 convolutions for video clips.

Tran et al. 2015, "Learning spatiotemporal features with 3D convolutional networks": eight
convolutions over time and space, five poolings of which the first spares time.
"""

from __future__ import annotations

from backlit import nn
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.tensor import Tensor


class C3D(nn.Module):
    """Clips (N, channels, frames, image, image) to logits (N, classes).

    16 frames of 112 x 112 and 101 classes make 78,409,573 parameters. Stages have 1, 2, 4, 8
    and 8 times `width` channels; `hidden` units in the linear layers. Convolutions start normal
    with fan-out (He et al.).

    >>> from backlit import models
    >>> net = models.C3D(classes=5, image=32, width=2, hidden=8)
    >>> net(bl.zeros(2, 3, 16, 32, 32)).shape == (2, 5)
    True
    """

    def __init__(
        self,
        classes: int = 101,
        channels: int = 3,
        frames: int = 16,
        image: int = 112,
        width: int = 64,
        hidden: int = 4096,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if frames < 16 or image < 16:
            raise ArgumentError(
                f"C3D: clips need 16 frames of 16 x 16 at least, got {frames} of {image} x {image}"
            )
        self.conv1 = nn.Conv3d(channels, width, 3, padding=1)
        self.conv2 = nn.Conv3d(width, 2 * width, 3, padding=1)
        self.conv3a = nn.Conv3d(2 * width, 4 * width, 3, padding=1)
        self.conv3b = nn.Conv3d(4 * width, 4 * width, 3, padding=1)
        self.conv4a = nn.Conv3d(4 * width, 8 * width, 3, padding=1)
        self.conv4b = nn.Conv3d(8 * width, 8 * width, 3, padding=1)
        self.conv5a = nn.Conv3d(8 * width, 8 * width, 3, padding=1)
        self.conv5b = nn.Conv3d(8 * width, 8 * width, 3, padding=1)
        side = image // 16 // 2 + 1  # the last pooling is padded in space
        self.fc6 = nn.Linear(8 * width * (frames // 16) * side * side, hidden)
        self.fc7 = nn.Linear(hidden, hidden)
        self.fc8 = nn.Linear(hidden, classes)
        self.dropout = nn.Dropout(dropout)
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def features(self, x: Tensor) -> Tensor:
        """The last maps (N, 8 width, frames / 16, side, side), side = image / 32 and a border.

        >>> from backlit import models
        >>> net = models.C3D(image=32, width=1, hidden=1)
        >>> net.features(bl.zeros(1, 3, 16, 32, 32)).shape == (1, 8, 1, 2, 2)
        True
        """
        x = F.max_pool3d(F.relu(self.conv1(x)), (1, 2, 2))
        x = F.max_pool3d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.conv3b(F.relu(self.conv3a(x))))
        x = F.max_pool3d(x, 2)
        x = F.relu(self.conv4b(F.relu(self.conv4a(x))))
        x = F.max_pool3d(x, 2)
        x = F.relu(self.conv5b(F.relu(self.conv5a(x))))
        return F.max_pool3d(x, 2, padding=(0, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x).flatten(1)
        x = self.dropout(F.relu(self.fc6(x)))
        x = self.dropout(F.relu(self.fc7(x)))
        return self.fc8(x)  # type: ignore[no-any-return]
