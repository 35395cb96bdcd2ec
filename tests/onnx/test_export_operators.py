"""Every operator's sample rows, exported and run by onnxruntime; what can't be exported is listed.

A call that onnxruntime does not implement in its dtype is run by the onnx package's reference.
"""

from __future__ import annotations

import harness
import numpy as np
import onnx
import onnxruntime
import pytest
from rows import Row
from samples import ROWS as ALL

import backlit as bl
from backlit.errors import GradError, NotAvailable, ProgramError
from backlit.onnx.exporting.lowering import table
from backlit.onnx.exporting.running import run
from backlit.ops.op import REGISTRY
from backlit.tensor import Tensor

ROWS = [r for r in ALL if r.args and harness.is_published(r)]

# Operators that have no ONNX form: random numbers, decompositions of matrices, the gamma function
# and its kin, numbers seen bit by bit, calls into Python. The list may only shrink.
REFUSED = {
    "alpha_dropout", "bernoulli", "dropout", "feature_dropout", "keep_mask", "multinomial",
    "random_integer", "random_permutation", "standard_normal", "uniform",
    "cholesky", "eigh", "inv", "matrix_rank", "pinv", "qr", "slogdet", "solve",
    "solve_triangular", "svd",
    "digamma", "erfinv", "gammaln", "lgamma", "polygamma",
    "gcd", "lcm", "nextafter", "callback",
}  # fmt: skip
# Rows with a NaN that onnxruntime orders otherwise: it is passed over, or stands last.
NAN_ELSEWHERE = {"sort", "F.max_pool1d"}
VALUES = ("read into Python", "depends on values")


def exported(call, tensors: list[Tensor]) -> onnx.ModelProto:
    names = [f"in{i}" for i in range(len(tensors))]
    return bl.onnx.export(call, tuple(tensors), input_names=names).model_proto


def outputs(made: onnx.ModelProto, arrays: list[np.ndarray]) -> list[np.ndarray]:
    try:
        return run(made, arrays)
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        evaluator = onnx.reference.ReferenceEvaluator(made)
        return evaluator.run(None, dict(zip((i.name for i in made.graph.input), arrays)))


def is_refused(error: Exception) -> bool:
    """Whether a call is one of those that no file can hold."""
    if isinstance(error, NotAvailable):
        return any(str(error).startswith(f"onnx.export: {name}: ") for name in REFUSED)
    return isinstance(error, GradError) or any(v in str(error) for v in VALUES)


@pytest.mark.parametrize("row", ROWS, ids=[f"{r.name}-{i}" for i, r in enumerate(ROWS)])
def test_a_row_gives_the_same_by_onnxruntime(row: Row) -> None:
    for position, args in enumerate(row.args):
        case = harness.Case(args, harness.seed_of(row, position))
        tensors = [bl.from_numpy(a) for a in case.arrays(np.float32)]

        def call(*xs: Tensor, case: harness.Case = case) -> list[Tensor]:
            return [y for y in case.run(harness.function_of(row), xs) if isinstance(y, Tensor)]

        try:
            made = exported(call, tensors)
        except (NotAvailable, ProgramError, GradError) as error:
            assert is_refused(error), error
            continue
        expected = [y.detach().cell.array for y in call(*tensors)]
        if not expected:
            continue
        onnx.checker.check_model(made, full_check=True)
        arrays = [t.detach().cell.array for t in tensors]
        if row.name in NAN_ELSEWHERE and any(np.isnan(a).any() for a in arrays):
            continue
        found = outputs(made, arrays)
        assert [y.dtype for y in found] == [e.dtype for e in expected]
        for y, e in zip(found, expected):
            tolerance = max(1e-5, row.tol, row.tol32)
            harness.close(y, e, tolerance, f"{row.name}, arguments {position}")


def test_what_is_listed_as_refused_has_no_rule() -> None:
    assert REGISTRY.keys() >= REFUSED
    assert not REFUSED & table().keys()


def test_rules_are_of_operators() -> None:
    assert table().keys() - REGISTRY.keys() == {"batch_norm_by_running"}
