"""Every operator's sample rows can be derived, and every line holds."""

from __future__ import annotations

import warnings

import harness
import pytest
from rows import Row
from samples import ROWS

import backlit as bl

DERIVED = [r for r in ROWS if harness.is_published(r) and r.args and harness.has_gradient(r)]
GROUPS = 12  # so many tests: a derivation alone costs less than a test


def derivations(row: Row) -> list:
    """The derivation of the first call, if it has a gradient."""
    found = []
    for case in harness.cases(row)[:1]:
        bl.manual_seed(1)
        outputs = case.run(harness.function_of(row), harness.leaves(case))
        rng = harness.seed_of(row, 0)
        drawn = harness.directions(outputs, rng)
        wanted = [(outputs[i], g) for i, g in drawn.items() if g.size]
        if wanted:
            loss = sum((y * bl.from_numpy(g)).sum() for y, g in wanted)
            found.append(bl.see.derive(loss))
    return found


@pytest.mark.parametrize("group", range(GROUPS))
def test_lines_of_every_operator_hold(group: int) -> None:
    for row in DERIVED[group::GROUPS]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # rows of warnings are checked elsewhere
            made = derivations(row)
        for derivation in made:
            broken = [line.text for line in derivation.lines if not line.ok]
            assert not broken, f"{row.name}: {broken[:2]}"
            assert derivation.error <= 1e-12, row.name
            assert all(line.tex.count("{") == line.tex.count("}") for line in derivation.lines)
