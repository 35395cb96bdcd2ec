"""Distributions over numbers, each element on its own; all draw with gradients.

A draw is a function of the parameters and of a uniform or normal number (Kingma and Welling
2014). Next: discrete.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import backlit as bl
from backlit.distributions.distribution import Distribution, broadcast, require
from backlit.tensor import Tensor

EULER = 0.5772156649015329


class _LocationScale(Distribution):
    """Two parameters: where, and how wide."""

    has_rsample = True

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast(loc, scale)
        require(self, "scale", self.scale > 0, "positive", validate_args)
        super().__init__(self.loc.shape)

    @property
    def mean(self) -> Tensor:
        return self.loc

    def _uniform(self, sample_shape: Sequence[int]) -> Tensor:
        """In (0, 1): the logarithms of it and of its complement are finite."""
        drawn = bl.rand(self._extended(sample_shape), dtype=self.loc.dtype)
        tiny = bl.finfo(self.loc.dtype).eps / 2
        return drawn.clamp(tiny, 1 - tiny)


class Normal(_LocationScale):
    """The normal distribution of mean `loc` and standard deviation `scale`.

    >>> bl.distributions.Normal(0.0, 1.0).log_prob(bl.tensor(0.0))
    tensor(-0.9189)
    """

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return self.scale**2

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = bl.randn(self._extended(sample_shape), dtype=self.loc.dtype)
        return self.loc + drawn * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return -0.5 * z**2 - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def entropy(self) -> Tensor:
        return self.scale.log() + 0.5 * (1 + math.log(2 * math.pi))

    def cdf(self, value: Tensor) -> Tensor:
        return 0.5 * (1 + ((value - self.loc) / (self.scale * math.sqrt(2))).erf())


class LogNormal(_LocationScale):
    """e to the power of a normal number.

    >>> bl.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    @property
    def _base(self) -> Normal:
        return Normal(self.loc, self.scale, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return (self.loc + self.scale**2 / 2).exp()

    @property
    def variance(self) -> Tensor:
        return (self.scale**2).expm1() * (2 * self.loc + self.scale**2).exp()

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self._base.rsample(sample_shape).exp()

    def log_prob(self, value: Tensor) -> Tensor:
        return self._base.log_prob(value.log()) - value.log()

    def entropy(self) -> Tensor:
        return self._base.entropy() + self.loc

    def cdf(self, value: Tensor) -> Tensor:
        return self._base.cdf(value.log())


class Laplace(_LocationScale):
    """The two-sided exponential distribution.

    >>> bl.distributions.Laplace(0.0, 1.0).log_prob(bl.tensor(0.0))
    tensor(-0.6931)
    """

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale**2

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        u = self._uniform(sample_shape) - 0.5
        return self.loc - self.scale * u.sign() * (-2 * u.abs()).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        return -(2 * self.scale).log() - (value - self.loc).abs() / self.scale

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()

    def cdf(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        return 0.5 - 0.5 * z.sign() * (-z.abs()).expm1()


class Gumbel(_LocationScale):
    """The distribution of the largest of many; argmax of logits plus it draws a class.

    >>> bl.distributions.Gumbel(0.0, 1.0).mean
    tensor(0.5772)
    """

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * EULER

    @property
    def variance(self) -> Tensor:
        return self.scale**2 * (math.pi**2 / 6)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        return self.loc - self.scale * (-self._uniform(sample_shape).log()).log()

    def log_prob(self, value: Tensor) -> Tensor:
        z = (self.loc - value) / self.scale
        return z - z.exp() - self.scale.log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + EULER)

    def cdf(self, value: Tensor) -> Tensor:
        return (-((self.loc - value) / self.scale).exp()).exp()


class Uniform(Distribution):
    """Every number from `low` to below `high` alike.

    >>> bl.distributions.Uniform(0.0, 2.0).log_prob(bl.tensor([1.0, 3.0]))
    tensor([-0.6931,    -inf])
    """

    has_rsample = True

    def __init__(self, low: Any, high: Any, validate_args: bool | None = None) -> None:
        self.low, self.high = broadcast(low, high)
        require(self, "high", self.low < self.high, "above low", validate_args)
        super().__init__(self.low.shape)

    @property
    def mean(self) -> Tensor:
        return (self.low + self.high) / 2

    @property
    def variance(self) -> Tensor:
        return (self.high - self.low) ** 2 / 12

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = bl.rand(self._extended(sample_shape), dtype=self.low.dtype)
        return self.low + drawn * (self.high - self.low)

    def log_prob(self, value: Tensor) -> Tensor:
        inside = ((self.low <= value) & (value < self.high)).to(self.low.dtype)
        return inside.log() - (self.high - self.low).log()

    def entropy(self) -> Tensor:
        return (self.high - self.low).log()

    def cdf(self, value: Tensor) -> Tensor:
        return ((value - self.low) / (self.high - self.low)).clamp(0, 1)


class Exponential(Distribution):
    """The waiting time for what happens `rate` times in a unit.

    >>> bl.distributions.Exponential(2.0).mean
    tensor(0.5000)
    """

    has_rsample = True

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast(rate)
        require(self, "rate", self.rate > 0, "positive", validate_args)
        super().__init__(self.rate.shape)

    @property
    def mean(self) -> Tensor:
        return 1 / self.rate

    @property
    def variance(self) -> Tensor:
        return self.rate**-2

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = bl.rand(self._extended(sample_shape), dtype=self.rate.dtype)
        return -(-drawn).log1p() / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        return self.rate.log() - self.rate * value

    def entropy(self) -> Tensor:
        return 1 - self.rate.log()

    def cdf(self, value: Tensor) -> Tensor:
        return -(-self.rate * value).expm1()
