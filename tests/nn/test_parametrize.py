"""Parametrizations: registration, chains, removal, and the two norms against PyTorch."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.nn.utils import parametrizations, parametrize


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x

    def right_inverse(self, x):
        return x / 2


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).T


class Cut(nn.Module):
    def forward(self, x):
        return x[:1]


def test_values_stay_and_gradients_reach_the_start():
    layer = nn.Linear(3, 3)
    before = layer.weight.tolist()
    parametrize.register_parametrization(layer, "weight", Doubled())
    assert layer.weight.tolist() == before and parametrize.is_parametrized(layer, "weight")
    assert type(layer).__name__ == "ParametrizedLinear" and isinstance(layer, nn.Linear)
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    layer(bl.ones(1, 3)).sum().backward()
    assert layer.parametrizations.weight.original.grad.tolist() == [[2.0] * 3] * 3
    layer.weight = bl.ones(3, 3)
    assert layer.parametrizations.weight.original.tolist() == [[0.5] * 3] * 3
    twin = copy.deepcopy(layer)
    twin.weight = bl.zeros(3, 3)
    assert layer.weight.tolist() == [[1.0] * 3] * 3 and twin.weight.tolist() == [[0.0] * 3] * 3


def test_chains_and_removal():
    layer = nn.Linear(3, 3)
    parametrize.register_parametrization(layer, "weight", Symmetric())
    parametrize.register_parametrization(layer, "weight", Doubled())
    start = layer.parametrizations.weight.original.detach().numpy().copy()
    value = layer.weight
    assert bool((value == value.T).all()) and len(layer.parametrizations.weight) == 2
    np.testing.assert_allclose(value.detach().numpy().diagonal(), 2 * start.diagonal())
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear and not parametrize.is_parametrized(layer)
    assert isinstance(layer.weight, nn.Parameter) and layer.weight.tolist() == value.tolist()
    parametrize.register_parametrization(layer, "weight", Doubled())
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_allclose(layer.weight.detach().numpy(), value.detach().numpy() / 2)


def test_buffers_and_two_names():
    norm = nn.BatchNorm1d(2)
    parametrize.register_parametrization(norm, "running_mean", Doubled())
    parametrize.register_parametrization(norm, "weight", Doubled())
    assert [n for n, _ in norm.named_buffers()] == [
        "running_var", "num_batches_tracked", "parametrizations.running_mean.original",
    ]  # fmt: skip
    parametrize.remove_parametrizations(norm, "running_mean")
    assert "running_mean" in norm._buffers and parametrize.is_parametrized(norm, "weight")


def test_caching():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    assert layer.weight is not layer.weight
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert layer.weight is not layer.weight


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda m: parametrize.register_parametrization(m, "w", Doubled()), ValueError, "no param"),
        (lambda m: parametrize.register_parametrization(m, "weight", Cut()), ValueError, "keep"),
        (lambda m: parametrize.remove_parametrizations(m, "weight"), ValueError, "not param"),
        (lambda m: parametrize.remove_parametrizations(
            parametrizations.weight_norm(m), "weight", False), ValueError, "2 tensors"),
        (lambda m: parametrizations.spectral_norm(m, "w"), ValueError, "no tensor"),
        (lambda m: parametrizations.spectral_norm(m, dim=2), IndexError, "dim 2"),
        (lambda m: parametrizations.spectral_norm(m, n_power_iterations=0), ValueError, "positive"),
    ],
)  # fmt: skip
def test_mistakes_are_refused(act, error, words):
    layer = nn.Linear(3, 3)
    with pytest.raises(error, match=words):
        act(layer)
    assert layer.weight.shape == (3, 3)


def test_a_refused_link_leaves_the_chain():
    layer = parametrize.register_parametrization(nn.Linear(3, 3), "weight", Doubled())
    with pytest.raises(ValueError, match="keep shape"):
        parametrize.register_parametrization(layer, "weight", Cut())
    assert len(layer.parametrizations.weight) == 1 and layer(bl.ones(1, 3)).shape == (1, 3)


@pytest.mark.torch
@pytest.mark.parametrize(
    "expression",
    [
        "norms.weight_norm(nn.Linear(4, 3))",
        "norms.weight_norm(nn.Conv2d(4, 3, 2), dim=1)",
        "norms.weight_norm(nn.Linear(4, 3), dim=None)",
        "norms.spectral_norm(nn.Linear(4, 3), n_power_iterations=2)",
        "norms.spectral_norm(nn.ConvTranspose2d(4, 3, 2))",
        "norms.spectral_norm(nn.Linear(4, 3), 'bias')",
    ],
)
def test_norms_against_pytorch(expression):
    torch = pytest.importorskip("torch")
    both = []
    for library in (torch, bl):
        names = {"nn": library.nn, "norms": library.nn.utils.parametrizations}
        both.append(eval(expression, names).double())
    theirs, ours = both
    assert repr(theirs) == repr(ours)
    state = theirs.state_dict()
    ours.load_state_dict({k: bl.from_numpy(v.numpy()) for k, v in state.items()})
    shape = (2, 4) if "Linear" in expression else (2, 4, 3, 3)
    x = np.random.default_rng(0).standard_normal(shape)
    for _ in range(2):
        outputs = theirs(torch.from_numpy(x)), ours(bl.from_numpy(x))
        expected, actual = (y.detach().numpy() for y in outputs)
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)
        for y in outputs:
            (y * y).sum().backward()
    own = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        np.testing.assert_allclose(own[name].grad.numpy(), parameter.grad.numpy(), rtol=1e-10)
    theirs.eval(), ours.eval()
    expected = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(ours(bl.from_numpy(x)).detach().numpy(), expected, rtol=1e-12)
