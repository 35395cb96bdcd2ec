"""Random operators: their Nodes keep (seed, offset), never the numbers."""

from __future__ import annotations

import numpy as np

from backlit import random as rng
from backlit.errors import ArgumentError
from backlit.ops.op import Operator, apply, require_float, slot


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
        if not 0.0 <= p <= 1.0:
            raise ArgumentError(f"dropout: p must be between 0 and 1, got {p}")
        if not training or p == 0.0:
            return input
        seed, offset = rng.take(None, input.numel())
        dropped = apply(Dropout, input, p=float(p), seed=seed, offset=offset)
        return slot.refill(input, dropped) if inplace else dropped

    def infer(x, *, p, seed, offset):
        require_float(x)
        return x

    def forward(x, *, p, seed, offset):
        keep = keep_mask(x.shape, p, seed, offset)
        scale = 0.0 if p == 1.0 else 1.0 / (1.0 - p)
        return np.where(keep, x * x.dtype.type(scale), x.dtype.type(0))

    def grad_x(g, p, seed, offset):
        return apply(Dropout, g, p=p, seed=seed, offset=offset)

    def latex(x, *, p, seed, offset):
        return rf"\frac{{m}}{{1 - {p:g}}} \odot {x}"


def keep_mask(shape: tuple, p: float, seed: int, offset: int) -> np.ndarray:
    """True with probability 1 - p, element by element in row-major order."""
    count = int(np.prod(shape))
    threshold = round(p * 2.0**32)
    return (rng.words(seed, offset, count) >= np.uint64(threshold)).reshape(shape)
