"""Causes found by mending: one change of the backward, at one place, that makes it right.

The tape of the backward is run again with an edit at one site; where the gradients of all wrong
inputs become right at every point, and the others stay so, the edit names the cause. slips/
lists the edits; this file tries them and reads what a fitted factor means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.check.doctor.subjects import FAULTS as FAULTS
from backlit.check.doctor.subjects import Subject
from backlit.check.doctor.tape import Call, Edit, Ref, Swaps, Tape, resolve, slots_of, written
from backlit.check.doctor.truth import Point
from backlit.check.doctor.whole import Case, Find, describe, is_missing

WORK = 400_000  # calls that may be repeated in the search


@dataclass(frozen=True)
class Site:
    """Calls made at one place, found again on every tape."""

    key: Any
    narrow: bool = False

    def calls(self, tape: Tape) -> list[Call]:
        return (tape.narrow_sites if self.narrow else tape.sites).get(self.key, [])


@dataclass(frozen=True)
class Trial:
    """An edit to try: what it would mean, and how to make it on a tape."""

    name: str
    order: float
    words: str
    site: Site | None
    make: Callable[[Tape], dict[int, Edit]]
    finish: Callable[[Tape, list, dict], dict] | None = None  # a change of the claims themselves
    swaps: Swaps | None = None  # forward values that are read as others
    inputs: tuple[str, ...] = ()  # what it is known to mend; nothing: all


def tapes(subject: Subject, points: list[Point]) -> list[tuple[Point, Tape]]:
    """A tape for each point, where replaying gives exactly what was claimed."""
    found = []
    for p in points:
        try:
            tape = subject.trace(p.values, p.seeds)
            faithful = tape is not None and _faithful(tape, p)
        except FAULTS:
            return []
        if not faithful:
            return []
        found.append((p, tape))
    return found


def _faithful(tape: Tape, p: Point) -> bool:
    found = tape.claimed(tape.run())
    for name in p.values:
        a: Any = found[name]
        b: Any = p.claims.get(name)
        if (a is None) != (b is None):
            return False
        if a is not None and not (
            np.shape(a) == np.shape(b)
            and np.allclose(a, np.asarray(b, float), rtol=1e-9, atol=1e-12, equal_nan=True)
        ):
            return False
    return True


class Bench:
    """Where edits are tried; counts the work."""

    def __init__(self, case: Case, taped: list[tuple[Point, Tape]]):
        self.case, self.taped = case, taped
        self.first = taped[0][1]
        self.left = WORK
        self.only = {id(tape): tape.needed(tuple(case.wrong)) for _, tape in taped}
        self.cost = len(self.only[id(self.first)]) + 20
        self.needed = set().union(*(self.first.parents(n) for n in case.wrong))

    @property
    def tired(self) -> bool:
        return self.left <= 0

    def claims(self, tape: Tape, trial: Trial, every: bool = True) -> dict[str, Any] | None:
        """The gradients (only the wrong ones, or every one) after an edit; None: it fails."""
        self.left -= self.cost
        try:
            edits = trial.make(tape)
            only = None if every else self.only[id(tape)]
            env = tape.run_backward(edits, trial.swaps, only)
            found = tape.claimed(env)
            with np.errstate(all="ignore"):
                return found if trial.finish is None else trial.finish(tape, env, found)
        except FAULTS:
            return None

    def mends(self, trial: Trial) -> tuple[str, ...]:
        """The wrong inputs whose gradient becomes right at every point, if others stay right."""
        names = self._mended(self.taped[0][0], self.claims(self.first, trial, every=False))
        if not names:
            return ()
        for p, tape in self.taped:
            names &= self._right(p, self.claims(tape, trial))
            if not names:
                break
        return tuple(n for n in self.case.wrong if n in names)

    def _mended(self, p: Point, found: dict[str, Any] | None) -> set[str]:
        if found is None:
            return set()
        full = {n: p.values[n] * 0 if found[n] is None else found[n] for n in self.case.wrong}
        return {n for n in self.case.wrong if p.fits(n, full[n])}

    def _right(self, p: Point, found: dict[str, Any] | None) -> set[str]:
        if found is None:
            return set()
        names = self._mended(p, found)
        others = [n for n in p.values if n not in self.case.wrong and found[n] is not None]
        return names if names and all(p.explains(n, found[n]) for n in others) else set()

    def fitted(self, trial_of: Callable[[float], Trial]) -> Iterator[tuple[Any, list[float]]]:
        """Factors at a site, per point, that mend inputs: all wrong ones, else single ones.

        The gradients are linear in the factor, so the trial at -1 tells.
        """
        turned = [self.claims(tape, trial_of(-1.0)) for _, tape in self.taped]
        if any(t is None for t in turned):
            return
        wrong = self.case.wrong
        for names in [tuple(wrong), *([(n,) for n in wrong] if len(wrong) > 1 else [])]:
            found = [self._factor(p, t, names) for (p, _), t in zip(self.taped, turned)]
            if all(c is not None for c in found):
                yield names, [c for c in found if c is not None]
                if len(names) == len(wrong):
                    return

    def _factor(self, p: Point, turned: Any, names: tuple[str, ...]) -> float | None:
        gaps, steps, noise = [], [], 0.0
        for name in p.values:
            if turned[name] is None or np.shape(turned[name]) != p.values[name].shape:
                return None
            claim = np.asarray(self.case.claim(p, name))
            if claim.shape != p.values[name].shape:
                return None
            if name in self.case.wrong and name not in names:
                continue
            usable = self.case.usable(p, name)
            target = p.truth[name] if name in names else claim
            gaps.append((target - (claim + turned[name]) / 2)[usable])
            steps.append(((claim - turned[name]) / 2)[usable])
            noise = max(noise, 4 * float(np.nanmax(p.error[name], initial=0.0)))
        gap, step = np.concatenate(gaps), np.concatenate(steps)
        size = float((step * step).sum())
        if not np.isfinite(size) or size < 1e-24:
            return None
        c = float((gap * step).sum()) / size
        worst = np.abs(gap - c * step).max(initial=0.0)
        limit = 3e-6 * max(np.abs(gap).max(), np.abs(step).max()) + noise
        return c if worst <= limit else None


def sites(bench: Bench) -> Iterator[tuple[Site, list[Call]]]:
    """Backward sites that the wrong gradients depend on, all callers together first."""
    tape, needed = bench.first, bench.needed
    for narrow, groups in ((False, tape.sites), (True, tape.narrow_sites)):
        for key, calls in sorted(groups.items(), key=lambda g: len(g[1])):
            if any(needed.intersection(slots_of(c.made)) or needed & written(c) for c in calls):
                yield Site(key, narrow), calls


def causes(case: Case, taped: list[tuple[Point, Tape]], known: float) -> list[Find]:
    """Every kind of edit in turn, the plainest first; `known` is the order of the best so far."""
    from backlit.check.doctor import slips

    bench = Bench(case, taped)
    finds: list[Find] = []
    for earliest, family in slips.FAMILIES:
        best = min([known, *(f.order for f in finds if len(f.inputs) == len(case.wrong))])
        if best < earliest - 0.06:
            break
        bench.left = WORK // 8
        finds += _first(bench, family)
    return finds


def _first(bench: Bench, family: Callable[[Bench], Iterator[Trial]]) -> list[Find]:
    """What a family finds, until every wrong input is explained by one edit or by several."""
    finds: list[Find] = []
    left = set(bench.case.wrong)
    for trial in family(bench):
        if bench.tired:
            break
        names = bench.mends(trial)
        if names:
            text = explained(bench, trial, names)
            sure = 0.93 if len(names) == len(bench.case.wrong) else 0.8
            finds.append(Find(trial.name, names, text, sure, trial.order))
            left -= set(names)
            if not left:
                break
    return finds


def explained(bench: Bench, trial: Trial, names: tuple[str, ...]) -> str:
    """The evidence: where, what would mend it."""
    where = ""
    if trial.site is not None:
        where = f"{trial.site.calls(bench.first)[0].site}: "
    listed = ", ".join(names)
    return f"{where}{trial.words} makes the gradient of {listed} right at every point"


def meaning(bench: Bench, factors: list[float], call: Call | None) -> tuple[str, float, str]:
    """What it means that a term must be multiplied by a factor: cause, order, words."""
    c = factors[0]
    if max(factors) - min(factors) > 1e-5 * max(map(abs, factors)):
        return "missing_factor", 4.2, "multiplying by a number that depends on the inputs"
    if abs(c + 1) < 1e-5:
        return "sign", 1.27, "the other sign"
    if abs(c) < 1e-7:
        return "extra_factor", 4.4, "leaving out this term"
    if c < 0:
        return "sign", 4.0, f"multiplying by {c:.6g}"
    order = 1.45 if "(" in (words := describe(bench.case, c)) or _round(c) else 4.1
    if _written(call, c):
        return "extra_factor", order - 0.1, f"without the factor {1 / c:.6g}, it"
    if not is_missing(bench.case, 1 / c):
        return "extra_factor", order, f"without the factor {describe(bench.case, 1 / c)}, it"
    return "missing_factor", order, f"the missing factor {words}"


def _round(c: float) -> bool:
    return any(abs(c * k - round(c * k)) < 1e-6 and round(c * k) != 0 for k in (1, 2, 3, 4))


def _written(call: Call | None, c: float) -> bool:
    """Whether the factor to be removed stands there as a number."""
    if call is None or call.name not in ("multiply", "divide", "mul", "div", "true_divide"):
        return False
    numbers = [a for a in call.args if isinstance(a, (int, float))]
    inverse = call.name in ("multiply", "mul")
    return any(n and abs(c - (1 / n if inverse else n)) < 1e-6 * abs(c) for n in numbers)


def multiplied(tape: Tape) -> list[float]:
    """Numbers that the derivative of the forward is multiplied by: of products, means, powers."""
    found = {1.0}
    for call in tape.calls[: tape.half]:
        numbers = [a for a in call.args if isinstance(a, (int, float)) and not isinstance(a, bool)]
        if call.name in ("divide", "div", "true_divide"):
            found |= {1 / k for k in numbers[-1:] if k and call.args[-1] is k}
        elif call.name in ("multiply", "mul"):
            found |= {abs(float(k)) for k in numbers if k}
            slots = [a for a in call.args if isinstance(a, Ref)]
            found |= {2.0} if len(slots) == 2 and slots[0] == slots[1] else set()
        elif call.name in ("power", "pow"):
            found |= {abs(float(k)) for k in numbers if k}
        elif call.name in ("square", "var", "std", "norm"):
            found.add(2.0)
        if call.name in ("mean", "var", "std") and isinstance(call.made, int):
            before = np.size(resolve(call.args[0], tape.values))
            after = max(np.size(tape.values[call.made]), 1)
            found.add(after / max(before, 1))
    pairs = {a * b for a in found for b in found}
    return sorted(pairs)[:200]
