"""Every operator's sample rows can be derived, and every line holds."""

from __future__ import annotations

import warnings

import harness
import numpy as np
import pytest
from rows import Row
from samples import ROWS

import backlit as bl
from backlit.errors import FormulaError
from backlit.ops.op import REGISTRY, apply

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


NUMBERS = [
    name
    for name, op in REGISTRY.items()
    if op.elementwise and op.differentiable and None not in op.defaults.values()
]


def test_printed_numbers_of_formulas_are_read_back() -> None:
    """The grammar of LaTeX formulas reads what stands in a line: all its sides are equal."""
    rng, read = np.random.default_rng(0), 0
    for name in NUMBERS:
        op = REGISTRY[name]
        inputs = [bl.tensor(v, dtype=bl.float64, requires_grad=True)
                  for v in rng.uniform(0.2, 0.9, len(op.inputs)).tolist()]  # fmt: skip
        if name in ("where", "masked_fill", "nan_to_num", "acosh"):  # not of such numbers
            continue
        derivation = bl.see.derive(apply(op, *inputs, **op.defaults))
        assert derivation.ok, name
        lines = [line for line in derivation.lines if line.kind == "numbers"]
        try:
            sides = [[float(bl.expressions.run(s)[0]) for s in x.sides[1:]] for x in lines]
        except FormulaError:  # a function that the grammar has no name for
            continue
        read += 1
        for line, values in zip(lines, sides):
            np.testing.assert_allclose(values, values[-1], rtol=4e-3, atol=2e-3, err_msg=line.tex)
    assert read >= 60
