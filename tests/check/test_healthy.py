"""The doctor leaves right gradients alone: at most one false alarm in 200, and none tolerated here.

Every instance is drawn with a fixed seed, so that what passes once passes always.
"""

from __future__ import annotations

from typing import Any

import planted
import pytest
from planted import operators
from planted.case import Case
from planted.healthy import alarm, healthy

MODULES = (*planted.PAIRS, *planted.OURS)


def each(rows: list) -> Any:
    return pytest.mark.parametrize("row", rows, ids=[f"{i}-{r.name}" for i, r in enumerate(rows)])


@pytest.mark.parametrize("module", MODULES)
def test_right_gradients_are_left_alone(module: str) -> None:
    said = [a for a in map(alarm, healthy(module)) if a]
    assert not said, "\n".join(said)


@each(operators.rows())
def test_operators_are_left_alone(row: Any) -> None:
    said = operators.alarms(row, most=2)
    assert not said, "\n".join(said)


def test_an_error_would_be_seen() -> None:
    case: Case = planted.cases("layers")[0]
    instance = next(iter(healthy("layers")))
    instance.changes = case.bugs[0].changes
    instance.draw = case.bugs[0].inputs or case.draw
    assert alarm(instance)
