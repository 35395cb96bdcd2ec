"""Siamese network: one branch embeds both inputs, and distance tells whether they are alike.

Bromley et al. 1993 for the shared branch; Hadsell, Chopra and LeCun 2006, "Dimensionality
reduction by learning an invariant mapping", for the contrastive loss; Schroff et al. 2015
(FaceNet) for triplets, whose loss is `F.triplet_margin_loss`.
"""

from __future__ import annotations

from backlit import nn
from backlit.nn import functional as F
from backlit.tensor import Tensor


class Siamese(nn.Module):
    """Two batches of inputs to the Euclidean distances (N,) of their embeddings.

    `branch` is any module from inputs to embeddings (N, size); both inputs go through it.

    >>> from backlit import models
    >>> net = models.Siamese(models.MLP([6, 8, 2]))
    >>> net(bl.randn(4, 6), bl.randn(4, 6)).shape == (4,)
    True
    """

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return F.pairwise_distance(self.branch(first), self.branch(second))

    def triplet_loss(
        self, anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0
    ) -> Tensor:
        """Mean of max(0, d(anchor, positive) - d(anchor, negative) + margin).

        >>> from backlit import models
        >>> net, x = models.Siamese(models.MLP([6, 8, 2])), bl.randn(4, 6)
        >>> round(net.triplet_loss(x, x, x, margin=0.5).item(), 6)
        0.5
        """
        anchor, positive, negative = map(self.branch, (anchor, positive, negative))
        return F.triplet_margin_loss(anchor, positive, negative, margin=margin)


def contrastive_loss(distance: Tensor, same: Tensor, margin: float = 1.0) -> Tensor:
    """Mean of d^2 / 2 for pairs that are alike and max(0, margin - d)^2 / 2 for others.

    `distance` (N,); `same` (N,) is true, or 1, where a pair is alike.

    >>> from backlit import models
    >>> models.contrastive_loss(bl.tensor([2.0, 0.5]), bl.tensor([1, 0])).item()
    1.0625
    """
    alike = same.to(distance.dtype)
    apart = F.relu(margin - distance)
    return 0.5 * (alike * distance**2 + (1.0 - alike) * apart**2).mean()
