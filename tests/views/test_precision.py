"""float32 against float64, per step and layer: P1, P13."""

from __future__ import annotations

import copy

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


def network():
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))


def relative(a, b):
    return np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b)


def test_p13_gradients_by_layer_are_those_of_two_models():
    model, x, y = network(), bl.randn(6, 5), bl.tensor([0, 1, 2, 0, 1, 2])
    found = bl.see.precision(model, x, loss=lambda out: F.cross_entropy(out, y))
    wide = copy.deepcopy(model).double()
    F.cross_entropy(model(x), y).backward()
    loss64 = F.cross_entropy(wide(x.double()), y)
    loss64.backward()
    assert found.steps[0].loss64 == pytest.approx(loss64.item(), rel=1e-15)
    gradients = {layer.name: layer.gradient for layer in found.layers}
    for i in (0, 2):
        for p, q in zip(model[i].parameters(), wide[i].parameters()):
            deviation = relative(p.grad.numpy(), q.grad.numpy())
            assert 0 < deviation <= gradients[str(i)] < 1e-5
    assert found.worst.gradient == max(gradients.values())


def test_p1_both_trainings_are_the_trainings():
    x, y = bl.randn(6, 5), bl.tensor([0, 1, 2, 0, 1, 2])
    model = network()
    make = lambda parameters: bl.optim.Adam(parameters, lr=0.05)
    loss_of = lambda out: F.cross_entropy(out, y)
    found = bl.see.precision(model, x, loss=loss_of, steps=6, optimizer=make)
    for dtype, key in ((bl.float32, "loss"), (bl.float64, "loss64")):
        twin = copy.deepcopy(model).to(dtype)
        optimizer, losses = make(twin.parameters()), []
        for _ in range(6):
            optimizer.zero_grad()
            loss = loss_of(twin(x.to(dtype)))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert [getattr(s, key) for s in found.steps] == pytest.approx(losses, rel=1e-12)
    assert 1e-9 < max(s.deviation for s in found.steps) < 1e-4
    assert len(found.of_step(5)) == len(found.of_step(0)) == 4


# biases that BatchNorm takes away again: their gradients are rounding alone, in both precisions
WITHOUT_GRADIENT = ("vgg bn", "densenet imagenet")


@pytest.mark.parametrize("name", [name for name in FAMILIES if name not in WITHOUT_GRADIENT])
def test_every_model_deviates_by_rounding_only_and_stays_as_it_was(name):
    make, shape, _ = FAMILIES[name]
    model = make()
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    state = bl.get_rng_state()
    found = bl.see.precision(model, bl.randn(*shape))
    bl.set_rng_state(state)
    assert 0 < found.worst.gradient < 1e-3
    assert all(0 <= (layer.activation or 0) < 1e-4 for layer in found.layers)
    assert all(p.grad is None for p in model.parameters())
    for key, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_masks_are_the_same_in_both():
    model = nn.Sequential(nn.Linear(5, 64), nn.Dropout(0.5), nn.Linear(64, 1))
    found = bl.see.precision(model, bl.randn(4, 5))
    assert found.worst.gradient < 1e-5


def test_a_function_of_the_inputs():
    w = bl.randn(3, requires_grad=True)
    found = bl.see.precision(lambda x: (x * w).exp().sum(), bl.randn(4, 3))
    assert [layer.name for layer in found.layers] == ["loss"]
    assert 0 < found.worst.gradient < 1e-5 and w.grad is None


def test_a_loop_in_both():
    w = (bl.randn(4, 4) / 2).requires_grad_()

    def loop(start):
        def body(h, x):
            h = (w @ h + x).tanh()
            return h, h

        return (bl.scan(body, start, bl.randn(6, 4))[1] ** 2).sum()

    with bl.no_grad():
        found = bl.see.precision(loop, bl.zeros(4))
    assert 0 < found.worst.gradient < 1e-5


def test_cancellation_shows():
    w = bl.tensor([1.0], requires_grad=True)
    found = bl.see.precision(lambda x: (x + w - x).sum(), bl.tensor([3e7]))
    assert found.layers[0].activation > 0.5 or found.steps[0].deviation > 0.1


def test_faces(tmp_path):
    make = lambda parameters: bl.optim.SGD(parameters, lr=0.1)
    found = bl.see.precision(network(), bl.randn(6, 5), steps=2, optimizer=make)
    assert "in float32" in str(found) and "<svg" in found._repr_html_()
    found.png(tmp_path / "p.png")
    assert (tmp_path / "p.png").stat().st_size > 1000


def test_bad_questions_are_refused():
    with pytest.raises(BacklitError, match="need an optimizer"):
        bl.see.precision(network(), bl.ones(1, 5), steps=3)
    with pytest.raises(BacklitError, match="float64 already"):
        bl.see.precision(network().double(), bl.ones(1, 5).double())
    with pytest.raises(BacklitError, match="needs a module"):
        bl.see.precision(lambda x: x, bl.ones(1), optimizer=bl.optim.SGD)


def test_a_gradient_that_is_zero_is_compared_with_those_beside_it():
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2))
    found = bl.see.precision(model, bl.randn(8, 3))
    assert 0 < found.worst.gradient < 1e-5  # the bias before the BatchNorm cancels


@pytest.mark.parametrize("name", ["model", "loss", "optimizer"])
def test_what_is_no_function_is_refused(name):
    given = {"model": network(), name: bl.ones(1)}
    with pytest.raises(BacklitError, match=f"{name} is a Tensor"):
        bl.see.precision(given.pop("model"), bl.randn(2, 5), **given)
