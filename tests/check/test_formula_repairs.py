"""The doctor names what is wrong with a printed derivative, and prints the mended line."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl

rng = np.random.default_rng(3)
NET = (
    "z2 = W2 @ x + b2; a2 = sigmoid(z2); z3 = W3 @ a2 + b3; a3 = sigmoid(z3);"
    " C = 1/2 * norm(y - a3)^2; dC/dz3 = (a3 - y) * sigmoid'(z3);"
    " dC/dz2 = (W3^T @ dz3) * sigmoid'(z2); dC/db2 = dz2; dC/dW3 = dz3 @ a2^T; dC/dW2 = dz2 @ x^T"
)
VALUES = {
    "x": rng.normal(size=3), "y": rng.normal(size=3), "W2": rng.normal(size=(3, 3)),
    "b2": rng.normal(size=3), "W3": rng.normal(size=(3, 3)), "b3": rng.normal(size=3),
}  # fmt: skip
FORK = "q = x^2; r = exp(q); f = q * r; "


def test_the_network_is_right():
    assert bl.check.doctor(NET, VALUES).ok


@pytest.mark.parametrize(
    ("old", "new", "cause", "mended"),
    [
        ("(a3 - y) * sigmoid'(z3)", "(a3 - y) * sigmoid'(z2)", "wrong_saved_value",
         "sigmoid'(z3)"),
        ("(a3 - y) * sigmoid'(z3)", "(a3 - y) * sigmoid'(a3)", "wrong_saved_value",
         "sigmoid'(z3)"),
        ("(a3 - y) * sigmoid'(z3)", "(a3 - y) * sigmoid(z3)", "wrong_saved_value",
         "sigmoid'(z3)"),
        ("(a3 - y) * sigmoid'(z3)", "(a3 + y) * sigmoid'(z3)", "sign", "(a3 - y)"),
        ("(a3 - y) * sigmoid'(z3)", "(a3 - y)", "missing_factor", "sigmoid'(z3)"),
        ("(a3 - y) * sigmoid'(z3)", "(a3 - y) * sigmoid'(z3) * a3", "extra_factor",
         "(a3 - y) * sigmoid'(z3)"),
        ("(W3^T @ dz3) * sigmoid'(z2)", "(W3 @ dz3) * sigmoid'(z2)", "transposed", "W3^T @ dz3"),
        ("(W3^T @ dz3) * sigmoid'(z2)", "(W3^T @ dz3) * sigmoid'(z3)", "wrong_saved_value",
         "sigmoid'(z2)"),
        ("(W3^T @ dz3) * sigmoid'(z2)", "W3^T @ dz3", "missing_factor", "sigmoid'(z2)"),
    ],
)  # fmt: skip
def test_mistakes_in_back_propagation(old, new, cause, mended):
    assert old in NET
    found = bl.check.doctor(NET.replace(old, new), VALUES)
    first = found.causes[0]
    assert not found.ok and first.name == cause, str(found)
    assert mended in first.evidence


@pytest.mark.parametrize("wrong", [
    "dW3 = a2 @ dz3^T", "dC/dW3 = (dz3 @ a2^T)^T", "dC/dW3[i, j] = dz3[j] * a2[i]",
])  # fmt: skip
def test_outer_products_the_other_way_round(wrong):
    text = NET.replace("dC/dW3 = dz3 @ a2^T", wrong)
    assert bl.check.doctor(text, VALUES, wrt="W3").causes[0].name == "transposed"


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ("df/dx = df/dr * dr/dq * dq/dx", "lost_accumulation"),
        ("df/dx = r * 2 * x", "lost_accumulation"),
        ("df/dr = q; df/dq = r", "lost_accumulation"),
        ("dr = q; dq = r; dq = dr * exp(q); dx = dq * 2 * x", "lost_accumulation"),
        ("df/dx = (r + q * r) * x", "missing_factor"),
        ("df/dx = (r - q * r) * 2 * x", "sign"),
        ("df/dx = (r + x * r) * 2 * x", "wrong_saved_value"),
        ("df/dx = (r + q * q) * 2 * x", "wrong_saved_value"),
        ("df/dx = 0", "detached_path"),
    ],
)
def test_mistakes_at_a_fork(claims, cause):
    found = bl.check.doctor(FORK + claims, {"x": 0.7})
    assert not found.ok and found.causes[0].name == cause, str(found)


def test_weight_decay_forgotten():
    text = "L = norm(W @ x - y)^2 + lam * norm(W)^2; dL/dW = 2 * (W @ x - y) @ x^T"
    values = {"W": rng.normal(size=(2, 2)), "x": rng.normal(size=2), "y": rng.normal(size=2)}
    found = bl.check.doctor(text, {**values, "lam": 0.1})
    assert found.causes[0].name == "missing_regularization", str(found)
    assert bl.check.doctor(text + " + 2 * lam * W", {**values, "lam": 0.1}).ok


def test_the_mended_line_is_right():
    values = {"x": 0.4, "t": 1.3}
    found = bl.check.doctor("y = tanh(x); f = (y - t)^2; df/dx = 2 * (y - t) * (1 - x^2)", values)
    assert found.causes[0].name == "wrong_saved_value"
    mended = found.causes[0].evidence.split(": ")[1]
    assert mended == "df/dx = 2 * (y - t) * (1 - y^2)"
    assert bl.check.doctor(f"y = tanh(x); f = (y - t)^2; {mended}", values).ok
