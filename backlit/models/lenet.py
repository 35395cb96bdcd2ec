"""LeNet for digits: two convolutions with pooling, then linear layers.

LeCun et al. 1998, "Gradient-based learning applied to document recognition": LeNet-5 as
published but for its sparse connections and output distances, and the wider network with ReLU
of later reference implementations.
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


class LeNet5(nn.Module):
    """Images (N, channels, 32, 32) to logits (N, classes); 61,706 parameters.

    6 and 16 maps, 120, 84 and 10 units, tanh and mean pooling; 28 x 28 images are padded by 2.

    >>> from backlit import models
    >>> models.LeNet5()(bl.zeros(2, 1, 28, 28)).shape == (2, 10)
    True
    """

    def __init__(self, classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] == 28:
            x = F.pad(x, (2, 2, 2, 2))
        x = F.avg_pool2d(self.conv1(x).tanh(), 2)
        x = F.avg_pool2d(self.conv2(x).tanh(), 2)
        x = self.fc2(self.fc1(x.flatten(1)).tanh()).tanh()
        return self.fc3(x)  # type: ignore[no-any-return]
