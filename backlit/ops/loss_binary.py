"""Losses with yes-or-no targets: one or many per sample."""

from __future__ import annotations

from typing import Any

from backlit.errors import ArgumentError
from backlit.ops.activation import Logsigmoid, Sigmoid
from backlit.ops.loss import legacy_reduction, reduce_loss
from backlit.ops.op import Composite, Elementwise, apply


def _same_size(input: Any, target: Any, name: str) -> None:
    if input.shape != target.shape:
        raise ArgumentError(
            f"{name}: a target of size {tuple(target.shape)} for an input of {tuple(input.shape)}",
            hint="give both the same shape, as with target.view_as(input)",
        )


def _in_unit(name: str, values: Any) -> None:
    """Refuse what is no probability, NaN included."""
    a = values.cell.array
    if a.size and not (a.min() >= 0 and a.max() <= 1):
        raise ArgumentError(
            f"binary_cross_entropy: all elements of the {name} must be between 0 and 1; they go"
            f" from {float(a.min()):g} to {float(a.max()):g}",
            hint="logits go to binary_cross_entropy_with_logits",
        )


class BinaryEntropy(Elementwise):
    """-t ln x - (1 - t) ln(1 - x), with logarithms no smaller than -100."""

    exports = ""

    def formula(m, x, t):
        return -(t * m.maximum(m.log(x), -100.0) + (1 - t) * m.maximum(m.log1p(-x), -100.0))

    def d_x(m, x, t):
        return (x - t) / m.maximum((1 - x) * x, 1e-12)

    def d_t(m, x):
        return m.log1p(-x) - m.log(x)


class BinaryCrossEntropy(Composite):
    """Cross-entropy between probabilities and targets in [0, 1].

    Logarithms are bounded by -100, so that a certain wrong answer costs 100 and not infinity.

    >>> F.binary_cross_entropy(bl.tensor([0.5, 0.9]), bl.tensor([0.0, 1.0]))
    tensor(0.3993)
    """

    exports = "F"

    def expand(input, target, weight=None, size_average=None, reduce=None, reduction="mean"):
        reduction = legacy_reduction(size_average, reduce, reduction)
        _same_size(input, target, "binary_cross_entropy")
        _in_unit("input", input)
        _in_unit("target", target)
        loss = apply(BinaryEntropy, input, target)
        return reduce_loss(loss if weight is None else loss * weight, reduction)

    def latex(input, target, **params):
        rest = rf"\left(1 - {target}\right) \ln \left(1 - {input}\right)"
        return rf"-{target} \ln {input} - {rest}"


class LogitEntropy(Elementwise):
    """The binary cross-entropy of sigmoid(x), finite for any x."""

    exports = ""

    def formula(m, x, t):
        return m.maximum(x, 0) - x * t + m.log1p(m.exp(-m.abs(x)))

    def d_x(m, x, t):
        return Sigmoid.gate(m, x) - t

    def d_t(m, x):
        return -x


class BinaryCrossEntropyWithLogits(Composite):
    """Cross-entropy between sigmoid(input) and targets in [0, 1], stable for any logits.

    `pos_weight` scales the loss of the positive answers, class by class.

    >>> F.binary_cross_entropy_with_logits(bl.tensor([0.0, 1000.0]), bl.tensor([1.0, 1.0]))
    tensor(0.3466)
    """

    exports = "F"

    def expand(input, target, weight=None, size_average=None, reduce=None, reduction="mean",
               pos_weight=None):  # fmt: skip
        reduction = legacy_reduction(size_average, reduce, reduction)
        _same_size(input, target, "binary_cross_entropy_with_logits")
        if pos_weight is None:
            loss = apply(LogitEntropy, input, target)
        else:
            scale = (pos_weight - 1) * target + 1
            loss = (1 - target) * input - scale * apply(Logsigmoid, input)
        return reduce_loss(loss if weight is None else loss * weight, reduction)

    def latex(input, target, **params):
        rest = rf"\left(1 - {target}\right) \ln \sigma\left(-{input}\right)"
        return rf"-{target} \ln \sigma\left({input}\right) - {rest}"


class SoftMarginLoss(Composite):
    """ln(1 + e^(-t x)) with targets t of 1 or -1.

    >>> F.soft_margin_loss(bl.tensor([0.0, 1000.0]), bl.tensor([1.0, 1.0]))
    tensor(0.3466)
    """

    exports = "F"

    def expand(input, target, size_average=None, reduce=None, reduction="mean"):
        reduction = legacy_reduction(size_average, reduce, reduction)
        return reduce_loss(-apply(Logsigmoid, target * input), reduction)

    def latex(input, target, **params):
        return rf"\ln \left(1 + e^{{-{target} {input}}}\right)"


class MultilabelSoftMarginLoss(Composite):
    """The binary cross-entropy of each of C labels, averaged over them.

    input and target (N, C) or (C); the target holds 0 and 1.

    >>> F.multilabel_soft_margin_loss(bl.tensor([[0.0, 0.0]]), bl.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """

    exports = "F"

    def expand(input, target, weight=None, size_average=None, reduce=None,
               reduction="mean"):  # fmt: skip
        reduction = legacy_reduction(size_average, reduce, reduction)
        positive, negative = apply(Logsigmoid, input), apply(Logsigmoid, -input)
        loss = -(target * positive + (1 - target) * negative)
        loss = loss if weight is None else loss * weight
        return reduce_loss(loss.sum(-1) / input.shape[-1], reduction)

    def latex(input, target, **params):
        return rf"-\frac{{1}}{{C}} \sum_c {target}_c \ln \sigma\left({input}_c\right) + \dots"
