"""Causes that only show in how calls follow each other: chance, earlier calls, precision.

Runs the subject in other orders (another forward before, or between forward and backward) and
with other random numbers in the backward. Knows nothing about what is computed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.check.doctor.report import Cause, Diagnosis
from backlit.check.doctor.subjects import FAULTS, Subject
from backlit.check.doctor.truth import Point
from backlit.check.doctor.whole import Find
from backlit.errors import FormulaError


def unsteady(subject: Subject, outputs: list[np.ndarray], found: Diagnosis) -> bool:
    """Whether two equal calls give different values; then nothing can be checked."""
    again = subject.outputs(subject.values)
    for k, (a, b) in enumerate(zip(outputs, again)):
        if np.array_equal(a, b, equal_nan=True):
            continue
        gap = float(np.nanmax(np.abs(np.asarray(a, float) - np.asarray(b, float))))
        text = (
            f"two forward calls on the same values gave output {k} different by {gap:.6g}, with"
            " the random generators put back: it depends on time, on earlier calls or on outside"
            " random numbers"
        )
        found.wrong = subject.names
        found.causes = [Cause("non_determinism", subject.names[0], (), text, 0.95)]
        return True
    return False


def failure(subject: Subject, outputs: list[np.ndarray]) -> list[Cause]:
    """What it means that the backward fails outright."""
    try:
        subject.claims(subject.values, [np.ones(np.shape(o)) for o in outputs])
    except FormulaError:  # knows its column: for whoever wrote the formula
        raise
    except FAULTS as error:
        text = f"the backward fails with {type(error).__name__}: {str(error).splitlines()[0]}"
        names = ["index_error"] if isinstance(error, (IndexError, KeyError)) else ["shape_error"]
        if any(word in text for word in ("matmul", "aligned", "mat1", "inner sizes")):
            names.append("transposed")
        return [Cause(n, subject.names[0], (), text, 0.8 / k) for k, n in enumerate(names, 1)]
    return []


def causes(subject: Subject, groups: list[list[Point]], wrong: list[str]) -> list[Find]:
    """What the order of calls and the random numbers change in the claims."""
    p = groups[0][0]
    finds = []
    unlike = _differs(p.claims, subject.claims(p.values, p.seeds))
    if unlike:
        text = f"two equal backward calls gave different gradients of {', '.join(unlike)}"
        finds.append(Find("non_determinism", tuple(unlike), text, 0.9, 0.1))
        if _forward_is_random(subject):
            text += ": it draws random numbers of its own instead of reusing the forward's"
            finds.append(Find("mask_not_reused", tuple(unlike), text, 0.9, 0.05))
        return finds
    redrawn = _differs(p.claims, _quietly(subject, p, reseed=1234567))
    if redrawn:
        random = _forward_is_random(subject)
        name = "mask_not_reused" if random else "non_determinism"
        text = f"the backward draws random numbers of its own for {', '.join(redrawn)}" + (
            " instead of reusing the forward's" if random else ""
        )
        finds.append(Find(name, tuple(redrawn), text, 0.95, 0.1))
    for other in _others(subject, groups):
        if not any(f.name == "stale_saved_value" for f in finds):
            finds += _stale(subject, p, other)
    early = groups[0][0]
    if not finds and wrong and len(groups) > 1 and not early.truth:
        text = (
            "right at the values of the first call, wrong at later ones: a saved value may be"
            " from an earlier call"
        )
        finds.append(Find("stale_saved_value", tuple(wrong), text, 0.5, 6.0))
    return finds


def _others(subject: Subject, groups: list[list[Point]]) -> list[dict[str, np.ndarray]]:
    """Values for another forward call: turned around and far away, and nearby."""
    p = groups[0][0]
    far = {n: np.asarray(-v.ravel()[::-1].reshape(v.shape) * 1.5) for n, v in p.values.items()}
    found = [g[0].values for g in groups[1:2]]
    try:
        if all(np.isfinite(o).all() for o in subject.outputs(far)):
            found.insert(0, far)
    except (ValueError, ArithmeticError, IndexError, RuntimeError):
        pass
    return found


def _stale(subject: Subject, p: Point, other: dict[str, np.ndarray]) -> list[Find]:
    between = _differs(p.claims, _quietly(subject, p, between=other))
    if between:
        text = (
            f"after another forward call the backward of the first gives another gradient of"
            f" {', '.join(between)}: it reads what the latest forward left behind"
        )
        return [Find("stale_saved_value", tuple(between), text, 0.95, 0.2)]
    before = _differs(p.claims, _quietly(subject, p, before=other))
    if before:
        text = (
            f"an earlier forward call with other values changes the gradient of"
            f" {', '.join(before)}: a value is left over from it"
        )
        return [Find("stale_saved_value", tuple(before), text, 0.95, 0.2)]
    return []


def notes(subject: Subject, groups: list[list[Point]], wrong: list[str],
          stepped: tuple[str, ...]) -> list[Cause]:  # fmt: skip
    """What is worth knowing though the gradient is right: steps, rounding in the given dtype."""
    return [
        *(_constant(n) for n in stepped if n not in wrong),
        *_rounded_inside(subject, wrong, stepped),
        *_rounded(subject, groups[0][0], wrong),
        *_rounded_outputs(subject, wrong),
    ]


def _rounded_outputs(subject: Subject, wrong: list[str]) -> list[Cause]:
    """The outputs in the given dtype are far from those in float64."""
    low = [] if wrong else subject.outputs_at_given_precision()
    for a, b in zip(low, subject.outputs(subject.values)):
        gap = np.abs(np.asarray(a, float) - np.asarray(b, float)).max(initial=0.0)
        top = np.abs(np.asarray(b, float)).max(initial=0.0)
        if gap > 1e-3 * top:
            text = f"in float32 the outputs are off by {gap:.6g} of {top:.6g}: rounding"
            return [Cause("float32_noise", subject.lowered[0], (), text, 0.7)]
    return []


def _constant(name: str) -> Cause:
    text = f"the outputs follow {name} in steps only: the slope is 0 nearly everywhere"
    return Cause("not_differentiable", name, (), text, 0.9)


def _rounded_inside(subject: Subject, wrong: list[str], stepped: tuple[str, ...]) -> list[Cause]:
    """The outputs are float32 numbers though the inputs are float64."""
    if wrong or stepped or not subject.coarse:
        return []
    text = "float64 inputs are rounded to float32 on the way: differences see steps of 1e-7"
    return [Cause("float32_noise", subject.names[0], (), text, 0.6)]


def _rounded(subject: Subject, p: Point, wrong: list[str]) -> list[Cause]:
    try:
        low = subject.at_given_precision(p.seeds)
    except (ValueError, TypeError, RuntimeError):
        return []
    causes = []
    for name in [n for n in (low or {}) if n not in wrong]:
        a, b = p.claims.get(name), (low or {}).get(name)
        if a is None or b is None or np.shape(a) != np.shape(b):
            continue
        gap = np.abs(np.asarray(a, float) - np.asarray(b, float))
        top = float(np.abs(np.asarray(a, float)).max(initial=0.0))
        if not gap.size or np.nanmax(gap) <= 3e-4 * top:
            continue
        index = tuple(int(i) for i in np.unravel_index(int(np.nanargmax(gap)), gap.shape))
        text = (
            f"in {subject.lowered and 'float32'} the gradient is {np.asarray(b)[index]:.6g}, in"
            f" float64 {np.asarray(a)[index]:.6g}: rounding, not the formula"
        )
        causes.append(Cause("float32_noise", name, index, text, 0.8))
    return causes


def _quietly(subject: Subject, p: Point, **protocol: Any) -> dict[str, Any]:
    try:
        return subject.claims(p.values, p.seeds, **protocol)
    except (ValueError, IndexError, KeyError, RuntimeError):
        return p.claims


def _forward_is_random(subject: Subject) -> bool:
    """Whether the forward itself draws random numbers."""
    chance = getattr(subject, "chance", None)
    return chance is None or bool(chance.used)


def _differs(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return [
        n for n in a
        if not _same(a[n], b.get(n))
    ]  # fmt: skip


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return a is b
    if np.shape(a) != np.shape(b):
        return False
    return bool(np.allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-10, atol=1e-13,
                            equal_nan=True))  # fmt: skip
