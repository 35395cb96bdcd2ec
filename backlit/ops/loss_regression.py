"""Losses between numbers: square, absolute, Huber's, and log-likelihoods of distributions."""

from __future__ import annotations

import math
from typing import Any

from backlit.errors import ArgumentError
from backlit.ops.elementwise import Abs, Square, Where
from backlit.ops.loss import check_reduction, legacy_reduction, reduce_loss, warn_sizes
from backlit.ops.op import Composite, Elementwise, apply
from backlit.ops.special import Xlogy
from backlit.state import state


def _weighted(loss: Any, weight: Any, reduction: str, shape: tuple, by_weight: bool) -> Any:
    """The reduction of a loss whose elements may have weights."""
    if weight is None:
        return reduce_loss(loss, reduction)
    if weight.shape != shape:
        raise ArgumentError(f"weight of shape {tuple(weight.shape)} for an input of {shape}")
    loss = loss * weight
    if reduction == "mean" and by_weight:
        return loss.sum() / weight.sum()
    return reduce_loss(loss, reduction)


class MseLoss(Composite):
    """The mean square error.

    Weights, if any, scale the squares; the mean then divides by their sum.

    >>> F.mse_loss(bl.tensor([1.0, 3.0]), bl.tensor([1.0, 1.0]))
    tensor(2.)
    """

    exports = "F"

    def expand(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
        reduction = legacy_reduction(size_average, reduce, reduction)
        warn_sizes(input, target)
        return _weighted(apply(Square, input - target), weight, reduction, input.shape, True)

    def latex(input, target, **params):
        return rf"\frac{{1}}{{N}} \sum_n \left({input}_n - {target}_n\right)^2"


class L1Loss(Composite):
    """The mean absolute error.

    >>> F.l1_loss(bl.tensor([1.0, 3.0]), bl.tensor([1.0, 1.0]))
    tensor(1.)
    """

    exports = "F"

    def expand(input, target, size_average=None, reduce=None, reduction="mean", weight=None):
        reduction = legacy_reduction(size_average, reduce, reduction)
        warn_sizes(input, target)
        return _weighted(apply(Abs, input - target), weight, reduction, input.shape, True)

    def latex(input, target, **params):
        return rf"\frac{{1}}{{N}} \sum_n \left|{input}_n - {target}_n\right|"


class HuberElement(Elementwise):
    """d^2 / 2 near 0, a straight line of slope `delta` beyond."""

    exports = ""

    def formula(m, d, *, delta):
        a = m.abs(d)
        return m.where(a <= delta, d * d * 0.5, (a - 0.5 * delta) * delta)

    def d_d(m, d, delta):
        return m.minimum(m.maximum(d, -delta), delta)


class HuberLoss(Composite):
    """Square near 0, absolute beyond `delta`. Source: Huber (1964).

    >>> F.huber_loss(bl.tensor([0.5, 3.0]), bl.tensor([0.0, 0.0]))
    tensor(1.3125)
    """

    exports = "F"

    def expand(input, target, reduction="mean", delta=1.0, weight=None):
        check_reduction(reduction)
        if delta <= 0:
            raise ArgumentError(f"huber_loss: delta must be positive, got {delta}")
        warn_sizes(input, target)
        loss = apply(HuberElement, input - target, delta=float(delta))
        return _weighted(loss, weight, reduction, input.shape, False)

    def latex(input, target, **params):
        return rf"\frac{{1}}{{N}} \sum_n h\left({input}_n - {target}_n\right)"


class SmoothL1Loss(Composite):
    """Huber's loss divided by `beta`: slope 1 beyond it. With beta 0 the absolute error.

    >>> F.smooth_l1_loss(bl.tensor([0.5, 3.0]), bl.tensor([0.0, 0.0]))
    tensor(1.3125)
    """

    exports = "F"

    def expand(input, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
        reduction = legacy_reduction(size_average, reduce, reduction)
        if beta < 0:
            raise ArgumentError(f"smooth_l1_loss: beta must not be negative, got {beta}")
        warn_sizes(input, target)
        if beta == 0:
            return reduce_loss(apply(Abs, input - target), reduction)
        return reduce_loss(apply(HuberElement, input - target, delta=float(beta)) / beta, reduction)

    def latex(input, target, **params):
        return rf"\frac{{1}}{{N}} \sum_n h\left({input}_n - {target}_n\right)"


# ----- log-likelihoods -----


class KlDiv(Composite):
    """The Kullback-Leibler divergence of log-probabilities `input` from a distribution `target`.

    `log_target`: the target holds log-probabilities too. `reduction="batchmean"` divides by the
    batch size: the mathematical one; "mean" divides by the number of elements.

    >>> F.kl_div(bl.tensor([[0.5, 0.5]]).log(), bl.tensor([[1.0, 0.0]]), reduction="batchmean")
    tensor(0.6931)
    """

    exports = "bl F"

    def expand(input, target, size_average=None, reduce=None, reduction="mean",
               log_target=False):  # fmt: skip
        batched = reduction == "batchmean"
        reduction = legacy_reduction(size_average, reduce, "sum" if batched else reduction)
        if log_target:
            loss = target.exp() * (target - input)
        else:
            loss = apply(Xlogy, target, target) - target * input
        total = reduce_loss(loss, reduction)
        return total / input.shape[0] if batched and input.ndim else total

    def latex(input, target, **params):
        return rf"\sum {target} \left(\ln {target} - {input}\right)"


class PoissonNllLoss(Composite):
    """Minus the log-likelihood of counts `target` under a Poisson distribution.

    `input` is the logarithm of the rate (`log_input`) or the rate itself; `full` adds Stirling's
    approximation of ln(target!).

    >>> F.poisson_nll_loss(bl.tensor([0.0]), bl.tensor([2.0]))
    tensor(1.)
    """

    exports = "F"

    def expand(input, target, log_input=True, full=False, size_average=None, eps=1e-8,
               reduce=None, reduction="mean"):  # fmt: skip
        reduction = legacy_reduction(size_average, reduce, reduction)
        if log_input:
            loss = input.exp() - target * input
        else:
            loss = input - target * (input + eps).log()
        if full:
            stirling = target * target.log() - target + 0.5 * (target * (2 * math.pi)).log()
            loss = loss + apply(Where, target <= 1, 0.0, stirling)
        return reduce_loss(loss, reduction)

    def latex(input, target, **params):
        return rf"e^{{{input}}} - {target} {input}"


class GaussianNllLoss(Composite):
    """Minus the log-likelihood of targets under normal distributions with given variances.

    `var` has the shape of `input`, lacks its last axis, or has size 1 there; it may be a number.
    Variances below `eps` count as eps, without an effect on their gradient.
    Source: Nix and Weigend (1994).

    >>> F.gaussian_nll_loss(bl.tensor([1.0]), bl.tensor([3.0]), bl.tensor([1.0]))
    tensor(2.)
    """

    exports = "F"

    def expand(input, target, var, full=False, eps=1e-6, reduction="mean"):
        check_reduction(reduction)
        var = _variances(input, var)
        outer, state.grad = state.grad, False
        try:
            var.clamp_(min=eps)
        finally:
            state.grad = outer
        loss = 0.5 * (var.log() + apply(Square, input - target) / var)
        return reduce_loss(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)

    def latex(input, target, var=r"\sigma^2", **params):
        square = rf"\frac{{\left({input} - {target}\right)^2}}{{{var}}}"
        return rf"\tfrac{{1}}{{2}} \left(\ln {var} + {square}\right)"


def _variances(input: Any, var: Any) -> Any:
    """A tensor of variances of its own that broadcasts to the input; refuses negative ones."""
    if not hasattr(var, "cell"):
        if var < 0:
            raise ArgumentError(f"gaussian_nll_loss: the variance is negative: {var}")
        return input.new_full(input.shape, float(var))
    shape = tuple(input.shape)
    if var.shape == shape[:-1]:
        var = var.unsqueeze(-1)
    elif var.shape != shape and tuple(var.shape) != (*shape[:-1], 1):
        raise ArgumentError(
            f"var of shape {tuple(var.shape)} for an input of {shape}",
            hint="the input's shape, without its last axis, or with 1 there",
        )
    if (var.cell.array < 0).any():
        raise ArgumentError("gaussian_nll_loss: var has negative elements")
    return var.clone()
