"""Distances between pairs of vectors as modules."""

from __future__ import annotations

from backlit.nn import functional as F
from backlit.nn.module import Module
from backlit.tensor import Tensor


class CosineSimilarity(Module):
    """Cosine of the angle between vectors along a dimension.

    >>> nn.CosineSimilarity(dim=0)(bl.tensor([1.0, 0.0]), bl.tensor([0.0, 2.0])).item()
    0.0
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """p-norm of x1 - x2 + eps along the last dimension.

    >>> round(nn.PairwiseDistance()(bl.zeros(1, 2), bl.tensor([[3.0, 4.0]])).item(), 4)
    5.0
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
