"""Siamese network: one branch for both inputs, its losses, and that alike ones come together."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import models


def test_distance_is_that_of_the_embeddings():
    bl.manual_seed(0)
    net, a, b = models.Siamese(models.MLP([6, 8, 3])), bl.randn(5, 6), bl.randn(5, 6)
    apart = (net.branch(a) - net.branch(b)).detach().numpy()
    np.testing.assert_allclose(net(a, b).detach().numpy(), np.linalg.norm(apart, axis=1), 1e-4)
    assert len(list(net.parameters())) == 4  # the branch's, once


def test_contrastive_loss():
    distance = bl.tensor([0.5, 2.0, 0.4, 3.0], dtype=bl.float64, requires_grad=True)
    loss = models.contrastive_loss(distance, bl.tensor([True, True, False, False]), margin=1.0)
    loss.backward()
    assert loss.item() == pytest.approx((0.25 + 4.0 + 0.36) / 8, rel=1e-14)
    np.testing.assert_allclose(distance.grad.numpy(), [0.125, 0.5, -0.15, 0.0], 1e-14)


def test_triplet_loss():
    bl.manual_seed(0)
    net = models.Siamese(models.MLP([6, 8, 3])).double()
    a, p, n = (bl.randn(5, 6, dtype=bl.float64) for _ in range(3))
    expected = np.maximum(0, (net(a, p) - net(a, n) + 0.3).detach().numpy()).mean()
    assert net.triplet_loss(a, p, n, margin=0.3).item() == pytest.approx(expected, rel=1e-9)


def samples(which, patterns):
    """Noisy copies of the patterns of these numbers."""
    return patterns[which] + 0.3 * bl.randn(len(which), patterns.shape[1])


@pytest.mark.parametrize("loss", ["contrastive", "triplet"])
def test_alike_ones_come_together(loss):
    bl.manual_seed(0)
    patterns, first, second = bl.randn(2, 6), bl.randint(0, 2, (32,)), bl.randint(0, 2, (32,))
    a, b, same = samples(first, patterns), samples(second, patterns), first == second
    triple = a, samples(first, patterns), samples(1 - first, patterns)
    net = models.Siamese(models.MLP([6, 16, 2]))
    rule = bl.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(100):
        if loss == "contrastive":
            value = models.contrastive_loss(net(a, b), same)
        else:
            value = net.triplet_loss(*triple)
        rule.zero_grad()
        value.backward()
        rule.step()
    distance = net(a, b)
    assert (distance[same].max() < distance[~same].min()).item()
