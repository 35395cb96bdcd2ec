"""Dropout layers: they zero random elements or channels in training and pass through else.

The kept values are scaled by 1 / (1 - p); Srivastava et al. 2014. Next: functional.py.
"""

from __future__ import annotations

from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.nn.module import Module
from backlit.tensor import Tensor


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ArgumentError(f"{type(self).__name__}: p must be between 0 and 1, got {p}")
        self.p, self.inplace = p, inplace

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zeroes each element with probability p; Srivastava et al. 2014.

    >>> set(nn.Dropout(0.5)(bl.ones(99)).tolist()) == {0.0, 2.0}
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """Zeroes whole channels of (N, C, L) or (C, L) with probability p; Tompson et al. 2014.

    >>> set(nn.Dropout1d(0.5)(bl.ones(1, 99, 4)).mean(2).flatten().tolist()) == {0.0, 2.0}
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """Zeroes whole channels of images (N, C, H, W) with probability p.

    >>> set(nn.Dropout2d(0.5)(bl.ones(1, 99, 2, 2)).mean((2, 3)).flatten().tolist()) == {0.0, 2.0}
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """Zeroes whole channels of volumes (N, C, D, H, W) with probability p.

    >>> nn.Dropout3d(1.0)(bl.ones(1, 9, 2, 2, 2)).sum().item() == 0.0
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance of SELU activations; Klambauer et al. 2017.

    >>> nn.AlphaDropout(0.5).eval()(bl.ones(3)).tolist() == [1.0, 1.0, 1.0]
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_Dropout):
    """AlphaDropout of whole channels.

    >>> nn.FeatureAlphaDropout(0.5).eval()(bl.ones(1, 3, 2, 2)).sum().item() == 12.0
    True
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
