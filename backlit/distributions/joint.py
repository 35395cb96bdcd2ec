"""Distributions over vectors: independent elements as one event, and the correlated normal.

Next: kl.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import backlit as bl
from backlit.distributions.distribution import Distribution
from backlit.errors import ArgumentError
from backlit.tensor import Tensor


class Independent(Distribution):
    """Counts the last axes of a batch as one event: their log-probabilities are added.

    >>> one = bl.distributions.Independent(bl.distributions.Normal(bl.zeros(3), 1.0), 1)
    >>> one.event_shape, one.log_prob(bl.zeros(3)).shape
    (backlit.Size([3]), backlit.Size([]))
    """

    def __init__(
        self,
        base_distribution: Distribution,
        reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:
        batch, event = base_distribution.batch_shape, base_distribution.event_shape
        count = reinterpreted_batch_ndims
        if not 0 <= count <= len(batch):
            raise ArgumentError(f"Independent: {count} axes of a batch that has {len(batch)}")
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, count
        split = len(batch) - count
        super().__init__(batch[:split], (*batch[split:], *event))

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return self.base_dist.has_rsample

    @property
    def mean(self) -> Tensor:
        return self.base_dist.mean

    @property
    def variance(self) -> Tensor:
        return self.base_dist.variance

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        return self._summed(self.base_dist.log_prob(value))

    def entropy(self) -> Tensor:
        return self._summed(self.base_dist.entropy())

    def _summed(self, values: Tensor) -> Tensor:
        count = self.reinterpreted_batch_ndims
        return values.sum(tuple(range(-count, 0))) if count else values


class MultivariateNormal(Distribution):
    """The normal distribution of vectors, by covariance, precision or the covariance's root.

    `scale_tril` is the lower triangular L with L L^T the covariance.

    >>> two = bl.distributions.MultivariateNormal(bl.zeros(2), 4 * bl.eye(2))
    >>> two.log_prob(bl.zeros(2))
    tensor(-3.2242)
    """

    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        given = [m for m in (covariance_matrix, precision_matrix, scale_tril) if m is not None]
        if len(given) != 1:
            raise ArgumentError(
                "MultivariateNormal: give one of covariance_matrix, precision_matrix, scale_tril"
            )
        if scale_tril is None:
            covariance = covariance_matrix
            if precision_matrix is not None:
                covariance = bl.linalg.inv(precision_matrix)
            scale_tril = bl.linalg.cholesky(covariance)
        n = loc.shape[-1]
        batch = bl.broadcast_shapes(loc.shape[:-1], scale_tril.shape[:-2])
        self.loc = loc.expand(*batch, n)
        self.scale_tril = scale_tril.expand(*batch, n, n)
        super().__init__(batch, (n,))

    @property
    def covariance_matrix(self) -> Tensor:
        """L L^T."""
        return self.scale_tril @ self.scale_tril.mT

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return (self.scale_tril**2).sum(-1)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = bl.randn(self._extended(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self.scale_tril @ drawn[..., None]).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        away = (value - self.loc)[..., None]
        root = self.scale_tril.expand(*away.shape[:-2], *self.scale_tril.shape[-2:])
        z = bl.linalg.solve_triangular(root, away, upper=False).squeeze(-1)
        n = self.event_shape[0]
        return -0.5 * ((z**2).sum(-1) + n * math.log(2 * math.pi)) - self._half_log_det()

    def entropy(self) -> Tensor:
        return self._half_log_det() + 0.5 * self.event_shape[0] * (1 + math.log(2 * math.pi))

    def _half_log_det(self) -> Tensor:
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)
