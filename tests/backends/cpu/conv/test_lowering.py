"""Convolutions inside a plan, at every vector width, against the reference."""

import ml_dtypes
import numpy as np
import pytest

from backlit.ops import conv as ops
from backlit.ops.op import apply

from ..lowering import check_lowering
from .test_eager import CASES, Case, arrays


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", [c for c in CASES if c.batch], ids=lambda c: c.name)
@pytest.mark.usefixtures("vector_width")
def test_agrees_with_reference(case: Case, dtype: type, rng: np.random.Generator) -> None:
    x, w, b, g = arrays(case, dtype, rng)

    def step(x, w, b, g):
        return (
            apply(ops.Conv, x, w, b, **case.options),
            apply(ops.Conv, x, w, None, **case.options),
            apply(ops.ConvGradInput, g, w, size=case.size, **case.options),
            apply(ops.ConvGradWeight, g, x, size=case.kernel, **case.options),
        )

    check_lowering(step, x, w, b, g)


@pytest.mark.parametrize("case", CASES[:8] + CASES[12:14], ids=lambda c: c.name)
@pytest.mark.usefixtures("vector_width")
def test_bfloat16(case: Case, rng: np.random.Generator) -> None:
    x, w, b, g = (a.astype(ml_dtypes.bfloat16) for a in arrays(case, np.float32, rng))

    def step(x, w, b, g):
        return (
            apply(ops.Conv, x, w, b, **case.options),
            apply(ops.ConvGradInput, g, w, size=case.size, **case.options),
            apply(ops.ConvGradWeight, g, x, size=case.kernel, **case.options),
        )

    check_lowering(step, x, w, b, g)


def test_empty_arrays_fall_back(rng: np.random.Generator) -> None:
    case = next(c for c in CASES if not c.batch)
    x, w, b, _ = arrays(case, np.float32, rng)
    check_lowering(lambda x, w, b: apply(ops.Conv, x, w, b, **case.options), x, w, b, callbacks=1)
