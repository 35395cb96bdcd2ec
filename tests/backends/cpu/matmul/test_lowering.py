"""Generated products against the reference: every layout, odd sizes, batches, epilogues."""

from collections.abc import Callable

import numpy as np
import pytest

import backlit as bl
from backlit.backends import reference
from backlit.backends.cpu.plans import executable
from backlit.nn import functional as F
from backlit.program import capture
from backlit.program.ir import Instr, Program

from ..helpers import assert_close
from ..lowering import check_lowering, check_program, compiled

FLOATS = (np.float32, np.float64)
SHAPES = [
    (1, 1, 1), (7, 3, 1), (1, 17, 33), (17, 31, 33), (6, 8, 16), (64, 20, 10), (100, 20, 2),
    (13, 300, 24), (5, 1100, 40), (13, 300, 7), (40, 21, 3), (5, 128, 4), (33, 16, 1),
    (65, 33, 257), (300, 40, 50), (20, 300, 30),
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


def test_repeated_rows_and_columns(rng):
    """Axes of stride 0 in every place."""
    x, row, one = normal(rng, 40, 33), normal(rng, 1, 33), normal(rng, 1, 1)
    check_lowering(lambda x, row: row.expand(40, 33) @ x.mT, x, row)
    check_lowering(lambda x, row: x @ row.expand(40, 33).mT, x, row)
    check_lowering(lambda x, one: x @ one.expand(33, 20), x, one)
    check_lowering(lambda x, one: one.expand(20, 40) @ x, x, one)
    check_lowering(lambda x, row: F.linear(x, x, row[0, :1].expand(40)), x, row)
    check_lowering(lambda x, row: x @ row[0], x, row)


def test_other_dtypes_and_nothing_at_all_stay_in_python(rng):
    whole = rng.integers(-5, 5, (4, 4))
    check_lowering(lambda a: a @ a, whole, callbacks=1)
    check_lowering(lambda a: a[:, :0] @ a[:0], normal(rng, 4, 4), callbacks=1)


# ----- epilogues -----


def with_body(program: Program) -> Program:
    """The program from its first product on as the body of one instruction."""
    first = next(n for n, i in enumerate(program.instrs) if i.op in ("matmul", "linear"))
    views, rest = program.instrs[:first], program.instrs[first:]
    made = tuple(v for instr in views for v in instr.outputs)
    body = Program("body", (*program.inputs, *made), rest, program.outputs)
    instr = Instr("fused", body.inputs, body.outputs, {"body": body})
    return Program("whole", program.inputs, (*views, instr), program.outputs)


def check_body(function: Callable, *arrays: np.ndarray) -> tuple[Program, list[np.ndarray]]:
    captured = capture(function, *(bl.from_numpy(a) for a in arrays))
    program, given = with_body(captured.program), list(captured.arrays)
    check_program(program, given)
    return program, given


@pytest.mark.parametrize("shape", [(7, 9, 10), (65, 31, 33), (100, 20, 2), (20, 1100, 48)], ids=str)
def test_activations(shape, vector_width, rng):
    m, k, n = shape
    x, w, b = normal(rng, m, k), normal(rng, n, k), normal(rng, n)
    check_body(lambda x, w, b: F.linear(x, w, b).relu(), x, w, b)
    check_body(lambda x, w: F.linear(x, w).sigmoid() * 2.0, x, w)
    # a gradient where the activation kept its output; all of it in one body
    kept, scale = normal(rng, m, n), normal(rng)
    check_body(lambda x, w, y, s: (x @ w.mT) * (1 - y * y) * s, x, w, kept, scale)
    check_body(lambda x, w, k: (x @ w.mT).masked_fill(k, 0.5), x, w, kept > 0)
    check_body(lambda x, w, rows: (x @ w.mT) + rows, x, w, normal(rng, m, 1))
    gelu = lambda x, w, b: F.gelu(F.linear(x, w, b), approximate="tanh")
    check_body(gelu, x.astype(np.float64), w.astype(np.float64), b.astype(np.float64))


def adam(g, p, m, v, rate):
    m = m * 0.9 + g * 0.1
    v = v * 0.999 + g * g * 0.001
    return p - rate * m / (v.sqrt() + 1e-8), m, v


@pytest.mark.parametrize("shape", [(33, 64, 40), (10, 1300, 17)], ids=str)
def test_update_in_the_epilogue(shape, vector_width, rng):
    """A weight gradient goes straight into parameters and moments, also in their own memory."""
    m, k, n = shape
    g, x = normal(rng, k, m), normal(rng, k, n)
    state = [normal(rng, m, n), normal(rng, m, n), abs(normal(rng, m, n))]
    rate = np.float32(0.01)
    function = lambda g, x, p, m, v, rate: adam(g.mT @ x, p, m, v, rate)
    program, arrays = check_body(function, g, x, *state, np.array(rate))
    expected = reference.run(program, arrays)
    blocks = {i: arrays[i].copy() for i in (2, 3, 4)}
    executable.build(program, blocks, {n: blocks[n + 2] for n in range(3)}).run(
        [a for i, a in enumerate(arrays) if i not in blocks]
    )
    for block, e in zip(blocks.values(), expected, strict=True):
        assert_close(block, e)


@pytest.mark.parametrize("shape", [(7, 33, 10), (65, 300, 40)], ids=str)
def test_bfloat16(shape, vector_width, rng):
    """Multiplied and summed in float32, rounded once."""
    m, k, n = shape
    arrays = [x.astype(bl.bfloat16.numpy) for x in (normal(rng, m, k), normal(rng, n, k))]
    bias = normal(rng, n).astype(bl.bfloat16.numpy)
    close_enough(lambda x, w, b: (F.linear(x, w, b), x @ w.mT), *arrays, bias)
    body = lambda x, w, b: F.linear(x, w, b).relu() * 2
    close_enough(body, *arrays, bias, fuse=True)


def close_enough(function: Callable, *arrays: np.ndarray, fuse: bool = False) -> None:
    """As the reference but for the last bit: the order of a float32 sum may turn a rounding."""
    captured = capture(function, *(bl.from_numpy(a) for a in arrays))
    program = with_body(captured.program) if fuse else captured.program
    expected = reference.run(program, list(captured.arrays))
    for found, e in zip(compiled(program, list(captured.arrays)), expected, strict=True):
        assert found.dtype == e.dtype
        a, b = found.astype(np.float32), np.asarray(e).astype(np.float32)
        np.testing.assert_allclose(a, b, rtol=2**-7, atol=1e-5)
        assert (a != b).mean() < 0.02
