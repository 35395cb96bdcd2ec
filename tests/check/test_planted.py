"""The doctor against planted errors: every one detected, the right cause first in 95 of 100.

That the suite itself is right is tested with central differences, without the doctor.
"""

from __future__ import annotations

from collections import defaultdict
from importlib.util import find_spec
from typing import Any

import planted
import pytest
from planted.case import CAUSES, Case, systematic
from planted.numeric import as_pair, as_torch_pair, disagreeing
from planted.score import score

OWN = planted.cases(*planted.PAIRS, *planted.OURS)
THEIRS = planted.cases("torch_functions") if find_spec("torch") else []
DOUBTFUL = ("kink", "float32_noise")  # the gradient is right, the place is bad


def each(cases: list[Case]) -> Any:
    marked = [pytest.param(c, id=c.name, marks=pytest.mark.torch if c in THEIRS else ())
              for c in cases]  # fmt: skip
    return pytest.mark.parametrize("case", marked)


def pair_of(case: Case, *planted_error: Any) -> tuple:
    subject = case.subject(*planted_error)
    if case.is_pair:
        return subject
    return as_torch_pair(subject) if case in THEIRS else as_pair(subject)


@each([*OWN, *THEIRS])
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
    for case in OWN:
        for b in case.bugs:
            by_cause[b.cause].add(case.name)
    assert set(by_cause) == set(CAUSES)
    assert sum(len(c.bugs) for c in OWN) >= 500
    assert len(OWN) >= 100


@each([*OWN, *THEIRS])
def test_planted_errors_are_detected(case: Case) -> None:
    found = score(case)
    missed = found.misses("detected")
    assert not missed, "\n".join(map(str, missed))
