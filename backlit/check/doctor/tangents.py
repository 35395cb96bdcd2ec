"""Causes found by forgetting: which edge of the forward, left out or scaled, gives the claim.

The forward is replayed along small steps while one operand at one site keeps its old value, so
its contribution is missing from the slope. What the claim holds of that contribution is then one
number: 0 for a detached path, -1 for a sign, else a factor. Needs no derivative of any operator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import FAULTS
from backlit.check.doctor.subjects import Subject
from backlit.check.doctor.tape import Call, Edit, Ref, Tape
from backlit.check.doctor.truth import Point, size_of
from backlit.check.doctor.whole import Case, Find, describe

WORK = 100_000  # calls that may be repeated
STEP = 1e-4
DIRECTIONS = 4
STEPPED = frozenset((
    "rint", "round", "floor", "ceil", "sign", "trunc", "fix", "astype", "floor_divide", "to",
    "cast", "around", "convert",
))  # fmt: skip
SUMMARIES = frozenset(("mean", "var", "std", "max", "min", "amax", "amin", "sum", "norm"))


@dataclass
class Place:
    """The operand of a site that is held: its position, possibly inside a list."""

    calls: list[Call]
    position: int  # -1: all of them, where one value is read twice
    inner: int | None = None
    part: slice = field(default_factory=lambda: slice(None))

    def get(self, args: list) -> Any:
        if self.position < 0:
            return list(args)
        found = args[self.position]
        return found if self.inner is None else found[self.inner]

    def put(self, args: list, value: Any) -> None:
        if self.position < 0:
            args[:] = value
        elif self.inner is None:
            args[self.position] = value
        else:
            kind = type(args[self.position])
            listed = list(args[self.position])
            listed[self.inner] = value
            args[self.position] = kind(listed)


class Slopes:
    """Slopes of the weighted outputs along joint random directions, with edits, per point."""

    def __init__(self, case: Case, taped: list[tuple[Point, Tape]]):
        rng = np.random.default_rng(5)
        self.taped = taped
        self.directions = []
        for p, _ in taped:
            moves = []
            for _ in range(DIRECTIONS):
                move = {n: rng.standard_normal(v.shape) * size_of(v) for n, v in p.values.items()}
                moves.append({n: np.where(case.usable(p, n), m, 0.0) for n, m in move.items()})
            self.directions.append(moves)
        points = range(len(taped))
        self.claimed = [self._against(k, lambda p, n: case.claim(p, n)) for k in points]
        self.true = [self._against(k, lambda p, n: p.truth[n]) for k in points]
        self.top = max(np.abs([*self.claimed, *self.true]).max(), 1e-300)
        self.cost = taped[0][1].half * DIRECTIONS * 2 + 1

    def _against(self, k: int, gradient: Any) -> np.ndarray:
        p = self.taped[k][0]
        return np.array([
            sum(float((gradient(p, n)[m[n] != 0] * m[n][m[n] != 0]).sum()) for n in p.values)
            for m in self.directions[k]
        ])  # fmt: skip

    def along(self, k: int, edits: dict[int, Edit] | None) -> np.ndarray:
        """The slopes at the k-th point."""
        p, tape = self.taped[k]
        return np.array([slope_along(tape, p, move, edits) for move in self.directions[k]])

    def share(self, edits_for: Any) -> float | None:
        """What the claims hold of the contribution that the edits take away, if one number."""
        share = None
        for k, (_, tape) in enumerate(self.taped):
            without = self.along(k, edits_for(tape))
            part = self.true[k] - without
            size = float((part * part).sum())
            if share is None:
                if not np.isfinite(size):
                    return None
                if size < (1e-8 * self.top) ** 2:
                    return 1.0
                share = float(((self.claimed[k] - without) * part).sum()) / size
            if np.abs(self.claimed[k] - without - share * part).max() > 2e-5 * self.top:
                return None
        return share


def slope_along(tape: Tape, p: Point, move: dict[str, np.ndarray],
                edits: dict[int, Edit] | None) -> float:  # fmt: skip
    """The slope of the weighted outputs when the inputs move, with edits of the forward."""
    up, down = (
        _weighted(tape, p, {n: v + t * move[n] for n, v in p.values.items()}, edits)
        for t in (STEP, -STEP)
    )
    return (up - down) / (2 * STEP)


def _weighted(tape: Tape, p: Point, values: dict, edits: dict[int, Edit] | None) -> float:
    outputs = tape.returned(tape.run_forward(edits, values))
    return sum(float((np.asarray(o, float) * s).sum()) for o, s in zip(outputs, p.seeds))


def causes(case: Case, taped: list[tuple[Point, Tape]], subject: Subject) -> list[Find]:
    """Edges whose contribution is missing, turned or scaled in the claims."""
    if not all(case.shaped(n) for n in case.points[0].values):
        return []
    try:
        slopes = Slopes(case, taped)
        for k in range(len(taped)):
            if np.abs(slopes.along(k, None) - slopes.true[k]).max() > 1e-5 * slopes.top:
                return []
    except FAULTS:
        return []
    finds: list[Find] = []
    alone: list[tuple[Any, Place]] = []
    neutral: list[tuple[Any, Place]] = []  # held, they change nothing: `x - x.max()`
    left = WORK
    for key, calls in taped[0][1].forward_sites.items():
        finds += _stepped(case, slopes, key, calls)
        for place in _places(calls):
            left -= slopes.cost
            if left < 0:
                return finds
            found = _held(case, slopes, [(key, place)])
            if isinstance(found, Find):
                finds.append(found)
            elif place.part == slice(None):
                (neutral if found == 1.0 else alone).append((key, place))
    if any(f.order < 3 for f in finds):
        return finds
    pairs = [(a, b) for a, b in combinations(alone, 2) if a[0] != b[0]]
    for group in [*([(a,) for a in alone] if neutral else []), *pairs]:
        left -= slopes.cost
        if left < 0:
            break
        found = _held(case, slopes, [*group, *neutral])
        if isinstance(found, Find) and found.name == "detached_path":
            return [*finds, found]
    return finds


def _parts(calls: list[Call]) -> list[slice]:
    """All calls of a site; of a short loop also single rounds, all but the first or last."""
    n = len(calls)
    if not 1 < n <= 6:
        return [slice(None)]
    return [slice(None), slice(1, None), slice(0, n - 1), *(slice(i, i + 1) for i in range(n))]


def _places(calls: list[Call]) -> Iterator[Place]:
    for part in _parts(calls):
        yield from _operands(calls, part)


def _operands(calls: list[Call], part: slice) -> Iterator[Place]:
    read = [a.slot for a in calls[0].args if isinstance(a, Ref)]
    if len(set(read)) < len(read):
        yield Place(calls, -1, None, part)
    for position, arg in enumerate(calls[0].args):
        if isinstance(arg, Ref):
            if calls[0].name != "setitem" or position == 2:
                yield Place(calls, position, None, part)
        elif isinstance(arg, (tuple, list)) and calls[0].name != "getitem":
            for inner, part in enumerate(arg):
                if isinstance(part, Ref):
                    yield Place(calls, position, inner, part)


def _held(case: Case, slopes: Slopes, held: list[tuple[Any, Place]]) -> Find | float | None:
    """What holding operands explains; 1.0 where it changes nothing."""

    def edits_for(tape: Tape) -> dict[int, Edit]:
        edits: dict[int, Edit] = {}
        for key, place in held:
            calls = tape.forward_sites.get(key, [])[place.part]
            edits.update(holding(tape, Place(calls, place.position, place.inner)))
        return edits

    try:
        c = slopes.share(edits_for)
    except FAULTS:
        return None
    if c is None or abs(c - 1) < 1e-4:
        return c and 1.0
    return _meaning(case, c, held[0][1].calls[0])


def holding(tape: Tape, place: Place) -> dict[int, Edit]:
    """Edits under which the operand has the value that it has without a step."""
    kept: dict[int, Any] = {}

    def keep(call: Call, args: list, kwargs: dict, env: list) -> Any:
        value = place.get(args)
        kept[call.number] = _copied(value)
        return call.function(*args, **kwargs)

    def hold(call: Call, args: list, kwargs: dict, env: list) -> Any:
        place.put(args, _copied(kept[call.number]))
        return call.function(*args, **kwargs)

    tape.run_forward({call.number: keep for call in place.calls})
    return {call.number: hold for call in place.calls}


def _copied(value: Any) -> Any:
    if isinstance(value, list):
        return [_copied(v) for v in value]
    return value.copy() if isinstance(value, np.ndarray) else value


def _meaning(case: Case, c: float, call: Call) -> Find:
    names = tuple(case.wrong)
    where = str(call.site)
    if abs(c) < 1e-4:
        lost = call.name not in SUMMARIES and "detach" not in where
        text = f"the claim is exactly what remains when {where} passes nothing back"
        return Find("detached_path", names, text, 0.9, 2.6 if lost else 2.55)
    if abs(c + 1) < 1e-4:
        text = f"the contribution through {where} has the wrong sign"
        return Find("sign", names, text, 0.9, 2.65)
    if c < 0:
        text = f"the contribution through {where} is {c:.6g} times what it should be"
        return Find("sign", names, text, 0.6, 4.6)
    factor = describe(case, 1 / c)
    order = 2.7 if "(" in factor else 4.5
    name = "extra_factor" if any(abs(c * n - 1) < 1e-4 for n in case.sizes if n > 2) else (
        "missing_factor")  # fmt: skip
    text = f"the contribution through {where} is {c:.6g} times what it should be: {factor}"
    return Find(name, names, text, 0.8, order)


def _stepped(case: Case, slopes: Slopes, key: Any, calls: list[Call]) -> list[Find]:
    """A gradient claimed straight through rounding or a comparison."""
    if calls[0].name not in STEPPED:
        return []
    straight: dict[int, Any] = {}

    def keep(call: Call, args: list, kwargs: dict, env: list) -> Any:
        result = call.function(*args, **kwargs)
        straight[call.number] = (np.array(args[0], float), np.array(result, float))
        return result

    def through(call: Call, args: list, kwargs: dict, env: list) -> Any:
        x, y = straight[call.number]
        return y + (np.asarray(args[0]) - x)

    def edits_for(tape: Tape) -> dict[int, Edit]:
        same = tape.forward_sites.get(key, [])
        tape.run_forward({call.number: keep for call in same})
        return {call.number: through for call in same}

    try:
        for k, (_, tape) in enumerate(slopes.taped):
            found = slopes.along(k, edits_for(tape))
            if np.abs(found - slopes.claimed[k]).max() > 2e-5 * slopes.top:
                return []
    except FAULTS:
        return []
    text = f"the gradient passes straight through {calls[0].site}, whose slope is 0"
    return [Find("not_differentiable", tuple(case.wrong), text, 0.9, 0.9)]
