"""A line search for the strong Wolfe conditions, on plain numbers along one direction.

Knows neither parameters nor optimizers: `evaluate(t)` gives value and slope there.
Nocedal and Wright 2006, algorithms 3.5 and 3.6; guards against slow progress as in M. Schmidt's
minFunc. Next: lbfgs.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple


class Point(NamedTuple):
    """A trial step: its length, the value there, the slope along the direction, the gradient."""

    t: float
    value: float
    slope: float
    grad: Any


def strong_wolfe(
    evaluate: Callable[[float], Point],
    start: Point,
    t: float,
    *,
    scale: float,
    c1: float = 1e-4,
    c2: float = 0.9,
    tolerance_change: float = 1e-9,
    max_ls: int = 25,
) -> tuple[Point, int]:
    """A step with value <= start + c1 t slope and |slope there| <= c2 |slope|, and the evaluations.

    `scale` is the direction's largest entry: a bracket that moves no parameter by more than
    `tolerance_change` ends the search with the lowest point met.

    >>> from backlit.optim.line_search import Point, strong_wolfe
    >>> parabola = lambda t: Point(t, (t - 3) ** 2, 2 * (t - 3), None)
    >>> strong_wolfe(parabola, parabola(0.0), 1.0, scale=1.0)
    (Point(t=1.0, value=4.0, slope=-4.0, grad=None), 1)
    """

    def too_high(point: Point) -> bool:
        return point.value > start.value + c1 * point.t * start.slope

    def flat(point: Point) -> bool:
        return abs(point.slope) <= -c2 * start.slope

    previous, point, lap = start, evaluate(t), 0
    while lap < max_ls:
        if too_high(point) or (lap > 1 and point.value >= previous.value):
            break
        if flat(point):
            return point, lap + 1
        if point.slope >= 0:
            break
        bounds = (point.t + 0.01 * (point.t - previous.t), point.t * 10)
        previous, point = point, evaluate(cubic_minimum(previous, point, bounds))
        lap += 1
    else:
        return min((start, point), key=lambda p: p.value), lap + 1

    bracket, stalled = [previous, point], False
    best = _lower(bracket)
    while lap < max_ls:
        low, high = bracket[best], bracket[1 - best]
        if abs(high.t - low.t) * scale < tolerance_change:
            break
        t, stalled = _inside(cubic_minimum(low, high), low.t, high.t, stalled)
        trial, lap = evaluate(t), lap + 1
        if too_high(trial) or trial.value >= low.value:
            bracket[1 - best] = trial
            best = _lower(bracket)
            continue
        if flat(trial):
            return trial, lap + 1
        if trial.slope * (high.t - low.t) >= 0:
            bracket[1 - best] = low
        bracket[best] = trial
    return bracket[best], lap + 1


def _lower(bracket: list[Point]) -> int:
    return 0 if bracket[0].value <= bracket[1].value else 1


def _inside(t: float, a: float, b: float, stalled: bool) -> tuple[float, bool]:
    """Keep a trial away from the ends of the bracket once progress has stalled."""
    least, most = min(a, b), max(a, b)
    margin = 0.1 * (most - least)
    if min(most - t, t - least) >= margin:
        return t, False
    if not (stalled or t >= most or t <= least):
        return t, True
    return (most - margin if abs(t - most) < abs(t - least) else least + margin), False


def cubic_minimum(a: Point, b: Point, bounds: tuple[float, float] | None = None) -> float:
    """Minimum within bounds of the cubic through two values and slopes (N. and W., 3.59).

    >>> from backlit.optim.line_search import Point, cubic_minimum
    >>> cubic_minimum(Point(0.0, 9.0, -6.0, None), Point(4.0, 1.0, 2.0, None))
    3.0
    """
    a, b = (a, b) if a.t <= b.t else (b, a)
    least, most = bounds or (a.t, b.t)
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = d1 * d1 - a.slope * b.slope
    if not square >= 0:
        return (least + most) / 2
    d2 = math.sqrt(square)
    span = b.slope - a.slope + 2 * d2
    if span == 0:
        return (least + most) / 2
    return min(max(b.t - (b.t - a.t) * ((b.slope + d2 - d1) / span), least), most)
