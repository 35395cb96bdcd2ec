"""`bl.see.source` of what autograd can do: second orders, hooks, views, several roots."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn


def vector(*shape):
    return bl.randn(*(shape or (3,))).double().requires_grad_()


def penalty(x, w):
    y = bl.tanh(x * w).sum()
    (g,) = bl.autograd.grad(y, x, create_graph=True)
    return (g * g).sum() + y


def in_place(x, w):
    y = x * w
    y.add_(1)
    y[0] = y[1] * 3
    return (y * y).sum()


def hooked(x, w):
    y = x * w
    y.register_hook(lambda g: g * 10)
    return (y * y).sum()


def checkpointed(x, w):
    return bl.utils.checkpoint.checkpoint(lambda x: bl.tanh(x).exp(), x * w).sum()


def masked(x, w):
    return bl.where(x > 0, x.log(), w * 0).sum() + (w * x).sum()


def indexed(x, w):
    i = bl.tensor([0, 2, 2])
    return (x[i] * w[1:].sum()).sum() + x[None, i].square().sum() + w[-1]


def detached(x, w):
    return (x * w.detach()).sum() * w.sum()


def viewed(x, w):
    return bl.cat([x.reshape(1, 3), w[None]]).T.flatten().cumsum(0).prod()


SUBJECTS = (penalty, in_place, hooked, checkpointed, masked, indexed, detached, viewed)


@pytest.mark.parametrize("function", SUBJECTS)
@pytest.mark.parametrize("as_function", [False, True])
def test_the_gradients_are_the_engines(function, as_function):
    bl.manual_seed(4)
    x, w = vector(), vector()
    text = bl.see.source(function, x, w) if as_function else bl.see.source(function(x, w))
    found = text.run()
    loss = function(x, w)
    grads = bl.autograd.grad(loss, [x, w])
    for name, g in zip("xw", grads):
        np.testing.assert_allclose(found[text.gradients[name]], g.numpy(), rtol=1e-13, atol=1e-15)


def test_a_tied_weight_gets_both_gradients():
    w, x = vector(3, 3), bl.randn(2, 3).double()
    loss = (bl.relu(x @ w) @ w.T).sum()
    found = bl.see.source(loss).run()
    (g,) = bl.autograd.grad(loss, w)
    np.testing.assert_allclose(found["dw"], g.numpy(), rtol=1e-13)


def test_a_result_that_is_no_scalar_wants_a_gradient():
    x = vector()
    found = bl.see.source(x * x, gradient=bl.full((3,), 2.0, dtype=bl.float64)).run()
    np.testing.assert_array_equal(found["dx"], 4 * x.detach().numpy())


def two_backwards(net, rule, x):
    rule.zero_grad()
    loss = net(x).square().mean()
    loss.backward()
    more = net(x).abs().sum()
    more.backward()
    rule.step()
    return loss


def penalized(net, rule, x):
    x = x.detach().requires_grad_()
    rule.zero_grad()
    y = bl.tanh(net(x)).sum()
    (g,) = bl.autograd.grad(y, x, create_graph=True)
    loss = (g * g).sum() + y
    loss.backward()
    rule.step()
    return loss


def clipped(net, rule, x):
    rule.zero_grad()
    loss = net(x).square().mean()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.1)
    rule.step()
    return loss


def accumulating(net, rule, x):
    loss = net(x).square().mean()
    loss.backward()
    rule.step()
    return loss


@pytest.mark.parametrize("body", [two_backwards, penalized, clipped, accumulating])
def test_the_weights_after_a_step(body):
    bl.manual_seed(4)
    net = nn.Linear(3, 1).double()
    rule = bl.optim.SGD(net.parameters(), lr=0.1)
    x = bl.randn(4, 3).double()
    net(x).sum().backward()  # gradients that are there already

    def step(x):
        return body(net, rule, x)

    found = bl.see.source(step, x).run()
    loss = step(x)
    assert found["loss"] == pytest.approx(loss.item(), rel=1e-14)
    for name in ("weight", "bias"):
        value = getattr(net, name).detach().numpy()
        np.testing.assert_allclose(found[name], value, rtol=1e-13, atol=1e-15)
