"""Perceptron and support vector machines: the contract's rows N1, N2 and N3, and that they learn.

The numbers of the fixtures were computed by hand and checked by differences.
"""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn

# rows N1 and N2: one sample right, one wrong, one wrong
W, X, T = [[1.0, -1.0]], [[2.0, 1.0], [1.0, 3.0], [-1.0, -2.0]], [1.0, 1.0, -1.0]


def two_class(kind):
    net = kind(2, bias=False).double()
    with bl.no_grad():
        net.fc.weight.copy_(bl.tensor(W))
    return net, bl.tensor(X, dtype=bl.float64), bl.tensor(T, dtype=bl.float64)


def test_n1_perceptron():
    net, x, t = two_class(models.Perceptron)
    scores = net(x)
    assert (t * scores).tolist() == [1.0, -2.0, -1.0]
    assert net.predict(x).tolist() == [1.0, -1.0, 1.0]
    loss = models.perceptron_loss(scores, t)
    loss.backward()
    assert loss.item() == 1.0
    np.testing.assert_allclose(net.fc.weight.grad.numpy(), [[-2 / 3, -5 / 3]], 1e-15)


def test_the_sign_of_the_boundary_is_zero():
    net, _, _ = two_class(models.Perceptron)
    assert net.predict(bl.tensor([[1.0, 1.0]], dtype=bl.float64)).item() == 0.0


def separable(rng, count=40):
    """Points of two classes with a gap around the line that parts them."""
    x = rng.uniform(-1, 1, (4 * count, 2))
    far = np.abs(x @ [1.0, 2.0] - 0.3) > 0.2
    x = x[far][:count]
    return bl.from_numpy(x), bl.from_numpy(np.sign(x @ [1.0, 2.0] - 0.3))


def test_a_perceptron_ends_where_the_classes_are_separable():
    bl.manual_seed(0)
    x, t = separable(np.random.default_rng(0))
    net = models.Perceptron(2).double()
    rule = bl.optim.SGD(net.parameters(), lr=1.0)
    for _ in range(200):
        loss = models.perceptron_loss(net(x), t)
        if loss.item() == 0:
            break
        rule.zero_grad()
        loss.backward()
        rule.step()
    assert (net.predict(x) == t).all()


def test_n2_primal():
    net, x, t = two_class(models.LinearSVM)
    slack = (net.objective(x, t) - 0.5 * (net.fc.weight**2).sum()) / net.C
    assert slack.item() / 3 == pytest.approx(5 / 3, rel=1e-15)
    net.objective(x, t).backward()
    # w - C * (sum of t x where the margin is below one)
    np.testing.assert_allclose(net.fc.weight.grad.numpy(), [[1 - 2, -1 - 5]], 1e-15)


def test_a_linear_svm_finds_the_widest_gap():
    x = bl.tensor([[0.0, 1.0], [2.0, 2.0], [0.0, -1.0], [-2.0, -2.0]], dtype=bl.float64)
    t = bl.tensor([1.0, 1.0, -1.0, -1.0], dtype=bl.float64)
    bl.manual_seed(0)
    net = models.LinearSVM(2, C=2.0).double()
    rule = bl.optim.SGD(net.parameters(), lr=0.05)
    plan = bl.optim.lr_scheduler.ExponentialLR(rule, 0.997)
    for _ in range(2500):
        rule.zero_grad()
        net.objective(x, t).backward()
        rule.step()
        plan.step()
    # all four margins are at least one with w = (0, 1), b = 0, and no shorter w does that
    np.testing.assert_allclose(net.fc.weight.detach().numpy(), [[0.0, 1.0]], atol=2e-3)
    np.testing.assert_allclose(net.fc.bias.detach().numpy(), [0.0], atol=2e-3)


def n3():
    net = models.MulticlassSVM([2, 2, 3], bias=False).double()
    with bl.no_grad():
        net[0].weight.copy_(bl.tensor([[1.0, -1.0], [-0.5, 2.0]], dtype=bl.float64))
        last = [[0.2, 0.4], [-0.3, 0.5], [0.6, -0.1]]
        net[2].weight.copy_(bl.tensor(last, dtype=bl.float64))
    x = bl.tensor([[1.0, -2.0], [0.5, 1.0]], dtype=bl.float64)
    return net, x, bl.tensor([0, 2])


def test_n3_two_layers():
    net, x, y = n3()
    loss = net.objective(x, y, decay=0.1)
    loss.backward()
    assert loss.item() == pytest.approx(3.7785, rel=1e-14)
    first, second = net[0].weight.grad.numpy(), net[2].weight.grad.numpy()
    np.testing.assert_allclose(first, [[0.4, -0.6], [0.175, 0.95]], 1e-12)
    np.testing.assert_allclose(second, [[-1.46, 0.955], [-0.06, 0.975], [1.62, -1.77]], 1e-12)


def test_n3_the_decay_adds_twice_its_weight():
    net, x, y = n3()
    slopes = []
    for decay in (0.0, 0.1):
        net.zero_grad()
        net.objective(x, y, decay).backward()
        slopes.append([layer.weight.grad.numpy().copy() for layer in (net[0], net[2])])
    for plain, decayed, layer in zip(*slopes, (net[0], net[2])):
        np.testing.assert_allclose(decayed - plain, 0.2 * layer.weight.detach().numpy(), 1e-12)


def test_multiclass_hinge_is_the_sum_over_wrong_classes():
    rng = np.random.default_rng(3)
    scores, y, margin = rng.standard_normal((5, 4)), rng.integers(0, 4, 5), 0.7
    right = scores[np.arange(5), y][:, None]
    cost = np.maximum(0, scores - right + margin)
    cost[np.arange(5), y] = 0
    found = models.multiclass_hinge(bl.from_numpy(scores), bl.from_numpy(y), margin)
    assert found.item() == pytest.approx(cost.sum(1).mean(), rel=1e-14)


def test_decay_leaves_biases_out():
    net = models.MulticlassSVM([2, 3])
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    x, y = bl.ones(4, 2), bl.tensor([0, 1, 2, 0])
    before = net.objective(x, y, decay=1.0).item()
    nn.init.ones_(net[0].bias)  # the same for every class: no change of any margin
    assert net.objective(x, y, decay=1.0).item() == before
