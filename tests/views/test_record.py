"""The recorded graph: values, gradients and names, as the engine has them."""

from __future__ import annotations

import weakref
from typing import Any

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


class InNumpy(bl.autograd.Function):
    """A product that leaves Backlit both ways."""

    @staticmethod
    def forward(ctx: Any, x: bl.Tensor, w: bl.Tensor, mode: str, sizes: Any) -> bl.Tensor:
        ctx.save_for_backward(x, w)
        return bl.from_numpy(x.detach().numpy() @ w.detach().numpy())

    @staticmethod
    def backward(ctx: Any, g: bl.Tensor) -> tuple:
        x, w = ctx.saved_tensors
        dx, dw = g.numpy() @ w.detach().numpy().T, x.detach().numpy().T @ g.numpy()
        return bl.from_numpy(dx), bl.from_numpy(dw), None, None


def test_a_function_in_numpy_with_arguments_that_are_no_numbers() -> None:
    x, w = bl.randn(2, 3, requires_grad=True), bl.randn(3, 2, requires_grad=True)
    loss = InNumpy.apply(x, w, "mean", {"of": [1, (2, 3)]}).relu().sum()
    loss.backward()
    circuit = bl.see(loss)
    for leaf, name in ((x, "x"), (w, "w")):
        assert np.array_equal(circuit.graph.wire(name).grad, leaf.grad.numpy())
    for text in (str(circuit), circuit.svg(), circuit.html(), str(bl.see.derive(loss))):
        assert "mean" in text
    assert bl.see.nudge(x, (0, 1), of=loss).relative_error < 1e-3
    with pytest.raises(BacklitError, match="computes outside of Backlit's operators"):
        bl.see.source(loss)


def test_a_leaf_is_told_from_what_has_no_history() -> None:
    with pytest.raises(BacklitError, match="the tensor is a leaf: nothing has been computed"):
        bl.see(bl.tensor(3.0, requires_grad=True))
    with pytest.raises(BacklitError, match="does not require grad and has no history"):
        bl.see(bl.tensor(3))


def test_frozen_parameters_are_parameters() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    for parameter in model[2].parameters():
        parameter.requires_grad_(False)
    graph = record(model(bl.randn(5, 3)).pow(2).sum()).graph
    frozen = graph.wire("2.weight")
    assert (frozen.kind, frozen.grad) == ("parameter", None)
    assert frozen.tensor is model[2].weight and graph.wire(model[2].bias).name == "2.bias"


def test_a_formula_of_numbers_and_stray_options_are_told() -> None:
    with pytest.raises(BacklitError, match="reads no name"):
        record("2 + 3")
    x = bl.tensor(2.0, requires_grad=True)
    with pytest.raises(BacklitError, match="no further inputs: got lang"):
        bl.see(x * x, lang="zh")


def test_infinite_slopes_are_shown_without_a_warning() -> None:
    circuit = bl.see("x / y", x=1, y=0)
    for text in (str(circuit), circuit.svg(), circuit.html()):
        assert "inf" in text


def test_parameters_keep_their_names_when_the_module_is_gone() -> None:
    def loss() -> bl.Tensor:
        model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten(), nn.Linear(4, 2))
        return model(bl.randn(3, 1, 4)).sum()

    names = {wire.name for wire in record(loss()).graph.leaves}
    assert names == {"0.weight", "0.bias", "2.weight", "2.bias"}


class Reshaped(bl.autograd.Function):
    """A view, with the sizes as a list."""

    @staticmethod
    def forward(ctx: Any, x: bl.Tensor, sizes: list[int]) -> bl.Tensor:
        return x.reshape(*sizes)

    @staticmethod
    def backward(ctx: Any, g: bl.Tensor) -> tuple:
        return g.reshape(2, 3), None


def test_a_function_that_returns_a_view() -> None:
    x = bl.randn(2, 3, requires_grad=True)
    loss = (Reshaped.apply(x, [3, 2]) ** 2).sum()
    loss.backward()
    assert np.array_equal(bl.see(loss).graph.wire("x").grad, x.grad.numpy())
    assert np.array_equal(bl.see.source(loss).run()["dx"], x.grad.numpy())


class Scaled(bl.autograd.Function):
    """A product with a NumPy array that is an argument."""

    @staticmethod
    def forward(ctx: Any, x: bl.Tensor, by: np.ndarray) -> bl.Tensor:
        ctx.by = bl.from_numpy(by)
        return x * ctx.by

    @staticmethod
    def backward(ctx: Any, g: bl.Tensor) -> tuple:
        return g * ctx.by, None


def test_a_numpy_array_as_an_argument_stays_one() -> None:
    x, by = bl.randn(3, requires_grad=True), np.arange(3, dtype=np.float32)
    loss = Scaled.apply(x * 2, by).sum()
    circuit = bl.see(loss)
    assert np.array_equal(circuit.graph.wire("x").grad, 2 * by)
    assert "Scaled" in circuit.html() and "Scaled" in str(bl.see.derive(loss))
    assert bl.see.nudge(x, 1, of=loss).relative_error < 1e-5


def test_a_loss_that_is_kept_does_not_keep_its_batch() -> None:
    model = nn.Linear(5000, 1)
    batch, alive = bl.randn(2, 5000), []
    losses = [model(batch).sum(), model(batch).sum()]
    for loss in losses:
        loss.backward()
    alive.append(weakref.ref(batch.cell.array))
    del batch
    assert alive[0]() is None
    with pytest.raises(BacklitError, match="gone since its backward"):
        record(losses[0])


def test_a_loss_is_seen_after_its_backward_while_its_batch_is_there() -> None:
    model, batch = nn.Linear(5000, 1), bl.randn(2, 5000)
    loss = model(batch).sum()
    loss.backward()
    np.testing.assert_array_equal(record(loss).graph.wire("bias").grad, [2])


def test_modules_of_other_libraries_name_nothing():
    """Whoever has `named_parameters` is asked for names; what is no tensor is passed over."""

    class Foreign:
        def named_parameters(self):
            return [("weight", object())]

    foreign, (x,) = Foreign(), scalars(3)
    graph = record(x * x).graph
    assert graph.wires[0].name == "x" and foreign.named_parameters()
