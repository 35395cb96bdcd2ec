"""LeNet-style network for 28 x 28 digits: two convolutions with pooling, two linear layers.

After LeCun et al. 1998, "Gradient-based learning applied to document recognition", with the
20, 50 and 500 units and the ReLU of later reference implementations.
"""

from __future__ import annotations

from backlit import nn
from backlit.nn import functional as F
from backlit.tensor import Tensor


class LeNet(nn.Module):
    """Images (N, channels, 28, 28) to logits (N, classes); 431,080 parameters.

    >>> from backlit import models
    >>> models.LeNet()(bl.zeros(2, 1, 28, 28)).shape == (2, 10)
    True
    """

    def __init__(self, classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 20, 5)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.fc1 = nn.Linear(50 * 4 * 4, 500)
        self.fc2 = nn.Linear(500, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)  # type: ignore[no-any-return]
