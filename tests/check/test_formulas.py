"""The doctor on printed derivatives: right ones pass, wrong ones are named."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.check.formulas import examine
from backlit.errors import ArgumentError, FormulaError

HALF = "f = 1/2*(y - t)^2; "
AT = {"y": 0.5, "t": 1.0}


def test_the_doctor_takes_formulas():
    found = bl.check.doctor(HALF + "df/dy = y - t", AT)
    assert found.ok and found.checked == ["y"] and not found.wrong
    assert bl.check.doctor(HALF + "df/dy = t - y", AT).wrong == ["y"]
    assert bl.check.doctor(HALF + "df/dy = y - t", [0.5, 1.0]).ok


@pytest.mark.parametrize(
    ("claim", "cause"),
    [
        ("df/dy = -(y - t)", "sign"),
        ("df/dy = t - y", "sign"),
        ("df/dy = 2 * (y - t)", "extra_factor"),
        ("df/dy = 1/2 * (y - t)", "missing_factor"),
        ("df/dy = 0", "detached_path"),
    ],
)
def test_causes_of_scalars(claim, cause):
    found = bl.check.doctor(HALF + claim, AT)
    assert found.wrong == ["y"]
    assert found.causes[0].name == cause, str(found)


@pytest.mark.parametrize("text", [
    r"f = \frac{1}{2}(y - t)^2; \frac{\partial f}{\partial y} = y - t",
    r"f = \frac{1}{2}(y - t)^2 \\ \frac{df}{dy} = y - t",
    r"f = \frac{1}{2}(y - t)^2; dy = y - t\,",
    "f = 1/2*(y - t)^2; ∂f/∂y = y - t",
    "f = 1/2*(y - t)^2; dy = (y - t) * df",
    "d/dy (1/2*(y - t)^2) = y - t",
    r"\frac{\partial}{\partial y} \frac{1}{2}(y - t)^2 = y - t",
    r"\frac{d}{dy} \left(\frac{1}{2}(y - t)^2\right) = y - t",
    ("1/2*(y - t)^2", {"y": "y - t"}),
    ("f = 1/2*(y - t)^2", "df/dy = y - t"),
])  # fmt: skip
def test_every_spelling_of_a_claim(text):
    assert bl.check.doctor(text, AT).ok


@pytest.mark.parametrize("text", [
    "sigma'(z) = sigma(z) * (1 - sigma(z))", r"\sigma'(z) = \sigma(z)(1 - \sigma(z))",
    r"\tanh'(z) = 1 - \tanh^2(z)", "f(z) = z^3; f'(z) = 3 * z^2", "d/dz z^3 = 3 * z^2",
])  # fmt: skip
def test_derivatives_of_functions(text):
    assert bl.check.doctor(text, {"z": 0.7}).ok
    wrong = bl.check.doctor(text + " * 2" if "\\" not in text else text + " + z", {"z": 0.7})
    assert not wrong.ok and wrong.causes


def test_a_constant_does_not_pass_for_a_factor():
    text = "f = (w*x - t)^2; df/dw = "
    values = {"w": 1.0, "x": 2.0, "t": 0.5}
    without_x = bl.check.doctor(text + "2 * (w*x - t)", values).causes[0]
    assert without_x.name == "missing_factor" and "the factor x" in without_x.evidence
    without_two = bl.check.doctor(text + "(w*x - t) * x", values).causes[0]
    assert without_two.name == "missing_factor" and "the factor 2" in without_two.evidence


def test_wrt_chooses():
    text = "f = x * y; df/dx = y; df/dy = -x"
    values = {"x": 2.0, "y": 3.0}
    assert bl.check.doctor(text, values, wrt="x").ok
    assert bl.check.doctor(text, values, wrt=["y"]).wrong == ["y"]
    assert bl.check.doctor(text, values).wrong == ["y"]
    with pytest.raises(ArgumentError, match="no derivative by 'z' is claimed, only by x, y"):
        bl.check.doctor(text, values, wrt="z")


def test_names_assigned_on_the_way():
    right = "q = x + y; f = q * z; df/dq = z; dq/dx = 1; df/dx = df/dq * dq/dx"
    assert bl.check.doctor(right, {"x": -2, "y": 5, "z": -4}).checked == ["q", "x"]
    assert bl.check.doctor(right, {"x": -2, "y": 5, "z": -4}).ok
    wrong = right.replace("df/dq = z", "df/dq = q")
    assert bl.check.doctor(wrong, {"x": -2, "y": 5, "z": -4}).wrong == ["q", "x"]


@pytest.mark.parametrize(
    ("claims", "wrong"),
    [
        ("dX = dY @ W^T; dW = X^T @ dY", []),
        ("dX = dY @ W^T; dW = (X^T @ dY) * 2", ["W"]),
        ("dX = -dY @ W^T; dW = X^T @ dY", ["X"]),
    ],
)
def test_gradients_that_arrive_from_above(claims, wrong):
    rng = np.random.default_rng(0)
    values = {"X": rng.normal(size=(3, 4)), "W": rng.normal(size=(4, 2))}
    assert bl.check.doctor(f"Y = X @ W; {claims}", values).wrong == wrong


def test_elementwise_claims_about_arrays():
    x = np.array([0.3, -1.0, 2.0])
    assert bl.check.doctor("f = sigmoid(x); df/dx = f * (1 - f)", {"x": x}).ok
    assert not bl.check.doctor("f = sigmoid(x); df/dx = f * (1 + f)", {"x": x}).ok
    assert bl.check.doctor("f = a * x; df/da = x; df/dx = a", {"x": x, "a": 0.7}).ok
    assert not bl.check.doctor("y = softmax(x); dy/dx = y * (1 - y)", {"x": x}).ok


def test_indices_in_claims():
    rng = np.random.default_rng(1)
    values = {"w": rng.normal(size=(2, 3)), "a": rng.normal(size=3), "t": rng.normal(size=2)}
    text = (
        r"z_j = \sum_k w_{jk} a_k \\ C = \frac{1}{2}\|\sigma(z) - t\|^2 \\"
        r"\frac{\partial C}{\partial z_j} = (\sigma(z_j) - t_j) \sigma'(z_j) \\"
        r"\frac{\partial C}{\partial w_{jk}} = a_k \frac{\partial C}{\partial z_j}"
    )
    assert bl.check.doctor(text, values).ok
    assert bl.check.doctor(text.replace(r"\sigma'", r"\sigma"), values).wrong == ["z", "w"]


def test_a_fair_choice_at_a_kink_is_right():
    at_the_kink = {"x": np.array([0.0, 1.0, -1.0])}
    found = bl.check.doctor("f = sum(max(0, x)); df/dx = 1[x > 0]", at_the_kink)
    assert found.ok and all(c.name == "kink" for c in found.causes)
    assert not bl.check.doctor("f = sum(max(0, x)); df/dx = 1[x > 0] - 1", at_the_kink).ok


def test_right_at_one_point_only_is_wrong():
    assert examine("f = x^2; df/dx = x^2", {"x": 2.0}).wrong == ["x"]


def test_a_claim_that_does_not_fit():
    found = bl.check.doctor("Y = W @ X; dX = dY @ W^T; dW = dY @ X^T",
                            {"W": np.ones((2, 3)), "X": np.ones((3, 4))})  # fmt: skip
    assert found.wrong == ["X"] and found.causes[0].name == "transposed"
    assert "inner sizes differ" in found.causes[0].evidence
    assert "dX = W^T @ dY" in found.causes[0].evidence
    beyond = bl.check.doctor("Y = W @ X; dX = X @ W", {"W": np.ones((2, 3)), "X": np.ones((3, 4))})
    assert beyond.wrong == ["X"] and beyond.causes[0].name == "shape_error", str(beyond)


@pytest.mark.parametrize(
    ("text", "values", "error", "words"),
    [
        ("f = x * y", {"x": 1.0, "y": 2.0}, ArgumentError, "claims no derivative"),
        ("f = x; df/dx = q", {"x": 1.0}, FormulaError, "'q' has no value"),
        ("f = x; df/dq = 1", {"x": 1.0}, FormulaError, "'q' has no value"),
        ("f = (x; df/dx = 1", {"x": 1.0}, FormulaError, "expected '\\)'"),
        ("Y = X @ W; dY/dX = W^T", {"X": np.ones((2, 3)), "W": np.ones((3, 4))}, ArgumentError,
         "from above"),
    ],
)  # fmt: skip
def test_what_can_not_be_examined_is_refused(text, values, error, words):
    with pytest.raises(error, match=words):
        bl.check.doctor(text, values)


def test_claims_that_rest_on_a_claim_that_does_not_fit():
    text = "z = W @ x; L = norm(z - t)^2; dL/dz = 2 * (z - t) @ x; dL/dW = dz @ x^T"
    values = {"W": np.ones((2, 3)), "x": np.ones(3), "t": np.zeros(2)}
    found = bl.check.doctor(text, values)
    assert found.wrong == ["z", "W"] and {c.input for c in found.causes} == {"z"}
    alone = bl.check.doctor(text, values, wrt="W")
    assert alone.wrong == ["W"] and alone.causes


def test_zero_is_zero_of_any_shape():
    values = {"w": np.array([1.0, 2.0]), "x": np.array([0.5, -1.0])}
    found = bl.check.doctor("f = w @ x; df/dw = 0; df/dx = w", values)
    assert found.wrong == ["w"] and found.causes[0].name == "detached_path"
    assert bl.check.doctor("f = w @ x - x @ w; df/dw = 0", values).ok
