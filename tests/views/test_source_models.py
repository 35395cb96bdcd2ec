"""Every model as a NumPy file: loss and gradients of all parameters are the engine's."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit import models, nn
from backlit.nn import functional as F

_path = Path(__file__).parents[1] / "models" / "test_compiled_models.py"
_spec = importlib.util.spec_from_file_location("compiled_models", _path)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
FAMILIES = _module.FAMILIES


def problem(name):
    """A model, a batch and its targets."""
    make, shape, classes = FAMILIES[name]
    bl.manual_seed(5)
    net = make().double()
    size = (shape[0], *shape[2:]) if name == "unet" else (shape[0],)
    return net, bl.randn(*shape).double(), bl.randint(0, classes, size)


def shown(name):
    name = name.replace(".", "_")
    return f"layer{name}" if name[0].isdigit() else name


def close(found, expected, what):
    scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(found, expected, 0, 1e-12 * scale, err_msg=what)


def test_every_model_has_a_family():
    classes = {c for c in vars(models).values() if isinstance(c, type) and issubclass(c, nn.Module)}
    covered = {type(make()) for make, _, _ in FAMILIES.values()}
    assert classes <= covered, "a new model wants a row in tests/models/test_compiled_models.py"


@pytest.mark.parametrize("name", FAMILIES)
def test_a_models_source_has_the_engines_gradients(name):
    net, x, y = problem(name)
    loss = F.cross_entropy(net(x), y)
    found = bl.see.source(loss).run()
    loss.backward()
    close(found["loss"], loss.item(), "loss")
    for key, p in net.named_parameters():
        close(found[f"d{shown(key)}"], p.grad.numpy(), key)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_models_step_is_the_one_that_trains(name):
    net, x, y = problem(name)
    rule = bl.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step(x, y):
        rule.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        rule.step()
        return loss

    text = bl.see.source(step, x, y)
    found = text.run()
    close(found["loss"], step(x, y).item(), "loss")
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            close(found[shown(key)], value.numpy(), key)
    lines = text.split("# ----- inputs -----")[1].split("\n")
    assert max(map(len, lines)) <= 120


@pytest.mark.parametrize("name", FAMILIES)
def test_a_fused_step_is_the_same_numbers(name):
    net, x, y = problem(name)
    rule = bl.optim.SGD(net.parameters(), lr=0.01)

    def step(x, y):
        rule.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        rule.step()
        return loss

    found = bl.see.source(step, x, y, fused=True).run()
    close(found["loss"], step(x, y).item(), "loss")
    for key, p in net.named_parameters():
        close(found[shown(key)], p.detach().numpy(), key)
