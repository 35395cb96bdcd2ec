"""The perceptron: one neuron whose output is the sign of a weighted sum.

Rosenblatt 1958, "The perceptron: a probabilistic model for information storage and
organization in the brain". It learns from the score, as the sign has no slope.
"""

from __future__ import annotations

from backlit import nn
from backlit.nn import functional as F
from backlit.tensor import Tensor


class Perceptron(nn.Module):
    """Vectors (N, features) to scores w x + b (N,); `predict` gives their signs.

    >>> from backlit import models
    >>> net = models.Perceptron(2)
    >>> _ = nn.init.ones_(net.fc.weight), nn.init.zeros_(net.fc.bias)
    >>> net.predict(bl.tensor([[1.0, 2.0], [1.0, -1.0], [-3.0, 0.0]])).tolist()
    [1.0, 0.0, -1.0]
    """

    def __init__(self, features: int, bias: bool = True) -> None:
        super().__init__()
        self.fc = nn.Linear(features, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).squeeze(-1)  # type: ignore[no-any-return]

    def predict(self, x: Tensor) -> Tensor:
        """Signs (N,) of the scores: 1, -1, and 0 on the boundary itself.

        >>> from backlit import models
        >>> models.Perceptron(2, bias=False).predict(bl.zeros(1, 2)).item()
        0.0
        """
        return self(x).detach().sign()  # type: ignore[no-any-return]


def perceptron_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Mean of max(0, -target * score); targets (N,) are 1 or -1, as the scores' dtype.

    A score of the right sign costs nothing; its gradient is -target x for the others.

    >>> from backlit import models
    >>> models.perceptron_loss(bl.tensor([1.0, -2.0, 1.0]), bl.tensor([1.0, 1.0, -1.0])).item()
    1.0
    """
    return F.relu(-targets * scores).mean()
