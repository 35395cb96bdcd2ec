"""Every model's graph: the engine's values and gradients, each gate once, nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
from families import FAMILIES

import backlit as bl
from backlit.nn import functional as F
from backlit.ops.op import REGISTRY
from backlit.program.interpret import interpret
from backlit.state import state
from backlit.views import record


def loss_of(name: str, dtype: bl.dtype = bl.float64) -> tuple:
    make, shape, classes = FAMILIES[name]
    bl.manual_seed(5)
    net = make().to(dtype)
    x = bl.randn(*shape).to(dtype)
    y = bl.randint(0, classes, (shape[0], *shape[2:]) if name == "unet" else (shape[0],))
    return net, F.cross_entropy(net(x), y)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_graph_has_the_engines_gradients(name: str) -> None:
    net, loss = loss_of(name)
    seen = record(loss)
    assert state.observers == ()
    loss.backward()
    found = {w.name: w.grad for w in seen.graph.leaves}
    expected = {n: p.grad.numpy() for n, p in net.named_parameters() if p.grad is not None}
    assert found.keys() == expected.keys()
    # tanh keeps a convolution's layout, and sums run in the order of the layout
    tolerance = 1e-14 if name == "lenet5" else 0.0
    for key, grad in expected.items():
        np.testing.assert_allclose(found[key], grad, 0, tolerance, err_msg=key)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_program_of_the_graph_computes_the_same(name: str) -> None:
    _, loss = loss_of(name)
    seen = record(loss)
    results = interpret(seen.program, seen.arrays, REGISTRY)
    assert results[0] == loss.item()
    by_name = dict(zip([v.name for v in seen.program.outputs], results))
    for wire in seen.graph.leaves:
        np.testing.assert_allclose(by_name[seen.gradients[wire.name].name], wire.grad, 1e-12)


def test_seeing_a_compiled_step_leaves_its_program_alone() -> None:
    net, _ = loss_of("mlp")
    optimizer = bl.optim.Adam(net.parameters())

    @bl.compile
    def step(x: bl.Tensor, y: bl.Tensor) -> bl.Tensor:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    x, y = bl.randn(9, 12).double(), bl.randint(0, 3, (9,))
    step(x, y)
    before, entries = str(step.program), len(step.entries)
    values = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    record(step, x, y)
    for key, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), values[key])
    step(x, y)
    assert (str(step.program), len(step.entries)) == (before, entries)
