"""Rows of backlit/ops/random.py: every draw starts from the same state of the generator."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Row, T

import backlit as bl
from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.nn import functional as F
from backlit.ops.random import ALPHA, alpha_affine, keep_mask

X, LINE, IMAGE = T((40,)), T((4, 5, 3)), T((2, 6, 3, 2))


def seeded(name: str, op: str, kept: Any, scale: Any, args: list[tuple], bad: list) -> Row:
    """A row of F.`name`; the oracle draws which elements are kept and applies `scale`."""

    def call(x: Any, *rest: Any) -> Any:
        bl.manual_seed(11)
        return getattr(F, name)(x, *rest)

    def oracle(x: np.ndarray, p: float = 0.5, training: bool = True) -> np.ndarray:
        shape = kept(x.shape)
        keep = keep_mask(shape, p, 11, 0).reshape(shape + (1,) * (x.ndim - len(shape)))
        return scale(x, keep, p) if training and p else x

    call.__name__ = name
    return Row(call, op=op, args=args, bad=bad, torch=None, numpy=oracle, grad=True)


def _scaled(x: np.ndarray, keep: np.ndarray, p: float) -> np.ndarray:
    return x * keep * (0.0 if p == 1 else 1 / (1 - p))


def _alpha(x: np.ndarray, keep: np.ndarray, p: float) -> np.ndarray:
    scale, shift = alpha_affine(p)
    return scale * np.where(keep, x, ALPHA) + shift


def _bad(x: T) -> list:
    return [((x, 1.5), ArgumentError, "between 0 and 1"), ((x, -0.1), ArgumentError, "between")]


WHOLE = T((4,), dtype="int64", domain=(1, 5))
CALLS = [(0.5, True), (0.2, True), (0.0, True), (0.5, False)]

ROWS = [
    seeded("dropout", "dropout", lambda s: s, _scaled, [(X, *c) for c in [*CALLS, (1.0, True)]],
           [*_bad(X), ((WHOLE, 0.5), DTypeError, "floating point")]),
    seeded("dropout1d", "feature_dropout", lambda s: s[:-1], _scaled,
           [*((LINE, *c) for c in CALLS), (T((5, 3)), 0.5, True), (LINE, 1.0, True)],
           [*_bad(LINE), ((X, 0.5), ShapeError, "(N, C, L)")]),
    seeded("dropout2d", "feature_dropout", lambda s: s[:2], _scaled,
           [(IMAGE, *c) for c in CALLS],
           [*_bad(IMAGE), ((X, 0.5), ShapeError, "(N, C"), ((1.0,), ArgumentTypeError, "Tensor")]),
    seeded("dropout3d", "feature_dropout", lambda s: s[: len(s) - 3], _scaled,
           [(T((2, 6, 2, 1, 2)), *c) for c in CALLS] + [(IMAGE, 0.5, True)], _bad(IMAGE)),
    seeded("alpha_dropout", "alpha_dropout", lambda s: s, _alpha, [(X, *c) for c in CALLS],
           _bad(X)),
    seeded("feature_alpha_dropout", "alpha_dropout", lambda s: s[:2], _alpha,
           [(IMAGE, *c) for c in CALLS], _bad(IMAGE)),
]  # fmt: skip
