"""Loops and branches in compiled steps: equal to eager, native, and short whatever the length."""

import numpy as np
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import nn
from backlit.backends.cpu.plans.executable import build
from backlit.compiler.pipeline import optimize
from backlit.program import capture


@pytest.fixture(autouse=True)
def double():
    bl.set_default_dtype(bl.float64)
    bl.manual_seed(0)
    yield
    bl.set_default_dtype(bl.float32)


def agree(step, *calls):
    """The step compiled is the step, call after call."""
    compiled = bl.compile(step)
    for args in calls:
        state = bl.get_rng_state()
        expected = list(_flat(step(*args)))
        bl.set_rng_state(state)
        found = list(_flat(compiled(*args)))
        assert len(found) == len(expected)
        for x, y in zip(found, expected):
            np.testing.assert_allclose(x.detach(), y.detach(), rtol=1e-12, atol=1e-12)
    return compiled


def _flat(x):
    if isinstance(x, bl.Tensor):
        yield x
    elif x is not None:
        for v in x:
            yield from _flat(v)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_through_a_loop(reverse):
    w, h0 = bl.randn(3, 3, requires_grad=True), bl.randn(2, 3, requires_grad=True)

    def step(xs):
        def f(h, x):
            h = (h @ w + x).tanh()
            return h, (h.sum(), h * w[0])

        h, (sums, products) = bl.scan(f, h0, xs, reverse=reverse)
        loss = (h * h).sum() + (sums**2).sum() + products.mean()
        g = bl.autograd.grad(loss, [w, h0], create_graph=True)
        return loss, *g, *bl.autograd.grad(sum((x * x).sum() for x in g), [w, h0])

    agree(step, *[(bl.randn(5, 2, 3),) for _ in range(3)], (bl.randn(1, 2, 3),))


def test_no_steps_and_one():
    def step(h, xs):
        return bl.scan(lambda h, x: (h * 2 + x, h.sum()), h, xs)

    agree(step, *[(bl.randn(3), bl.randn(n, 3)) for n in (0, 1, 2)])


def test_everything_in_it_is_native():
    w = bl.randn(8, 8, requires_grad=True)

    def step(h, xs):
        h, ys = bl.scan(lambda h, x: ((h @ w + x).tanh(), (h * h).sum(1)), h, xs)
        return bl.autograd.grad((ys**2).sum() + h.sum(), w)

    found = capture(step, bl.randn(4, 8), bl.randn(6, 4, 8))
    executable = build(optimize(found.program), {}, {})
    loops = [t.inner for t in executable.tasks if t.inner is not None]
    assert len(loops) == 2
    for tasks in (executable.tasks, *(i.tasks for i in loops)):
        assert not [t.label for t in tasks if t.implementation == "callback"]
    for x, y in zip(executable.run(found.arrays), found.result):
        np.testing.assert_allclose(x, y, rtol=1e-12)


def test_carries_that_change_places():
    def step(a, b, xs):
        def f(carry, x):
            a, b, n = carry
            return (b, a + x, n + 1), (a, n, x)

        return bl.scan(f, (a, b, 0), xs)

    agree(step, (bl.randn(3), bl.randn(3), bl.randn(5, 3)))


def test_a_carry_of_a_large_network():
    """Rows that threads share."""
    w = bl.randn(64, 64) / 8

    def step(h, xs):
        return bl.scan(lambda h, x: ((h @ w + x).tanh(), h.sum(0)), h, xs)

    agree(step, (bl.randn(300, 64), bl.randn(7, 300, 64)))


def test_loops_and_branches_within_each_other():
    w = bl.randn(3, 3, requires_grad=True)

    def step(xs):
        def row(h, x):
            h = bl.cond(h.sum() > 0, lambda h: h @ w, lambda h: (h * x).sin() + w[1], h)
            return h, h.sum()

        def block(h, rows):
            h, sums = bl.scan(row, h, rows)
            return h.tanh(), (sums * w[0, 0]).sum()

        h, ys = bl.scan(block, bl.ones(3), xs)
        loss = h.sum() + (ys * ys).sum()
        return loss, *bl.autograd.grad(loss, w)

    agree(step, *[(bl.randn(4, 5, 3),) for _ in range(3)])


def test_a_choice_at_every_call():
    w = bl.tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        y = bl.cond(x.sum() > 0, lambda x: (x.abs().sqrt() * w).sum(), lambda x: x.prod() * w[1], x)
        return y, *bl.autograd.grad(y, [w], allow_unused=True)

    agree(step, *[(bl.tensor(v),) for v in ([1.0, 2.0], [-3.0, 1.0], [-4.0, 5.0], [-1.0, -1.0])])


def test_random_numbers_go_on_from_call_to_call():
    w = bl.randn(3, 3, requires_grad=True)

    def step(xs):
        def f(h, x):
            h = F.dropout((h @ w + x).tanh(), 0.5)
            return h + bl.randn(3), h

        h, ys = bl.scan(f, bl.zeros(3), xs)
        return h, ys, *bl.autograd.grad(h.sum() + (ys**2).sum(), w)

    compiled = bl.compile(step)
    xs = bl.randn(4, 3)
    bl.manual_seed(5)
    expected = [list(_flat(step(xs))) for _ in range(3)]
    bl.manual_seed(5)
    for before in expected:
        for x, y in zip(_flat(compiled(xs)), before):
            np.testing.assert_allclose(x.detach(), y.detach(), rtol=1e-12, atol=1e-12)


def test_cells_that_a_body_refills():
    def made():
        bl.manual_seed(1)
        norm, count = nn.BatchNorm1d(3), bl.tensor(0)

        def step(xs):
            def f(h, x):
                count.add_(1)
                return norm(h + x) * count, None

            h, _ = bl.scan(f, bl.zeros(5, 3), xs)
            return h.detach()

        return step, [norm.running_mean, norm.running_var, norm.num_batches_tracked, count]

    (eager, before), (step, after) = made(), made()
    compiled = bl.compile(step)
    for length in (4, 4, 6, 4):
        xs = bl.randn(length, 5, 3)
        np.testing.assert_allclose(compiled(xs), eager(xs), rtol=1e-12)
        for x, y in zip(after, before):
            np.testing.assert_allclose(x, y, rtol=1e-12)


def test_training_with_a_loop_in_the_model():
    def made():
        bl.manual_seed(2)
        cell, head = nn.GRUCell(2, 4), nn.Linear(4, 1)
        optimizer = bl.optim.Adam([*cell.parameters(), *head.parameters()], lr=0.01)

        def step(xs, y):
            optimizer.zero_grad()
            h, _ = bl.scan(lambda h, x: (cell(x, h), None), bl.zeros(3, 4), xs)
            loss = F.mse_loss(head(h), y)
            loss.backward()
            optimizer.step()
            return loss

        return step

    eager, compiled = made(), bl.compile(made())
    for _ in range(5):
        xs, y = bl.randn(6, 3, 2), bl.randn(3, 1)
        np.testing.assert_allclose(compiled(xs, y).item(), eager(xs, y).item(), rtol=1e-10)


def _reg(w, x):
    return bl.func.jacrev(lambda x: (w @ x).tanh())(x).square().sum()


JACOBIANS = {
    "jacrev": lambda w, x: bl.func.jacrev(lambda x: (w @ x).sin() * x.exp())(x),
    "jacfwd": lambda w, x: bl.func.jacfwd(lambda x: (w @ x).sin() * x.exp())(x),
    "hessian": lambda w, x: bl.func.hessian(lambda x: ((w @ x).tanh() * x).sum() ** 2)(x),
    "several": lambda w, x: bl.func.jacrev(lambda w, x: (w @ x, x * 2), (0, 1))(w, x),
    "by weights": lambda w, x: bl.func.grad(_reg)(w, x),
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobians_are_loops_over_basis_vectors(name):
    def sizes(n):
        bl.manual_seed(0)
        w, x = bl.randn(n, n), bl.randn(n)
        compiled = agree(JACOBIANS[name], (w, x), (w * 2, x + 1))
        assert any(i.op == "scan" for i in compiled.program.instrs)
        return len(str(compiled.program).splitlines())

    assert sizes(5) == sizes(9)
