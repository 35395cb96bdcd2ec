"""Recomputation: the same gradients of any order, random numbers and statistics, less memory."""

import gc
import weakref

import numpy as np
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import nn
from backlit.autograd import Observer, observe
from backlit.backends import reference
from backlit.errors import ArgumentError, GradError
from backlit.program import capture
from backlit.utils.checkpoint import checkpoint, checkpoint_sequential


def plain(function, *args, **kwargs):
    return function(*args, **kwargs)


def block(x, w, scale=1.0):
    h = (x @ w).tanh()
    h += h * 2  # in place
    return h.exp() * scale, {"sum": (h[0] * w[0]).sum()}


def gradients(run, order=2):
    bl.manual_seed(0)
    x, w = (bl.randn(3, 3, dtype=bl.float64, requires_grad=True) for _ in range(2))
    y, rest = run(block, x * 0.5, w, scale=x.sum())
    found = [(y * y).sum() + rest["sum"]]
    for _ in range(order):
        grads = bl.autograd.grad(found[-1], [x, w], create_graph=True)
        found += [*grads, sum((g * g).sum() for g in grads)]
    return found


def test_gradients_are_the_same():
    for a, b in zip(gradients(bl.recompute), gradients(plain)):
        np.testing.assert_array_equal(a.array, b.array)


def test_weights_in_closures_and_a_second_backward():
    layer, x = nn.Linear(3, 3), bl.randn(2, 3)

    def walk(run):
        layer.zero_grad()
        loss = run(lambda x: F.gelu(layer(F.relu(layer(x)))), x).sum()
        loss.backward(retain_graph=True)
        loss.backward()
        return [p.grad.clone() for p in layer.parameters()]

    for a, b in zip(walk(bl.recompute), walk(plain)):
        np.testing.assert_array_equal(a, b)
    loss = bl.recompute(layer, x).sum()
    loss.backward()
    with pytest.raises(GradError, match="freed"):
        loss.backward()


def test_random_numbers_are_the_same():
    def walk(run):
        bl.manual_seed(1)
        x = bl.ones(50, requires_grad=True)
        y = run(lambda x: F.dropout(F.dropout(x.exp(), 0.5) * bl.rand(50), 0.1).sin(), x)
        after = bl.rand(3)
        y.sum().backward()
        return y.detach(), x.grad, after, bl.rand(3)

    for a, b in zip(walk(bl.recompute), walk(plain)):
        np.testing.assert_array_equal(a, b)


def test_statistics_are_refilled_once():
    def walk(run):
        bl.manual_seed(1)
        model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
        x = bl.randn(5, 3)
        for _ in range(2):
            run(model, x).square().sum().backward()
        return [*model.state_dict().values(), *(p.grad for p in model.parameters())]

    for a, b in zip(walk(bl.recompute), walk(plain)):
        np.testing.assert_array_equal(a.detach(), b.detach())


def test_a_cell_that_is_read_and_refilled_is_as_it_was():
    def walk(run):
        steps, x = bl.tensor(1.0), bl.ones(2, requires_grad=True)

        def scaled(x):
            steps.mul_(3)
            return (x * steps).exp()

        y = run(scaled, x)
        steps.add_(100)
        y.sum().backward()
        return x.grad, steps

    for a, b in zip(walk(bl.recompute), walk(plain)):
        np.testing.assert_array_equal(a, b)


def test_one_within_another():
    w = bl.randn(3, 3, requires_grad=True)

    def walk(run):
        inner = lambda x: (x @ w).tanh()
        outer = lambda x: run(inner, run(inner, x).exp()) * x
        x = bl.ones(2, 3, requires_grad=True)
        return bl.autograd.grad(run(outer, x).sum(), [x, w])

    for a, b in zip(walk(bl.recompute), walk(plain)):
        np.testing.assert_array_equal(a, b)


def test_functions_of_the_users():
    class Square(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    def walk(run):
        x = bl.tensor([1.0, 2.0], requires_grad=True)
        (g,) = bl.autograd.grad(run(lambda x: Square.apply(x.exp()), x).sum(), x, create_graph=True)
        return g, *bl.autograd.grad(g.sum(), x)

    for a, b in zip(walk(bl.recompute), walk(plain)):
        np.testing.assert_array_equal(a.detach(), b.detach())


def test_autocast_is_as_it_was():
    layer = nn.Linear(3, 3)

    def walk(run):
        layer.zero_grad()
        with bl.autocast("cpu"):
            y = layer(bl.ones(1, 3))  # casts the weight before the segment
            y = run(lambda x: layer(F.relu(layer(x))), y)
        y.float().sum().backward()
        return [p.grad for p in layer.parameters()]

    for a, b in zip(walk(bl.recompute), walk(plain)):
        np.testing.assert_allclose(a, b, atol=5e-3)  # bfloat16 sums in other groups


def test_values_inside_are_dropped():
    alive = []

    class Watch(Observer):
        def after_forward(self, op, inputs, params, outputs, node):
            alive.append(weakref.ref(outputs[0].array))

    def count(run):
        alive.clear()
        x = bl.ones(4, requires_grad=True)
        with observe(Watch()):
            y = run(lambda x: x.exp().sin().tanh().exp(), x)
        gc.collect()
        del x
        return sum(r() is not None for r in alive), y

    assert count(plain)[0] == 3 and count(bl.recompute)[0] == 1


def test_a_function_that_does_other_things_is_refused():
    times = []

    def changing(x):
        times.append(1)
        return x.exp() if len(times) == 1 else x.exp().sin()

    x = bl.ones(2, requires_grad=True)
    with pytest.raises(GradError, match="recorded 1 operators at first and 2 others"):
        bl.recompute(changing, x).sum().backward()


def test_a_program_runs_it_twice():
    w = bl.randn(3, 3, requires_grad=True)

    def step(x):
        y = bl.recompute(lambda x: (F.dropout(x, 0.5) @ w).tanh().exp(), x)
        return y, *bl.autograd.grad(y.sum(), w)

    bl.manual_seed(0)
    found = capture(step, bl.ones(2, 3))
    scopes = [i.scope for i in found.program.instrs if i.op == "tanh"]
    assert scopes == ["segment", "recompute"]
    bl.manual_seed(0)
    expected = step(bl.ones(2, 3))
    for a, b, c in zip(reference.run(found.program, found.arrays), found.result, expected):
        np.testing.assert_array_equal(a, b.array)
        np.testing.assert_array_equal(a, c.array)


def test_within_a_loop():
    w, xs = bl.randn(3, 3, requires_grad=True), bl.randn(5, 2, 3)

    def step(run):
        def f(h, x):
            h = run(lambda h: ((h @ w).tanh() @ w).sin().exp() - 1, h) + x
            return h, None

        h, _ = bl.scan(f, bl.zeros(2, 3), xs)
        return h, *bl.autograd.grad(h.sum(), w)

    found = [capture(lambda run=run: step(run)) for run in (plain, bl.recompute)]
    for a, b in zip(*(c.result for c in found)):
        np.testing.assert_array_equal(a.detach(), b.detach())
    saved = [next(len(i.outputs) for i in c.program.instrs if i.op == "scan") for c in found]
    assert saved[1] < saved[0]


def test_without_grad_it_is_a_call():
    with bl.no_grad():
        assert not bl.recompute(bl.exp, bl.ones(2)).requires_grad


def test_pytorchs_spelling():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.Tanh(), nn.Linear(2, 1))
    x = bl.randn(4, 2)
    for run in (
        lambda x: checkpoint(model, x, use_reentrant=False),
        lambda x: checkpoint_sequential(model, 2, x, use_reentrant=False),
    ):
        model.zero_grad()
        run(x).sum().backward()
        found = [p.grad.clone() for p in model.parameters()]
        model.zero_grad()
        model(x).sum().backward()
        for a, p in zip(found, model.parameters()):
            np.testing.assert_array_equal(a, p.grad)
    with pytest.raises(ArgumentError, match="6 segments of 5"):
        checkpoint_sequential(model, 6, x)
    with pytest.raises(ArgumentError, match="context_fn"):
        checkpoint(model, x, context_fn=print)
