"""Random numbers of kernels: the bits of backlit/random.py, at any offset, width and thread."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import dtypes as dt
from backlit.backends import reference
from backlit.backends.cpu import philox
from backlit.backends.cpu.plans import executable
from backlit.compiler.pipeline import optimize
from backlit.nn import functional as F
from backlit.program import capture
from backlit.program.ir import Instr, Program, Value

SEEDS = [(1, 0), (2**63 + 12345, 3), (-5, 2**33 + 1), (7, 4 * 16384 - 2)]


def drawing(op: str, **params: object) -> Program:
    seed, offset = (Value(n, (), dt.int64) for n in ("seed", "offset"))
    dtype = params.get("dtype", dt.bool_)
    y = Value("y", params["shape"], dtype)  # type: ignore[arg-type]
    return Program("draw", (seed, offset), (Instr(op, (seed, offset), (y,), params),), (y,))


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5, 11), (3 * philox.BLOCK + 17,)])
@pytest.mark.parametrize("op", ["keep_mask", "float32", "float64"])
def test_the_same_bits_as_eager(op: str, shape: tuple, vector_width: int) -> None:
    if op == "keep_mask":
        program = drawing(op, shape=shape, p=0.3)
    else:
        program = drawing("uniform", shape=shape, dtype=getattr(dt, op))
    made = executable.build(program, {}, {}, 2)
    assert [t.implementation for t in made.tasks] == ["generated"]
    for seed, offset in SEEDS:
        state = [np.array(seed & (2**64 - 1), np.uint64).view(np.int64), np.array(offset)]
        (found,), (expected,) = made.run(state), reference.run(program, state)
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("p", [0.0, 1e-12, 0.5, 1.0])
def test_probabilities_at_the_ends(p: float) -> None:
    program = drawing("keep_mask", shape=(1000,), p=p)
    state = [np.array(3), np.array(1)]
    (found,) = executable.build(program, {}, {}).run(state)
    np.testing.assert_array_equal(found, reference.run(program, state)[0])


def test_dropout_draws_its_mask_once_for_both_ways() -> None:
    def step(x: bl.Tensor) -> list:
        bl.manual_seed(3)
        x.requires_grad_()
        y = F.dropout(x * 2, 0.4)
        z = F.dropout2d(y, 0.5) + bl.bernoulli(x.detach().sigmoid())
        (g,) = bl.autograd.grad((z * z).sum(), x)
        return [y, z, g]

    x = bl.randn(3, 5, 7, 9)
    captured = capture(step, x)
    program = optimize(captured.program)
    made = executable.build(program, {}, {})
    assert sum(t.label == "keep_mask" for t in made.tasks) == 2
    assert all(t.implementation == "generated" for t in made.tasks)
    for found, expected in zip(made.run(list(captured.arrays)), step(x)):
        np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-5, atol=1e-6)
