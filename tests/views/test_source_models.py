"""Every model as a NumPy file: loss and gradients of all parameters are the engine's."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.nn import functional as F
from backlit.views.source.listing import listing

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
from families import FAMILIES  # a model without a family fails tests/models/test_models.py


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

    recorded = listing(step, (x, y))
    found = {
        "as recorded": bl.see.source(recorded).run(),
        "fused": bl.see.source(recorded, fused=True).run(),
    }
    loss = step(x, y)
    parameters = dict(net.named_parameters())
    for form, values in found.items():
        close(values["loss"], loss.item(), f"loss {form}")
        for key, value in (*net.named_parameters(), *net.named_buffers()):
            read = key in parameters or shown(key) in values  # a buffer may not be
            if read and value.is_floating_point():
                close(values[shown(key)], value.detach().numpy(), f"{key} {form}")
