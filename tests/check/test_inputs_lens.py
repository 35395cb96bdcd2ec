"""The scale of the data is the scale of the gradient of what multiplies it: C15."""

from __future__ import annotations

import numpy as np
import pytest
from families import FAMILIES

import backlit as bl
from backlit import models, nn
from backlit.errors import BacklitError
from backlit.nn import functional as F


@pytest.fixture(autouse=True)
def _seed():
    bl.manual_seed(0)


@pytest.mark.parametrize("name", ["mlp", "lenet", "resnet", "densenet", "unet", "vit"])
def test_c15_a_thousand_times_the_data_a_thousand_times_the_gradient(name):
    make, shape, _ = FAMILIES[name]
    report = bl.check.inputs(make(), bl.randn(*shape))
    (reader,) = report.readers
    assert reader.ratio == pytest.approx(1000.0, rel=1e-12)
    assert reader.path_ratio == 1.0
    assert report.ok, str(report)


def test_the_gradient_is_the_engines():
    model, x, y = models.MLP([5, 4, 3]), bl.randn(6, 5), bl.tensor([0, 1, 2, 0, 1, 2])
    with bl.no_grad():
        report = bl.check.inputs(model, x, F.cross_entropy, y)
    F.cross_entropy(model(x), y).backward()
    norm = np.linalg.norm(model[0].weight.grad.numpy())
    assert report.readers[0].name == "0.weight"
    assert report.readers[0].grad_norm == pytest.approx(norm, rel=1e-5)


def test_a_thousandth_of_the_rate_makes_the_same_step():
    x = bl.randn(8, 5, dtype=bl.float64)
    report = bl.check.inputs(models.MLP([5, 1]).double(), 1000 * x)
    assert not report.ok and "not normalized" in report.warnings[0]
    unit = bl.check.inputs(models.MLP([5, 1]).double(), x)
    ratio = report.learning_rate_factor / unit.learning_rate_factor
    assert ratio == pytest.approx(1e-3, rel=1e-12)


def test_pixels_up_to_255_are_told_and_normalized_ones_are_not():
    model, pixels = models.LeNet(3), 255 * bl.rand(4, 1, 28, 28)
    assert "not normalized" in str(bl.check.inputs(model, pixels))
    assert bl.check.inputs(model, pixels / 255).ok
    assert bl.check.inputs(model, (pixels - pixels.mean()) / pixels.std()).ok


def test_a_model_that_normalizes_its_input_itself():
    model = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 2))
    before = model[0].running_mean.clone()
    report = bl.check.inputs(model, 500 + 1000 * bl.randn(16, 4))
    assert report.ok and report.readers[0].ratio == pytest.approx(1, rel=1e-6)
    assert bl.equal(model[0].running_mean, before)  # nothing is changed


def test_recurrent_nets_read_the_data_with_one_weight():
    report = bl.check.inputs(models.RowClassifier("rnn", 4, 8), bl.randn(3, 5, 4))
    assert [r.name for r in report.readers] in ([], ["rnn.weight_ih_l0"])
    assert report.mean.shape == (4,)


def test_broken_constant_and_unequal_features():
    x = bl.randn(20, 5)
    x[:, 1] = 3.0
    x[4, 0] = float("nan")
    x[:, 3] *= 1e-4
    x[:, 4] += 50
    shown = str(bl.check.inputs(models.MLP([5, 2]), x))
    assert "NaN or infinite values: 1, in feature 0" in shown
    assert "tells nothing: feature 1" in shown
    assert "different scales" in shown and "in feature 3" in shown
    assert "far from zero, over 3 deviations: feature 4" in shown


def test_what_is_no_data_is_refused():
    with pytest.raises(BacklitError, match="expected a floating tensor, got int64"):
        bl.check.inputs(models.MLP([2, 1]), bl.tensor([[1, 2]]))
    with pytest.raises(BacklitError, match="is empty"):
        bl.check.inputs(models.MLP([2, 1]), bl.zeros(0, 2))


def test_a_recurrent_layer_returns_a_tuple():
    report = bl.check.inputs(nn.LSTM(3, 4), bl.randn(5, 2, 3))
    assert report.readers
