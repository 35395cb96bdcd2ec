"""Connectionist temporal classification: a target sequence shorter than its input, unaligned.

Graves et al. 2006. The forward variables are summed over time with ordinary operators, so any
order of derivative follows. Next: loss.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ArgumentError, IndexOutOfRange, ShapeError
from backlit.ops.elementwise import Where
from backlit.ops.join import Cat, Stack
from backlit.ops.loss import check_reduction
from backlit.ops.op import Composite, apply

NEVER = -1e30  # log of an impossible event; finite, so that no gradient becomes NaN


class CtcLoss(Composite):
    """Minus the log-probability of a target, summed over its alignments; Graves et al. 2006.

    log_probs (T, N, C) or (T, C); targets (N, S), or all joined in one axis, without the blank.
    The mean divides each loss by its target's length first. A target that does not fit gives
    infinity, or zero with `zero_infinity`.

    >>> logs = bl.log_softmax(bl.zeros(3, 1, 2), dim=2)
    >>> F.ctc_loss(logs, bl.tensor([[1]]), bl.tensor([3]), bl.tensor([1]))
    tensor(0.2877)
    """

    exports = "F"

    def expand(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean",
               zero_infinity=False):  # fmt: skip
        check_reduction(reduction)
        if log_probs.ndim not in (2, 3):
            raise ShapeError(f"ctc_loss: log_probs must be (T, N, C), got {tuple(log_probs.shape)}")
        x = log_probs if log_probs.ndim == 3 else log_probs.unsqueeze(1)
        frames, sizes = (_lengths(n, x.shape[1]) for n in (input_lengths, target_lengths))
        _check(x, targets, frames, sizes, blank)
        labels = _with_blanks(_rows(_array(targets), sizes), blank)
        loss = -_total(_forward_variables(x, labels, frames, blank), sizes)
        impossible = loss > -0.1 * NEVER
        loss = apply(Where, impossible, 0.0 if zero_infinity else float("inf"), loss)
        if reduction == "mean":
            return (loss / np.maximum(sizes, 1).astype(loss.cell.array.dtype)).mean()
        if reduction == "sum":
            return loss.sum()
        return loss if log_probs.ndim == 3 else loss.squeeze(0)

    def latex(log_probs, targets, *lengths, **params):
        return rf"-\ln \sum_{{\pi \to {targets}}} \prod_t {log_probs}_{{t \pi_t}}"


def _array(values: Any) -> np.ndarray:
    return values.cell.array if hasattr(values, "cell") else np.asarray(values)


def _lengths(values: Any, batch: int) -> np.ndarray:
    lengths = _array(values).reshape(-1).astype(np.int64)
    if len(lengths) != batch:
        raise ShapeError(f"ctc_loss: {len(lengths)} lengths for a batch of {batch}")
    return lengths


def _check(x: Any, targets: Any, frames: np.ndarray, sizes: np.ndarray, blank: int) -> None:
    time, _, classes = x.shape
    if not 0 <= blank < classes:
        raise ArgumentError(f"ctc_loss: blank must be from 0 to {classes - 1}, got {blank}")
    if len(frames) and not (frames.min() >= 0 and frames.max() <= time):
        raise ArgumentError(
            f"ctc_loss: input lengths must be from 0 to {time}, got {frames.tolist()}"
        )
    labels, joined = _array(targets), targets.ndim == 1
    if labels.dtype.kind not in "iu":
        raise ArgumentError("ctc_loss: targets must be whole numbers")
    room = labels.size if joined else labels.shape[1]
    needed = sizes.sum() if joined else sizes.max(initial=0)
    if needed > room or sizes.min(initial=0) < 0:
        raise ArgumentError(
            f"ctc_loss: target lengths {sizes.tolist()} do not fit targets {labels.shape}"
        )
    if not joined and len(labels) != len(sizes):
        raise ShapeError(f"ctc_loss: {len(labels)} targets for a batch of {len(sizes)}")


def _rows(targets: np.ndarray, sizes: np.ndarray) -> list[np.ndarray]:
    """The labels of each sample."""
    if targets.ndim == 1:
        ends = np.cumsum(sizes)
        return [targets[end - n : end] for end, n in zip(ends, sizes)]
    return [row[:n] for row, n in zip(targets, sizes)]


def _with_blanks(rows: list[np.ndarray], blank: int) -> np.ndarray:
    """(N, 2 S + 1): a blank before, between and after the labels; more blanks fill up."""
    longest = max((len(row) for row in rows), default=0)
    labels = np.full((len(rows), 2 * max(longest, 1) + 1), blank, np.int64)
    for place, row in zip(labels, rows):
        place[1 : 2 * len(row) : 2] = row
    return labels


def _forward_variables(x: Any, labels: np.ndarray, frames: np.ndarray, blank: int) -> Any:
    """(N, 2 S + 1): log-probability of having reached each label when a sample's input ends."""
    time, batch, classes = x.shape
    width = labels.shape[1]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        raise IndexOutOfRange(
            f"ctc_loss: targets must be from 0 to {classes - 1}, got {labels.min()} to "
            f"{labels.max()}"
        )
    emitted = x.gather(2, _constant(x, np.broadcast_to(labels, (time, batch, width))))
    skips = np.zeros(labels.shape, bool)  # a label may follow the one before at once,
    skips[:, 2:] = (labels[:, 2:] != blank) & (labels[:, 2:] != labels[:, :-2])  # if they differ
    never = x.new_full((batch, 2), NEVER)
    first = np.broadcast_to(np.arange(width) < 1, labels.shape)  # nothing read: before all labels
    alpha = apply(Where, first, x.new_zeros((batch, width)), NEVER)
    for t in range(time):
        stepped = apply(Cat, never[:, :1], alpha[:, :-1], dim=1)
        skipped = apply(Where, skips, apply(Cat, never, alpha[:, :-2], dim=1), NEVER)
        if t == 0:
            ways = apply(Where, np.arange(width) < 2, x.new_zeros((batch, width)), NEVER)
        else:
            ways = apply(Stack, alpha, stepped, skipped, dim=0).logsumexp(0)
        alpha = apply(Where, (t < frames)[:, None], ways + emitted[t], alpha)
    return alpha


def _total(alpha: Any, sizes: np.ndarray) -> Any:
    """The log-probability of ending on the last label or on the blank after it."""
    last = alpha.gather(1, _constant(alpha, 2 * sizes[:, None]))
    before = alpha.gather(1, _constant(alpha, np.maximum(2 * sizes - 1, 0)[:, None]))
    before = apply(Where, (sizes > 0)[:, None], before, NEVER)
    return apply(Cat, last, before, dim=1).logsumexp(1)


def _constant(like: Any, values: np.ndarray) -> Any:
    return like.new_tensor(np.ascontiguousarray(values)).long()
