"""Rows of backlit/ops/random.py: every draw starts from the same state of the generator."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Row, T

import backlit as bl
from backlit import random as rng
from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.nn import functional as F
from backlit.ops.op import apply
from backlit.ops.random import ALPHA, KeepMask, alpha_affine, keep_mask

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


def drawn(name: str, op: str, draw: Any, args: list[tuple], bad: list, **options: Any) -> Row:
    """A row of bl.`name`; the oracle draws from the start of the same stream."""

    def call(*given: Any, **keywords: Any) -> Any:
        bl.manual_seed(11)
        return getattr(bl, name)(*given, **keywords)

    call.__name__ = name
    return Row(call, op=op, args=args, bad=bad, torch=None, numpy=draw, grad=False, **options)


def _uniform(count: int, kind: str = "float32") -> np.ndarray:
    return rng.uniform(11, 0, count, np.dtype(kind))


def _wide(count: int) -> np.ndarray:
    return (rng.words(11, 0, count, 0) << np.uint64(32)) | rng.words(11, 0, count, 1)


def _races(p: np.ndarray, count: int, replacement: bool = False) -> np.ndarray:
    if replacement:
        u = _uniform(len(p) * count, "float64").reshape(len(p), count)
        return np.array([[int((np.cumsum(row) <= v * row.sum()).sum()) for v in line]
                         for row, line in zip(p, u)])  # fmt: skip
    u = _uniform(p.size, "float64").reshape(p.shape)
    return np.argsort(-np.log1p(-u) / p, axis=1)[:, :count]


CHANCE, WEIGHTS = T((3, 7), domain=(0.0, 1.0)), T((3, 4), domain=(0.1, 1.0))

WHOLE = T((4,), dtype="int64", domain=(1, 5))
CALLS = [(0.5, True), (0.2, True), (0.0, True), (0.5, False)]


def keeping(*shape: int, p: float) -> Any:
    return apply(KeepMask, 11, 5, shape=shape, p=p)


ROWS = [
    Row(keeping, op="keep_mask", args=[(3, 7, {"p": 0.3}), (0, {"p": 0.5}), (4, {"p": 1.0})],
        torch=None, numpy=lambda *s, p: keep_mask(s, p, 11, 5), grad=False),
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
    drawn("rand", "uniform", lambda *s, dtype: _uniform(12).reshape(s),
          [(3, 4, {"dtype": bl.float32})], [((2, {"dtype": bl.int64}), DTypeError, "randint")]),
    drawn("randn", "standard_normal", lambda *s, dtype: rng.normal(11, 0, 12, np.dtype("f8"))
          .reshape(s), [(3, 4, {"dtype": bl.float64})], [], half=False),
    drawn("randint", "random_integer", lambda low, high, s: low + (_wide(12) % np.uint64(
          high - low)).astype(np.int64).reshape(s), [(-3, 9, (3, 4))],
          [((3, 3, (2,)), ArgumentError, "above low")]),
    drawn("randperm", "random_permutation", lambda n: np.argsort(_wide(n)), [(9,), (0,)], []),
    drawn("bernoulli", "bernoulli", lambda p: (_uniform(21).reshape(p.shape) < p).astype(p.dtype),
          [(CHANCE,)], [((T((2,), values=[0.5, 2.0]),), ArgumentError, "between 0 and 1")],
          half=False),
    drawn("multinomial", "multinomial", _races, [(WEIGHTS, 2), (WEIGHTS, 5, True)],
          [((T((2,), values=[0.5, -2.0]), 1), ArgumentError, "negative")], half=False),
]  # fmt: skip
