"""Backlit's own operators as right gradients: the sample rows of tests/ops, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import harness
import numpy as np
from rows import Row
from samples import ROWS

import backlit as bl

MOST = 60  # elements of all inputs: what is larger is checked by the rows' own tests
JUMPS = ("mode",)  # discontinuous where its samples are: no difference is a slope


def rows() -> list[Row]:
    """The rows that have a gradient, each public function with all its samples."""
    return [
        r for r in ROWS
        if r.args and harness.is_published(r) and harness.has_gradient(r) and r.name not in JUMPS
    ]  # fmt: skip


def examined(row: Row) -> Iterator[tuple[Any, dict[str, bl.Tensor]]]:
    """A function of the differentiated tensors alone, and these tensors by name."""
    for case in harness.cases(row):
        fixed = harness.leaves(case, np.float64, grad=False)
        names = {f"t{i}": i for i in case.active}
        if not names or sum(fixed[i].numel() for i in case.active) > MOST:
            continue
        inputs = {n: fixed[i].clone().requires_grad_() for n, i in names.items()}
        yield calling(row, case, fixed, list(names.values())), inputs


def calling(row: Row, case: harness.Case, fixed: list, active: list[int]) -> Any:
    def call(*tensors: bl.Tensor) -> list[bl.Tensor]:
        given = list(fixed)
        for i, t in zip(active, tensors):
            given[i] = t
        outputs = case.run(harness.function_of(row), given)
        kept = [y for y in outputs if isinstance(y, bl.Tensor) and y.requires_grad]
        return kept or [y for y in outputs if isinstance(y, bl.Tensor)]

    return call


def alarms(row: Row, most: int = 1000) -> list[str]:
    """What the doctor wrongly says about the first samples of a row."""
    found = []
    for k, (function, inputs) in enumerate(islice(examined(row), most)):
        bl.manual_seed(0)
        try:
            said = bl.check.doctor(function, inputs)
        except (Exception, Warning) as error:
            found.append(f"{row.name}, sample {k}: {type(error).__name__}: {error}")
            continue
        if not said.ok:
            causes = [c.name for c in said.causes[:3]]
            found.append(f"{row.name}, sample {k}: wrong={said.wrong}, causes={causes}")
    return found
