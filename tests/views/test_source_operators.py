"""Every operator as NumPy text: forward and backward of the operators' own samples, run again.

The rows are those of tests/ops; an operator that is registered later is here with its row.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.autograd import observe
from backlit.backends import reference
from backlit.errors import ProgramError
from backlit.ops.op import REGISTRY, Composite, apply
from backlit.program import capture
from backlit.program.ir import Instr, Program, Value
from backlit.views.source.frame import written
from backlit.views.source.listing import Listing, Trail
from backlit.views.source.literals import Unprintable, numpy_dtype
from backlit.views.source.source import Source

sys.path.insert(0, str(Path(__file__).parents[1] / "ops"))
import harness
from samples import ROWS as ALL

ROWS = [r for r in ALL if r.args and harness.is_published(r)]
NOT_ALONE = {"callback"}  # the user's own Python


def run(made: Listing) -> list:
    """The outputs of a Program as its printed file computes them."""
    shown, writer = written(made)
    text = Source(shown)
    text.arrays = writer.stored
    found = text.run()
    assert "backlit" not in text.replace("written by Backlit", "")
    return [found[writer.names[v.name]] for v in made.program.outputs if isinstance(v, Value)]


def compare(found: list, program: Program, arrays: list, what: str) -> None:
    """Values, shapes and dtypes of the reference."""
    expected = reference.run(program, arrays)
    expected = [e for e, v in zip(expected, program.outputs) if isinstance(v, Value)]
    for got, want in zip(found, expected, strict=True):
        got, want = np.asarray(got), np.asarray(want)
        assert got.dtype == numpy_dtype(want.dtype), f"{what}: {got.dtype}, not {want.dtype}"
        if got.dtype == want.dtype:
            harness.close(got, want, 1e-12 if want.dtype == np.float64 else 1e-5, what)


@pytest.mark.parametrize("row", ROWS, ids=[f"{r.name}-{i}" for i, r in enumerate(ROWS)])
def test_a_row_forward_and_backward(row):
    for position in sorted({0, len(row.args) - 1}):
        case = harness.Case(row.args[position], harness.seed_of(row, position))
        trail = Trail()
        try:
            with observe(trail):
                captured = capture(
                    harness.step_of(row, case), *(bl.from_numpy(a) for a in case.arrays())
                )
        except ProgramError:  # it reads values: tests/ops/test_programs.py has the list
            continue
        program = captured.program
        arrays = {v.name: a for v, a in zip(program.inputs, captured.arrays)}
        try:
            found = run(Listing(program, arrays, pulls=trail.pulls))
        except Unprintable:
            assert any(i.op in NOT_ALONE for i in program.instrs)
            continue
        compare(found, program, list(captured.arrays), f"{row.name}, arguments {position}")


class Applied(bl.autograd.Observer):
    """The first application of every operator, as a Program of one instruction."""

    def __init__(self):
        self.found = {}

    def after_forward(self, op, inputs, params, outputs, node):
        if op.name in self.found or op.name not in REGISTRY:
            return
        arrays = [
            getattr(x, "array", getattr(getattr(x, "cell", None), "array", x)) for x in inputs
        ]
        inputs = tuple(value(f"x{i}", a) for i, a in enumerate(arrays))
        made = tuple(None if t is None else value(f"y{i}", t.cell.array)
                     for i, t in enumerate(outputs))  # fmt: skip
        given = tuple(x for x in inputs if isinstance(x, Value))
        program = Program("one", given, (Instr(op.name, inputs, made, dict(params)),),
                          tuple(v for v in made if v is not None))  # fmt: skip
        self.found[op.name] = program, [a for a in arrays if isinstance(a, np.ndarray)]


def value(name, x):
    return Value(name, x.shape, bl.dtypes.of_array(x)) if isinstance(x, np.ndarray) else x


@pytest.fixture(scope="module")
def applied():
    watch = Applied()
    with np.errstate(all="ignore"):
        for row in ROWS:
            for position in {0, len(row.args) // 2, len(row.args) - 1}:
                case = harness.Case(row.args[position], harness.seed_of(row, position))
                with observe(watch):
                    harness.step_of(row, case)(*(bl.from_numpy(a) for a in case.arrays()))
        with observe(watch):  # made by rules of rules, and within bodies
            x = bl.randn(1, 1, 4, 4).double().requires_grad_()
            y = (bl.nn.functional.max_pool2d(x, 2) ** 2).sum()
            (g,) = bl.autograd.grad(y, x, create_graph=True)
            (g * g).sum().backward()
            apply(REGISTRY["detach"], x)
    return watch.found


def test_every_registered_operator_is_printed(applied):
    waiting = {n for n, op in REGISTRY.items() if not issubclass(op, Composite)} - NOT_ALONE
    missing = sorted(waiting - applied.keys())
    assert not missing, f"no sample applies {missing}"
    for name in sorted(waiting):
        program, arrays = applied[name]
        given = {v.name: a for v, a in zip(program.inputs, arrays)}
        compare(run(Listing(program, given)), program, arrays, name)
