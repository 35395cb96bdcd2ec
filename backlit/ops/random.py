"""Random operators: their Nodes keep (seed, offset), never the numbers.

Seed and offset are operands: whole numbers in eager mode, 0-dim int64 values in a captured step,
whose generator is state like everything else that a step reads and refills.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit import random as rng
from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.op import Operator, Spec, apply, export, require_float, slot


class Dropout(Operator):
    """Zero elements with probability `p` and scale the rest by 1 / (1 - p), in training.

    The expectation of the output is the input; in evaluation it is the input itself.
    Source: Srivastava et al. (2014), in its inverted form.

    >>> F.dropout(bl.ones(3), p=0.5, training=False)
    tensor([1., 1., 1.])
    """

    exports = "bl F"
    moves = True

    def call(input, p=0.5, training=True, inplace=False):
        check_probability("dropout", p)
        if not training or p == 0.0:
            return input
        seed, offset = rng.take(None, input.numel())
        dropped = apply(Dropout, input, seed, offset, p=float(p))
        return slot.refill(input, dropped) if inplace else dropped

    def infer(x, seed, offset, *, p):
        require_float(x)
        return x

    def forward(x, seed, offset, *, p):
        keep = keep_mask(x.shape, p, seed, offset)
        scale = 0.0 if p == 1.0 else 1.0 / (1.0 - p)
        if x.dtype.itemsize == 2:  # rounded once
            return np.where(keep, x.astype(np.float32) * np.float32(scale), 0).astype(x.dtype)
        return np.where(keep, x * x.dtype.type(scale), x.dtype.type(0))

    def grad_x(g, seed, offset, p):
        return apply(Dropout, g, seed, offset, p=p)

    def latex(x, seed, offset, *, p):
        return rf"\frac{{m}}{{1 - {p:g}}} \odot {x}"


def check_probability(name: str, p: float) -> None:
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"{name}: p must be between 0 and 1, got {p}")


def keep_mask(shape: tuple, p: float, seed: Any, offset: Any) -> np.ndarray:
    """True with probability 1 - p, element by element in row-major order."""
    drawn = rng.words(int(seed), int(offset), math.prod(shape))
    return (drawn >= np.uint64(rng.threshold(p))).reshape(shape)


class KeepMask(Operator):
    """True with probability 1 - p; what compiled programs make of dropout, once for both ways."""

    exports = ""
    differentiable = False

    def infer(seed, offset, *, shape, p):
        return Spec(shape, dt.bool_)

    def forward(seed, offset, *, shape, p):
        return keep_mask(shape, p, seed, offset)


# ----- numbers out of nothing -----


class _Draw(Operator, abstract=True):
    """Numbers of a shape, from (seed, offset) alone."""

    exports = ""
    differentiable = False

    def infer(seed, offset, *, shape, dtype):
        return Spec(shape, dtype)


class Uniform(_Draw):
    """Uniform numbers in [0, 1): element i is number (offset + i) of the seed's stream."""

    def forward(seed, offset, *, shape, dtype):
        return _floats(rng.uniform, seed, offset, shape, dtype)


class Normal(_Draw):
    """Standard normal numbers, by Box and Muller."""

    name = "standard_normal"

    def forward(seed, offset, *, shape, dtype):
        return _floats(rng.normal, seed, offset, shape, dtype)


def _floats(draw: Any, seed: Any, offset: Any, shape: tuple, dtype: dt.dtype) -> np.ndarray:
    target = dtype.numpy
    wide = np.dtype(np.float64) if target == np.float64 else np.dtype(np.float32)
    drawn = draw(int(seed), int(offset), math.prod(shape), wide)
    return drawn.astype(target, copy=False).reshape(shape)


class RandomInteger(_Draw):
    """Whole numbers from `low` up to, not including, `high`, from 64 random bits each."""

    def infer(seed, offset, *, shape, dtype, low, high):
        return Spec(shape, dtype)

    def forward(seed, offset, *, shape, dtype, low, high):
        bits = _wide(seed, offset, math.prod(shape)) % np.uint64(high - low)
        return (low + bits.astype(np.int64)).reshape(shape).astype(dtype.numpy)


class RandomPermutation(_Draw):
    """The numbers 0 to n - 1 in the order of 64 random bits each."""

    def infer(seed, offset, *, n, dtype):
        return Spec((n,), dtype)

    def forward(seed, offset, *, n, dtype):
        return np.argsort(_wide(seed, offset, n), kind="stable").astype(dtype.numpy)


def _wide(seed: Any, offset: Any, count: int) -> np.ndarray:
    seed, offset = int(seed), int(offset)
    high, low = (rng.words(seed, offset, count, stream) for stream in (0, 1))
    return (high << np.uint64(32)) | low


class Bernoulli(Operator):
    """1 with the probability that each element gives, else 0."""

    exports = ""
    differentiable = False

    def infer(p, seed, offset, *, dtype):
        return Spec(p.shape, dtype)

    def forward(p, seed, offset, *, dtype):
        drawn = rng.uniform(int(seed), int(offset), p.size, np.dtype(np.float32))
        return (drawn.reshape(p.shape) < p).astype(dtype.numpy)


class Multinomial(Operator):
    """Indices drawn with the weights in the rows of a matrix.

    Without replacement they are the smallest arrivals of exponential races.
    """

    exports = ""
    differentiable = False

    def infer(weights, seed, offset, *, count, replacement):
        return Spec((*weights.shape[:-1], count), dt.int64)

    def forward(weights, seed, offset, *, count, replacement):
        rows = weights.reshape(-1, weights.shape[-1]).astype(np.float64)
        width = count if replacement else rows.shape[1]
        u = rng.uniform(int(seed), int(offset), len(rows) * width, np.dtype(np.float64))
        u = u.reshape(len(rows), width)
        if replacement:
            edges = np.cumsum(rows, 1)
            found = [np.searchsorted(e, v * e[-1], side="right") for e, v in zip(edges, u)]
            drawn = np.minimum(np.array(found).reshape(u.shape), rows.shape[1] - 1)
        else:
            arrival = -np.log1p(-u) / rows
            drawn = np.argsort(arrival, axis=1, kind="stable")[:, :count]
        return drawn.astype(np.int64).reshape((*weights.shape[:-1], count))


# ----- the same decision for whole channels -----


class FeatureDropout(Operator):
    """Zero slices with probability `p` and scale the rest by 1 / (1 - p).

    A slice is what the first `lead` axes address: with two, a channel of a sample.
    Source: Tompson et al. (2015).
    """

    exports = ""
    moves = True

    def infer(x, seed, offset, *, p, lead):
        require_float(x)
        return x

    def forward(x, seed, offset, *, p, lead):
        scale = keep_lead(x.shape, p, seed, offset, lead) * (0.0 if p == 1.0 else 1.0 / (1.0 - p))
        return np.where(scale != 0, x * scale.astype(x.dtype), x.dtype.type(0))

    def grad_x(g, seed, offset, p, lead):
        return apply(FeatureDropout, g, seed, offset, p=p, lead=lead)

    def latex(x, seed, offset, *, p, lead):
        return rf"\frac{{m_c}}{{1 - {p:g}}} \odot {x}"


def keep_lead(shape: tuple, p: float, seed: Any, offset: Any, lead: int) -> np.ndarray:
    """`keep_mask` over the first axes, shaped to broadcast over all."""
    kept = keep_mask(shape[:lead], p, seed, offset)
    return kept.reshape(shape[:lead] + (1,) * (len(shape) - lead))


ALPHA = -1.7580993408473766  # where SELU ends towards minus infinity: -scale * alpha


def alpha_affine(p: float) -> tuple[float, float]:
    """The factor and shift that keep mean 0 and variance 1 under alpha dropout."""
    scale = 1.0 / math.sqrt((1.0 - p) * (1.0 + p * ALPHA * ALPHA))
    return scale, -scale * ALPHA * p


class AlphaDropout(Operator):
    """Set slices to SELU's negative limit with probability `p`, keeping mean and variance.

    A slice is what the first `lead` axes address. Source: Klambauer et al. (2017).
    """

    exports = ""
    name = "alpha_dropout"

    def infer(x, seed, offset, *, p, lead):
        require_float(x)
        return x

    def forward(x, seed, offset, *, p, lead):
        scale, shift = alpha_affine(p)
        kept = keep_lead(x.shape, p, seed, offset, lead)
        kind = x.dtype.type
        return np.where(kept, x * kind(scale) + kind(shift), kind(ALPHA * scale + shift))

    def grad_x(g, seed, offset, p, lead):
        kept = apply(FeatureDropout, g, seed, offset, p=p, lead=lead)
        return kept * ((1.0 - p) * alpha_affine(p)[0])

    def latex(x, seed, offset, *, p, lead):
        scale, shift = alpha_affine(p)
        return rf"{scale:.3g} \left(m \odot {x} + (1 - m) \, {ALPHA:.3g}\right) {shift:+.3g}"


def _drop(op: Any, name: str, input: Any, p: float, training: bool, inplace: bool,
          lead: int | None) -> Any:  # fmt: skip
    check_probability(name, p)
    if not hasattr(input, "cell"):
        raise ArgumentTypeError(f"{name}: expected a Tensor, got {type(input).__name__}")
    lead = input.ndim if lead is None else lead
    if input.ndim < lead:
        raise ShapeError(f"{name}: expected (N, C, ...), got shape {tuple(input.shape)}")
    if not training or p == 0.0:
        return input
    seed, offset = rng.take(None, math.prod(input.shape[:lead]))
    if p == 1.0:
        op = FeatureDropout
    dropped = apply(op, input, seed, offset, p=float(p), lead=lead)
    return slot.refill(input, dropped) if inplace else dropped


@export("F")
def dropout1d(input, p=0.5, training=True, inplace=False):
    """Zero whole channels of (N, C, L) or (C, L) with probability `p`, scaling the rest.

    >>> F.dropout1d(bl.ones(1, 2, 2), p=0.5, training=False)
    tensor([[[1., 1.],
             [1., 1.]]])
    """
    if input.ndim not in (2, 3):
        raise ShapeError(f"dropout1d: expected (N, C, L) or (C, L), got {tuple(input.shape)}")
    return _drop(FeatureDropout, "dropout1d", input, p, training, inplace, input.ndim - 1)


@export("F")
def dropout2d(input, p=0.5, training=True, inplace=False):
    """Zero whole channels of images (N, C, H, W) with probability `p`, scaling the rest.

    >>> F.dropout2d(bl.ones(1, 1, 1, 2), p=1.0)
    tensor([[[[0., 0.]]]])
    """
    return _drop(FeatureDropout, "dropout2d", input, p, training, inplace, 2)


@export("F")
def dropout3d(input, p=0.5, training=True, inplace=False):
    """Zero whole channels of (N, C, D, H, W) or (C, D, H, W) with probability `p`.

    >>> F.dropout3d(bl.ones(1, 1, 1, 1, 2), p=1.0).sum()
    tensor(0.)
    """
    return _drop(FeatureDropout, "dropout3d", input, p, training, inplace,
                 1 if input.ndim == 4 else 2)  # fmt: skip


@export("bl")
def feature_dropout(input, p=0.5, training=True, inplace=False):
    """Zero whole channels of (N, C, ...) with probability `p`, scaling the rest.

    >>> bl.feature_dropout(bl.ones(1, 2, 3), p=0.5, training=False).sum()
    tensor(6.)
    """
    return _drop(FeatureDropout, "feature_dropout", input, p, training, inplace, 2)


@export("bl F")
def alpha_dropout(input, p=0.5, training=False, inplace=False):
    """Dropout for SELU networks: dropped elements take its negative limit, mean and variance stay.

    Source: Klambauer et al. (2017).

    >>> F.alpha_dropout(bl.ones(3), p=0.5, training=False)
    tensor([1., 1., 1.])
    """
    return _drop(AlphaDropout, "alpha_dropout", input, p, training, inplace, None)


@export("bl F")
def feature_alpha_dropout(input, p=0.5, training=False, inplace=False):
    """`alpha_dropout` of whole channels of (N, C, ...).

    >>> F.feature_alpha_dropout(bl.ones(1, 3, 2), p=0.5, training=False).sum()
    tensor(6.)
    """
    return _drop(AlphaDropout, "feature_alpha_dropout", input, p, training, inplace, 2)
