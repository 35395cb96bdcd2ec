"""The size of the gradient layer by layer, and the alarms that name the layer: N20 to N23."""

from __future__ import annotations

import numpy as np
import pytest
from families import FAMILIES

import backlit as bl
from backlit import nn
from backlit.errors import BacklitError
from backlit.nn import functional as F


@pytest.fixture(autouse=True)
def _seed():
    bl.manual_seed(0)


def names(report):
    return [(a.name, a.layer) for a in report.alarms]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_model_at_its_start_is_well(name):
    make, shape, classes = FAMILIES[name]
    y = bl.randint(0, classes, (shape[0], *shape[2:]) if name == "unet" else (shape[0],))
    model, x = make(), bl.randn(*shape)
    report = bl.check.health(F.cross_entropy(model(x), y))
    assert report.ok, str(report)
    assert all(p.grad is None for p in model.parameters())
    bl.manual_seed(0)


def test_sizes_are_the_engines():
    model = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    x, y = bl.randn(6, 4), bl.tensor([0, 1, 2, 0, 1, 2])
    h = model[0](x)
    h.retain_grad()
    loss = F.cross_entropy(model[2](model[1](h)), y)
    report = bl.check.health(loss)
    loss.backward()
    size = lambda *grads: np.sqrt(sum(float((g.double() ** 2).sum()) for g in grads))
    layers = {layer.name: layer for layer in report.layers}
    first = layers["linear"]
    assert first.delta == pytest.approx(size(h.grad), rel=1e-6)
    assert first.weights == pytest.approx(size(*(p.grad for p in model[0].parameters())), rel=1e-6)
    assert report.norm == pytest.approx(size(*(p.grad for p in model.parameters())), rel=1e-6)
    slope = float((1 - h.detach().tanh() ** 2).mean())
    assert layers["tanh"].slope == pytest.approx(slope, rel=1e-6)


def test_n20_the_saturated_layer_is_named():
    model = nn.Sequential(
        nn.Linear(8, 32), nn.Sigmoid(), nn.Linear(32, 32), nn.Sigmoid(), nn.Linear(32, 1)
    )
    with bl.no_grad():
        model[2].weight *= 100
    report = bl.check.health((model(bl.randn(64, 8)) ** 2).mean())
    assert names(report) == [("saturated", "sequential.3")]


def test_n20_outside_modules_the_line_is_named():
    w = bl.full((8, 5), 9.0, requires_grad=True)
    (alarm,) = bl.check.health(w.tanh().sum()).alarms
    assert alarm.layer.startswith("test_health.py:") and "100%" in alarm.evidence


def test_dead_rectifiers_are_named():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
    with bl.no_grad():
        model[0].bias -= 100
    report = bl.check.health((model(bl.randn(32, 4)) ** 2).mean())
    assert names(report)[0] == ("dead", "sequential.1")


@pytest.mark.parametrize("depth", [10, 20])
def test_n21_deep_sigmoids_vanish(depth):
    layers = [m for _ in range(depth) for m in (nn.Linear(16, 16), nn.Sigmoid())]
    report = bl.check.health((nn.Sequential(*layers)(bl.randn(32, 16)) ** 2).mean())
    assert names(report) == [("vanishing", "sequential.0")]
    slopes = [layer.slope for layer in report.layers if not np.isnan(layer.slope)]
    assert len(slopes) == depth and np.prod(slopes) <= 0.25**depth


def test_weights_of_zero_let_nothing_through():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
    x, target = bl.randn(32, 4), bl.randint(0, 2, (32,))
    assert bl.check.health(nn.functional.cross_entropy(model(x), target)).ok
    for p in model.parameters():
        nn.init.zeros_(p)
    (alarm,) = bl.check.health(nn.functional.cross_entropy(model(x), target)).alarms
    assert (alarm.name, alarm.layer) == ("vanishing", "sequential.0")
    assert "its delta is 0, that of sequential.2" in alarm.evidence


def test_n23_a_recurrence_explodes_and_clipping_is_suggested(tmp_path):
    weight = (1.3 * nn.init.orthogonal_(bl.empty(8, 8, dtype=bl.float64))).requires_grad_()
    h = bl.randn(8, dtype=bl.float64)
    for _ in range(50):
        h = weight @ h
    report = bl.check.health(h.sum())
    (alarm,) = report.alarms
    assert alarm.name == "exploding" and "clip_grad_norm_" in alarm.hint
    assert report.ratio == pytest.approx(1.3**49, rel=1e-12)
    report.png(tmp_path / "h.png")
    assert (tmp_path / "h.png").stat().st_size > 1000


def test_what_is_not_finite_is_named_first():
    x = bl.tensor([0.0, 1.0], requires_grad=True)
    report = bl.check.health((x.sqrt() * 2).sum())
    assert not report.ok and report.alarms[0].name == "not_finite"


def test_a_loss_without_a_graph_is_refused():
    with pytest.raises(BacklitError, match="no graph"):
        bl.check.health(bl.ones(()))
    x = bl.ones(2, requires_grad=True)
    loss = x.exp().sum()
    loss.backward()
    with pytest.raises(BacklitError, match="has run"):
        bl.check.health(loss)
    with pytest.raises(BacklitError, match="expected the loss"):
        bl.check.health(3.0)
