"""Support vector machines trained in their primal form: one for two classes, one for many.

Cortes and Vapnik 1995, "Support-vector networks"; Weston and Watkins 1999 for many classes,
with the sum over wrong classes that CS231n teaches. Kernels and the dual: estimators.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from backlit import nn
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.tensor import Tensor


class LinearSVM(nn.Module):
    """Vectors (N, features) to scores w x + b (N,), whose sign is the class.

    >>> from backlit import models
    >>> net = models.LinearSVM(3)
    >>> loss = net.objective(bl.randn(4, 3), bl.tensor([1.0, -1.0, 1.0, 1.0]))
    >>> loss.ndim
    0
    """

    def __init__(self, features: int, C: float = 1.0, bias: bool = True) -> None:
        super().__init__()
        if C <= 0:
            raise ArgumentError(f"LinearSVM: C must be positive, got {C}")
        self.C = C
        self.fc = nn.Linear(features, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x).squeeze(-1)  # type: ignore[no-any-return]

    def objective(self, x: Tensor, targets: Tensor) -> Tensor:
        """|w|^2 / 2 + C sum max(0, 1 - target * score), the soft-margin primal; targets +-1.

        >>> from backlit import models
        >>> net = models.LinearSVM(2, C=2.0); _ = nn.init.zeros_(net.fc.weight)
        >>> _ = nn.init.zeros_(net.fc.bias)
        >>> net.objective(bl.ones(3, 2), bl.ones(3)).item()
        6.0
        """
        slack = F.relu(1.0 - targets * self(x)).sum()
        return 0.5 * (self.fc.weight**2).sum() + self.C * slack  # type: ignore[no-any-return]


class MulticlassSVM(nn.Sequential):
    """Linear layers with ReLU between them, to one score for each class (N, sizes[-1]).

    Two sizes make the linear machine, three the two-layer net W2 max(0, W1 x).

    >>> from backlit import models
    >>> net = models.MulticlassSVM([4, 8, 3])
    >>> net.objective(bl.randn(5, 4), bl.tensor([0, 1, 2, 0, 1]), decay=0.1).ndim
    0
    """

    def __init__(self, sizes: Sequence[int], bias: bool = True) -> None:
        if len(sizes) < 2:
            raise ArgumentError(
                f"MulticlassSVM: needs at least an input and an output size, got {list(sizes)}"
            )
        layers: list[nn.Module] = []
        for inside, outside in pairwise(sizes):
            layers += [nn.Linear(inside, outside, bias=bias), nn.ReLU()]
        super().__init__(*layers[:-1])

    def objective(
        self, x: Tensor, targets: Tensor, decay: float = 0.0, margin: float = 1.0
    ) -> Tensor:
        """Mean multi-class hinge plus `decay` times the sum of all squared weights.

        >>> from backlit import models
        >>> net = models.MulticlassSVM([2, 3]); _ = [nn.init.zeros_(p) for p in net.parameters()]
        >>> net.objective(bl.ones(4, 2), bl.tensor([0, 1, 2, 0])).item()
        2.0
        """
        loss = multiclass_hinge(self(x), targets, margin)
        for layer in self:
            if isinstance(layer, nn.Linear):
                loss = loss + decay * (layer.weight**2).sum()
        return loss


def multiclass_hinge(scores: Tensor, targets: Tensor, margin: float = 1.0) -> Tensor:
    """Mean over samples of the sum over wrong classes j of max(0, s_j - s_target + margin).

    Scores (N, classes), targets (N,). `F.multi_margin_loss` divides the sum by the classes.

    >>> from backlit import models
    >>> models.multiclass_hinge(bl.tensor([[1.0, 3.0, 0.5]]), bl.tensor([0])).item()
    3.5
    """
    return F.multi_margin_loss(scores, targets, margin=margin) * scores.shape[-1]
