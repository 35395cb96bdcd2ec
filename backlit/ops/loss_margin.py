"""Losses that ask for a margin: between classes, between samples, between distances."""

from __future__ import annotations

from typing import Any

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ShapeError
from backlit.ops.distance import PairwiseDistance
from backlit.ops.elementwise import Where
from backlit.ops.loss import check_reduction, check_targets, legacy_reduction, reduce_loss
from backlit.ops.op import Composite, apply
from backlit.ops.shape import to


def hinge(x: Any) -> Any:
    """max(0, x)."""
    return x.clamp(min=0.0)


class HingeEmbeddingLoss(Composite):
    """x where the target is 1, max(0, margin - x) where it is -1: x is a distance.

    >>> F.hinge_embedding_loss(bl.tensor([0.5, 0.2]), bl.tensor([1.0, -1.0]))
    tensor(0.6500)
    """

    exports = "bl F"

    def expand(input, target, margin=1.0, size_average=None, reduce=None,
               reduction="mean"):  # fmt: skip
        reduction = legacy_reduction(size_average, reduce, reduction)
        apart = apply(Where, target == 1, 0.0, hinge(margin - input))
        near = apply(Where, target == -1, 0.0, input)
        return reduce_loss(apart + near, reduction)

    def latex(input, target, **params):
        return rf"\max\left(0, \Delta - {input}\right)"


class MarginRankingLoss(Composite):
    """max(0, -t (x1 - x2) + margin): the first should rank higher where t is 1, lower at -1.

    >>> F.margin_ranking_loss(bl.tensor([1.0]), bl.tensor([3.0]), bl.tensor([1.0]))
    tensor(2.)
    """

    exports = "bl F"

    def expand(input1, input2, target, margin=0, size_average=None, reduce=None,
               reduction="mean"):  # fmt: skip
        reduction = legacy_reduction(size_average, reduce, reduction)
        if not input1.ndim == input2.ndim == target.ndim:
            sizes = ", ".join(str(tuple(t.shape)) for t in (input1, input2, target))
            raise ShapeError(f"margin_ranking_loss: different numbers of axes: {sizes}")
        return reduce_loss(hinge(-target * (input1 - input2) + margin), reduction)

    def latex(input1, input2, target, **params):
        return rf"\max\left(0, -{target} \left({input1} - {input2}\right) + \Delta\right)"


# ----- between classes -----


class MultiMarginLoss(Composite):
    """The mean over wrong classes j of max(0, margin - x_y + x_j)^p, p being 1 or 2.

    input (N, C) or (C), target (N) or () of class indices; `weight` one number per class.

    >>> F.multi_margin_loss(bl.tensor([[0.1, 0.2, 0.9]]), bl.tensor([2]))
    tensor(0.1667)
    """

    exports = "F"

    def expand(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None,
               reduction="mean"):  # fmt: skip
        reduction = legacy_reduction(size_average, reduce, reduction)
        if p not in (1, 2):
            raise ArgumentError(f"multi_margin_loss: p must be 1 or 2, got {p}")
        single = input.ndim < 2
        x = input.reshape((1, -1)) if single else input
        y = target.reshape((1,)) if single and target.numel() == 1 else target
        if x.ndim != 2 or y.shape != (x.shape[0],):
            raise ShapeError(
                f"multi_margin_loss: targets of shape {tuple(target.shape)} for an input of"
                f" {tuple(input.shape)}", hint="input is (N, C), target (N,)",
            )  # fmt: skip
        classes = x.shape[1]
        if weight is not None and weight.shape != (classes,):
            raise ShapeError(f"weight of shape {tuple(weight.shape)} for {classes} classes")
        check_targets(y, classes)
        own = y.unsqueeze(1)
        short = hinge(x - x.gather(1, own) + margin)
        short = short * short if p == 2 else short
        if weight is not None:
            short = short * weight[y].unsqueeze(1)
        wrong = own != _class_numbers(x)
        loss = apply(Where, wrong, short, 0.0).sum(1) / classes
        return reduce_loss(loss.squeeze(0) if single else loss, reduction)

    def latex(input, target, **params):
        return (
            rf"\frac{{1}}{{C}} \sum_{{j \ne {target}}} \max\left(0, \Delta - {input}_{{{target}}}"
            rf" + {input}_j\right)"
        )


def _class_numbers(x: Any) -> Any:
    """0, 1, ... along the last axis, as a constant row."""
    return x.detach().new_ones((1, x.shape[-1]), dtype=dt.int64).cumsum(1) - 1


class MultilabelMarginLoss(Composite):
    """Over target classes i and others j, the sum of max(0, 1 - (x_i - x_j)), divided by C.

    input (N, C) or (C); the target has the same shape and lists class indices up to the first -1.

    >>> F.multilabel_margin_loss(bl.tensor([[0.1, 0.2, 0.4]]), bl.tensor([[2, -1, 0]]))
    tensor(0.5000)
    """

    exports = "F"

    def expand(input, target, size_average=None, reduce=None, reduction="mean"):
        reduction = legacy_reduction(size_average, reduce, reduction)
        if input.shape != target.shape or input.ndim not in (1, 2):
            raise ShapeError(
                f"multilabel_margin_loss: targets of shape {tuple(target.shape)} for an input of"
                f" {tuple(input.shape)}", hint="both are (N, C) or (C,)",
            )  # fmt: skip
        single = input.ndim == 1
        x, y = (input.unsqueeze(0), target.unsqueeze(0)) if single else (input, target)
        classes = x.shape[1]
        check_targets(y, classes, least=-1)
        listed = to(y >= 0, dt.int64).cumprod(1)
        safe = y * listed
        member = (listed * 0).scatter_add(1, safe, listed) > 0
        gaps = hinge(1 - x.gather(1, safe).unsqueeze(2) + x.unsqueeze(1))
        pairs = (listed != 0).unsqueeze(2) & ~member.unsqueeze(1)
        loss = apply(Where, pairs, gaps, 0.0).sum((1, 2)) / classes
        return reduce_loss(loss.squeeze(0) if single else loss, reduction)

    def latex(input, target, **params):
        return (
            rf"\frac{{1}}{{C}} \sum_{{i \in {target}}} \sum_{{j \notin {target}}}"
            rf" \max\left(0, 1 - {input}_i + {input}_j\right)"
        )


# ----- between samples -----


class CosineEmbeddingLoss(Composite):
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1.

    Inputs (N, D) with target (N), or (D) with a 0-dim target.

    >>> F.cosine_embedding_loss(bl.ones(1, 2), bl.ones(1, 2), bl.tensor([-1.0]))
    tensor(1.)
    """

    exports = "bl F"

    def expand(input1, input2, target, margin=0, size_average=None, reduce=None,
               reduction="mean"):  # fmt: skip
        reduction = legacy_reduction(size_average, reduce, reduction)
        if target.ndim > 1 or input1.ndim != target.ndim + 1 or input2.ndim != input1.ndim:
            sizes = ", ".join(str(tuple(t.shape)) for t in (input1, input2, target))
            raise ShapeError(f"cosine_embedding_loss: sizes {sizes} do not fit",
                             hint="(N, D), (N, D) and (N,); or (D,), (D,) and ()")  # fmt: skip
        lengths = ((input1 * input1).sum(-1) + 1e-12) * ((input2 * input2).sum(-1) + 1e-12)
        cosine = (input1 * input2).sum(-1) / lengths.sqrt()
        alike = apply(Where, target == 1, 1 - cosine, 0.0)
        loss = alike + apply(Where, target == -1, hinge(cosine - margin), 0.0)
        return reduce_loss(loss, reduction)

    def latex(input1, input2, target, **params):
        return rf"1 - \cos\left({input1}, {input2}\right)"


def _triplet(distances: tuple, margin: float, swap: bool, reduction: str) -> Any:
    """The hinge of two distances; `distances` computes the third only for `swap`."""
    near, far, across = distances
    if swap:
        far = far.minimum(across())
    return reduce_loss(hinge(near - far + margin), reduction)


def _check_margin(margin: float) -> None:
    if margin <= 0:
        raise ArgumentError(f"margin must be greater than 0, got {margin}")


class TripletMarginLoss(Composite):
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being a p-norm.

    `swap` uses the nearer of anchor and positive to the negative.
    Source: Balntas et al. (2016).

    >>> F.triplet_margin_loss(bl.zeros(1, 2), bl.zeros(1, 2), bl.ones(1, 2), eps=0.0)
    tensor(0.)
    """

    exports = "bl F"

    def expand(anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False,
               size_average=None, reduce=None, reduction="mean"):  # fmt: skip
        reduction = legacy_reduction(size_average, reduce, reduction)
        _check_margin(margin)
        if not anchor.ndim == positive.ndim == negative.ndim:
            sizes = ", ".join(str(tuple(t.shape)) for t in (anchor, positive, negative))
            raise ShapeError(f"triplet_margin_loss: different numbers of axes: {sizes}")
        far = lambda a, b: PairwiseDistance.call(a, b, p, eps)
        distances = far(anchor, positive), far(anchor, negative), lambda: far(positive, negative)
        return _triplet(distances, margin, swap, reduction)

    def latex(anchor, positive, negative, **params):
        return (
            rf"\max\left(0, d\left({anchor}, {positive}\right) - d\left({anchor}, {negative}"
            rf"\right) + \Delta\right)"
        )


class TripletMarginWithDistanceLoss(Composite):
    """The triplet margin loss with a distance function of one's own.

    >>> far = lambda a, b: (a - b).abs().sum(-1)
    >>> F.triplet_margin_with_distance_loss(bl.zeros(1, 2), bl.ones(1, 2), bl.ones(1, 2),
    ...                                     distance_function=far)
    tensor(1.)
    """

    exports = "F"

    def expand(anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False,
               reduction="mean"):  # fmt: skip
        check_reduction(reduction)
        _check_margin(margin)
        far = distance_function or PairwiseDistance.call
        distances = far(anchor, positive), far(anchor, negative), lambda: far(positive, negative)
        return _triplet(distances, margin, swap, reduction)

    def latex(anchor, positive, negative, **params):
        return TripletMarginLoss.latex(anchor, positive, negative)
