"""Losses: how far an output is from its target, as one number (or one per sample).

What all losses share, and those over classes. Regression is in loss_regression.py, yes-or-no
targets in loss_binary.py, margins between samples or classes in loss_margin.py.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from backlit.errors import (
    ArgumentError,
    ArgumentTypeError,
    BacklitError,
    DTypeError,
    IndexOutOfRange,
)
from backlit.ops.op import Composite, Operator, Spec, apply
from backlit.ops.softmax import LogSoftmax

REDUCTIONS = ("none", "mean", "sum")


def check_reduction(reduction: str) -> None:
    if reduction not in REDUCTIONS:
        raise ArgumentError(f"reduction must be 'none', 'mean' or 'sum', got {reduction!r}")


def legacy_reduction(size_average: Any, reduce: Any, reduction: str) -> str:
    """PyTorch's older keywords, where they are given."""
    if size_average is None and reduce is None:
        check_reduction(reduction)
        return reduction
    found = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(f"size_average and reduce are outdated: use reduction={found!r}", stacklevel=4)
    return found


def reduce_loss(loss: Any, reduction: str) -> Any:
    """One loss per element, their mean, or their sum."""
    if reduction == "mean":
        return loss.mean()
    return loss.sum() if reduction == "sum" else loss


def require_tensors(name: str, *inputs: Any) -> None:
    for x in inputs:
        if not hasattr(x, "cell"):
            found = type(x).__name__
            hint = "make one with bl.tensor(...)"
            raise ArgumentTypeError(f"{name}: expected a Tensor, got {found}", hint=hint)


def warn_sizes(input: Any, target: Any) -> None:
    """Broadcasting a target is allowed, and nearly always a mistake."""
    require_tensors("loss", input, target)
    if input.cell.array.shape != target.cell.array.shape:
        warnings.warn(
            f"a target of size {tuple(target.shape)} differs from the input's"
            f" {tuple(input.shape)}: the two are broadcast, which is seldom meant", stacklevel=4,
        )  # fmt: skip


class NllLoss(Operator):
    """Minus the entries of `x` (N, C, ...) at the target classes, weighted by class.

    The mean divides by the total weight of the targets that are not ignored.

    >>> F.nll_loss(bl.tensor([[-0.5, -1.0]]), bl.tensor([1]))
    tensor(1.)
    """

    exports = "F"
    inputs = ("x", "target", "weight")

    def call(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None,
             reduction="mean"):  # fmt: skip
        reduction = legacy_reduction(size_average, reduce, reduction)
        if input.ndim == 1:
            loss = NllLoss.call(input.unsqueeze(0), target.reshape(1), weight, None, ignore_index,
                                None, reduction)  # fmt: skip
            return loss.squeeze(0) if reduction == "none" else loss
        return apply(NllLoss, input, target, weight, ignore_index=ignore_index, reduction=reduction)

    def infer(x, target, weight, *, ignore_index, reduction):
        if target.dtype.kind not in "iu":
            raise DTypeError(
                f"class targets must be whole numbers, got {target.dtype.name}",
                hint="probabilities as targets go to cross_entropy, with the shape of the input",
            )
        if x.ndim < 2 or target.shape != (x.shape[0], *x.shape[2:]):
            raise ArgumentError(
                f"input {x.shape} expects targets of {(x.shape[0], *x.shape[2:])},"
                f" got {target.shape}", hint="input is (N, C, ...), target (N, ...)"
            )  # fmt: skip
        if weight is not None and weight.shape != (x.shape[1],):
            raise ArgumentError(f"weight must have shape ({x.shape[1]},), got {weight.shape}")
        return Spec(target.shape if reduction == "none" else (), x.dtype)

    def forward(x, target, weight, *, ignore_index, reduction):
        kept, scale = target_weights(x.shape[1], x.dtype, target, weight, ignore_index)
        safe = np.where(kept, target, 0)
        picked = np.take_along_axis(x, safe[:, None], 1)[:, 0]
        loss = np.where(kept, -picked * scale, x.dtype.type(0))
        if reduction == "none":
            return loss
        total = loss.sum()
        return np.asarray(total / scale.sum() if reduction == "mean" else total)

    def grad_x(g, target, weight, x_spec, ignore_index, reduction):
        return apply(NllLossGrad, g, target, weight, classes=x_spec.shape[1],
                     ignore_index=ignore_index, reduction=reduction)  # fmt: skip

    def latex(x, target, weight=None, *, reduction="mean", **params):
        scale = "" if weight is None else rf"{weight}_{{{target}_n}} "
        picked = rf"{scale}{x}_{{n, {target}_n}}"
        if reduction == "none":
            return f"-{picked}"
        if reduction == "sum":
            return rf"-\sum_n {picked}"
        count = "N" if weight is None else rf"\sum_n {scale.strip()}"
        return rf"-\frac{{1}}{{{count}}} \sum_n {picked}"


class NllLossGrad(Operator):
    """The gradient of `nll_loss` by its input: linear in `g`, whose derivative is `nll_loss`."""

    exports = ""
    inputs = ("g0", "target", "weight")

    def infer(g, target, weight, *, classes, ignore_index, reduction):
        return Spec((target.shape[0], classes, *target.shape[1:]), g.dtype)

    def forward(g, target, weight, *, classes, ignore_index, reduction):
        kept, scale = target_weights(classes, g.dtype, target, weight, ignore_index)
        if reduction == "mean":
            scale = scale / scale.sum()
        made = np.zeros((target.shape[0], classes, *target.shape[1:]), g.dtype)
        safe = np.where(kept, target, 0)
        np.put_along_axis(made, safe[:, None], (-g * scale)[:, None], 1)
        return made

    def grad_g0(g, target, weight, ignore_index, reduction):
        return apply(NllLoss, g, target, weight, ignore_index=ignore_index, reduction=reduction)

    def latex(g, target, weight=None, **params):
        return rf"-{g} \odot \mathbf{{1}}_{{{target}}}"


def target_weights(classes: int, dtype: np.dtype, target: np.ndarray, weight: Any,
                   ignore_index: int) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Which targets count, and the weight of each; refuses classes that do not exist."""
    kept = target != ignore_index
    refuse_strangers(
        target, kept & ((target < 0) | (target >= classes)), classes,
        f"; ignore_index={ignore_index} is skipped",
    )  # fmt: skip
    if weight is None:
        return kept, kept.astype(dtype)
    return kept, np.where(kept, weight[np.where(kept, target, 0)], 0).astype(dtype)


def refuse_strangers(target: np.ndarray, bad: np.ndarray, classes: int, more: str = "") -> None:
    """Name the first target that is not a class."""
    if bad.any():
        where = tuple(int(i) for i in np.argwhere(bad)[0])
        raise IndexOutOfRange(
            f"target {int(target[where])} at {where} is not one of the {classes} classes",
            hint=f"classes count from 0 to {classes - 1}{more}",
        )


def check_targets(target: Any, classes: int, least: int = 0) -> None:
    """Refuse targets that are not class indices; `least` is -1 where that ends a list."""
    if target.dtype.kind not in "iu":
        raise DTypeError(f"class targets must be whole numbers, got {target.dtype.name}")
    array = target.cell.array
    refuse_strangers(array, (array < least) | (array >= classes), classes)


class CrossEntropy(Composite):
    """Cross-entropy of softmax(input) with class indices or probabilities.

    input (N, C, ...); target (N, ...) whole numbers, or probabilities of input's shape.
    `label_smoothing` mixes the target with the uniform distribution.

    >>> F.cross_entropy(bl.tensor([[0.0, 0.0]]), bl.tensor([1]))
    tensor(0.6931)
    """

    exports = "F"

    def expand(input, target, weight=None, size_average=None, ignore_index=-100, reduce=None,
               reduction="mean", label_smoothing=0.0):  # fmt: skip
        require_tensors("cross_entropy", input, target)
        reduction = legacy_reduction(size_average, reduce, reduction)
        if not 0.0 <= label_smoothing <= 1.0:
            raise ArgumentError(
                f"cross_entropy: label_smoothing must be in [0, 1], got {label_smoothing}"
            )
        axis = 0 if input.ndim == 1 else 1
        log_p = LogSoftmax.call(input, axis)
        if target.dtype.is_floating_point:
            return soft_cross_entropy(log_p, target, weight, axis, reduction, label_smoothing)
        try:
            loss = NllLoss.call(log_p, target, weight, None, ignore_index, None, reduction)
        except BacklitError as error:
            error.operator = "cross_entropy"  # what the user called
            raise
        if not label_smoothing:
            return loss
        uniform = smooth_part(log_p, target, weight, axis, ignore_index, reduction)
        return loss * (1 - label_smoothing) + uniform * (label_smoothing / input.shape[axis])

    def latex(x, target, **params):
        return rf"-\sum {target} \ln \operatorname{{softmax}}\left({x}\right)"


def soft_cross_entropy(log_p: Any, target: Any, weight: Any, axis: int, reduction: str,
                       smoothing: float) -> Any:  # fmt: skip
    """The target is a distribution over classes."""
    if target.shape != log_p.shape:
        raise ArgumentError(
            f"cross_entropy: probabilities of shape {tuple(target.shape)} for an input of"
            f" {tuple(log_p.shape)}",
            hint="class indices must be whole numbers",
        )
    if smoothing:
        target = target * (1 - smoothing) + smoothing / log_p.shape[axis]
    if weight is not None:
        shape = [1] * log_p.ndim
        shape[axis] = -1
        target = target * weight.reshape(shape)
    loss = -(log_p * target).sum(axis)
    return reduce_loss(loss, reduction)


def smooth_part(log_p: Any, target: Any, weight: Any, axis: int, ignore_index: int,
                reduction: str) -> Any:  # fmt: skip
    """Minus the (weighted) sum of log-probabilities over classes, where targets count."""
    if weight is not None:
        shape = [1] * log_p.ndim
        shape[axis] = -1
        log_p = log_p * weight.reshape(shape)
    kept = target != ignore_index
    loss = (-log_p.sum(axis)).masked_fill(~kept, 0.0)
    if reduction == "none":
        return loss
    if reduction == "sum":
        return loss.sum()
    if weight is None:
        return loss.sum() / kept.sum()
    scale = weight[target.masked_fill(~kept, 0)].masked_fill(~kept, 0.0)
    return loss.sum() / scale.sum()
