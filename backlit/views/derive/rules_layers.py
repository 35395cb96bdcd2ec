"""The rules of layers, as textbooks have them: normalization, attention, losses, tables, pools.

Each is evaluated against the engine like every other line. What a rule abbreviates (the mean and
the normalized input, the weights of attention) is said in lines of its own, `back.where`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.views.derive.forms import one_over
from backlit.views.derive.indices_conv import conv_sums
from backlit.views.derive.rules import Back, lifted, reshaped, rows, rule
from backlit.views.derive.terms import (
    Matmul,
    Minus,
    Number,
    Plus,
    Shown,
    Symbol,
    Term,
    Times,
    Total,
    Transposed,
    total_to,
)

# ----- losses and tables -----


def one_hot(target: Term, classes: int, axis: int = -1) -> Term:
    """Labels as vectors with a single 1."""

    def compute(t: np.ndarray) -> np.ndarray:
        return np.moveaxis(np.eye(classes)[t], -1, axis)

    return Shown(lambda t: rf"\operatorname{{onehot}}\left({t}\right)", compute, target)


@rule("nll_loss")
def _nll(back: Back, i: int) -> Term | None:
    """Minus 1/N at the label."""
    target, weight = back.wire(1), back.gate.inputs[2]
    skipped = target.array == back.params["ignore_index"]
    if weight is not None or skipped.any() or not target.array.size:
        return None
    labels, g = one_hot(back.x(1), back.shape(0)[1], 1), back.g
    if back.params["reduction"] == "none":
        return Minus(Times(reshaped(g, (g.shape[0], 1, *g.shape[1:])), labels))
    if back.params["reduction"] == "sum":
        return Minus(Times(g, labels))
    return Minus(Times(one_over(target.array.size), Times(g, labels)))


@rule("embedding")
def _embedding(back: Back, i: int) -> Term | None:
    """Row k of the table gets the sum of the gradients of all places that read it: E' dY."""
    if back.params["padding"] is not None or back.params["by_frequency"]:
        return None
    picks = one_hot(back.x(1), back.shape(0)[0])
    if back.wire(1).array.ndim != 1:
        picks = rows(picks)
    return Matmul(Transposed(picks), rows(back.g))


@rule("max_dim", "min_dim")
def _picked(back: Back, i: int) -> Term | None:
    """All of the gradient goes to the element that was picked."""
    if not back.wire(0).shape:
        return None
    dim, shape = back.params["dim"], back.shape(0)
    indices = back.gate.outputs[1]
    assert indices is not None
    name = back.gate.op.name.split("_")[0]
    at = indices.array if back.params["keepdim"] else np.expand_dims(indices.array, dim)

    def chosen(x: Any) -> Any:
        made = np.zeros(shape)
        np.put_along_axis(made, at, 1.0, dim)
        return made

    where = Shown(lambda x: rf"\mathbf{{1}}\left[{x} = \{name}\right]", chosen, back.x(0))
    return Times(lifted(back.g, shape, (dim,)), where)


@rule("max_pool")
def _max_pool(back: Back, i: int) -> Term | None:
    """Each gradient goes to the place of its window's largest element; overlaps add up."""
    shape, indices = back.shape(0), back.gate.outputs[1]
    assert indices is not None
    planes = shape[0] * shape[1]

    def put(g: Any) -> Any:
        made = np.zeros((planes, int(np.prod(shape[2:]))))
        flat = indices.array.reshape(planes, -1)
        np.add.at(made, (np.arange(planes)[:, None], flat), g.reshape(planes, -1))
        return made.reshape(shape)

    return Shown(
        lambda g: rf"\operatorname{{route}}_{{\max}}\left({g}\right)", put, back.g, linear=True
    )


# ----- convolution -----


@rule("conv")
def _conv(back: Back, i: int) -> Term | None:
    """Correlations of the gradient: with the kernel turned around, and with the input."""
    if back.params["groups"] != 1:
        return None
    if i == 2:
        return Total(back.g, (0, *range(2, len(back.g.shape))), back.shape(2))
    sign = r"*^{\top}" if i == 0 else r"\star"
    return Shown(
        lambda g, other: rf"{g} {sign} {other}", lambda *_: conv_sums(back, i), back.g,
        back.x(1 - i), rank=2,
    )  # fmt: skip


# ----- normalization -----


def _normalized(back: Back, axes: tuple[int, ...]) -> tuple[Symbol, Symbol, int]:
    """The normalized input and its scale as symbols, said once in `where`."""
    x, eps = back.x(0), back.params["eps"]
    count = int(np.prod([x.shape[a] for a in axes], dtype=int))
    kept = tuple(1 if a in axes else n for a, n in enumerate(x.shape))
    mean_wire, rstd_wire = back.gate.outputs[1:3]
    assert mean_wire is not None and rstd_wire is not None
    own = back.y.symbol
    mean = Symbol(rf"\mu_{{{own}}}", mean_wire.array.reshape(kept))
    with np.errstate(divide="ignore"):
        scale = Symbol(rf"s_{{{own}}}", (1.0 / rstd_wire.array).reshape(kept))
    centred = Plus(x, Minus(mean))
    squares = Times(one_over(count), Total(Times(centred, centred), axes, kept))
    root = Shown(lambda t: rf"\sqrt{{{t} + {eps:g}}}", lambda v: np.sqrt(v + eps), squares)
    normal = Symbol(rf"\hat{{{x.tex()}}}", (x.value - mean.value) / scale.value)
    ratio = Shown(lambda a, b: rf"\frac{{{a}}}{{{b}}}", np.divide, centred, scale)
    back.where = [
        (mean, Times(one_over(count), Total(x, axes, kept))), (scale, root), (normal, ratio)
    ]  # fmt: skip
    return normal, scale, count


def _projected(g: Term, normal: Symbol, scale: Symbol, axes: tuple[int, ...], count: int) -> Term:
    """(g - mean of g - x_hat times the mean of g x_hat) / s."""
    kept = scale.shape
    mean = Times(one_over(count), Total(g, axes, kept))
    along = Times(one_over(count), Total(Times(g, normal), axes, kept))
    inner = Plus(g, Minus(mean), Minus(Times(normal, along)))
    inverse = Shown(lambda s: rf"\frac{{1}}{{{s}}}", lambda s: 1.0 / s, scale)
    return Times(inverse, inner)


@rule("batch_norm")
def _batch_norm(back: Back, i: int) -> Term:
    """Ioffe and Szegedy (2015), with the sums worked out."""
    ndim = len(back.shape(0))
    axes = (0, *range(2, ndim))
    normal, scale, count = _normalized(back, axes)
    if i:
        inner = Times(back.g, normal) if i == 1 else back.g
        return Total(inner, axes, back.shape(i))
    made = _projected(back.g, normal, scale, axes, count)
    if back.gate.inputs[1] is None:
        return made
    return Times(reshaped(back.x(1), (1, -1, *(1,) * (ndim - 2))), made)


@rule("layer_norm")
def _layer_norm(back: Back, i: int) -> Term:
    """The same over the trailing axes; the weight goes in before the means."""
    ndim, count = len(back.shape(0)), back.params["count"]
    axes = tuple(range(ndim - count, ndim))
    normal, scale, size = _normalized(back, axes)
    if i:
        return total_to(Times(back.g, normal) if i == 1 else back.g, back.shape(i))
    g: Term = back.g if back.gate.inputs[1] is None else Times(back.g, back.x(1))
    return _projected(g, normal, scale, axes, size)


# ----- attention -----


@rule("attention")
def _attention(back: Back, i: int) -> Term | None:
    """Y = P V with P = softmax(scale Q K'): dV = P' dY, and through the softmax to Q and K."""
    weights = back.gate.outputs[1]
    assert weights is not None
    if i == 3:
        return None
    p = Symbol(rf"P_{{{back.y.symbol}}}", weights.array)
    if back.gate.inputs[3] is None and not back.params["causal"]:
        back.where = [(p, _weights(back))]
    if i == 2:
        return total_to(Matmul(Transposed(p), back.g), back.shape(2))
    dp = Matmul(back.g, Transposed(back.x(2)))
    kept = (*p.shape[:-1], 1)
    ds = Times(p, Plus(dp, Minus(Total(Times(dp, p), (len(kept) - 1,), kept))))
    scale = Number(back.params["scale"])
    inner = Matmul(ds, back.x(1)) if i == 0 else Matmul(Transposed(ds), back.x(0))
    return total_to(Times(scale, inner), back.shape(i))


def _weights(back: Back) -> Term:
    from backlit.views.derive.rules import softmax

    scores = Times(Number(back.params["scale"]), Matmul(back.x(0), Transposed(back.x(1))))
    return softmax(scores, scores.value.ndim - 1)
