"""Recurrent layers and their gradients, compiled: the same as the operators' own rules."""

import numpy as np
import pytest

import backlit as bl
from backlit.backends.cpu.plans import executable

from ..lowering import check_lowering

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
SIZES = [(3, 5, 4, 8), (1, 1, 1, 1), (4, 9, 3, 33), (2, 70, 5, 17)]  # T, N, features, size


def check(function, *given):
    """As the reference; what surrounds the layer may run in Python, the layer may not."""
    program = check_lowering(function, *given, callbacks=None)
    tasks = executable.build(program, {}, {}).tasks
    python = {t.label for t in tasks if t.implementation == "callback"}
    walks = {"lstm", "lstm_grad", "gru", "gru_grad", "rnn", "rnn_grad"}
    assert walks & {i.op for i in program.instrs} and not walks & python


def layer(kind, x, h, c, weights, reverse=False):
    """One layer in both directions at once, or in one: (output, last states)."""
    states = (h, c) if kind == "lstm" else h
    biased = weights[-1].ndim == 1
    return getattr(bl, kind)(x, states, weights, biased, 1, 0.0, True, reverse, False)


def arrays(kind, sizes, rng, dtype, biases=True, directions=1):
    steps, batch, features, size = sizes
    rows = GATES[kind] * size
    shapes = [(steps, batch, features), (directions, batch, size), (directions, batch, size)]
    each = [(rows, features), (rows, size)] + [(rows,), (rows,)] * biases
    shapes += each * directions
    return [(rng.standard_normal(s) * 0.5).astype(dtype) for s in shapes]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", GATES)
def test_forward(kind, sizes, vector_width, rng):
    given = arrays(kind, sizes, rng, np.float32)
    check(lambda x, h, c, *w: layer(kind, x, h, c, w)[0], *given)


def losses(kind, x, h, c, weights, **options):
    y, *last = layer(kind, x, h, c, weights, **options)
    total = (y * y).sum()
    for state in last:
        total = total + (state * state * state).sum()
    return total


def gradients(kind, **options):
    def run(x, h, c, *weights):
        given = [t.detach().requires_grad_() for t in (x, h, c, *weights)]
        used = given if kind == "lstm" else [given[0], given[1], *given[3:]]
        total = losses(kind, *given[:3], given[3:], **options)
        return (total, *bl.autograd.grad(total, used))

    return run


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("kind", GATES)
def test_gradients(kind, sizes, vector_width, rng):
    check(gradients(kind), *arrays(kind, sizes, rng, np.float32))


@pytest.mark.parametrize("kind", GATES)
def test_float64(kind, rng):
    check(gradients(kind), *arrays(kind, SIZES[2], rng, np.float64))


@pytest.mark.parametrize("kind", GATES)
def test_both_directions_without_biases(kind, rng):
    given = arrays(kind, (4, 6, 3, 9), rng, np.float32, biases=False, directions=2)
    check(gradients(kind, reverse=True), *given)


@pytest.mark.parametrize("kind", GATES)
def test_a_loss_of_the_last_step(kind, rng):
    """Only one step's output has a gradient, and the input has none; batch first."""

    def run(x, h, c, *weights):
        weights = [w.detach().requires_grad_() for w in weights]
        y = layer(kind, x.permute(1, 0, 2), h, c, weights)[0].permute(1, 0, 2)
        return bl.autograd.grad((y[:, -1] ** 2).sum(), weights)

    given = arrays(kind, (5, 7, 3, 10), rng, np.float32)
    given[0] = np.ascontiguousarray(given[0].transpose(1, 0, 2))
    check(run, *given)
