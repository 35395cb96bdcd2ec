"""Lost contributions at a fork: an input that is read in several places, some of which count.

To first order the slope by an input is the sum of what each reader passes on. Each share is
measured by holding that reader (tangents.py); the claim is then compared with all partial sums.
"""

from __future__ import annotations

from itertools import combinations, islice
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import FAULTS
from backlit.check.doctor.tangents import SUMMARIES, WORK, Place, holding, slope_along
from backlit.check.doctor.tape import Ref, Tape, refs
from backlit.check.doctor.truth import Point, size_of
from backlit.check.doctor.whole import Case, Find

DIRECTIONS = 4
READERS = 8  # of one input at most


def causes(case: Case, taped: list[tuple[Point, Tape]], accumulates: bool) -> list[Find]:
    """For each wrong input, the readers whose contribution is missing."""
    finds = []
    for name in case.wrong:
        readers = _readers(taped[0][1], name)
        cost = taped[0][1].half * len(readers) * DIRECTIONS * 2 * len(taped)
        if not 2 <= len(readers) <= READERS or cost > WORK or not case.shaped(name):
            continue
        try:
            found = _missing(case, taped, name, readers)
        except FAULTS:
            continue
        if found:
            finds.append(_find(name, [readers[i] for i in found], accumulates, taped[0][1]))
    return finds


def _readers(tape: Tape, name: str) -> list[tuple[Any, int, slice]]:
    """Sites of the forward that read an input, with the argument that does; rounds of a loop."""
    slot = tape.inputs.get(name)
    found = {}
    for key, calls in tape.forward_sites.items():
        if key[3]:  # the same calls by their callers
            continue
        for position, arg in enumerate(calls[0].args):
            if isinstance(arg, Ref) and arg.slot == slot:
                twice = sum(r.slot == slot for r in refs(calls[0].args)) > 1
                found[key] = -1 if twice else position
                break
    listed = [(key, position, slice(None)) for key, position in found.items()]
    rounds = [len(tape.forward_sites[key]) for key in found]
    if sum(rounds) > READERS or max(rounds, default=1) == 1:
        return listed
    return [
        (key, position, slice(i, i + 1))
        for (key, position), n in zip(found.items(), rounds)
        for i in range(n)
    ]


def _missing(case: Case, taped: list[tuple[Point, Tape]], name: str,
             readers: list[tuple[Any, int, slice]]) -> tuple[int, ...]:  # fmt: skip
    """Which readers the claim leaves out; nothing if that does not explain it."""
    rng = np.random.default_rng(11)
    shares, claims, truths = [], [], []
    for p, tape in taped:
        for _ in range(DIRECTIONS):
            move = rng.standard_normal(p.values[name].shape) * size_of(p.values[name])
            move = np.where(case.usable(p, name), move, 0.0)
            moved = {n: move if n == name else np.zeros(v.shape) for n, v in p.values.items()}
            total = slope_along(tape, p, moved, None)
            parts = []
            for key, position, part in readers:
                calls = tape.forward_sites.get(key, [])[part]
                edits = holding(tape, Place(calls, position))
                parts.append(total - slope_along(tape, p, moved, edits))
            shares.append(parts)
            claims.append(float(case.claim(p, name)[move != 0] @ move[move != 0]))
            truths.append(total)
    table, claim = np.array(shares), np.array(claims)
    slack = 2e-5 * max(np.abs(claim).max(), np.abs(truths).max())
    if np.abs(table.sum(axis=1) - np.array(truths)).max() > slack:
        return ()
    for n in range(1, len(readers)):
        for left in islice(combinations(range(len(readers)), n), 70):
            kept = table.sum(axis=1) - table[:, list(left)].sum(axis=1)
            if np.abs(kept - claim).max() <= slack and np.abs(kept).max() > slack:
                return left
    return ()


def _find(name: str, lost: list[tuple[Any, int, slice]], accumulates: bool, tape: Tape) -> Find:
    calls = [tape.forward_sites[key][part][0] for key, _, part in lost]
    listed = "; ".join(dict.fromkeys(str(c.site) for c in calls))
    if not accumulates or all(c.name in SUMMARIES for c in calls):
        text = f"no gradient of {name} comes back through {listed}"
        return Find("detached_path", (name,), text, 0.93, 1.285)
    text = f"lost at the fork {name}: the claim has only some contributions, not that of {listed}"
    return Find("lost_accumulation", (name,), text, 0.95, 1.285)
