"""The dual of the soft-margin support vector machine, solved two multipliers at a time.

Minimize 1/2 sum_ij s_i s_j K_ij - sum_i t_i s_i over s_i = t_i a_i, the multipliers with the signs
of the targets, where 0 <= a_i <= C_i and sum s = 0: a convex problem. Its negative gradient is
f = t - K s, and f = b for all s between their bounds at the optimum. Platt 1998; the choice of
the second index is that of Fan, Chen and Lin 2005.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from backlit.estimators.kernels import Gram

FLAT = 1e-12  # curvature of a direction that has none, as kernels like tanh give


@dataclass
class Solution:
    """Signed multipliers s (N,), the bias b, iterations, and what the conditions lack."""

    signed: np.ndarray
    bias: float
    iterations: int
    violation: float
    converged: bool


def solve(
    gram: Gram,
    targets: np.ndarray,
    bounds: np.ndarray,
    tol: float,
    max_iter: int = -1,
    report: Callable[[int, float], None] | None = None,
) -> Solution:
    """Go on until no pair can gain: every sample meets its Karush-Kuhn-Tucker condition to `tol`.

    `targets` (N,) are 1 or -1, `bounds` (N,) the C_i; max_iter -1 is no maximum.
    """
    low, high = np.minimum(0.0, targets * bounds), np.maximum(0.0, targets * bounds)
    signed = np.zeros(len(targets))
    slope = targets.astype(np.float64)  # f, since s = 0
    iterations = 0
    while True:
        rising, falling = signed < high, signed > low
        i = int(np.where(rising, slope, -np.inf).argmax())
        top = slope[i] if rising[i] else -np.inf
        violation = float(top - np.where(falling, slope, np.inf).min())
        converged = violation <= tol
        if converged or iterations == max_iter:
            break
        row = gram.row(i)
        gain = top - slope
        curvature = np.maximum(gram.diagonal[i] + gram.diagonal - 2 * row, FLAT)
        j = int(np.where(falling & (gain > 0), gain**2 / curvature, -np.inf).argmax())
        move = _move(signed, low, high, i, j, gain[j] / curvature[j])
        slope -= move * (row - gram.row(j))
        iterations += 1
        if report is not None and iterations % 1000 == 0:
            report(iterations, violation)
    bias = _bias(slope, signed, low, high)
    return Solution(signed, bias, iterations, max(violation, 0.0), converged)


def _move(
    signed: np.ndarray, low: np.ndarray, high: np.ndarray, i: int, j: int, wanted: float
) -> float:
    """Raise s_i and lower s_j alike, up to the first bound, which is then met exactly."""
    room_i, room_j = high[i] - signed[i], signed[j] - low[j]
    move = min(wanted, room_i, room_j)
    signed[i] = high[i] if move == room_i else signed[i] + move
    signed[j] = low[j] if move == room_j else signed[j] - move
    return float(move)


def _bias(slope: np.ndarray, signed: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """The mean of f over samples on the margin, or the middle of what the bounds allow."""
    free = (signed > low) & (signed < high)
    if free.any():
        return float(slope[free].mean())
    top = np.where(signed < high, slope, -np.inf).max()
    bottom = np.where(signed > low, slope, np.inf).min()
    return float(top + bottom) / 2
