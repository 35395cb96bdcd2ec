"""A value of the forward read in place of another one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import Bench, Site, Trial
from backlit.check.doctor.slips.common import (
    is_float,
    operands,
    stock_of,
    two_valued,
    value_at,
)
from backlit.check.doctor.tape import Call, Edit, Tape, refs


def saved_values(bench: Bench) -> Iterator[Trial]:
    """A value of the forward read as another one of the same shape: everywhere, or at a site."""
    tape = bench.first
    stock = stock_of(bench)
    read = {r.slot for c in tape.calls[tape.half :] for r in refs([*c.args, c.kwargs])}
    for words, old in stock:
        if not read.intersection(old):
            continue
        for what, new in stock:
            if len(new) not in (1, len(old)) or new == old or not _alike(tape, old[0], new[0]):
                continue
            stale = len(old) == len(new) > 1 or _same_place(tape, old[0], new)
            swaps = dict(zip(old, new if len(new) == len(old) else new * len(old)))
            kind = _kind_of_value(tape, old[0], new[0], stale and len(old) == 1)
            yield Trial(kind, 1.6, f"reading {what} instead of {words}", None,
                        lambda tape: {}, swaps=swaps)  # fmt: skip
        if len(old) > 1:
            for by in (1, -1):
                swaps = dict(zip(old[by:], old)) if by > 0 else dict(itertools.pairwise(old))
                yield Trial("stale_saved_value", 1.62, f"reading {words} one step apart", None,
                            lambda tape: {}, swaps=swaps)  # fmt: skip
    for site, calls, position in operands(bench):
        arg = calls[0].args[position]
        old = value_at(tape, calls[0], position)
        if arg.window is not None or (np.ndim(old) == 0 and not is_float(old)):
            continue
        for words, slots in stock:
            new = tape.values[slots[0]]
            if (
                np.shape(new) != np.shape(old)
                or slots[0] == arg.slot
                or (is_float(old) != is_float(new))
            ):
                continue
            for turn in (False, True) if len(slots) == len(calls) > 1 else (False,):
                if len(slots) not in (1, len(calls)):
                    continue
                stale = _same_place(tape, arg.slot, slots)
                kind = _kind_of_value(tape, arg.slot, slots[0], stale)
                if arg.slot in tape._late_sources - tape.seeds:  # drawn anew in the backward
                    kind = "mask_not_reused"
                yield Trial(kind, 1.65, f"{words} in place of the value read here", site,
                            _replaced(site, position, slots, turn))  # fmt: skip


def _alike(tape: Tape, a: int, b: int) -> bool:
    x, y = tape.values[a], tape.values[b]
    return np.shape(x) == np.shape(y) and is_float(x) == is_float(y) and a != b


def _kind_of_value(tape: Tape, old: int, new: int, stale: bool) -> str:
    if two_valued(tape.values[old]) and two_valued(tape.values[new]):
        return "mask_not_reused"
    if _elsewhere(tape, old, new):
        return "index_error"
    a, b = tape.values[old], tape.values[new]
    if np.ndim(a) > 1 and np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)):
        return "transposed"
    return "stale_saved_value" if stale else "wrong_saved_value"


def _elsewhere(tape: Tape, old: int, new: int) -> bool:
    """Whether two values are indices, the same numbers in another order, or other windows."""
    a, b = tape.values[old], tape.values[new]
    if getattr(a, "dtype", np.dtype(float)).kind in "iu":
        return True
    if np.ndim(a) > 1 and any(
        np.array_equal(np.transpose(a, axes), b)
        for axes in itertools.islice(itertools.permutations(range(np.ndim(a))), 1, 24)
    ):
        return False
    if np.ndim(a) and np.array_equal(np.sort(a, axis=None), np.sort(b, axis=None)):
        return True
    by = {c.made: c.args[0] for c in tape.calls if c.name == "getitem" and type(c.made) is int}
    return old in by and new in by and by[old] == by[new]


def _same_place(tape: Tape, slot: int, others: list[int]) -> bool:
    made = {c.made: c.site for c in tape.calls if isinstance(c.made, int)}
    return slot in made and made.get(others[0]) == made[slot]


def _replaced(site: Site, position: int, slots: list[int], turn: bool) -> Callable:
    def make(tape: Tape) -> dict[int, Edit]:
        calls = site.calls(tape)
        order = slots[::-1] if turn else slots
        made: dict[int, Edit] = {}
        for i, call in enumerate(calls):
            slot = order[i] if len(order) > 1 else order[0]

            def edit(call: Call, args: list, kwargs: dict, env: list, slot: int = slot) -> Any:
                args[position] = env[slot]
                return call.function(*args, **kwargs)

            made[call.number] = edit
        return made

    return make
