"""Gradients by the input as a picture (C16), for every model."""

from __future__ import annotations

import numpy as np
import pytest
from families import FAMILIES

import backlit as bl
from backlit import nn
from backlit.errors import BacklitError, IndexOutOfRange


@pytest.fixture(autouse=True)
def _seed():
    bl.manual_seed(0)


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "gpt"])  # reads tokens
def test_c16_every_model(name, tmp_path):
    make, shape, classes = FAMILIES[name]
    model, x = make(), bl.randn(*shape)
    found = bl.see.saliency(model, x, target=1)
    assert model.training and all(p.grad is None for p in model.parameters())
    model.eval()
    leaf = x.clone().requires_grad_()
    out = model(leaf)
    assert out.shape[1] == classes
    out[:, 1].sum().backward()
    np.testing.assert_array_equal(found.gradient, leaf.grad.numpy())
    found.png(tmp_path / "s.png")
    assert (tmp_path / "s.png").read_bytes() == found._repr_png_()
    assert found._repr_png_().startswith(b"\x89PNG")


def test_the_default_is_the_largest_score_of_each_sample():
    model = nn.Linear(4, 3, bias=False)
    x = bl.randn(5, 4)
    found = bl.see.saliency(model, x)
    best = model(x).argmax(1).numpy()
    np.testing.assert_array_equal(found.target, best)
    np.testing.assert_array_equal(found.gradient, model.weight.detach().numpy()[best])
    np.testing.assert_allclose(found.score, model(x).amax(1).detach().numpy(), rtol=1e-6)


def test_one_target_per_sample():
    model = nn.Linear(4, 3, bias=False)
    with bl.no_grad():
        found = bl.see.saliency(model, bl.randn(3, 4), bl.tensor([2, 0, 1]))
    np.testing.assert_array_equal(found.gradient, model.weight.detach().numpy()[[2, 0, 1]])


def test_a_changed_pixel_changes_the_score_as_the_picture_says():
    model = FAMILIES["lenet"][0]().double()
    x = bl.randn(1, 1, 28, 28, dtype=bl.float64)
    found = bl.see.saliency(model, x, 2)
    row, column = np.unravel_index(found.heat[0].argmax(), (28, 28))
    assert found.heat.shape == (1, 28, 28)
    moved = x.clone()
    moved[0, 0, row, column] += 1e-6
    change = model(moved)[0, 2].item() - model(x)[0, 2].item()
    assert change / 1e-6 == pytest.approx(found.gradient[0, 0, row, column], rel=1e-4)
    assert f"largest at [0, {row}, {column}]" in str(found)


def test_heat_is_the_largest_over_the_channels():
    x = bl.randn(2, 3, 4, 4)
    weights = bl.randn(3, 4, 4)
    found = bl.see.saliency(lambda x: (x * weights).sum((1, 2, 3)), x)
    np.testing.assert_array_equal(found.heat[0], np.abs(weights.numpy()).max(0))


def test_random_layers_and_numbers_stay():
    model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2))
    model[1].eval()
    before = bl.get_rng_state()
    bl.see.saliency(model, bl.zeros(2, 4))
    assert bl.get_rng_state() == before
    assert [m.training for m in model] == [True, False, True]


def test_what_has_no_saliency_is_refused():
    model = nn.Linear(4, 3)
    with pytest.raises(BacklitError, match="expected a floating tensor, got int64"):
        bl.see.saliency(model, bl.tensor([[1, 2, 3, 4]]))
    with pytest.raises(BacklitError, match="expected a batch"):
        bl.see.saliency(model, bl.ones(4))
    with pytest.raises(IndexOutOfRange, match="target 3 for 3 classes"):
        bl.see.saliency(model, bl.ones(2, 4), 3)
    with pytest.raises(BacklitError, match="do not depend"):
        bl.see.saliency(lambda x: x.detach(), bl.ones(2, 4))
    with pytest.raises(BacklitError, match="one class, or 2"):
        bl.see.saliency(model, bl.ones(2, 4), [0, 1, 2])
