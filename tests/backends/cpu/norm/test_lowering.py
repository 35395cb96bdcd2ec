"""Batch normalization inside a plan, alone and with elementwise neighbours in one instruction."""

import ml_dtypes
import numpy as np
import pytest

from backlit.ops import norm as ops
from backlit.ops.op import apply

from ..lowering import check_lowering

SHAPES = [(4, 16, 8, 8), (3, 17, 5, 7), (2, 1, 33, 31), (5, 37, 6), (2, 12, 3, 4, 5), (33, 31)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("vector_width")
def test_agrees_with_reference(shape: tuple, dtype: type, rng: np.random.Generator) -> None:
    x, g = (rng.standard_normal(shape).astype(dtype) + i for i in (3, 0))
    w, b = (rng.standard_normal(shape[1]).astype(dtype) for _ in range(2))

    def step(x, g, w, b):
        found = apply(ops.BatchNorm, x, w, b, eps=1e-5)
        plain = apply(ops.BatchNorm, x, None, None, eps=1e-3)
        grads = apply(ops.BatchNormGrad, g, x, w, *found[1:], eps=1e-5)
        bare = apply(ops.BatchNormGrad, g, x, None, *plain[1:], eps=1e-3)
        return found, plain, grads, bare

    check_lowering(step, x, g, w, b)


@pytest.mark.usefixtures("vector_width")
def test_bfloat16(rng: np.random.Generator) -> None:
    x, g = (rng.standard_normal((4, 17, 9, 7)).astype(ml_dtypes.bfloat16) for _ in range(2))
    w, b = (rng.standard_normal(17).astype(np.float32) for _ in range(2))

    def step(x, g, w, b):
        found = apply(ops.BatchNorm, x, w, b, eps=1e-5)
        return found, apply(ops.BatchNormGrad, g, x, w, *found[1:], eps=1e-5)

    check_lowering(step, x, g, w, b)
