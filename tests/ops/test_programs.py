"""Every row as a Program: printed, parsed, verified, and run on other inputs than it was captured
with, so that a value which a rule has silently baked in shows."""

from __future__ import annotations

import harness
import numpy as np
import pytest
from rows import Row
from samples import ROWS as ALL

import backlit as bl
from backlit.backends import reference
from backlit.errors import ProgramError
from backlit.program import capture, parse
from backlit.tensor import Tensor

# Rows with arguments whose result depends on values that Python reads: bool masks, counts,
# pivots, a scaling by the norm. They are refused loudly; the list may only shrink.
READ_VALUES = {
    "bounded_embedding", "F.embedding_bag", "F.one_hot", "linalg.matrix_exp", "lstsq_rest",
    "lu", "lu_factor", "lu_solve", "masked_select", "nanquantile", "pick", "quantile",
    "repeat_interleave", "write",
}  # fmt: skip
ROWS = [r for r in ALL if r.args and harness.is_published(r)]


@pytest.mark.parametrize("row", ROWS, ids=[f"{r.name}-{i}" for i, r in enumerate(ROWS)])
def test_a_captured_row_runs_on_other_inputs(row: Row) -> None:
    for position, args in enumerate(row.args):
        case = harness.Case(args, harness.seed_of(row, position))
        other = harness.Case(args, harness.seed_of(row, position, 7))
        step = harness.step_of(row, case)
        try:
            captured = capture(step, *(bl.from_numpy(a) for a in case.arrays()))
        except ProgramError as error:
            plain = case.run(harness.function_of(row), harness.leaves(case))
            answers = not any(isinstance(y, Tensor) for y in plain)  # a Python number or bool
            known = answers or "depends on values" in str(error) or row.name in READ_VALUES
            assert known, error
            continue
        program = captured.program
        assert parse(str(program)) == program
        reference.check(program)
        arrays = [*other.arrays(), *captured.arrays[len(case.drawn) :]]
        found = reference.run(program, arrays)
        expected = step(*(bl.from_numpy(a) for a in other.arrays()))
        assert len(found) == len(expected)
        for y, e in zip(found, expected):
            array = e.detach().cell.array
            harness.close(np.asarray(y), array, 1e-12, f"{row.name}, arguments {position}")
