"""What the gradient really is: central differences of the forward, sides told apart at kinks.

All outputs are differenced at once, then weighted with the upstream gradients. Knows subjects,
not causes. Read next: backlit/check/differences.py, which does the same for scalar functions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.check.doctor.subjects import Subject

STEPS = tuple(1e-3 * 0.25**k for k in range(3))
MORE_STEPS = tuple(1e-2 * 0.25**k for k in range(9))
TOLERANCE = 1e-6
COARSE_STEPS = (8e-2, 4e-2, 2e-2)  # for values that are rounded to float32 on the way
ELEMENTS = 600  # at most so many of one input are differenced one by one


@dataclass
class Slopes:
    """Slopes of every output along one direction, their error, and both sides."""

    value: np.ndarray
    error: np.ndarray
    left: np.ndarray
    right: np.ndarray

    @property
    def kinked(self) -> np.ndarray:
        """Where the sides differ, however small the step."""
        return self.left != self.right


def slopes(function: Callable[[float], np.ndarray], size: float = 1.0,
           middle: np.ndarray | None = None, coarse: bool = False) -> Slopes:  # fmt: skip
    """Slopes of a vector-valued function at 0, refined until two steps agree.

    `size`: of the values that are moved; steps are fractions of it. `coarse`: values are rounded
    to float32 on the way, so that steps must be large.
    """
    middle = function(0.0) if middle is None else middle
    if coarse:
        tiny = [1e-4 * size, 2e-4 * size, 3e-4 * size]
        bends = [np.abs(function(h) - 2 * middle + function(-h)) for h in tiny]
        noise = np.max(bends, axis=0) + 1e-7 * np.abs(middle)
        return _refined(function, middle, COARSE_STEPS, size, noise)
    found = _refined(function, middle, STEPS, size)
    scale = np.abs(found.value).max(initial=0.0) + 1e-14 * np.abs(middle).max(initial=0.0) / size
    if not np.all(found.error < 1e-8 * scale) or found.kinked.any():
        found = _refined(function, middle, MORE_STEPS, size)
        if not 0.1 < size < 10 and not np.all(found.error < 1e-6 * scale):
            other = _refined(function, middle, MORE_STEPS, 1.0)
            found = other if np.nansum(other.error) < np.nansum(found.error) else found
    return found


def size_of(values: np.ndarray) -> float:
    """The largest magnitude, or 1 where all is zero."""
    top = float(np.abs(values).max(initial=0.0))
    return top if np.isfinite(top) and top > 0 else 1.0


def is_coarse(values: np.ndarray) -> bool:
    """Whether float64 values were rounded to float32 on the way."""
    if not values.size:
        return False
    with np.errstate(all="ignore"):
        single = np.array_equal(values.astype(np.float32), values)
        round_numbers = values * 64 == np.round(values * 64)
        return bool(single and np.mean(round_numbers) < 0.5)


def _refined(function: Any, middle: np.ndarray, fractions: tuple[float, ...], size: float,
             rounding: np.ndarray | None = None) -> Slopes:  # fmt: skip
    steps = [f * size for f in fractions]
    ahead = np.array([function(h) for h in steps])
    behind = np.array([function(-h) for h in steps])
    with np.errstate(all="ignore"):
        h = np.array(steps)[:, None]
        value, error = _best((ahead - behind) / (2 * h), 16)
        right, right_error = _best((ahead - middle) / h, 4)
        left, left_error = _best((middle - behind) / h, 4)
        noise = (4e-16 * np.abs(middle) if rounding is None else rounding) / steps[-1]
        error, right_error, left_error = (
            e + k * noise for e, k in ((error, 0.3), (right_error, 1), (left_error, 1))
        )
        gap = np.abs(right - left)
        rough = 1e-5 * (np.abs(left) + np.abs(right)) + 20 * (left_error + right_error)
        rough += 1e-9 * np.abs(value).max(initial=0.0)
        smooth = ~(gap > rough)
    return Slopes(value, error, np.where(smooth, value, left), np.where(smooth, value, right))


def _best(rough: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Richardson's extrapolation; of each entry, where two refinements agree best."""
    refined = (order * rough[1:] - rough[:-1]) / (order - 1)
    gaps = np.abs(np.diff(refined, axis=0))
    gaps = np.where(np.isfinite(gaps), gaps, np.inf)
    best = gaps.argmin(axis=0)[None]
    value = np.take_along_axis(refined[1:], best, 0)[0]
    return value, np.take_along_axis(gaps, best, 0)[0]


@dataclass
class Point:
    """One place and upstream gradient: what is claimed there, and what is true."""

    values: dict[str, np.ndarray]
    seeds: list[np.ndarray]
    claims: dict[str, Any]
    truth: dict[str, np.ndarray] = field(default_factory=dict)
    error: dict[str, np.ndarray] = field(default_factory=dict)
    kinks: dict[str, np.ndarray] = field(default_factory=dict)  # mask of elements at a kink
    low: dict[str, np.ndarray] = field(default_factory=dict)
    high: dict[str, np.ndarray] = field(default_factory=dict)
    known: dict[str, np.ndarray] = field(default_factory=dict)  # mask of elements differenced
    floor: dict[str, float] = field(default_factory=dict)  # what rounding alone makes
    _allowed: dict[str, np.ndarray] = field(default_factory=dict)
    disagrees: list[str] = field(default_factory=list)  # inputs that fail along a direction

    def allowed(self, name: str) -> np.ndarray:
        """The largest deviation of a right claim, per element."""
        if name not in self._allowed:
            self._allowed[name] = self._slack(name)
        return self._allowed[name]

    def _slack(self, name: str) -> np.ndarray:
        sizes = [np.abs(t).max(initial=0.0) for t in self.truth.values()]
        scale = max(np.abs(self.truth[name]).max(initial=0.0), 1e-3 * max(sizes, default=0.0))
        coarse = 1e3 if getattr(self.claims.get(name), "dtype", None) == np.float32 else 1.0
        return coarse * TOLERANCE * scale + 4 * self.error[name] + self.floor[name]

    def shape_of(self, name: str) -> tuple[int, ...]:
        """The shape of a claim; () where there is none."""
        claim: Any = self.claims.get(name)
        return () if claim is None else tuple(np.shape(claim))

    def wrong(self, name: str) -> np.ndarray:
        """Mask of the elements whose claim is wrong; all of them where the shape is."""
        claim = self.claims.get(name)
        shape = self.values[name].shape
        if claim is None:
            claim = np.zeros(shape)
        claim = np.asarray(claim, dtype=np.float64)
        if claim.shape != shape:
            return np.ones(shape, bool)
        slack = self.allowed(name)
        with np.errstate(invalid="ignore"):
            inside = (claim >= self.low[name] - slack) & (claim <= self.high[name] + slack)
            inside |= ~self.known[name]
            inside |= ~np.isfinite(self.truth[name]) & ~np.isfinite(claim)
        return ~inside

    def fits(self, name: str, candidate: Any) -> bool:
        """Whether a candidate gradient is the true one, where that is known and smooth."""
        return self._close(name, candidate, self.truth[name])

    def explains(self, name: str, candidate: Any) -> bool:
        """Whether a candidate gradient is the claimed one."""
        claim = self.claims.get(name)
        claim = np.zeros(self.values[name].shape) if claim is None else np.asarray(claim)
        return self._close(name, candidate, claim)

    def _close(self, name: str, candidate: Any, target: np.ndarray) -> bool:
        candidate = np.asarray(candidate)
        if candidate.shape != target.shape or target.shape != self.values[name].shape:
            return False
        if not target.size:
            return True
        size = 3 * TOLERANCE * float(np.abs(target).max())
        far = np.abs(candidate - target) > self.allowed(name) + size
        far |= np.isnan(candidate)
        return not (far & self.known[name] & ~self.kinks[name]).any()


def weighted(outputs: list[np.ndarray], seeds: list[np.ndarray]) -> np.ndarray:
    """Each output element times its upstream gradient."""
    parts = [np.ravel(np.asarray(o, float) * s) for o, s in zip(outputs, seeds)]
    return np.concatenate(parts) if parts else np.zeros(0)


def along(subject: Subject, values: dict[str, np.ndarray], name: str,
          direction: np.ndarray) -> Callable[[float], np.ndarray]:  # fmt: skip
    """All outputs, flat, as a function of a step of one input."""

    def value(t: float) -> np.ndarray:
        moved = {**values, name: values[name] + t * direction}
        with np.errstate(all="ignore"):
            outputs = subject.outputs(moved)
        return np.concatenate([np.ravel(np.asarray(o, float)) for o in outputs])

    return value


def complete(subject: Subject, points: list[Point], rng: np.random.Generator,
             most: int = ELEMENTS) -> None:  # fmt: skip
    """Fill in the true gradients of points that share their values, `most` elements each."""
    values = points[0].values
    weights = [np.concatenate([np.ravel(s) for s in p.seeds]) for p in points]
    middle = None
    for name, start in values.items():
        places = list(np.ndindex(start.shape))
        if len(places) > most:
            chosen = rng.choice(len(places), most, replace=False)
            places = [places[k] for k in sorted(chosen)]
        for p in points:
            p.truth[name], p.error[name] = np.zeros(start.shape), np.zeros(start.shape)
            p.low[name], p.high[name] = np.zeros(start.shape), np.zeros(start.shape)
            p.kinks[name], p.known[name] = (np.zeros(start.shape, bool) for _ in range(2))
            p.floor[name] = _floor(subject, values, p.seeds, start)
        for place in places:
            basis = np.zeros(start.shape)
            basis[place] = 1.0
            function = along(subject, values, name, basis)
            middle = function(0.0) if middle is None else middle
            found = slopes(function, size_of(start), middle, subject.coarse)
            for p, w in zip(points, weights):
                _contract(p, name, place, found, w)


def _floor(subject: Subject, values: dict, seeds: list[np.ndarray], start: np.ndarray) -> float:
    """Rounding of the weighted outputs, as a slope."""
    total = float(np.nansum(np.abs(weighted(subject.outputs(values), seeds))))
    return 1e-12 * total / size_of(start) + 2e-15 if np.isfinite(total) else 0.0


def _contract(p: Point, name: str, place: tuple, found: Slopes, w: np.ndarray) -> None:
    used = w != 0
    with np.errstate(all="ignore"):
        p.truth[name][place] = (found.value * w)[used].sum()
        p.error[name][place] = np.sqrt(((found.error * w)[used] ** 2).sum())
        left, right = (found.left * w)[used], (found.right * w)[used]
        p.low[name][place] = np.minimum(left, right).sum()
        p.high[name][place] = np.maximum(left, right).sum()
    p.kinks[name][place] = found.kinked[used].any()
    p.known[name][place] = bool(np.isfinite(p.error[name][place]))


def agrees_along(subject: Subject, points: list[Point], name: str,
                 rng: np.random.Generator) -> bool:  # fmt: skip
    """Whether the claims fit along a random direction; a kink on the way counts as no."""
    values = points[0].values
    start = values[name]
    direction = rng.standard_normal(start.shape)
    direction = direction / max(float(np.linalg.norm(direction)), 1e-300)
    if not start.size:
        return all(p.shape_of(name) in (start.shape, ()) for p in points)
    function = along(subject, values, name, direction)
    found = slopes(function, size_of(start), None, subject.coarse)
    for p in points:
        claim = p.claims.get(name)
        claim = np.zeros(start.shape) if claim is None else np.asarray(claim, float)
        if claim.shape != start.shape:
            return False
        w = np.concatenate([np.ravel(s) for s in p.seeds])
        value, claimed = float((found.value * w).sum()), float((claim * direction).sum())
        error = float(np.sqrt(((found.error * w) ** 2).sum()))
        size = max(abs(value), float(np.linalg.norm(claim)) / max(start.size, 1) ** 0.5)
        floor = _floor(subject, values, p.seeds, start)
        fine = abs(value - claimed) <= 0.5 * TOLERANCE * size + 4 * error + floor
        if not fine or error > 1e-4 * size + floor or (found.kinked & (w != 0)).any():
            return False
    return True
