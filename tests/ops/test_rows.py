"""Every row of samples under every check; an operator without a row fails."""

from __future__ import annotations

from typing import Any

import harness
import numpy as np
import pytest
from rows import Row
from samples import ROWS as ALL

from backlit.api import NAMESPACES
from backlit.autograd import observe
from backlit.ops.op import REGISTRY, Elementwise


def each(rows: list[Row]) -> Any:
    names: dict[str, int] = {}
    ids = []
    for row in rows:
        names[row.name] = names.get(row.name, 0) + 1
        ids.append(row.name if names[row.name] == 1 else f"{row.name}#{names[row.name]}")
    return pytest.mark.parametrize("row", rows, ids=ids)


def is_elementwise(row: Row) -> bool:
    names = harness.operators_of(row)
    return len(names) == 1 and issubclass(REGISTRY[names[0]], Elementwise)


ROWS = [r for r in ALL if harness.is_published(r) and r.args]
SMOOTH = [r for r in ROWS if r.smooth and harness.has_gradient(r)]
ELEMENTWISE = [r for r in ROWS if is_elementwise(r)]
IN_PLACE = [r for r in ELEMENTWISE if harness.function_of(r).__name__ + "_" in NAMESPACES["Tensor"]]


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_operator_has_a_row(name: str) -> None:
    covered = {op for row in ROWS for op in harness.operators_of(row)}
    assert name in covered, f"operator {name} has no row in tests/ops/samples"


@each(ALL)
def test_row_calls_a_published_function(row: Row) -> None:
    assert harness.is_published(row), f"{row.name} does not exist"
    assert row.args or row.bad, f"{row.name}: a row without arguments checks nothing"


@pytest.mark.torch
@each([r for r in ROWS if r.torch is not None])
def test_equals_torch_in_float64(row: Row) -> None:
    harness.equals_torch(row, np.float64, row.tol)


@pytest.mark.torch
@each([r for r in ROWS if r.torch is not None])
def test_equals_torch_in_float32(row: Row) -> None:
    harness.equals_torch(row, np.float32, row.tol32)


@each([r for r in ROWS if r.numpy is not None])
def test_equals_numpy(row: Row) -> None:
    harness.equals_numpy(row)


@each(ROWS)
def test_infer_agrees_with_forward(row: Row) -> None:
    harness.infer_agrees(row)


@each(ROWS)
def test_memory_order_is_no_matter(row: Row) -> None:
    harness.memory_order_is_no_matter(row)


@each([r for r in ROWS if r.half])
def test_half_precision(row: Row) -> None:
    harness.half_agrees(row)


@each(SMOOTH)
def test_gradient_is_the_derivative(row: Row) -> None:
    harness.gradients_agree(row)


@each([r for r in SMOOTH if r.double])
def test_second_gradient_is_the_derivative_of_the_first(row: Row) -> None:
    harness.second_gradients_agree(row)


@each([r for r in ALL if harness.is_published(r) and r.bad])
def test_bad_input_is_refused(row: Row) -> None:
    harness.refuses(row)


@each(ROWS)
def test_latex(row: Row) -> None:
    harness.writes_latex(row)


@each(ELEMENTWISE)
def test_empty_tensors(row: Row) -> None:
    harness.zero_sizes(row)


@each(IN_PLACE)
def test_in_place(row: Row) -> None:
    harness.in_place_agrees(row)


@each(ELEMENTWISE)
def test_readings_of_the_formula_agree(row: Row) -> None:
    watch = harness.InferWatch()
    with observe(watch):
        for case in harness.cases(row):
            case.run(harness.function_of(row), harness.leaves(case))
    for op, inputs, params in watch.applied:
        if issubclass(op, Elementwise):
            harness.readings_agree(op, inputs, params)
