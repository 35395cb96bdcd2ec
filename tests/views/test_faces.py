"""Every face of a computation shows the numbers of the contract, to 1e-12 and the same ones.

One case per row: how it is computed, and what is known of its gradients. Each face is read in
its own form: the graph, the snapshot behind the page, the printed program, the derivation, a
nudge, an explicit Jacobian.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.nn import functional as F

Case = tuple[Callable[..., bl.Tensor], dict[str, Any], float, dict[str, Any]]


def neuron(w: bl.Tensor, x: bl.Tensor) -> bl.Tensor:
    return bl.sigmoid(w[0] * x[0] + w[1] * x[1] + w[2])


def staged(x: bl.Tensor, y: bl.Tensor) -> bl.Tensor:
    sigy = 1 / (1 + bl.exp(-y))
    num = x + sigy
    sigx = 1 / (1 + bl.exp(-x))
    xpy = x + y
    den = sigx + xpy**2
    invden = 1 / den
    return num * invden


def mixed(x: bl.Tensor, y: bl.Tensor, z: bl.Tensor, w: bl.Tensor) -> bl.Tensor:
    return 2 * (x * y + bl.maximum(z, w))


def two_layers(W1: bl.Tensor, W2: bl.Tensor) -> bl.Tensor:
    X = bl.tensor([[1, -2], [0.5, 1]], dtype=bl.float64)
    y = bl.tensor([0, 2])
    scores = F.relu(X @ W1.T) @ W2.T
    correct = scores.gather(1, y.unsqueeze(1))
    keep = bl.ones(2, 3, dtype=bl.float64).scatter(1, y.unsqueeze(1), 0.0)
    hinge = (F.relu(scores - correct + 1) * keep).sum() / 2
    return hinge + 0.1 * (W1 * W1).sum() + 0.1 * (W2 * W2).sum()


def half_squares(w: bl.Tensor, b: bl.Tensor) -> bl.Tensor:
    x = bl.tensor([1.0, 2.0], dtype=bl.float64)
    return 0.5 * (bl.sigmoid((w * x).sum() + b) - 1.0) ** 2


def layered(W2: bl.Tensor, b2: bl.Tensor, W3: bl.Tensor, b3: bl.Tensor) -> bl.Tensor:
    x = bl.tensor([1, -2], dtype=bl.float64)
    a2 = bl.sigmoid(W2 @ x + b2)
    a3 = bl.sigmoid(W3 @ a2 + b3)
    return 0.5 * ((a3 - bl.tensor([1.0, 0.0], dtype=bl.float64)) ** 2).sum()


def product(X: bl.Tensor, W: bl.Tensor) -> bl.Tensor:
    return (X @ W * bl.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=bl.float64)).sum()


X, W = np.array([[1.0, -2, 3], [0.5, 4, -1]]), np.array([[2.0, 1], [-1, 0.5], [3, 2]])
UP = np.array([[1.0, 2], [3, 4]])
CASES: dict[str, Case] = {
    "C1": (lambda x, y, z: (x + y) * z, {"x": -2, "y": 5, "z": -4}, -12.0,
           {"x": -4, "y": -4, "z": 3}),
    "C6": (neuron, {"w": [2, -3, -3], "x": [-1, -2]}, 0.7310585786300049,
           {"w": [-0.19661193324148185, -0.3932238664829637, 0.19661193324148185],
            "x": [0.3932238664829637, -0.5898357997244456]}),
    "C8": (staged, {"x": 3, "y": -4}, 1.5456448841066441,
           {"x": 2.0595697955721652, "y": 1.5922327514838093}),
    "C13": (mixed, {"x": 3, "y": -4, "z": 2, "w": -1}, -20.0,
            {"x": -8, "y": 6, "z": 2, "w": 0}),
    "N3": (two_layers, {"W1": [[1, -1], [-0.5, 2]], "W2": [[0.2, 0.4], [-0.3, 0.5], [0.6, -0.1]]},
           3.7785, {"W1": [[0.4, -0.6], [0.175, 0.95]],
                    "W2": [[-1.46, 0.955], [-0.06, 0.975], [1.62, -1.77]]}),
    "V2": (product, {"X": X, "W": W}, float((X @ W * UP).sum()),
           {"X": UP @ W.T, "W": X.T @ UP}),
}  # fmt: skip
F1 = {
    "W2": [[0.1, 0.2], [0.3, 0.4], [-0.5, 0.6]], "b2": [0.1, -0.1, 0.0],
    "W3": [[0.2, -0.3, 0.5], [-0.4, 0.1, 0.7]], "b3": [0.05, -0.05],
}  # fmt: skip


def fixture_f1() -> Case:
    """Nielsen's four equations in NumPy: what N7 to N9 must be, in all digits."""
    w2, b2, w3, b3 = (np.array(v) for v in F1.values())
    x, y = np.array([1.0, -2.0]), np.array([1.0, 0.0])
    a2 = 1 / (1 + np.exp(-(w2 @ x + b2)))
    a3 = 1 / (1 + np.exp(-(w3 @ a2 + b3)))
    d3 = (a3 - y) * a3 * (1 - a3)
    d2 = w3.T @ d3 * a2 * (1 - a2)
    np.testing.assert_allclose(d3, [-0.11770923, 0.11937326], atol=5e-9)
    np.testing.assert_allclose(d2, [-0.01764574, 0.01081008, 0.00322683], atol=5e-9)
    grads = {"W2": np.outer(d2, x), "b2": d2, "W3": np.outer(d3, a2), "b3": d3}
    return layered, F1, 0.22595486641727097, grads


def fixture_n4() -> Case:
    """One neuron: the contract's nine digits, in all of them."""
    y = 1 / (1 + np.exp(-(0.5 * 1 - 0.25 * 2 + 0.1)))
    delta = (y - 1) * y * (1 - y)
    np.testing.assert_allclose(y, 0.52497918747894, rtol=1e-13)
    np.testing.assert_allclose([delta, 2 * delta], [-0.118458809, -0.236917618], atol=5e-10)
    grads = {"w": [delta, 2 * delta], "b": delta}
    return half_squares, {"w": [0.5, -0.25], "b": 0.1}, 0.5 * (y - 1) ** 2, grads


CASES["F1"] = fixture_f1()
CASES["N4"] = fixture_n4()


@pytest.fixture(params=CASES, name="case")
def _case(request: pytest.FixtureRequest) -> tuple[bl.Tensor, dict[str, bl.Tensor], Case]:
    case = CASES[request.param]
    function, inputs, *_ = case
    leaves = {
        k: bl.tensor(np.asarray(v, np.float64), requires_grad=True) for k, v in inputs.items()
    }
    return function(**leaves), leaves, case


def close(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(np.asarray(found, float), expected, rtol=1e-12, atol=1e-12)


def test_the_graph(case: Any) -> None:
    loss, leaves, (_, _, value, grads) = case
    graph = bl.see.record(loss).graph
    close(graph.loss.value, value)
    for name, tensor in leaves.items():
        wire = graph.wire(tensor)
        assert wire.name == name
        close(wire.grad, grads[name])
        close(sum(part for _, _, part in wire.contributions), grads[name])


def test_the_snapshot_of_the_page(case: Any) -> None:
    loss, leaves, (_, _, value, grads) = case
    chosen = {t: tuple(0 for _ in t.shape) for t in leaves.values() if t.ndim}
    shot = json.loads(json.dumps(bl.see(loss, elements=chosen).snapshot()))
    wires = {w["name"]: w for w in shot["circuit"]["wires"]}
    ids = {w["id"]: w for w in shot["circuit"]["wires"]}
    close(ids[shot["loss"]]["value"]["scalar"], value)
    for name, tensor in leaves.items():
        grad, expected = wires[name]["grad"], np.asarray(grads[name], float)
        if tensor.ndim == 0:
            close(grad["scalar"], expected)
            continue
        close(grad["norm"], np.linalg.norm(expected))
        (element,) = [e for e in grad["elements"] if not any(e["index"])]
        close(element["value"], expected[tuple(element["index"])])


def test_the_printed_program(case: Any) -> None:
    loss, leaves, (_, _, value, grads) = case
    text = bl.see.source(loss)
    found = text.run()
    close(found[text.names[bl.see.record(loss).program.outputs[0].name]], value)
    for name in leaves:
        close(found[text.gradients[name]], grads[name])


def test_the_derivation(case: Any) -> None:
    loss, leaves, _ = case
    for tensor in leaves.values():
        derivation = bl.see.derive(loss, wrt=tensor)
        assert derivation.ok, str(derivation)
        assert derivation.error <= 1e-12
        assert any(line.kind == "numbers" for line in derivation.lines)


def test_a_nudge_of_every_leaf(case: Any) -> None:
    loss, leaves, (_, _, _, grads) = case
    for name, tensor in leaves.items():
        index = tuple(0 for _ in tensor.shape)
        nudge = bl.see.nudge(tensor, index or None, 1e-4, of=loss)
        close(nudge.delta, np.asarray(grads[name], float)[index])
        assert abs(nudge.moves[0].gap) <= 1e-6


def test_the_jacobian_is_the_gradient(case: Any) -> None:
    loss, leaves, (_, _, _, grads) = case
    for name, tensor in leaves.items():
        jacobian = bl.see.jacobian(loss, of=loss, wrt=tensor)
        assert jacobian.ok
        close(jacobian.matrix.reshape(tensor.shape), grads[name])
