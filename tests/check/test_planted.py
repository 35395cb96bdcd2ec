"""The doctor against planted errors: every one detected, the right cause first in 95 of 100.

That the suite itself is right is tested with central differences, without the doctor.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import planted
import pytest
from planted.case import CAUSES, Case, systematic
from planted.numeric import as_pair, disagreeing
from planted.score import Score, score

CASES = planted.cases(*planted.PAIRS, *planted.OURS)
DOUBTFUL = ("kink", "float32_noise")  # the gradient is right, the place is bad


def each(cases: list[Case]) -> Any:
    return pytest.mark.parametrize("case", cases, ids=[c.name for c in cases])


def pair_of(case: Case, *planted_error: Any) -> tuple:
    subject = case.subject(*planted_error)
    return subject if case.kind == "pair" else as_pair(subject)


@each(CASES)
def test_the_suite_is_right(case: Case) -> None:
    inputs = case.inputs()
    names = case.claimed(inputs)
    assert not disagreeing(pair_of(case), inputs, names, case.elsewhere())
    for b in [*case.bugs, *systematic(case)]:
        pair = pair_of(case, b)
        if b.either or b.cause in DOUBTFUL:
            continue
        found = disagreeing(pair, case.inputs(b), names, case.elsewhere(b))
        assert found == set(b.wrong), f"{b.cause} {b.changes}: {found} is wrong"


def test_every_cause_is_planted() -> None:
    by_cause = defaultdict(set)
    for case in CASES:
        for b in case.bugs:
            by_cause[b.cause].add(case.name)
    assert set(by_cause) == set(CAUSES)
    assert sum(len(c.bugs) for c in CASES) >= 500
    assert len(CASES) >= 100


SCORES: dict[str, Score] = {}


@each(CASES)
def test_planted_errors_are_detected(case: Case) -> None:
    missed = score(case).misses("detected")
    assert not missed, "\n".join(map(str, missed))
