"""Signs and factors: a contribution times a constant, a product without one operand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import Bench, Site, Trial, meaning, sites
from backlit.check.doctor.slips.common import (
    PRODUCTS,
    at_site,
    changed,
    everywhere,
    in_place,
    places,
)
from backlit.check.doctor.tape import Call, Edit, Tape


def factors(bench: Bench) -> Iterator[Trial]:
    """A term times a constant; the constant is solved for, the gradients being linear in it."""
    found = []
    for site, calls, position in places(bench):
        if bench.tired:
            break

        def trial_of(c: float, site: Site = site, position: int | None = position) -> Trial:
            edit = changed(position, lambda v: v * c)
            return at_site(site, "sign", 1.0, "", edit)

        for names, solved in bench.fitted(trial_of):
            if abs(solved[0] - 1) > 1e-7:
                name, order, words = meaning(bench, solved, calls[0])
                order += len(bench.case.wrong) - len(names)
                found.append((order, name, words, site, position, solved))
    for order, name, words, site, position, solved in sorted(found, key=lambda f: f[0]):
        by_tape = {id(tape): c for (_, tape), c in zip(bench.taped, solved)}

        def make(tape: Tape, site: Site = site, position: int | None = position,
                 by_tape: dict = by_tape) -> dict[int, Edit]:  # fmt: skip
            c = by_tape[id(tape)]
            return everywhere(site.calls(tape), changed(position, lambda v: v * c))

        yield Trial(name, order, words, site, make)


def removals(bench: Bench) -> Iterator[Trial]:
    """A product without one of its operands."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name not in PRODUCTS or in_place(call):
            continue
        for keep in (0, 1) if call.name in ("multiply", "mul") else (0,):
            gone = call.args[1 - keep]
            if isinstance(gone, (int, float)):
                words = f"without the factor {gone:.6g}, it"
            else:
                words = "without one of the factors, it"

            def edit(call: Call, args: list, kwargs: dict, env: list, keep: int = keep) -> Any:
                result = call.function(*args, **kwargs)
                return np.array(np.broadcast_to(args[keep], np.shape(result)))

            order = 1.45 if isinstance(gone, (int, float)) else 1.7
            zero = isinstance(gone, (int, float)) and gone == 0
            name = "detached_path" if zero else "extra_factor"
            yield at_site(site, name, order, words, edit)
