"""What is inside a gate: expansions hand back the same, elements add up to the whole gate."""

from __future__ import annotations

import numpy as np
import pytest
from circuits import c7, scalars
from harness import cases, differentiable, function_of, has_gradient, leaves
from samples import ROWS
from structure import check

import backlit as bl
from backlit import nn
from backlit.nn import functional as F
from backlit.views import record
from backlit.views.derivatives import row
from backlit.views.elements import element_circuit
from backlit.views.expansion import expansion


def inside(circuit, op: str) -> dict:
    return next(g for g in circuit.snapshot()["circuit"]["gates"] if g["op"] == op)["inside"]


def gate_of(f: bl.Tensor, op: str):
    return next(g for g in record(f).graph.gates if g.op.name == op)


# ----- expansions -----


def test_a_graph_is_not_unique_one_sigmoid_gate_or_four() -> None:
    (circuit,) = c7()
    opened = inside(circuit, "sigmoid")
    assert [g["op"] for g in opened["gates"]] == ["neg", "exp", "add", "div"]
    closed = circuit.snapshot()["circuit"]["gates"][0]["backward"][0]
    slope = 0.19661193324148185
    assert closed["local"]["scalar"] == pytest.approx(slope, abs=1e-16)
    assert opened["gates"][0]["backward"][0]["downstream"]["scalar"] == pytest.approx(
        slope, abs=1e-16
    )
    product = closed["upstream"]["scalar"]
    for gate in reversed(opened["gates"]):
        product *= gate["backward"][0]["local"]["scalar"]
    assert product == pytest.approx(slope, abs=1e-15)


def test_wires_that_cross_the_border_keep_their_ids() -> None:
    (circuit,) = c7()
    outer = circuit.snapshot()["circuit"]["gates"][0]
    opened = outer["inside"]
    own = {w["id"] for w in opened["wires"]}
    assert opened["gates"][0]["inputs"] == outer["inputs"]
    assert opened["gates"][-1]["outputs"] == outer["outputs"]
    assert not own & {*outer["inputs"], *outer["outputs"]}


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.args and has_gradient(r)], ids=lambda r: r.name
)
def test_expansions_agree_with_the_closed_gate(row) -> None:
    case = cases(row)[0]
    outputs = case.run(function_of(row), leaves(case))
    chosen = [outputs[i] for i in differentiable(outputs)]
    if not chosen:
        return
    total = sum((y.double() * y.double()).sum() for y in chosen)
    for gate in record(total).graph.gates:
        opened = expansion(gate)
        if opened is None:
            continue
        inner = {opened.border[w.id].id: w for w in opened.graph.wires if w.id in opened.border}
        for wire in {w.id: w for w in gate.inputs if w is not None}.values():
            whole = [d for w, d in zip(gate.inputs, gate.downstream) if w is wire and d is not None]
            if not whole or wire.array.dtype != np.float64:
                continue
            parts = [
                w.grad for w in opened.graph.wires
                if opened.border.get(w.id) is wire and w.grad is not None
            ]  # fmt: skip
            scale = max(1.0, max(np.abs(d).max(initial=0) for d in whole))
            np.testing.assert_allclose(sum(parts), sum(whole), 0, 1e-11 * scale)
        assert inner


def test_operators_of_networks_open() -> None:
    x = bl.randn(4, 3, dtype=bl.float64).requires_grad_()
    norm = nn.BatchNorm1d(3, dtype=bl.float64)
    opened = {
        "batch_norm": norm(x), "log_softmax": F.log_softmax(x, 1),
        "layer_norm": F.layer_norm(x, (3,)), "softmax": F.softmax(x, 1), "gelu": F.gelu(x),
    }  # fmt: skip
    for op, y in opened.items():
        found = expansion(gate_of((y * y).sum(), op))
        assert found is not None and len(found.graph.gates) > 1, op


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_recurrent_layers_open_into_their_steps(kind: str) -> None:
    layer = getattr(nn, kind)(3, 2, dtype=bl.float64)
    y, _ = layer(bl.randn(4, 1, 3, dtype=bl.float64))
    found = expansion(gate_of((y * y).sum(), kind.lower()))
    assert found is not None
    assert sum(g.op.name == "tanh" for g in found.graph.gates) >= 4
    assert {w.name for w in found.border.values()} >= {"weight_ih_l0", "weight_hh_l0"}


class Cube(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x * x * g


class WrongCube(Cube):
    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * x * g


def test_user_functions_open_where_their_backward_is_what_their_forward_says() -> None:
    (x,) = scalars(2)
    opened = inside(bl.see(Cube.apply(x) + 1), "Cube")
    assert [g["op"] for g in opened["gates"]] == ["mul", "mul"]
    assert inside(bl.see(WrongCube.apply(x) + 1), "WrongCube") is None


def test_an_expansion_that_hands_back_something_else_is_not_shown() -> None:
    x = bl.zeros(3, requires_grad=True)  # max(x, 0) shares the gradient of a tie, ReLU does not
    assert expansion(gate_of(x.relu().sum(), "relu")) is None


# ----- scalar gates -----


PRODUCTS = {
    "linear": lambda x, w: F.linear(x(3, 4), w(2, 4), w(2)),
    "linear 3-D": lambda x, w: F.linear(x(2, 3, 4), w(2, 4)),
    "matmul": lambda x, w: x(3, 4) @ w(4, 2),
    "matmul batch": lambda x, w: x(2, 1, 3, 4) @ w(3, 4, 2),
    "conv": lambda x, w: F.conv2d(x(2, 2, 4, 4), w(3, 2, 3, 3), w(3), stride=2, padding=1),
    "conv groups": lambda x, w: F.conv2d(x(1, 4, 4, 3), w(4, 2, 2, 2), None, dilation=2, groups=2),
    "conv1d": lambda x, w: F.conv1d(x(1, 2, 5), w(2, 2, 3), w(2), padding=1),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_element_by_element_equals_the_matrix_circuit(name: str, monkeypatch) -> None:
    """Notation in elements against notation in matrices: sums over all scalar circuits."""
    monkeypatch.setattr("backlit.views.elements.TERMS", 10**6)
    bl.manual_seed(3)
    made = []

    def draw(*shape: int) -> bl.Tensor:
        made.append(bl.randn(*shape, dtype=bl.float64).requires_grad_())
        return made[-1]

    y = PRODUCTS[name](draw, draw)
    weight = bl.randn(*y.shape, dtype=bl.float64)
    op = name.split()[0].rstrip("1d")
    gate = gate_of((y * weight).sum(), op)
    sums = {w.name: np.zeros(w.shape) for w in gate.inputs if w is not None}
    for index in np.ndindex(*y.shape):
        circuit = element_circuit(gate, "e", index)
        *_, total = circuit["gates"]
        values = {w["id"]: w["value"]["scalar"] for w in circuit["wires"]}
        assert sum(values[k] for k in total["inputs"]) == pytest.approx(
            float(y.detach().numpy()[index]), abs=1e-13
        )
        for wire in circuit["wires"]:
            if wire["maker"] is None:
                owner, _, at = wire["name"].partition("[")
                sums[owner][tuple(map(int, at.rstrip("]").split(",")))] += wire["grad"]["scalar"]
    for wire, whole in zip(gate.inputs, gate.downstream):
        if wire is not None:
            np.testing.assert_allclose(sums[wire.name], whole, 1e-14, 1e-14)


def test_products_that_are_not_shown_are_one_wire() -> None:
    x = bl.randn(2, 50, dtype=bl.float64).requires_grad_()
    w = bl.randn(50, 3, dtype=bl.float64).requires_grad_()
    circuit = bl.see((x @ w).exp().sum())
    opened = inside(circuit, "matmul")
    assert [g["op"] for g in opened["gates"]].count("mul") == 8
    values = {w["id"]: w for w in opened["wires"]}
    total = opened["gates"][-1]
    assert "42 more products" in {values[k]["name"] for k in total["inputs"]}
    assert sum(values[k]["value"]["scalar"] for k in total["inputs"]) == pytest.approx(
        values[total["outputs"][0]]["value"]["scalar"], abs=1e-12
    )


def test_chosen_elements_are_shown_exactly() -> None:
    x = bl.randn(3, 40, requires_grad=True)
    w = bl.randn(40, 30, requires_grad=True)
    y = x @ w
    circuit = bl.see(y.tanh().sum(), elements={"y": (-1, 7), x: (0, 3)})
    check(circuit.snapshot())
    wires = {w["name"]: w for w in circuit.snapshot()["circuit"]["wires"]}
    assert wires["y"]["value"]["elements"] == [
        {"index": [2, 7], "value": float(y.detach().numpy()[2, 7])}
    ]  # fmt: skip
    assert wires["x"]["grad"]["elements"][0]["index"] == [0, 3]
    opened = inside(circuit, "matmul")
    assert opened["wires"][-1]["name"] == "y[2, 7]"


def test_without_a_choice_it_is_the_element_with_the_largest_gradient() -> None:
    x = bl.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x.sum(1)
    f = (y * bl.tensor([1.0, -5.0])).sum()
    opened = inside(bl.see(f), "sum")
    assert opened["wires"][-1]["name"] == "y[1]"
    assert [w["name"] for w in opened["wires"][:-1]] == ["x[1, 0]", "x[1, 1]"]
    assert [w["grad"]["scalar"] for w in opened["wires"]] == [-5, -5, -5]


def test_pools_show_the_window_and_the_winner() -> None:
    x = bl.arange(16.0).reshape(1, 1, 4, 4).requires_grad_()
    opened = inside(bl.see(F.max_pool2d(x, 2).sum(), elements={}), "max_pool")
    (gate,) = opened["gates"]
    locals_ = [b["local"]["scalar"] for b in gate["backward"]]
    assert sorted(locals_) == [0, 0, 0, 1]
    winner = opened["wires"][locals_.index(1)]
    assert winner["value"]["scalar"] == max(w["value"]["scalar"] for w in opened["wires"][:-1])


def test_other_gates_show_a_row_of_their_jacobian() -> None:
    x = bl.randn(2, 5, dtype=bl.float64).requires_grad_()
    y = F.softmax(x, 1)
    gate = gate_of((y * y).sum(), "softmax")
    opened = element_circuit(gate, "e", (1, 2))
    p = y.detach().numpy()[1]
    for b, wire in zip(opened["gates"][0]["backward"], opened["wires"]):
        j = int(wire["name"].split(",")[1].rstrip("]"))
        assert b["local"]["scalar"] == pytest.approx(p[2] * ((j == 2) - p[j]), abs=1e-15)
    np.testing.assert_allclose(row(gate, (1, 2))[0][0], 0)


def test_moves_lead_back_to_the_one_element() -> None:
    x = bl.randn(2, 3, 4, requires_grad=True)
    f = (x.permute(2, 0, 1).flip(0) * bl.randn(4, 2, 3)).sum()
    opened = inside(bl.see(f, elements={"permute": (1, 0, 2)}), "permute")
    assert [w["name"] for w in opened["wires"]] == ["x[0, 2, 1]", "permute[1, 0, 2]"]
