"""Autoencoders give their data back; the variational one's bound is what the paper says."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import models
from backlit.nn import functional as F


def trained(net, x, loss, steps, lr=0.01):
    """The first loss, and the last tenth's mean, of some steps of Adam on one batch."""
    rule = bl.optim.Adam(net.parameters(), lr=lr)
    losses = []
    for _ in range(steps):
        rule.zero_grad()
        value = loss(net(x), x)
        value.backward()
        if not losses:
            assert all(bool((p.grad != 0).any()) for p in net.parameters())
        rule.step()
        losses.append(value.item())
    return losses[0], np.mean(losses[-steps // 10 :])


def test_dense():
    bl.manual_seed(0)
    x = bl.rand(16, 3) @ bl.rand(3, 12) / 3  # three numbers tell each row
    net = models.Autoencoder([12, 16, 3])
    first, last = trained(net, x, F.mse_loss, 300)
    assert last < 0.1 * first
    assert net.encoder(x).shape == (16, 3)


def test_sizes_are_mirrored():
    net = models.Autoencoder([12, 9, 4], last=None)
    shapes = [tuple(p.shape) for p in net.parameters() if p.ndim == 2]
    assert shapes == [(9, 12), (4, 9), (9, 4), (12, 9)]
    assert not any("Sigmoid" in repr(layer) for layer in net.decoder)


@pytest.mark.parametrize(("image", "channels"), [(8, 1), (12, 3)])
def test_convolutional(image, channels):
    bl.manual_seed(0)
    x = (bl.rand(4, channels, image, image) > 0.5).float()
    net = models.ConvAutoencoder(image, channels, width=8, code=8)
    assert net.encoder(x).shape == (4, 8)
    first, last = trained(net, x, F.mse_loss, 150)
    assert last < 0.5 * first


def test_the_bound_is_the_integral():
    # one code, one entry: the expectation and the divergence by numerical integration
    mean, log_variance, logit, x = 0.7, -0.4, 0.3, 1.0
    sigma = math.exp(0.5 * log_variance)
    z = np.linspace(mean - 12 * sigma, mean + 12 * sigma, 20001)
    q = np.exp(-0.5 * ((z - mean) / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi))
    log_ratio = -0.5 * ((z - mean) / sigma) ** 2 - math.log(sigma) + 0.5 * z**2
    divergence = (q * log_ratio).sum() * (z[1] - z[0])
    data = -math.log(1 / (1 + math.exp(-logit)))
    parts = [bl.tensor([[v]], dtype=bl.float64) for v in (logit, x, mean, log_variance)]
    found = models.negative_elbo(*parts).item()
    assert found == pytest.approx(data + divergence, rel=1e-9)


def test_the_bound_is_a_mean_over_the_batch():
    bl.manual_seed(0)
    net, x = models.VAE(6, 8, 2).eval(), bl.rand(5, 6)
    logits, mean, log_variance = net(x)
    one_by_one = [
        models.negative_elbo(logits[i : i + 1], x[i : i + 1], mean[i : i + 1],
                             log_variance[i : i + 1]).item()
        for i in range(5)
    ]  # fmt: skip
    found = models.negative_elbo(logits, x, mean, log_variance).item()
    assert found == pytest.approx(np.mean(one_by_one), rel=1e-5)


def test_codes_are_drawn_only_while_training():
    bl.manual_seed(0)
    net, x = models.VAE(6, 8, 2), bl.rand(3, 6)
    assert not bl.equal(net(x)[0], net(x)[0])
    net.eval()
    logits, mean, _ = net(x)
    assert bl.equal(logits, net.decoder(mean))


def test_drawn_codes_have_the_mean_and_the_variance():
    bl.manual_seed(0)
    net = models.VAE(4, 8, 2).double()
    drawn = []
    net.decoder.register_forward_pre_hook(lambda module, arguments: drawn.append(arguments[0]))
    x = bl.rand(1, 4, dtype=bl.float64).expand(20000, 4)
    _, mean, log_variance = net(x)
    found, sigma = drawn[0].detach().numpy(), np.exp(0.5 * log_variance.detach().numpy()[0])
    error = sigma / math.sqrt(len(found))
    assert (np.abs(found.mean(0) - mean.detach().numpy()[0]) < 5 * error).all()
    assert (np.abs(found.std(0) - sigma) < 5 * error).all()


def test_a_variational_autoencoder_learns_and_samples():
    bl.manual_seed(0)
    x = bl.tensor([[1.0, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]).repeat(8, 1)
    net = models.VAE(6, 16, 2)

    def loss(parts, x):
        logits, mean, log_variance = parts
        return models.negative_elbo(logits, x, mean, log_variance)

    first, last = trained(net, x, loss, 300)
    assert last < 0.5 * first
    assert last > math.log(2) - 0.1  # two equally likely patterns: no bound below their entropy
    whole = net.sample(200).round()
    known = ((whole[:, None] == x[:2]).all(-1)).any(-1).float().mean().item()
    assert known > 0.8
