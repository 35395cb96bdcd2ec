"""The Kullback-Leibler divergence of two distributions, by a formula for each pair of kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backlit as bl
from backlit.distributions.continuous import Exponential, Laplace, Normal, Uniform
from backlit.distributions.discrete import Bernoulli, Categorical, OneHotCategorical
from backlit.distributions.distribution import Distribution
from backlit.distributions.joint import Independent, MultivariateNormal
from backlit.errors import ArgumentError, NotAvailable
from backlit.nn import functional as F
from backlit.tensor import Tensor

_FORMULAS: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Any], Any]:
    """Decorator: the function of p and q is the divergence of this pair of kinds.

    >>> class Sure(bl.distributions.Distribution): pass
    >>> formula = bl.distributions.register_kl(Sure, Sure)(lambda p, q: bl.zeros(()))
    >>> bl.distributions.kl_divergence(Sure(), Sure())
    tensor(0.)
    """

    def keep(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        _FORMULAS[type_p, type_q] = function
        return function

    return keep


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The expected log p - log q under p, in nats.

    >>> Normal = bl.distributions.Normal
    >>> bl.distributions.kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
    tensor(0.5000)
    """
    for kind_p in type(p).__mro__:
        for kind_q in type(q).__mro__:
            if (kind_p, kind_q) in _FORMULAS:
                return _FORMULAS[kind_p, kind_q](p, q)
    raise NotAvailable(
        f"kl_divergence: no formula for {type(p).__name__} and {type(q).__name__}",
        hint="estimate it: (p.log_prob(x) - q.log_prob(x)).mean() with x drawn from p",
    )


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ratio.log())


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, away = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + away / q.scale + ratio * (-away / p.scale).exp() - 1


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    covered = (q.low <= p.low) & (p.high <= q.high)
    return bl.where(covered, ((q.high - q.low) / (p.high - p.low)).log(), float("inf"))


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    ones = p.probs * (F.logsigmoid(p.logits) - F.logsigmoid(q.logits))
    return ones + (1 - p.probs) * (F.logsigmoid(-p.logits) - F.logsigmoid(-q.logits))


@register_kl(Categorical, Categorical)
@register_kl(OneHotCategorical, OneHotCategorical)
def _categorical(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = bl.where((q.probs == 0).expand(terms.shape), float("inf"), terms)
    return bl.where((p.probs == 0).expand(terms.shape), 0.0, terms).sum(-1)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise ArgumentError("kl_divergence: the events of the two have different axes")
    return p._summed(kl_divergence(p.base_dist, q.base_dist))


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    shape = bl.broadcast_shapes(p.scale_tril.shape, q.scale_tril.shape)
    root, other = q.scale_tril.expand(shape), p.scale_tril.expand(shape)
    away = (q.loc - p.loc)[..., None].expand(*shape[:-1], 1)
    spread = (bl.linalg.solve_triangular(root, other, upper=False) ** 2).sum((-2, -1))
    shift = (bl.linalg.solve_triangular(root, away, upper=False) ** 2).sum((-2, -1))
    return q._half_log_det() - p._half_log_det() + 0.5 * (spread + shift - shape[-1])
