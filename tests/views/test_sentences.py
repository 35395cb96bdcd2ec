"""Sentences and patterns: what they say is so, in both languages, for every operator."""

from __future__ import annotations

import re

import pytest
from circuits import c1, c8, c13, scalars, two_layer
from harness import cases, differentiable, function_of, has_gradient, leaves
from samples import ROWS
from structure import check

import backlit as bl
from backlit.nn import functional as F
from backlit.views import record
from backlit.views.rerun import rerun
from backlit.views.sentences import backward_text, forward_text, pattern


def back(f: bl.Tensor, op: str) -> str:
    graph = record(f).graph
    return next(backward_text(g, graph.loss)["en"] for g in graph.gates if g.op.name == op)


def test_the_add_gate_hands_on_and_the_multiply_gate_swaps() -> None:
    add, mul = c1(lambda f: record(f).graph)[0].gates
    told = backward_text(add)
    assert told["en"].startswith("The add gate hands its upstream gradient -4 to both inputs.")
    assert told["zh"].startswith("加法门把上游梯度 -4 传给两个输入。")
    assert "q gets upstream × z = 1 × (-4) = -4" in backward_text(mul)["en"]
    assert "z 得到 上游 × q = 1 × 3 = 3" in backward_text(mul)["zh"]
    assert forward_text(add) == {
        "en": "The add gate adds x = -2 and y = 5: q = 3.",
        "zh": "加法门把 x = -2 与 y = 5 相加：q = 3。",
    }


@pytest.mark.parametrize("make", [c1, c8, c13])
def test_sign_and_force_are_true(make) -> None:
    """Whoever follows a sentence and moves the input sees the result move as told."""
    graph = make(lambda f: record(f).graph)[0]
    told = " ".join(backward_text(g, graph.loss)["en"] for g in graph.gates)
    for wire in graph.leaves:
        found = re.search(
            rf"(Decreasing|Increasing) {wire.name} raises f, with force (\S+)\.", told
        )
        if wire.grad == 0:
            assert f"A small change of {wire.name} leaves f as it is." in told
            continue
        step = (1 if found[1] == "Increasing" else -1) * 1e-6
        moved = rerun(graph, {wire: bl.tensor(wire.value + step)})[graph.loss]
        rise = (moved.item() - float(graph.loss.value)) / 1e-6
        assert rise == pytest.approx(float(found[2]), rel=1e-3)


def test_copies_add_up_at_a_fork() -> None:
    graph = c8(lambda f: record(f).graph)[0]
    told = " ".join(backward_text(g)["en"] for g in graph.gates)
    assert "Copies add up: y was used 2 times, so its gradient is 0.009046 + 1.583 = 1.592" in told
    assert "x was used 3 times" in told
    (x,) = scalars(3)
    y = x * x
    graph = record(y + y.exp()).graph
    assert backward_text(graph.gates[0])["en"].startswith("Copies add up: y was used 2 times")


def test_max_routes_and_tells_of_ties() -> None:
    z, w = scalars(2, -1)
    assert "routes its whole upstream gradient 1 to z" in back(bl.maximum(z, w), "maximum")
    assert "routes its whole upstream gradient 1 to w" in back(bl.minimum(z, w), "minimum")
    tied = back(bl.maximum(z, w + 3), "maximum")
    assert tied.startswith("A tie: both inputs of the max gate are 2")
    x = bl.tensor([1.0, 5.0, 5.0], requires_grad=True)
    y = bl.tensor([2.0, 4.0, 5.0], requires_grad=True)
    assert "x 66.67 % and y 66.67 %" in back(bl.maximum(x, y).sum(), "maximum")


def test_relu_lets_through_or_blocks() -> None:
    (x,) = scalars(2)
    (y,) = scalars(-3)
    assert "is open (x = 2 > 0): it lets 1 through" in back(F.relu(x), "relu")
    assert "is shut (y = -3): it blocks the gradient, y gets 0" in back(F.relu(y), "relu")
    many = bl.tensor([1.0, -1.0, 0.0, 2.0], requires_grad=True)
    assert "at 2 of 4 elements" in back(F.relu(many).sum(), "relu")


def test_no_gradient_is_said() -> None:
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    graph = record(lambda x: (x * (x > 1)).sum(), x).graph
    gt = next(g for g in graph.gates if g.op.name == "gt")
    assert backward_text(gt)["en"] == "No gradient flows back: gt is not differentiable."
    model = two_layer()[1]
    graph = record(model(bl.ones(1, 3, dtype=bl.float64)).sum()).graph
    assert "fc1.weight gets" in backward_text(graph.gates[0])["en"]


def test_matrix_gates_say_who_gets_what() -> None:
    graph = two_layer(lambda loss: record(loss).graph)[0]
    linear = graph.gates[2]
    assert forward_text(linear)["en"].startswith("The linear gate multiplies relu (5×4) by the")
    told = backward_text(linear)["en"]
    assert "relu gets G·fc2.weight; fc2.weight gets Gᵀ·relu, summed over the samples" in told
    x = bl.randn(3, 2, requires_grad=True)
    graph = record((x - x.mean(1, keepdim=True)).square().sum()).graph
    assert "unchanged, and with its sign turned to mean" in backward_text(graph.gates[1])["en"]
    assert "each of 2 elements of x gets 1/2 of it" in backward_text(graph.gates[0])["en"]


def test_patterns() -> None:
    x, y = scalars(1, 2)
    m = bl.ones(2, 2, requires_grad=True)
    cases = {
        "distributes": x + y, "swaps": x * y, "scales": x.exp(), "routes": bl.maximum(x, y),
        "blocks": x.relu(), "moves": m.reshape(4)[0], "adds up": m.sum(0)[0].expand(3).sum(),
    }  # fmt: skip
    for name, f in cases.items():
        assert name in {pattern(g) for g in record(f).graph.gates}, name
    assert pattern(record(x * 2).graph.gates[0]) == "scales"


def test_user_functions() -> None:
    class Double(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * 2

    (x,) = scalars(3)
    assert back(Double.apply(x), "Double").startswith("Your Double backward turns")


@pytest.mark.parametrize(
    "row", [r for r in ROWS if r.args and has_gradient(r)], ids=lambda r: r.name
)
def test_every_operator_has_a_snapshot_and_its_sentences(row, monkeypatch) -> None:
    # Derivations and sources have tests over all operators of their own.
    monkeypatch.setattr("backlit.views.circuit.chapters", lambda *_: {})
    case = cases(row)[0]
    outputs = case.run(function_of(row), leaves(case))
    chosen = [outputs[i] for i in differentiable(outputs)]
    if chosen:
        total = sum((y.double() * y.double()).sum() for y in chosen)
        check(bl.see(total).snapshot())
