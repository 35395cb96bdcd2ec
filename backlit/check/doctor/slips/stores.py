"""`=` for `+=`, repeated indices, and contributions that were computed but not added."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import Bench, Site, Trial, sites
from backlit.check.doctor.slips.common import (
    at_site,
    changed,
    is_float,
    keys_of,
    places,
    produced,
    value_at,
)
from backlit.check.doctor.tape import Call, Edit, Tape, refs, slots_of


def stores(bench: Bench) -> Iterator[Trial]:
    """`+=` for `=`, and repeated indices that all count."""
    for site, calls in sites(bench):
        if calls[0].name != "setitem":
            continue
        fancy = _fancy(bench.first, calls[0])
        name = "index_error" if fancy else "lost_accumulation"
        words = "counting repeated indices" if fancy else "`+=` instead of `=`"

        def plain(call: Call, args: list, kwargs: dict, env: list) -> Any:
            np.add.at(args[0], args[1], args[2])

        def delta(call: Call, args: list, kwargs: dict, env: list) -> Any:
            np.add.at(args[0], args[1], args[2] - args[0][args[1]])

        yield at_site(site, name, 1.35, words, plain)
        if fancy:
            yield at_site(site, name, 1.35, words, delta)


def _fancy(tape: Tape, call: Call) -> bool:
    return any(
        getattr(tape.values[r.slot], "dtype", None) is not None
        and np.ndim(tape.values[r.slot]) > 0
        and tape.values[r.slot].dtype.kind in "iu"
        for r in refs(call.args[1])
    ) or any(isinstance(k, (list, range)) for k in keys_of(call.args[1]))


def accumulations(bench: Bench) -> Iterator[Trial]:
    """A contribution that was computed but not added."""
    tape = bench.first
    groups = produced(tape, tape.half)
    dead = [g for g in groups if all(slot not in tape.live for slot in g)]
    loops = [g for g in groups if len(g) > 1 and any(slot not in tape.live for slot in g)]
    for name in bench.case.wrong:
        shape = bench.case.points[0].values[name].shape
        inside = tape.parents(name)
        for part in [*dead, *([s for s in g if s not in tape.live] for g in loops), *groups]:
            if part and np.shape(tape.values[part[0]]) == shape and not inside.issuperset(part):
                order = 1.2 if part in dead else 1.6 if part not in groups else 3.0
                yield from _added(name, part, order)
        seeds = [s for s, v in tape.sources.items() if np.shape(v) == shape and is_float(v)]
        for slot in seeds:
            yield from _added(name, [slot], 3.2)
    for site, calls, position in places(bench):
        for part in dead:
            value = value_at(tape, calls[0], position)
            if np.shape(tape.values[part[0]]) != np.shape(value) or _later(tape, part, calls):
                continue
            yield from _joined(site, position, part)


def _later(tape: Tape, part: list[int], calls: list[Call]) -> bool:
    made = {s: c.number for c in tape.calls for s in slots_of(c.made)}
    return made.get(part[0], 0) >= calls[0].number


def _added(name: str, part: list[int], order: float) -> Iterator[Trial]:
    for sign in (1, -1):

        def finish(tape: Tape, env: list, claims: dict, sign: int = sign) -> dict:
            extra = sum(np.asarray(env[s], float) for s in part)
            return {**claims, name: np.asarray(claims[name]) + sign * extra}

        words = "adding a contribution that was computed" if sign > 0 else "subtracting one"
        kind = "lost_accumulation"
        yield Trial(kind, order + (sign < 0) * 0.05, words, None, lambda tape: {}, finish)


def _joined(site: Site, position: int | None, part: list[int]) -> Iterator[Trial]:
    def make(tape: Tape) -> dict[int, Edit]:
        calls = site.calls(tape)
        made: dict[int, Edit] = {}
        for i, call in enumerate(calls):
            slot = part[i] if len(part) == len(calls) else part[-1]

            def edit(call: Call, args: list, kwargs: dict, env: list, slot: int = slot) -> Any:
                return changed(position, lambda v: v + env[slot])(call, args, kwargs, env)

            made[call.number] = edit
        return made

    yield Trial("lost_accumulation", 1.5, "adding a contribution that was computed", site, make)
