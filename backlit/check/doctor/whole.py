"""Causes that can be read off the numbers of one gradient: what was claimed against the truth.

A constant ratio, a transposition, a shape, a multiple of the input that is missing. Sees points
(claims and truths at several places), not code. Each function returns a Find or None.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.check.doctor.truth import Point


@dataclass(frozen=True)
class Find:
    """A cause found for some inputs: how sure, and how early it should be believed."""

    name: str
    inputs: tuple[str, ...]
    evidence: str
    confidence: float
    order: float
    index: tuple[int, ...] | None = None


@dataclass
class Case:
    """What hypotheses look at: the points, the wrong inputs, and the sizes of the problem."""

    points: list[Point]
    wrong: list[str]
    sizes: dict[int, str]  # a count, and what it counts
    scalars: dict[str, float]  # numbers among the inputs: keep probabilities, strengths
    multiplies: list[float] | None = None  # numbers that the derivative of the forward has
    stepped: tuple[str, ...] = ()  # inputs that the outputs follow in steps only

    def claim(self, p: Point, name: str) -> np.ndarray:
        found = p.claims.get(name)
        return np.zeros(p.values[name].shape) if found is None else np.asarray(found, float)

    def shaped(self, name: str) -> bool:
        """Whether every claim has the shape of its input."""
        return all(self.claim(p, name).shape == p.values[name].shape for p in self.points)

    def usable(self, p: Point, name: str) -> np.ndarray:
        return p.known[name] & ~p.kinks[name]

    def pairs(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Claims and truths of the usable elements at all points."""
        claims = [self.claim(p, name)[self.usable(p, name)] for p in self.points]
        truths = [p.truth[name][self.usable(p, name)] for p in self.points]
        return np.concatenate(claims), np.concatenate(truths)

    def every(self, name: str, make: Callable[[Point], Any]) -> bool:
        """Whether a change of the claim makes it right at every point."""
        for p in self.points:
            try:
                candidate = make(p)
            except (ValueError, IndexError, TypeError):
                return False
            if candidate is None or not p.fits(name, candidate):
                return False
        return True


def ratio(case: Case, name: str) -> float | None:
    """claim / truth, where it is one number."""
    if not case.shaped(name):
        return None
    claim, truth = case.pairs(name)
    size = float((truth * truth).sum())
    if not np.isfinite(size) or size == 0 or not np.isfinite(claim).all():
        return None
    c = float((claim * truth).sum()) / size
    worst = np.abs(claim - c * truth).max(initial=0.0)
    return c if worst <= 2e-6 * max(np.abs(claim).max(), np.abs(truth).max()) else None


def nothing(case: Case, name: str) -> Find | None:
    """No gradient at all where there is one."""
    claim, truth = case.pairs(name) if case.shaped(name) else (np.ones(1), np.ones(1))
    if np.any(claim) or not np.any(truth):
        return None
    none = all(p.claims.get(name) is None for p in case.points)
    said = "None" if none else "0 everywhere"
    text = f"the gradient of {name} is {said}, differences reach {_top(truth):.6g}"
    return Find("detached_path", (name,), text, 0.9, 0.75)


def constant(case: Case, name: str) -> Find | None:
    """The claim is a constant times the truth."""
    c = ratio(case, name)
    if c is None or abs(c) < 1e-12 or abs(c - 1) < 1e-7:
        return None
    if abs(c + 1) < 1e-6:
        return Find("sign", (name,), f"every element of the gradient of {name} is -1 times the"
                    " slope by differences", 0.97, 1.0)  # fmt: skip
    if c < 0:
        text = f"every element of the gradient of {name} is {c:.6g} times the slope"
        return Find("sign", (name,), text, 0.7, 3.0)
    kind = "missing_factor" if is_missing(case, c) else "extra_factor"
    verb = "lacks the factor" if kind == "missing_factor" else "has the extra factor"
    factor = 1 / c if kind == "missing_factor" else c
    text = (
        f"every element of the gradient of {name} is {c:.6g} times the slope by differences:"
        f" it {verb} {describe(case, factor)}"
    )
    return Find(kind, (name,), text, 0.9, 1.25)


def is_missing(case: Case, c: float) -> bool:
    """Whether claim = c * truth is rather a factor 1/c left out than a factor c put in.

    Left out is what the forward multiplies by, as far as it could be followed; else too small
    a claim lacks something, unless what it has too much is one over a size.
    """
    if case.multiplies is not None and any(abs(c * k - 1) < 1e-5 for k in case.multiplies):
        return True
    if c > 1 and case.multiplies is not None:
        return False
    if c > 1:
        return any(abs(c - n) < 1e-6 * n or abs(c * c - n) < 1e-6 * n for n in case.sizes)
    return not any(abs(c * n - 1) < 1e-6 for n in case.sizes if n > 2 or case.multiplies)


def describe(case: Case, factor: float) -> str:
    """A factor in words: `1/8 (8 = size 0 of x)`."""
    words = []
    for n, what in case.sizes.items():
        if abs(factor - n) < 1e-6 * n:
            words.append(f"{n} = {what}")
        elif abs(factor * n - 1) < 1e-6:
            words.append(f"1/{n}, {n} = {what}")
        elif n > 1 and abs(factor * factor * n - 1) < 1e-6:
            words.append(f"1/sqrt({n}), {n} = {what}")
    for name, value in case.scalars.items():
        for shown, v in ((name, value), (f"1/{name}", 1 / value if value else 0.0),
                         (f"1 - {name}", 1 - value), (f"2 {name}", 2 * value)):  # fmt: skip
            if v not in (0.0, 1.0) and abs(factor - v) < 1e-6 * abs(v):
                words.append(shown)
    return f"{factor:.6g}" + (f" ({'; '.join(words[:3])})" if words else "")


def wrong_shape(case: Case, name: str) -> Find | None:
    """The gradient does not have the shape of its input."""
    p = case.points[0]
    claim, shape = case.claim(p, name), p.values[name].shape
    if claim.shape == shape:
        return None
    said = f"the gradient of {name} has shape {claim.shape}, the input {shape}"
    if (
        sorted(claim.shape) == sorted(shape)
        and claim.ndim > 1
        and (case.every(name, lambda q: _permuted(case.claim(q, name), q, name)))
    ):
        return Find("transposed", (name,), f"{said}; transposed it is right", 0.97, 0.5)
    if claim.size > max(1, int(np.prod(shape))) and case.every(
        name, lambda q: _summed(case.claim(q, name), shape)
    ):
        text = f"{said}; summed over the broadcast axes it is right"
        return Find("missing_broadcast_sum", (name,), text, 0.97, 0.5)
    if claim.size == int(np.prod(shape)) and case.every(
        name, lambda q: case.claim(q, name).reshape(shape)
    ):
        text = f"{said}; the numbers are right, the shape only happens to broadcast"
        return Find("shape_error", (name,), text, 0.95, 0.6)
    found = _by_shape(claim.shape, shape)
    return Find(found, (name,), said, 0.6, 9.0)


def _by_shape(claim: tuple, shape: tuple) -> str:
    """The likeliest cause for a shape whose numbers are wrong too."""
    if len(claim) > 1 and sorted(claim) == sorted(shape):
        return "transposed"
    if len(claim) > len(shape) and claim[len(claim) - len(shape) :] == shape:
        return "missing_broadcast_sum"
    if len(claim) == len(shape) and any(b == 1 and a > 1 for a, b in zip(claim, shape)):
        return "missing_broadcast_sum"
    return "shape_error"


def _permuted(claim: np.ndarray, p: Point, name: str) -> np.ndarray | None:
    for axes in itertools.permutations(range(claim.ndim)):
        moved = claim.transpose(axes)
        if moved.shape == p.values[name].shape and p.fits(name, moved):
            return moved
    return None


def _summed(claim: np.ndarray, shape: tuple) -> np.ndarray | None:
    lead = claim.ndim - len(shape)
    if lead < 0:
        return None
    axes = tuple(range(lead)) + tuple(
        lead + i for i, n in enumerate(shape) if n == 1 and claim.shape[lead + i] != 1
    )
    return claim.sum(axis=axes).reshape(shape)


def transposed(case: Case, name: str) -> Find | None:
    """Square, so that the shape does not tell."""
    if not case.shaped(name) or case.points[0].values[name].ndim < 2:
        return None
    if not case.every(name, lambda p: _permuted(case.claim(p, name), p, name)):
        return None
    return Find("transposed", (name,), f"transposed, the gradient of {name} is right", 0.97, 0.8)


def flat(case: Case, name: str) -> Find | None:
    """The function is constant nearly everywhere: it rounds or compares."""
    if name not in case.stepped or not case.shaped(name):
        return None
    claim, truth = case.pairs(name)
    if np.any(truth) or not np.any(claim):
        return None
    text = (
        f"the gradient of {name} reaches {_top(claim):.6g}, but the outputs only change in steps:"
        " the slope is 0 nearly everywhere"
    )
    return Find("not_differentiable", (name,), text, 0.95, 0.7)


def regularization(case: Case, name: str) -> Find | None:
    """What is missing is a multiple of the input itself, or of its sign."""
    loss = all(np.ndim(s) == 0 for s in case.points[0].seeds)
    if not loss or not case.shaped(name) or case.points[0].values[name].size < 2:
        return None
    claim, truth = case.pairs(name)
    gap = truth - claim
    inputs = np.concatenate([p.values[name][case.usable(p, name)] for p in case.points])
    for what, base in ((name, inputs), (f"sign({name})", np.sign(inputs))):
        size = float((base * base).sum())
        if size == 0 or not np.isfinite(gap).all() or len(np.unique(base)) < 2:
            continue
        strength = float((gap * base).sum()) / size
        slack = 3e-6 * max(np.abs(truth).max(), np.abs(claim).max())
        if abs(strength) > 1e-9 and np.abs(gap - strength * base).max() <= slack:
            if strength > 0:
                text = f"{strength:.6g} * {what} is missing from the gradient of {name}"
                return Find("missing_regularization", (name,), text, 0.93, 1.28)
            text = f"{-strength:.6g} * {what} too much is in the gradient of {name}"
            return Find("extra_factor", (name,), text, 0.7, 5.0)
    return None


def moved(case: Case, name: str) -> Find | None:
    """The right numbers at the wrong places: flipped or shifted along an axis."""
    if not case.shaped(name):
        return None
    shape = case.points[0].values[name].shape
    for axis, n in enumerate(shape):
        tries: list[tuple[str, Callable]] = [
            (f"reversed along axis {axis}", functools.partial(np.flip, axis=axis))
        ]
        for k in range(1, n):
            tries.append((f"shifted by {k} along axis {axis}",
                          functools.partial(np.roll, shift=-k, axis=axis)))  # fmt: skip
        for words, change in tries[:12]:
            if case.every(name, functools.partial(_after, change, case, name)):
                text = f"the gradient of {name} holds the right numbers, {words}"
                return Find("index_error", (name,), text, 0.93, 1.42)
    flat = [np.sort(case.claim(p, name), axis=None) for p in case.points]
    right = [np.sort(p.truth[name], axis=None) for p in case.points]
    if all(np.allclose(a, b, rtol=1e-5, atol=1e-9) for a, b in zip(flat, right)) and all(
        p.known[name].all() for p in case.points
    ):
        text = f"the gradient of {name} holds the right numbers in another order"
        return Find("index_error", (name,), text, 0.8, 4.0)
    return None


def _after(change: Callable[[Any], Any], case: Case, name: str, p: Point) -> Any:
    return change(case.claim(p, name))


def masked(case: Case, name: str) -> Find | None:
    """Right where the truth is not 0, and gradient where the truth is 0 (or the reverse)."""
    if not case.shaped(name):
        return None
    claim, truth = case.pairs(name)
    top = _top(truth)
    off = np.abs(truth) < 1e-9 * top
    through = np.abs(claim) > 1e-9 * top
    if off.any() and (off & through).any() and not off.all():
        kept = claim[~off] / truth[~off]
        if np.allclose(kept, kept[0], rtol=1e-5) and kept[0] > 0:
            text = (
                f"{int((off & through).sum())} elements of the gradient of {name} pass where the"
                f" output does not depend on them, the others are {kept[0]:.6g} times the slope"
            )
            return Find("mask_not_reused", (name,), text, 0.8, 5.0)
    lost = through | off
    if (~lost).any() and np.allclose(claim[through], truth[through], rtol=1e-5):
        text = (
            f"{int((~lost).sum())} elements of the gradient of {name} are 0, the others are right"
        )
        return Find("index_error", (name,), text, 0.5, 8.0)
    return None


def elements(case: Case, name: str) -> Find:
    """Nothing better is known: some or all elements are wrong."""
    if not case.shaped(name):
        return Find("shape_error", (name,), "the shapes differ", 0.3, 10.0)
    wrong = case.points[0].wrong(name)
    share = wrong.sum() / max(wrong.size, 1)
    claim, truth = case.pairs(name)
    bent = np.abs(claim - truth).max(initial=0) < 1e-3 * _top(truth)
    if bent and share > 0.5:
        text = f"the gradient of {name} is off by less than 0.1 %"
        return Find("float32_noise", (name,), text, 0.3, 11.0)
    if 0 < share < 0.5:
        text = f"{int(wrong.sum())} of {wrong.size} elements of the gradient of {name} are wrong"
        return Find("index_error", (name,), text, 0.35, 11.0)
    text = f"the gradient of {name} is wrong throughout: a value in it is not the forward's"
    return Find("wrong_saved_value", (name,), text, 0.3, 11.0)


def _top(values: np.ndarray) -> float:
    return float(np.abs(values).max(initial=0.0))


READERS = (wrong_shape, flat, nothing, constant, transposed, regularization, moved, masked)
