"""The examination: are the claims right, here and nearby; if not, which cause explains them?

Collects points (truth.py), asks the hypotheses (whole.py, protocol.py, repairs.py, tangents.py)
and ranks what they find. Read next: docs/design/doctor.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.check.doctor import forks, protocol, repairs, tangents, whole
from backlit.check.doctor.report import Cause, Diagnosis, place
from backlit.check.doctor.subjects import Subject
from backlit.check.doctor.truth import (
    ELEMENTS,
    Point,
    agrees_along,
    along,
    complete,
    is_coarse,
    size_of,
)
from backlit.check.doctor.whole import Case, Find


def diagnose(subject: Subject, *, seed: int = 0) -> Diagnosis:
    """Examine a subject: check its claims at the given values and nearby, and explain errors."""
    with np.errstate(all="ignore"), subject.surroundings():
        return _examined(subject, np.random.default_rng(seed))


def _examined(subject: Subject, rng: np.random.Generator) -> Diagnosis:
    found = Diagnosis(checked=subject.names)
    outputs = subject.outputs(subject.values)
    if protocol.unsteady(subject, outputs, found):
        return found
    failure = protocol.failure(subject, outputs)
    if failure:
        found.wrong, found.causes = subject.names, failure
        return found
    groups = _groups(subject, outputs, rng)
    most = _affordable(subject, groups[0][0])
    bad = [group for group in groups if _is_bad(subject, group, rng, most)]
    wrong = _wrong(subject, groups, bad)
    stepped = tuple(n for n in subject.names if _steps(subject, n, rng))
    noted = [*_kinks(bad), *protocol.notes(subject, groups, wrong, stepped)]
    finds = protocol.causes(subject, groups, wrong)
    wrong += [n for f in finds for n in f.inputs if n not in wrong]
    if wrong:
        _complete_all(subject, groups, rng, most)
        finds += _explanations(subject, groups, wrong, stepped)
    found.wrong = [n for n in subject.names if n in wrong]
    found.causes = _ranked(groups, found.wrong, finds) + noted
    found.failures = _failures(groups, found.wrong)
    return found


def _wrong(subject: Subject, groups: list[list[Point]], bad: list[list[Point]]) -> list[str]:
    """Inputs with a wrong claim; at a kink only where it is wrong nearby too.

    Where several kinks meet, a fair choice for each may leave the slopes of the sides.
    """
    generic = any(all(group is not b for b in bad) for group in groups[1:])
    wrong = []
    for name in subject.names:
        if generic and _only_tied(subject, groups[0], name):
            continue
        for p in (p for group in bad for p in group):
            mask = p.wrong(name)
            if name in p.disagrees and not p.known[name].all() and not p.kinks[name].any():
                wrong.append(name)  # of elements that were not looked at
                break
            shaped = p.shape_of(name) == mask.shape
            if (mask & ~p.kinks[name] if generic and shaped else mask).any():
                wrong.append(name)
                break
    return wrong


def _only_tied(subject: Subject, group: list[Point], name: str) -> bool:
    """Whether equal numbers in an input are all that is the matter: apart, the claims are right."""
    values = subject.values[name]
    tied = len(np.unique(values)) < values.size
    if not tied or not group[0].truth or not group[0].wrong(name).any():
        return False
    rng = np.random.default_rng(1)
    for _ in range(3):
        apart = values + 1e-3 * size_of(values) * rng.standard_normal(values.shape)
        moved = {**subject.values, name: apart}
        p = Point(moved, group[0].seeds, subject.claims(moved, group[0].seeds))
        if not agrees_along(subject, [p], name, rng):
            return False
    return True


def _groups(subject: Subject, outputs: list[np.ndarray],
            rng: np.random.Generator) -> list[list[Point]]:  # fmt: skip
    """Points at the given values and at others nearby; points of a group share their values."""
    loss = len(outputs) == 1 and np.ndim(outputs[0]) == 0
    groups: list[list[Point]] = []
    other = nearby(subject, rng)
    if other is not None:
        flat = [np.ravel(np.asarray(o, float)) for o in subject.outputs(other)]
        subject.coarse = is_coarse(np.concatenate(flat or [np.zeros(0)]))
    small = sum(v.size for v in subject.values.values()) <= 60
    for k in range(3 if loss and small else 2):
        values = subject.values if k == 0 else other if k == 1 else nearby(subject, rng)
        if values is None:
            continue
        group = []
        for _ in range(1 if loss or k else 2):
            seeds = [np.ones(()) if loss else rng.standard_normal(np.shape(o)) for o in outputs]
            group.append(Point(values, seeds, subject.claims(values, seeds)))
        groups.append(group)
    return groups


def nearby(subject: Subject, rng: np.random.Generator) -> dict[str, np.ndarray] | None:
    """Other values of the inputs: coincidences (ones, zeros, equal numbers) are broken."""
    shapes = [np.shape(o) for o in subject.outputs(subject.values)]
    for strength, shift in ((0.2, 0.1), (0.1, 0.0), (0.01, 0.0)):
        values = {}
        for name, v in subject.values.items():
            top = float(np.abs(v).max(initial=0.0)) or 1.0
            size = np.abs(v) + shift * top
            values[name] = np.asarray(v + strength * size * rng.standard_normal(v.shape))
        try:
            outputs = subject.outputs(values)
        except (ValueError, ArithmeticError, IndexError, RuntimeError):
            continue
        same = [np.shape(o) for o in outputs] == shapes
        if same and all(np.isfinite(np.asarray(o, float)).all() for o in outputs):
            return values
    return None


def _affordable(subject: Subject, p: Point) -> int:
    """How many elements of an input are differenced: fewer where the code makes many calls, or
    where each moves much memory."""
    try:
        tape = subject.trace(p.values, p.seeds)
    except repairs.FAULTS:
        tape = None
    calls = 100 if tape is None else len(tape.calls)
    moved = sum(v.size for v in (*p.values.values(), *p.seeds))
    return int(np.clip(min(30_000 // max(calls, 1), 4_000_000 // max(moved, 1)), 30, ELEMENTS))


def _is_bad(subject: Subject, group: list[Point], rng: np.random.Generator, most: int) -> bool:
    """Whether some claim is wrong or at a kink; then the points are completed."""
    off = [
        n for n in subject.names
        if not all(agrees_along(subject, group, n, rng) for _ in range(2))
    ]  # fmt: skip
    if off:
        complete(subject, group, rng, most)
        for p in group:
            p.disagrees = off
    return bool(off)


def _complete_all(subject: Subject, groups: list[list[Point]], rng: np.random.Generator,
                  most: int) -> None:  # fmt: skip
    for group in groups:
        if not group[0].truth:
            complete(subject, group, rng, most)


def _kinks(bad: list[list[Point]]) -> list[Cause]:
    """Elements where the sides differ: a note, whatever else is found."""
    causes = []
    for p in (group[0] for group in bad):
        for name, mask in p.kinks.items():
            claim = p.claims.get(name)
            if not mask.any() or claim is None or np.shape(claim) != mask.shape:
                continue
            off = mask & p.wrong(name)
            fair = mask & ~off if (mask & ~off).any() else off
            index = tuple(int(i) for i in np.argwhere(fair)[0])
            text = (
                f"{int(fair.sum())} elements of {name} lie at a kink; at {place(name, index)} the"
                f" sides have slopes {p.low[name][index]:.6g} and {p.high[name][index]:.6g}, the"
                f" claim is {float(np.asarray(claim)[index]):.6g}"
            )
            causes.append(Cause("kink", name, index, text, 0.5))
    return causes[:3]


def _steps(subject: Subject, name: str, rng: np.random.Generator) -> bool:
    """Whether the outputs follow an input in steps only: constant nearby, not far away."""
    start = subject.values[name]
    move = along(subject, subject.values, name, rng.standard_normal(start.shape))
    try:
        near = [move(t) for t in (0.0, 1e-7, -1e-7, 1e-6)]
        far = [move(t) for t in (1.0, -3.0)]
    except (ValueError, ArithmeticError, IndexError, RuntimeError):
        return False
    still = all(np.array_equal(near[0], v, equal_nan=True) for v in near[1:])
    return still and any(not np.array_equal(near[0], v, equal_nan=True) for v in far)


def _explanations(subject: Subject, groups: list[list[Point]], wrong: list[str],
                  stepped: tuple[str, ...]) -> list[Find]:  # fmt: skip
    points = [p for group in groups for p in group]
    case = Case(points, wrong, _sizes(subject, points[0]), _scalars(subject), None, stepped)
    taped = repairs.tapes(subject, points)[:3]
    if taped:
        case.multiplies = repairs.multiplied(taped[0][1])
    finds = []
    for name in wrong:
        finds += [f for read in whole.READERS if (f := read(case, name)) is not None]
        finds.append(whole.elements(case, name))
        finds += _off_at_kinks(points, name)
    known = min([f.order for f in finds if set(f.inputs) >= set(wrong)], default=99.0)
    tapes = taped if known > 1 else []
    if tapes:
        finds += forks.causes(case, tapes, subject.accumulates)
        known = min([known, *(f.order for f in finds if set(f.inputs) >= set(wrong))])
        finds += repairs.causes(case, tapes, known)
        best = min([f.order for f in finds if len(f.inputs) == len(wrong)], default=99.0)
        finds += tangents.causes(case, tapes, subject) if best > 1.6 else []
    return finds


def _off_at_kinks(points: list[Point], name: str) -> list[Find]:
    """Wrong at kinks only: outside the slopes of both sides."""
    if all(not (p.wrong(name) & ~p.kinks[name]).any() for p in points):
        text = f"the gradient of {name} is outside the slopes of both sides at a kink"
        return [Find("kink", (name,), text, 0.9, 0.3)]
    return []


def _sizes(subject: Subject, p: Point) -> dict[int, str]:
    """Counts that a factor may be: sizes of axes, and of several axes together."""
    found: dict[int, str] = {}
    shapes = {n: v.shape for n, v in p.values.items()}
    shapes |= {f"output {k}": np.shape(s) for k, s in enumerate(p.seeds)}
    for name, shape in shapes.items():
        for axis, n in enumerate(shape):
            found.setdefault(n, f"size {axis} of {name}")
    for name, shape in shapes.items():
        for i in range(len(shape)):
            for j in range(i + 2, len(shape) + 1):
                n = int(np.prod(shape[i:j]))
                found.setdefault(n, f"sizes {i} to {j - 1} of {name}")
        if len(shape) == 4:
            n = shape[0] * shape[2] * shape[3]
            found.setdefault(n, f"sizes 0, 2, 3 of {name}")
    return {n: what for n, what in found.items() if n > 1}


def _scalars(subject: Subject) -> dict[str, float]:
    found: dict[str, float] = {}

    def look(name: str, value: Any) -> None:
        if isinstance(value, (float, np.floating)):
            found[name] = float(value)
        elif isinstance(value, dict):
            for k, v in value.items():
                look(str(k), v)

    for name, value in getattr(subject, "inputs", {}).items():
        look(name, value)
    return found


def _ranked(groups: list[list[Point]], wrong: list[str], finds: list[Find]) -> list[Cause]:
    """One cause per name, the likeliest first: early order, and as many inputs as possible."""
    best: dict[str, tuple[float, Find, set[str]]] = {}
    for f in finds:
        if f.name not in best or f.order < best[f.name][1].order:
            covered = best[f.name][2] if f.name in best else set()
            best[f.name] = (f.order, f, covered)
        if f.order < 9:
            best[f.name][2].update(f.inputs)
    ranked = sorted(
        best.values(), key=lambda b: b[1].order + 4 * len(set(wrong) - b[2]) / max(len(wrong), 1)
    )
    if any(f.order < 9 for _, f, _ in ranked):
        ranked = [b for b in ranked if b[1].order < 9 or b[1].confidence > 0.5]
    return [_cause(groups, f) for _, f, _ in ranked[:4]]


def _cause(groups: list[list[Point]], f: Find) -> Cause:
    name = f.inputs[0]
    index = f.index if f.index is not None else _worst(groups, name)
    return Cause(f.name, name, index, f.evidence, f.confidence)


def _worst(groups: list[list[Point]], name: str) -> tuple[int, ...]:
    """The element that is off by most."""
    for p in (p for group in groups for p in group if p.truth):
        mask = p.wrong(name)
        if mask.any():
            claim = p.claims.get(name)
            if claim is None or np.shape(claim) != mask.shape:
                gap = np.abs(p.truth[name])
            else:
                gap = np.where(mask, np.abs(np.asarray(claim, float) - p.truth[name]), -1)
            gap = np.where(np.isfinite(gap), gap, 0.0)
            return tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
    return ()


def _failures(groups: list[list[Point]], wrong: list[str]) -> list[str]:
    lines = []
    for name in wrong[:5]:
        for p in (p for group in groups for p in group if p.truth):
            if not p.wrong(name).any():
                continue
            index, claim = _worst([[p]], name), p.claims.get(name)
            if claim is None:
                said = "no gradient"
            elif np.shape(claim) != p.values[name].shape:
                said = f"shape {np.shape(claim)} for an input of {p.values[name].shape}"
            else:
                said = f"{float(np.asarray(claim)[index]):.10g}"
            lines.append(
                f"{place(name, index)}: the backward says {said}, differences say"
                f" {p.truth[name][index]:.10g}"
            )
            break
    return lines
