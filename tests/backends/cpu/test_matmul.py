"""Generated products against the reference: every layout, odd sizes, batches, epilogues."""

from collections.abc import Callable

import numpy as np
import pytest

import backlit as bl
from backlit.nn import functional as F
from backlit.program import capture
from backlit.program.ir import Instr, Program

from .lowering import check_lowering, check_program

FLOATS = (np.float32, np.float64)
SHAPES = [
    (1, 1, 1), (7, 3, 1), (1, 17, 33), (17, 31, 33), (6, 8, 16), (64, 20, 10), (100, 20, 2),
    (13, 300, 24), (5, 1100, 40), (65, 33, 257), (300, 40, 50),
]  # fmt: skip


def normal(rng: np.random.Generator, *shape: int, dtype: type = np.float32) -> np.ndarray:
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_matmul(shape, dtype, vector_width, rng):
    m, k, n = shape
    a, b = normal(rng, m, k, dtype=dtype), normal(rng, k, n, dtype=dtype)
    check_lowering(lambda a, b: a @ b, a, b)
    check_lowering(lambda a, b: a.mT @ b, a.T.copy(), b)
    check_lowering(lambda a, b: a @ b.mT, a, b.T.copy())
    gaps = [np.zeros((2 * x.shape[0], 3 * x.shape[1]), dtype) for x in (a, b)]
    for x, wide in zip((a, b), gaps, strict=True):
        wide[::2, ::3] = x
    check_lowering(lambda a, b: a[::2, ::3] @ b[::2, ::3], *gaps)


def test_parts_of_a_large_product(rng):
    """Blocks of k, of rows and of columns, packed and not."""
    a, b = normal(rng, 500, 2100), normal(rng, 2100, 700)
    check_lowering(lambda a, b: a @ b, a, b)
    check_lowering(lambda a, b: a[:100] @ b, a, b)
    check_lowering(lambda a, b: a.mT @ b, a.T.copy(), b)


@pytest.mark.parametrize("shapes", [
    ((4, 3, 5, 6), (4, 3, 6, 7)), ((4, 1, 5, 6), (3, 6, 7)), ((5, 6), (3, 6, 7)),
    ((2, 3, 5, 6), (6, 7)), ((4, 1, 6), (6, 7)), ((7, 1, 6), (7, 6, 20)),
], ids=str)  # fmt: skip
def test_batches(shapes, vector_width, rng):
    a, b = (normal(rng, *shape) for shape in shapes)
    check_lowering(lambda a, b: a @ b, a, b)
    swapped = [x.swapaxes(-1, -2).copy() for x in (a, b)]
    check_lowering(lambda a, b: a.mT @ b.mT, *swapped)


def test_heads_of_attention(rng):
    """Batches whose axes lie in another order, and a broadcast one."""
    x = normal(rng, 3, 17, 4 * 16)
    heads = lambda x: x.reshape(3, 17, 4, 16).permute(0, 2, 1, 3)
    check_lowering(lambda x: heads(x) @ heads(x).mT, x)
    check_lowering(lambda x: heads(x).mT @ heads(x)[:1].expand(3, 4, 17, 16), x)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(5, 6), (3, 4, 17), (2, 1, 33), (9,)], ids=str)
def test_linear(shape, dtype, vector_width, rng):
    x, w = normal(rng, *shape, dtype=dtype), normal(rng, 10, shape[-1], dtype=dtype)
    check_lowering(F.linear, x, w)
    for bias in [(10,), (1,), ()]:
        check_lowering(F.linear, x, w, normal(rng, *bias, dtype=dtype))
    check_lowering(lambda x, w: F.linear(x, w)[..., 3:], x, w)


def test_other_dtypes_and_nothing_at_all_stay_in_python(rng):
    whole = rng.integers(-5, 5, (4, 4))
    check_lowering(lambda a: a @ a, whole, callbacks=1)
    check_lowering(lambda a: a[:, :0] @ a[:0], normal(rng, 4, 4), callbacks=1)


# ----- epilogues -----


def as_body(program: Program) -> Program:
    """The whole program as the body of one instruction."""
    instr = Instr("fused", program.inputs, program.outputs, {"body": program})
    return Program("whole", program.inputs, (instr,), program.outputs)


def check_body(function: Callable, *arrays: np.ndarray) -> None:
    captured = capture(function, *(bl.from_numpy(a) for a in arrays))
    check_program(as_body(captured.program), list(captured.arrays))
