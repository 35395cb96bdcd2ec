"""Weights computed before forward: the older weight and spectral normalization."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.nn.utils import (
    remove_spectral_norm,
    remove_weight_norm,
    spectral_norm,
    weight_norm,
)


def trained(library, make, normalize, state=None, **settings):
    """Loss, gradients and state after two forwards in training mode."""
    layer = getattr(library.nn.utils, normalize)(make(library.nn), **settings)
    if state is not None:
        layer.load_state_dict({k: library.from_numpy(v.copy()) for k, v in state.items()})
    before = {k: v.numpy().copy() for k, v in layer.state_dict().items()}
    size = (2, 3, 5, 5) if layer.weight.ndim == 4 else (2, 3)
    x = library.from_numpy(np.random.default_rng(0).standard_normal(size, np.float32))
    layer(x)
    loss = (layer(x) ** 2).sum()
    loss.backward()
    grads = {k: p.grad.numpy() for k, p in layer.named_parameters()}
    after = {k: v.numpy() for k, v in layer.state_dict().items()}
    return before, {"loss": loss.detach().numpy(), **grads, **{f"state {k}": v
                    for k, v in after.items()}}  # fmt: skip


LAYERS = {
    "linear": lambda nn: nn.Linear(3, 4), "conv": lambda nn: nn.Conv2d(3, 4, 3),
    "transposed": lambda nn: nn.ConvTranspose2d(3, 4, 2),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize(("normalize", "settings"), [
    ("weight_norm", {}), ("weight_norm", {"dim": None}), ("weight_norm", {"dim": 1}),
    ("spectral_norm", {}), ("spectral_norm", {"n_power_iterations": 3}),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_as_with_pytorch(layer, normalize, settings):
    torch = pytest.importorskip("torch")
    state, theirs = trained(torch, LAYERS[layer], normalize, **settings)
    _, ours = trained(bl, LAYERS[layer], normalize, state, **settings)
    assert set(ours) == set(theirs)
    for name, value in ours.items():
        np.testing.assert_allclose(value, theirs[name], rtol=2e-4, atol=2e-5, err_msg=name)


def test_a_weight_stays_what_it_is_and_comes_back():
    layer = nn.Linear(3, 2)
    weight = layer.weight.detach().clone()
    assert bl.allclose(weight_norm(layer).weight, weight)
    with bl.no_grad():
        layer.weight_g.mul_(2)
    layer(bl.ones(1, 3))
    assert bl.allclose(layer.weight, 2 * weight)
    assert list(remove_weight_norm(layer).state_dict()) == ["bias", "weight"]
    assert bl.allclose(layer.weight, 2 * weight) and isinstance(layer.weight, nn.Parameter)


def test_the_largest_singular_value_becomes_one():
    bl.manual_seed(0)
    layer = spectral_norm(nn.Linear(6, 5), n_power_iterations=60)
    layer(bl.ones(1, 6))
    assert bl.linalg.svd(layer.weight)[1][0].item() == pytest.approx(1, abs=1e-4)
    u = layer.weight_u.clone()
    layer.eval()(bl.ones(1, 6))
    assert layer.weight_u.tolist() == u.tolist()  # only training moves it
    assert list(remove_spectral_norm(layer).state_dict()) == ["bias", "weight"]


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="no parameter 'kernel'"):
        weight_norm(nn.Linear(1, 1), "kernel")
    with pytest.raises(ValueError, match="is computed already"):
        spectral_norm(weight_norm(nn.Linear(1, 1)))
    with pytest.raises(ValueError, match="must be positive"):
        spectral_norm(nn.Linear(1, 1), n_power_iterations=0)
    with pytest.raises(ValueError, match="Linear has none at 'weight'"):
        remove_weight_norm(nn.Linear(1, 1))
