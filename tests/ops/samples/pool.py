"""Rows of backlit/ops/pool.py and pool_adaptive.py."""

from __future__ import annotations

import numpy as np
from rows import Row, T

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexOutOfRange, ShapeError

X1, X2, X3 = (T((2, 3, *s), distinct=True) for s in ((9,), (6, 7), (5, 4, 6)))
SINGLE = T((3, 6, 7), distinct=True)
WHOLE = T((2, 3, 4, 4), dtype="int64", domain=(-9, 9))
NOT_A_TENSOR = ((2.0, 2), ArgumentTypeError, "expected a Tensor")
HOLES = T((1, 1, 6), values=[[[1.0, np.nan, 0.5, -np.inf, -np.inf, 2.0]]], grad=False)
WINDOWS = [(2,), (3, 2, 1), (3, 1), (2, 3)]


def _most(x: T, more: list, bad: list, name: str) -> Row:
    keep = {"return_indices": True}
    args = [*((x, *w) for w in WINDOWS), (x, 3, 2, 1, 1, True), (x, 2, 1, 0, 2),
            (x, 3, 2, 1, 2, True), (x, 2, keep), (x, 3, 2, 1, 1, True, keep),
            (T((0, *x.shape[1:])), 2)]  # fmt: skip
    return Row(name, op=("max_pool", "max_pool_grad", "max_pool_take"), args=[*args, *more],
               bad=[*bad, NOT_A_TENSOR])  # fmt: skip


def _mean(x: T, more: list, bad: list, name: str) -> Row:
    args = [*((x, *w) for w in WINDOWS), (x, 3, 2, 1, True), (x, 3, 2, 1, True, False),
            (x, 2, 3, 1, True, False), (T((0, *x.shape[1:])), 2)]  # fmt: skip
    return Row(name, op=("avg_pool", "avg_pool_grad"), args=[*args, *more],
               bad=[*bad, NOT_A_TENSOR])  # fmt: skip


MAXIMUM = [
    _most(X1, [(HOLES, 3, 2, 1)], [
        ((X1, 3, 1, 2), ArgumentError, "half of the kernel"),
        ((X1, 0), ArgumentError, "kernel_size"),
        ((X1, 12), ShapeError, "larger than the padded input"), ((T((4,)), 2), ShapeError, "axes"),
    ], "F.max_pool1d"),
    _most(X2, [(SINGLE, 2), (X2, (2, 3), (1, 2)), (WHOLE, 2)], [
        ((X2, (2, 2, 2)), ArgumentError, "kernel_size"),
    ], "F.max_pool2d"),
    _most(X3, [], [], "F.max_pool3d"),
    Row("F.max_pool2d_with_indices", op=(), args=[(X2, 2)], grad=True),
    Row("F.max_pool1d_with_indices", op=(), args=[(X1, 2)], grad=True),
    Row("F.max_pool3d_with_indices", op=(), args=[(X3, 2)], grad=True),
]  # fmt: skip

MEAN = [
    _mean(X1, [], [((X1, 3, 1, 2), ArgumentError, "half of the kernel")], "F.avg_pool1d"),
    _mean(X2, [(SINGLE, 2), (X2, 2, {"divisor_override": 3})], [
        ((X2, 2, {"divisor_override": 0}), ArgumentError, "divisor_override"),
        ((T((1, 1, 4, 4), dtype="int64"), 2), DTypeError, "floating point"),
    ], "F.avg_pool2d"),
    _mean(X3, [(X3, 2, {"divisor_override": -2})], [], "F.avg_pool3d"),
]  # fmt: skip


def _sized(dims: int, x: T, sizes: list) -> list[Row]:
    empty = (T((0, *x.shape[1:])), 3)
    bad = [((x, (2,) * (dims + 1)), ArgumentError, "output_size"),
           ((x, -1), ArgumentError, "not be negative")]  # fmt: skip
    means = ("adaptive_avg_pool", "adaptive_avg_pool_grad")
    return [
        Row(f"F.adaptive_avg_pool{dims}d", op=means, bad=bad,
            args=[*((x, s) for s in sizes), empty]),
        Row(f"F.adaptive_max_pool{dims}d", op="adaptive_max_pool",
            args=[*((x, s) for s in sizes), (x, sizes[1], True), empty], bad=bad),
        Row(f"F.adaptive_max_pool{dims}d_with_indices", op=(), args=[(x, 2)], grad=True),
    ]  # fmt: skip


SIZED = [
    *_sized(1, X1, [1, 4, 3, 9]),
    *_sized(2, X2, [1, 4, (3, 7), (None, 2), (7, 8)]),
    *_sized(3, X3, [1, (2, 3, 4)]),
]

POSITIVE = [T((2, 3, *s), domain=(0.1, 2.0)) for s in ((9,), (6, 7), (4, 5, 4))]
POWERS = [
    Row(f"F.lp_pool{d}d", op=(), args=[(x, 3.0, 2), (x, 2.0, 3, 2, True)], grad=True,
        bad=[((x, 2.0, 0), ArgumentError, "kernel_size")])
    for d, x in enumerate(POSITIVE, 1)
]  # fmt: skip


def _places(shape: tuple, count: int) -> T:
    def make(rng: np.random.Generator) -> np.ndarray:
        planes = [rng.permutation(count)[: int(np.prod(shape[2:]))] for _ in range(6)]
        return np.stack(planes).reshape(shape)

    return T(shape, make=make, dtype="int64")


UNPOOL = [
    Row("F.max_unpool1d", op=(), args=[(T((2, 3, 4)), _places((2, 3, 4), 8), 2)], grad=True),
    Row("F.max_unpool2d", op=(), args=[
        (T((2, 3, 2, 3)), _places((2, 3, 2, 3), 24), 2),
        (T((2, 3, 2, 3)), _places((2, 3, 2, 3), 35), 2, 2, 0, (5, 7)),
    ], grad=True, bad=[
        ((T((2, 3, 2, 3)), _places((2, 3, 2, 3), 24), 2, 2, 0, (9, 9)), ArgumentError, "within"),
        ((T((2, 3, 2, 3)), _places((2, 3, 2, 2), 24), 2), ShapeError, "same shape"),
        ((T((2, 3, 2, 3)), T((2, 3, 2, 3), domain=(90, 99), dtype="int64"), 2), IndexOutOfRange,
         "out"),
    ]),
    Row("F.max_unpool3d", op=(), args=[
        (T((2, 3, 1, 2, 2)), _places((2, 3, 1, 2, 2), 32), 2),
    ], grad=True),
]  # fmt: skip

ROWS = [*MAXIMUM, *MEAN, *SIZED, *POWERS, *UNPOOL]
