"""Rows of backlit/ops/norm.py and norm_groups.py."""

from __future__ import annotations

from typing import Any

from rows import Row, T

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.ops.norm import MovingAverage, UnbiasedVariance
from backlit.ops.op import apply

X = T((3, 4, 5, 2))
C, D = T((4,)), T((4,))
MEAN = T((4,), grad=False)
SPREAD = T((4,), domain=(0.5, 2.0), grad=False)
BLOCK = T((3, 2, 5, 2), distinct=True)
LINE = T((3, 6), distinct=True)
TRAIN = {"training": True}
FAR = T((4, 4, 3), domain=(1000.0, 1001.0), grad=False)
WHOLE = T((3, 4), dtype="int64")

BATCH = [
    Row("F.batch_norm", op=("batch_norm", "batch_norm_grad"), args=[
        (X, None, None, C, D, True), (X, None, None, TRAIN), (X, None, None, C, TRAIN),
        (T((6, 4)), None, None, C, D, True), (T((2, 4, 6)), MEAN, SPREAD, C, D, True, 0.3),
        (X, MEAN, SPREAD, C, D), (X, MEAN, SPREAD),
        (T((6, 4)), MEAN, SPREAD, C, D, False, 0.1, 0.1),
    ], bad=[
        ((X, None, None), ArgumentError, "running_mean"),
        ((T((4,)), None, None, TRAIN), ShapeError, "(N, C, ...)"),
        ((T((1, 4)), None, None, TRAIN), ArgumentError, "one value per channel"),
        ((X, None, None, T((5,)), TRAIN), ShapeError, "per channel"),
        ((X, T((5,)), T((5,))), ShapeError, "running_mean"),
        ((WHOLE, None, None, TRAIN), DTypeError, "floating point"),
    ]),
    Row("F.instance_norm", op="instance_norm", args=[
        (X,), (X, None, None, C, D), (X, MEAN, SPREAD, C, D, False),
        (T((2, 4, 6)), MEAN, SPREAD, C, D, True, 0.3),
    ], grad=True, bad=[((T((2, 4, 1)),), ArgumentError, "no variance")]),
]  # fmt: skip

ROWWISE = [
    Row("F.layer_norm", op=("layer_norm", "layer_norm_grad"), args=[
        (LINE, (6,), T((6,)), T((6,))), (BLOCK, (5, 2), T((5, 2)), T((5, 2))),
        (BLOCK, (2, 5, 2)), (BLOCK, [5, 2], T((5, 2)), None, 0.1),
        (T((6,), distinct=True), (6,), T((6,)), T((6,))), (T((0, 6)), (6,)), (T((3, 0)), (0,)),
    ], bad=[
        ((X, (3,)), ShapeError, "normalized_shape"), ((X, ()), ShapeError, "normalized_shape"),
        ((X, (2,), T((3,))), ShapeError, "weight"), ((WHOLE, (4,)), DTypeError, "floating point"),
        ((2.0, (1,)), ArgumentTypeError, "expected a Tensor"),
    ]),
    Row("F.rms_norm", op=("rms_norm", "rms_norm_grad"), args=[
        (LINE, (6,), T((6,))), (BLOCK, (5, 2), T((5, 2)), 0.1), (BLOCK, (2, 5, 2)),
        (T((6,), distinct=True), (6,), T((6,))),
    ], bad=[((X, (3,)), ShapeError, "normalized_shape")]),
    Row("layer_norm", op=(), args=[(LINE, (6,), T((6,)))], grad=True),
]  # fmt: skip

GROUPS = [
    Row("F.group_norm", op=("group_norm", "group_norm_grad"), args=[
        (X, 2, C, D), (X, 1), (X, 4, C), (T((5, 4)), 2, C, D), (T((2, 4, 6)), 2, C, D, 0.1),
        (T((0, 4, 6)), 2),
    ], bad=[
        ((X, 3), ArgumentError, "divide"), ((X, 0), ArgumentError, "divide"),
        ((X, 2, T((3,))), ShapeError, "per channel"),
    ]),
    Row("F.local_response_norm", op=("local_response_norm", "channel_window"), args=[
        (X, 2), (X, 3, 0.5, 0.6, 1.5), (X, 9), (T((2, 4, 3)), 1),
    ], grad=True, bad=[((T((3, 4)), 2), ShapeError, "(N, C, *S)")]),
]  # fmt: skip

# A large common value costs no digits: the spread is taken about the mean.
EXACT = [
    Row("F.batch_norm", op=(), args=[(FAR, None, None, TRAIN)], grad=False, half=False, tol32=1e-3),
    Row("F.layer_norm", op=(), args=[(FAR, (3,))], grad=False, half=False, tol32=1e-3),
    Row("F.group_norm", op=(), args=[(FAR, 2)], grad=False, half=False, tol32=1e-3),
]


def moved(running: Any, value: Any) -> Any:
    return apply(MovingAverage, running, value, momentum=0.25)


def unbiased(rstd: Any) -> Any:
    return apply(UnbiasedVariance, rstd, eps=0.5, correction=1.5)


STATISTICS = [
    Row(moved, op="moving_average", args=[(C, D), (T((0,)), T((0,)))], torch=None,
        numpy=lambda a, b: 0.75 * a + 0.25 * b),
    Row(unbiased, op="unbiased_variance", args=[(T((4,), domain=(0.3, 2.0)),)], torch=None,
        numpy=lambda r: 1.5 * (r**-2.0 - 0.5)),
]  # fmt: skip

ROWS = [*STATISTICS, *BATCH, *ROWWISE, *GROUPS, *EXACT]
