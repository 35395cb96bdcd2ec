"""Every row as a Program, forward and backward: well formed, survives its text, runs the same.

What chooses by values in Python is refused while captured, with a hint; such rows are skipped.
"""

from __future__ import annotations

from typing import Any

import harness
import numpy as np
import pytest
from rows import Row
from test_rows import ROWS, each

import backlit as bl
from backlit.backends import reference
from backlit.errors import ProgramError
from backlit.program import capture, parse, write
from backlit.tensor import Tensor


def with_gradients(row: Row, case: Any) -> Any:
    """The row's call, returning its tensors and the gradients of their sum."""

    def call(*tensors: Tensor) -> tuple[Tensor, ...]:
        found = case.run(harness.function_of(row), tensors)
        outputs = [y for y in found if isinstance(y, Tensor)]
        sources = [y for y in outputs if y.requires_grad]
        inputs = [x for x in tensors if x.requires_grad]
        if not harness.has_gradient(row) or not sources or not inputs:
            return tuple(outputs)
        ones = [bl.ones_like(y) for y in sources]
        grads = bl.autograd.grad(sources, inputs, ones, allow_unused=True)
        return (*outputs, *(g for g in grads if g is not None))

    return call


@each([r for r in ROWS if r.args])
def test_a_row_as_a_program(row: Row) -> None:
    refusals = 0
    cases = harness.cases(row)
    for case in cases:
        try:
            captured = capture(with_gradients(row, case), *harness.leaves(case))
        except ProgramError as error:
            assert error.hint, f"{row.name}: refused without a hint: {error}"
            refusals += 1
            continue
        program = reference.check(captured.program)
        again = parse(write(program))
        assert again == program
        outputs = reference.run(again, captured.arrays)
        for found, expected in zip(outputs, captured.result, strict=True):
            np.testing.assert_array_equal(found, expected.cell.array, row.name)
    if refusals == len(cases):
        pytest.skip("reads values while it runs")
