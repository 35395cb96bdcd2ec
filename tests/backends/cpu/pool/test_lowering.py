"""Pooling inside a plan, at every vector width, against the reference."""

import numpy as np
import pytest

from backlit.ops import pool as ops
from backlit.ops.op import apply

from ..lowering import check_lowering

CASES = {
    "halves": ((2, 20, 8, 6), {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
    "odd": ((3, 17, 9, 7), {"kernel": (2, 2), "stride": (2, 2), "padding": (0, 0)}),
    "overlapping": ((2, 5, 9, 8), {"kernel": (3, 3), "stride": (2, 2), "padding": (1, 1)}),
    "asymmetric": ((2, 33, 9, 8), {"kernel": (3, 2), "stride": (1, 3), "padding": (1, 0)}),
    "ceil": (
        (2, 3, 8, 9),
        {"kernel": (3, 3), "stride": (2, 2), "padding": (0, 1), "ceil_mode": True},
    ),
    "1-d": ((3, 31, 11), {"kernel": (3,), "stride": (3,), "padding": (0,)}),
    "3-d": ((1, 4, 4, 6, 5), {"kernel": (2, 2, 2), "stride": (2, 2, 1), "padding": (0, 1, 1)}),
    "large window": ((1, 2, 13, 12), {"kernel": (12, 11), "stride": (1, 1), "padding": (0, 0)}),
    "whole plane": ((4, 64, 4, 4), {"kernel": (4, 4), "stride": (4, 4), "padding": (0, 0)}),
}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("vector_width")
def test_maximum(case: str, dtype: type, rng: np.random.Generator) -> None:
    shape, given = CASES[case]
    options = {"ceil_mode": False, "dilation": (1,) * len(given["kernel"]), **given}
    x = rng.integers(0, 9, shape).astype(dtype)  # with equal values
    x[0, 0, 0, ...] = np.nan

    def step(x):
        y, indices = apply(ops.MaxPool, x, **options)
        return apply(ops.MaxPoolGrad, y * y, indices, size=shape[2:]), y

    def shown(x):
        y, indices = apply(ops.MaxPool, x, **options)
        return apply(ops.MaxPoolGrad, y, indices, size=shape[2:]), indices

    check_lowering(step, x)
    check_lowering(shown, x)


def test_dilated_maximum(rng: np.random.Generator) -> None:
    options = {
        "kernel": (2, 3),
        "stride": (2, 1),
        "padding": (1, 1),
        "dilation": (2, 3),
        "ceil_mode": False,
    }
    x = rng.standard_normal((2, 9, 9, 11))

    def step(x):
        y, indices = apply(ops.MaxPool, x, **options)
        return apply(ops.MaxPoolGrad, y, indices, size=(9, 11))

    check_lowering(step, x)


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("divisor", [None, 3])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.usefixtures("vector_width")
def test_average(case: str, include: bool, divisor: int, rng: np.random.Generator) -> None:
    shape, given = CASES[case]
    options = {"ceil_mode": False, "count_include_pad": include, "divisor": divisor, **given}
    x = rng.standard_normal(shape)

    def step(x):
        y = apply(ops.AvgPool, x, **options)
        return y, apply(ops.AvgPoolGrad, y, size=shape[2:], **options)

    check_lowering(step, x)
    check_lowering(step, x.astype(np.float32))


def test_indices_of_others_stay_in_python(rng: np.random.Generator) -> None:
    g, indices = rng.standard_normal((2, 3, 2, 2)), rng.integers(0, 16, (2, 3, 2, 2))
    check_lowering(lambda g, i: apply(ops.MaxPoolGrad, g, i, size=(4, 4)), g, indices, callbacks=1)
