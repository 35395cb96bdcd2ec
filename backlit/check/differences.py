"""Slopes of scalar functions by central differences: a sweep of steps, and kinks told apart.

Knows numbers only. Each step is refined by Richardson's extrapolation; where two refinements
agree best, rounding and curvature balance. One-sided slopes that settle on different values are
a kink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

STEPS = tuple(1e-2 * 0.25**k for k in range(9))


@dataclass(frozen=True)
class Slope:
    """A numerical slope, how far it can be trusted, and the slopes of both sides at a kink."""

    value: float
    error: float
    sides: tuple[float, float] | None = None

    def agrees(self, claimed: float, tolerance: float) -> bool:
        """Whether a claimed slope fits: near the value, or between the sides of a kink."""
        scale = max(1.0, abs(self.value), abs(claimed))
        if abs(claimed - self.value) <= tolerance * scale + 3 * self.error:
            return True
        if self.sides is None:
            return False
        low, high = min(self.sides), max(self.sides)
        return low - tolerance * scale <= claimed <= high + tolerance * scale


def slope(function: Callable[[float], float], claimed: float | None = None,
          tolerance: float = 1e-6) -> Slope:  # fmt: skip
    """The slope of `function` at 0. Kinks are looked for where `claimed` does not fit.

    >>> from backlit.check import slope
    >>> round(slope(lambda t: (1 + t) ** 3).value, 9)
    3.0
    >>> slope(lambda t: abs(t), claimed=0.3).sides
    (-1.0, 1.0)
    """
    central = [(function(h) - function(-h)) / (2 * h) for h in STEPS]
    refined = [(16 * fine - coarse) / 15 for coarse, fine in pairwise(central)]
    gaps = [abs(a - b) for a, b in pairwise(refined)]
    best = min(range(len(gaps)), key=lambda k: (gaps[k] != gaps[k], gaps[k]))
    found = Slope(refined[best + 1], gaps[best])
    if claimed is None or found.agrees(claimed, tolerance):
        return found
    sides = _sides(function, tolerance)
    return Slope(found.value, found.error, sides) if sides else found


def _sides(function: Callable[[float], float], tolerance: float) -> tuple[float, float] | None:
    """Left and right slope, where they differ however small the step."""
    middle = function(0.0)

    def settled(sign: int) -> tuple[float, float]:
        rough = [(function(sign * h) - middle) / (sign * h) for h in STEPS[2:8]]
        refined = [(4 * fine - coarse) / 3 for coarse, fine in pairwise(rough)]
        gaps = [abs(a - b) for a, b in pairwise(refined)]
        k = min(range(len(gaps)), key=lambda i: (gaps[i] != gaps[i], gaps[i]))
        return refined[k + 1], gaps[k]

    (left, left_error), (right, right_error) = settled(-1), settled(1)
    scale = max(1.0, abs(left), abs(right))
    apart = abs(left - right) > 10 * tolerance * scale + 10 * (left_error + right_error)
    return (left, right) if apart else None
