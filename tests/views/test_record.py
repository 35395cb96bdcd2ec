"""The recorded graph: values, gradients and names, as the engine has them."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import BacklitError
from backlit.nn import functional as F
from backlit.program import parse
from backlit.views import record


def scalars(*values: float) -> list[bl.Tensor]:
    return [bl.tensor(v, dtype=bl.float64, requires_grad=True) for v in values]


def test_c1_values_gradients_and_names() -> None:
    x, y, z = scalars(-2, 5, -4)
    q = x + y
    f = q * z
    graph = record(f).graph
    assert [w.name for w in graph.wires] == ["x", "y", "q", "z", "f"]
    assert {w.name: float(w.grad) for w in graph.wires} == {
        "x": -4, "y": -4, "q": -4, "z": 3, "f": 1,
    }  # fmt: skip
    add, mul = graph.gates
    assert [float(g) for g in mul.downstream] == [-4, 3]
    assert [float(mul.local(i)) for i in (0, 1)] == [-4, 3]
    assert [float(g) for g in add.downstream] == [-4, -4]


@pytest.mark.parametrize("after", [False, True])
def test_a_network_is_seen_before_and_after_its_backward(after: bool) -> None:
    bl.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.ReLU(), nn.Linear(4, 2))
    inputs, labels = bl.randn(5, 3), bl.tensor([0, 1, 0, 1, 0])
    loss = F.cross_entropy(model(inputs), labels)
    if after:
        loss.backward()
        seen = record(loss)
    else:
        seen = record(loss)
        assert all(p.grad is None for p in model.parameters())
        loss.backward()
    assert seen.graph.loss.value == loss.item()
    names = {w.name: w for w in seen.graph.leaves}
    assert set(names) == {"0.weight", "0.bias", "3.weight", "3.bias"}
    for name, p in model.named_parameters():
        np.testing.assert_array_equal(names[name].grad, p.grad.numpy())


def test_a_step_is_recorded_and_put_back() -> None:
    model = nn.Linear(3, 2)
    optimizer = bl.optim.SGD(model.parameters(), lr=0.1)
    before = model.weight.detach().clone()

    @bl.compile
    def step(x: bl.Tensor) -> bl.Tensor:
        loss = (model(x) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    seen = record(step, bl.ones(4, 3))
    assert bl.equal(model.weight, before) and model.weight.grad is None
    assert {w.name for w in seen.graph.leaves} == {"weight", "bias"}
    assert parse(str(seen.program)) == seen.program


def test_a_fork_adds_up() -> None:
    (x,) = scalars(3)
    f = x * x + x
    wire = record(f).graph.wire("x")
    assert sorted(float(part) for _, _, part in wire.contributions) == [1, 3, 3]
    assert wire.grad == 7


def test_downstream_has_the_shape_of_its_input() -> None:
    w = bl.ones(3, requires_grad=True)
    graph = record((bl.ones(4, 3) * w).sum()).graph
    assert graph.gates[0].downstream[1].shape == (3,)
    np.testing.assert_array_equal(graph.wire(w).grad, [4, 4, 4])


def test_user_functions_are_one_gate() -> None:
    class Square(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    (x,) = scalars(3)
    graph = record(Square.apply(x) + 1).graph
    assert [g.op.name for g in graph.gates] == ["Square", "add"]
    assert graph.wire("x").grad == 6


def test_what_has_no_graph_is_refused() -> None:
    with pytest.raises(BacklitError, match="no history"):
        record(bl.ones(()))
    with pytest.raises(BacklitError, match="only a scalar"):
        record(bl.ones(3, requires_grad=True) * 2)
    with pytest.raises(BacklitError, match="expected a tensor"):
        record(3)


def test_a_changed_leaf_is_told() -> None:
    (x,) = scalars(3)
    f = x * x
    with bl.no_grad():
        x += 1
    with pytest.raises(BacklitError, match="changed since"):
        record(f)


def test_hooks_that_change_a_gradient_are_part_of_it() -> None:
    (x,) = scalars(3)
    q = x * x
    q.register_hook(lambda g: 10 * g)
    q.retain_grad()
    f = q + 1
    seen = record(f).graph
    assert q.grad is None
    f.backward()
    assert seen.wire("x").grad == x.grad.item() == 60
