"""Rows of backlit/ops/loss.py and its neighbours loss_regression, loss_binary, loss_margin."""

from __future__ import annotations

import math

from rows import Row, T

from backlit.errors import ArgumentError, DTypeError, IndexOutOfRange, ShapeError

X, Y = T((4, 3)), T((4, 3))
NONE = T((0, 3), grad=False)
REDUCTIONS = [{"reduction": r} for r in ("none", "mean", "sum")]
BAD_REDUCTION = {"reduction": "all"}
WEIGHTS = T((4, 3), domain=(0.1, 2.0), grad=False)
UNKNOWN = (ArgumentError, "'none', 'mean' or 'sum'")


def reduced(*args) -> list[tuple]:
    """The arguments under each reduction."""
    return [(*args, r) for r in REDUCTIONS]


def with_keywords(reduction: dict, **more) -> dict:
    return {**reduction, **more}


# ----- classes -----

LOG_P = T((4, 3), domain=(-4, 0))
TARGET = T((4,), domain=(0, 2), dtype="int64")
SKIPPING = T((4,), values=[0, -100, 2, 1], dtype="int64")
PER_CLASS = T((3,), domain=(0.2, 2.0), grad=False)
IMAGE, LABELS = T((2, 3, 2, 2), domain=(-4, 0)), T((2, 2, 2), domain=(0, 2), dtype="int64")
CHANCES = T((4, 3), domain=(0, 1))
STRANGE = T((4,), values=[0, 1, 7, 2], dtype="int64")
FAR = T((2, 3), values=[[1e4, -1e4, 0.0], [-1e4, 1e4, 1e4]])
BAD_CLASSES = [
    ((X, STRANGE), IndexOutOfRange, "target 7 at (2,) is not one of the 3 classes"),
    ((X, T((3,), domain=(0, 2), dtype="int64")), ArgumentError, "expects targets of (4,)"),
    ((X, TARGET, T((2,))), ArgumentError, "weight must have shape (3,)"),
    ((X, TARGET, BAD_REDUCTION), *UNKNOWN),
]
CLASS_ARGS = [
    *reduced(LOG_P, TARGET), *reduced(LOG_P, TARGET, PER_CLASS), *reduced(LOG_P, SKIPPING),
    *reduced(IMAGE, LABELS, PER_CLASS), (LOG_P, TARGET, {"ignore_index": 1}),
    (T((3,), domain=(-4, 0)), T((), values=1, dtype="int64")),
    (T((3,), domain=(-4, 0)), T((), values=1, dtype="int64"), {"reduction": "none"}),
]  # fmt: skip

CLASSES = [
    Row("F.nll_loss", op=("nll_loss", "nll_loss_grad"), args=[
        *CLASS_ARGS, (NONE, T((0,), dtype="int64", grad=False)),
    ], bad=[*BAD_CLASSES, ((X, T((4,))), DTypeError, "whole numbers")]),
    Row("F.cross_entropy", args=[
        *CLASS_ARGS, *((LOG_P, TARGET, with_keywords(r, label_smoothing=0.2)) for r in REDUCTIONS),
        *((LOG_P, SKIPPING, PER_CLASS, with_keywords(r, label_smoothing=0.2)) for r in REDUCTIONS),
        *reduced(X, CHANCES), *reduced(X, CHANCES, PER_CLASS),
        (X, CHANCES, {"label_smoothing": 0.3}), (IMAGE, T((2, 3, 2, 2), domain=(0, 1))),
        (FAR, T((2,), values=[1, 0], dtype="int64")),
        (NONE, T((0,), dtype="int64")), (NONE, NONE),
    ], bad=[*BAD_CLASSES, ((X, T((4,))), ArgumentError, "probabilities of shape"),
            ((X, TARGET, {"label_smoothing": 1.5}), ArgumentError, "in [0, 1]")]),
]  # fmt: skip

# ----- regression -----

AWAY = T((4, 3), domain=(3.0, 6.0))  # targets far enough for the straight part
POSITIVE = T((4, 3), domain=(0.2, 3.0))
COUNTS = T((4, 3), domain=(1.5, 6.0))

REGRESSION = [
    *(Row(n, op=(n.removeprefix("F."),), args=[
        *reduced(X, Y), *((X, Y, with_keywords(r, weight=WEIGHTS)) for r in REDUCTIONS),
        (NONE, NONE), (T(()), T(())),
    ], bad=[((X, Y, BAD_REDUCTION), *UNKNOWN),
            ((X, Y, {"weight": T((3,))}), ArgumentError, "weight of shape")])
      for n in ("F.mse_loss", "F.l1_loss")),
    Row("F.huber_loss", op=("huber_loss", "huber_element"), args=[
        *reduced(X, Y), *reduced(X, AWAY), (X, Y, {"delta": 0.5}), (NONE, NONE),
        *((X, Y, with_keywords(r, weight=WEIGHTS)) for r in REDUCTIONS),
    ], bad=[((X, Y, {"delta": 0.0}), ArgumentError, "delta must be positive"),
            ((X, Y, BAD_REDUCTION), *UNKNOWN)]),
    Row("F.smooth_l1_loss", args=[
        *reduced(X, Y), *reduced(X, AWAY), (X, Y, {"beta": 0.5}), (X, Y, {"beta": 0.0}),
        (NONE, NONE),
    ], bad=[((X, Y, {"beta": -1.0}), ArgumentError, "beta must not be negative"),
            ((X, Y, BAD_REDUCTION), *UNKNOWN)]),
    Row("F.poisson_nll_loss", args=[
        *reduced(X, POSITIVE), (POSITIVE, COUNTS, False), (X, COUNTS, True, True),
        (POSITIVE, T((4, 3), domain=(0.3, 0.9)), False, True), (X, T((3,), domain=(0.2, 3.0))),
    ], bad=[((X, POSITIVE, BAD_REDUCTION), *UNKNOWN)]),
    Row("F.gaussian_nll_loss", args=[
        *((X, Y, POSITIVE, r) for r in REDUCTIONS), (X, Y, POSITIVE, True), (X, Y, 0.5),
        (X, Y, T((4,), domain=(0.2, 3.0))), (X, Y, T((4, 1), domain=(0.2, 3.0))),
    ], bad=[
        ((X, Y, T((4, 3), domain=(-2.0, -1.0))), ArgumentError, "negative"),
        ((X, Y, T((2,))), ArgumentError, "var of shape"),
        ((X, Y, POSITIVE, BAD_REDUCTION), *UNKNOWN),
    ]),
]  # fmt: skip


REGRESSION.append(
    Row("F.kl_div", args=[
        *((LOG_P, POSITIVE, {"reduction": r}) for r in ("none", "sum", "batchmean")),
        (LOG_P, LOG_P, {"reduction": "batchmean", "log_target": True}),
        (LOG_P, T((4, 3), values=[[0.0, 1.0, 0.0]] * 4, grad=False), {"reduction": "sum"}),
    ], bad=[((X, Y, BAD_REDUCTION), *UNKNOWN)])
)  # fmt: skip

# ----- yes or no -----

INSIDE = T((4, 3), domain=(0.1, 0.9))
SIGNS = T((4, 3), make=lambda rng: rng.choice([-1.0, 1.0], (4, 3)), grad=False)
LABEL_BITS = T((4, 3), make=lambda rng: rng.choice([0.0, 1.0], (4, 3)), grad=False)
FAR_LOGITS = T((6,), values=[-1e4, -100.0, -1.0, 1.0, 100.0, 1e4])
FAR_BITS = T((6,), values=[1.0, 0.0, 1.0, 0.0, 1.0, 0.0], grad=False)
EDGES = T((3,), values=[0.0, 1.0, 1.0], grad=False)

BINARY = [
    Row("F.binary_cross_entropy", op=("binary_cross_entropy", "binary_entropy"), args=[
        *reduced(INSIDE, INSIDE), *reduced(INSIDE, INSIDE, WEIGHTS),
        (INSIDE, LABEL_BITS, PER_CLASS),
        (EDGES, T((3,), values=[1.0, 1.0, 0.0], grad=False)), (NONE, NONE),
    ], bad=[
        ((INSIDE, T((3,), domain=(0, 1))), ArgumentError, "a target of size (3,)"),
        ((AWAY, INSIDE), ArgumentError, "elements of the input must be between 0 and 1"),
        ((INSIDE, AWAY), ArgumentError, "elements of the target must be between 0 and 1"),
        ((INSIDE, INSIDE, BAD_REDUCTION), *UNKNOWN),
    ]),
    Row("F.binary_cross_entropy_with_logits",
        op=("binary_cross_entropy_with_logits", "logit_entropy"), args=[
            *reduced(X, INSIDE), *reduced(X, INSIDE, WEIGHTS), (FAR_LOGITS, FAR_BITS), (NONE, NONE),
            *((X, INSIDE, with_keywords(r, pos_weight=PER_CLASS)) for r in REDUCTIONS),
            (FAR_LOGITS, FAR_BITS, {"pos_weight": T((6,), domain=(1, 3), grad=False)}),
        ], bad=[((X, T((3,))), ArgumentError, "a target of size (3,)"),
                ((X, Y, {"pos_weight": T((4,))}), ShapeError, "do not broadcast"),
                ((X, Y, BAD_REDUCTION), *UNKNOWN)]),
    Row("F.soft_margin_loss", args=[*reduced(X, SIGNS), (NONE, NONE)],
        bad=[((X, T((4,))), ShapeError, "do not broadcast"), ((X, Y, BAD_REDUCTION), *UNKNOWN)]),
    Row("F.multilabel_soft_margin_loss", args=[
        *reduced(X, LABEL_BITS), *reduced(X, LABEL_BITS, PER_CLASS),
        (T((3,)), T((3,), domain=(0, 1))), (FAR_LOGITS, FAR_BITS),
    ], bad=[((X, Y, BAD_REDUCTION), *UNKNOWN)]),
]  # fmt: skip

# ----- margins -----

ROW_SIGNS = T((4,), values=[1.0, -1.0, -1.0, 1.0], grad=False)
LISTS = T((4, 3), values=[[0, -1, 1], [2, 1, -1], [-1, 0, 0], [0, 1, 2]], dtype="int64")

MARGINS = [
    Row("F.hinge_embedding_loss", args=[*reduced(POSITIVE, SIGNS), (POSITIVE, SIGNS, 2.5)],
        bad=[((X, SIGNS, BAD_REDUCTION), *UNKNOWN)]),
    Row("F.margin_ranking_loss", args=[*reduced(X, Y, SIGNS), (X, Y, SIGNS, 0.5)],
        bad=[((X, T((3,)), SIGNS), ShapeError, "different numbers of axes"),
             ((X, Y, SIGNS, BAD_REDUCTION), *UNKNOWN)]),
    Row("F.multi_margin_loss", args=[
        *reduced(X, TARGET), (X, TARGET, 2), (X, TARGET, 1, 0.5, PER_CLASS),
        (X, TARGET, 2, 1.5, PER_CLASS), (T((3,)), T((), values=1, dtype="int64")),
        (T((3,)), T((1,), values=[1], dtype="int64"), {"reduction": "sum"}),
    ], bad=[
        ((X, TARGET, 3), ArgumentError, "p must be 1 or 2"),
        ((X, STRANGE), IndexOutOfRange, "not one of the 3 classes"),
        ((X, T((3,), dtype="int64")), ShapeError, "input is (N, C)"),
        ((X, T((4,))), DTypeError, "whole numbers"),
        ((X, TARGET, 1, 1.0, T((2,))), ShapeError, "for 3 classes"),
        ((X, TARGET, BAD_REDUCTION), *UNKNOWN),
    ]),
    Row("F.multilabel_margin_loss", args=[
        *reduced(X, LISTS), (T((3,)), T((3,), values=[2, -1, 0], dtype="int64")),
    ], bad=[
        ((X, T((3,), dtype="int64")), ShapeError, "both are (N, C)"),
        ((X, T((4, 3), values=[[0, 5, 1]] * 4, dtype="int64")), IndexOutOfRange, "target 5"),
    ]),
    Row("F.cosine_embedding_loss", args=[
        *((X, Y, ROW_SIGNS, r) for r in REDUCTIONS), (X, Y, ROW_SIGNS, 0.3),
        (T((3,)), T((3,)), T((), values=-1.0, grad=False)),
    ], bad=[((X, Y, SIGNS), ShapeError, "do not fit"),
            ((X, Y, ROW_SIGNS, BAD_REDUCTION), *UNKNOWN)]),
    Row("F.triplet_margin_loss", args=[
        *((X, Y, T((4, 3)), r) for r in REDUCTIONS), (X, Y, Y, 5.0, 1), (X, Y, T((4, 3)), 4.0, 3),
        (X, Y, T((4, 3)), {"swap": True, "margin": 4.0}), (X, Y, T((4, 3)), {"p": math.inf}),
        (T((3,)), T((3,)), T((3,))),
    ], bad=[((X, Y, X, 0.0), ArgumentError, "greater than 0"),
            ((X, T((3,)), Y), ShapeError, "different numbers of axes"),
            ((X, Y, X, BAD_REDUCTION), *UNKNOWN)]),
    Row("F.triplet_margin_with_distance_loss", args=[
        *((X, Y, T((4, 3)), r) for r in REDUCTIONS),
        (X, Y, T((4, 3)), {"distance_function": lambda a, b: (a - b).abs().sum(-1), "swap": True}),
    ], bad=[((X, Y, X, {"margin": -1.0}), ArgumentError, "greater than 0")]),
]  # fmt: skip

ROWS = [*CLASSES, *REGRESSION, *BINARY, *MARGINS]
