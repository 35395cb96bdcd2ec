"""Attention and its gradient, compiled, against the operators' own rules."""

import numpy as np
import pytest

import backlit as bl
from backlit.backends.cpu.plans import executable
from backlit.nn import functional as F

from ..lowering import check_lowering

SHAPES = [  # lead, L, S, E, V
    ((3, 4), 17, 17, 16, 16), ((2,), 5, 33, 7, 10), ((), 1, 1, 1, 1), ((2, 3), 40, 20, 24, 31),
]  # fmt: skip


def check(function, *given):
    """As the reference, attention itself in native code."""
    program = check_lowering(function, *given, callbacks=None)
    tasks = executable.build(program, {}, {}).tasks
    python = {t.label for t in tasks if t.implementation == "callback"}
    used = {i.op for i in program.instrs} & {"attention", "attention_grad"}
    assert used and not used & python


def operands(shape, rng, dtype=np.float32):
    lead, rows, columns, inner, outer = shape
    sizes = ((rows, inner), (columns, inner), (columns, outer))
    return [rng.standard_normal((*lead, *s)).astype(dtype) for s in sizes]


def with_gradients(q, k, v, *mask, **options):
    q, k, v = (x.detach().requires_grad_() for x in (q, k, v))
    y = F.scaled_dot_product_attention(q, k, v, *mask, **options)
    return (y, *bl.autograd.grad((y * y).sum(), (q, k, v)))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_attention(shape, vector_width, rng):
    check(with_gradients, *operands(shape, rng))
    check(lambda *x: with_gradients(*x, is_causal=True, scale=0.3), *operands(shape, rng))


def test_float64(rng):
    check(with_gradients, *operands(SHAPES[1], rng, np.float64))


@pytest.mark.parametrize("mask", [(40, 20), (3, 40, 20), (40, 1), (2, 1, 1, 20)], ids=str)
def test_masks(mask, vector_width, rng):
    given = operands(SHAPES[3], rng)
    added = rng.standard_normal(mask).astype(np.float32)
    check(with_gradients, *given, added)
    allowed = added > 0
    allowed[..., :1, :] = False  # a query that may look nowhere
    check(with_gradients, *given, allowed)


def test_heads_in_one_array(rng):
    """Queries, keys and values are windows into one projection."""

    def run(x):
        x = x.detach().requires_grad_()
        q, k, v = x.reshape(3, 17, 3, 4, 16).permute(2, 0, 3, 1, 4).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v).permute(0, 2, 1, 3).reshape(3, 17, 64)
        return y, bl.autograd.grad((y * y).sum(), x)[0]

    check(run, rng.standard_normal((3, 17, 3 * 64)).astype(np.float32))


def test_a_query_for_all_heads(rng):
    q, k, v = operands(((2, 3), 5, 6, 8, 8), rng)
    check(F.scaled_dot_product_attention, q[:, :1], k, v)
