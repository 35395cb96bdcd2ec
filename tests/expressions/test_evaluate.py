"""Formulas computed on Tensors: values, recorded operators, gradients, claims, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit.errors import BacklitError, FormulaError
from backlit.expressions import evaluate, leaf, parse, run

rng = np.random.default_rng(5)
W, A, B = rng.standard_normal((2, 3)), rng.standard_normal(3), rng.standard_normal(2)


def value(text, **values):
    return run(text, **values)[0].detach().numpy()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("W @ a", W @ A),
        (r"W a\,", W @ A),
        (r"W \cdot a", W @ A),
        ("a @ a", A @ A),
        ("a^T @ a", A @ A),
        (r"b a^{\top}", np.outer(B, A)),
        ("b @ a^T", np.outer(B, A)),
        ("W' @ b", W.T @ B),
        (r"W^{\top} b", W.T @ B),
        (r"b^{\top} W a", B @ W @ A),
        (r"a \odot a", A * A),
        ("a * a", A * A),
        (r"2 a\,", 2 * A),
        ("sum(a)", A.sum()),
        (r"\sum a", A.sum()),
        ("mean(a)", A.mean()),
        ("max(a)", A.max()),
        ("min(0, a, 0.1)", np.minimum(np.minimum(0, A), 0.1)),
        ("norm(W)", np.sqrt((W * W).sum())),
        ("dot(a, a)", A @ A),
        ("softmax(a)", np.exp(A) / np.exp(A).sum()),
        ("log_softmax(a)", A - np.log(np.exp(A).sum())),
        ("tanh'(a)", 1 - np.tanh(A) ** 2),
        ("relu'(a)", (A > 0).astype(float)),
        ("1[a > 0] - (a <= 0)", np.sign(A)),
        ("where(a > 0, a, 0.1 * a)", np.where(A > 0, A, 0.1 * A)),
        ("a[1] * W[0, 2]", A[1] * W[0, 2]),
        ("sum[j](W[1, j] * a[j])", W[1] @ A),
        (r"\sum_j \sum_i W_{ij} b_i a_j", B @ W @ A),
        (r"\max\left(0, 1 - a\right)", np.maximum(0, 1 - A)),
        ("2^-1 + 7 / 2 * 1", 4.0),
        ("cos(pi) + e^0", 0.0),
        ("erf(0.5)", math.erf(0.5)),
        ("max(1, 2) + exp(0)", 3.0),
        ("hypot(3, a)", np.hypot(3, A)),
    ],
)
def test_values(text, expected):
    given = {n: v for n, v in {"W": W, "a": A, "b": B}.items() if n in parse(text).names_read()}
    found = value(text, **given)
    assert found.dtype == np.float64
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)


def test_indices_meet_by_their_letters():
    found, named = run("z[j] = sum[k](w[j, k] * a[k]) + b[j]; t[k, j] = w[j, k]; C = norm(z)^2",
                       w=W, a=A, b=B)  # fmt: skip
    np.testing.assert_allclose(named["z"].detach().numpy(), W @ A + B)
    np.testing.assert_array_equal(named["t"].detach().numpy(), W.T)
    assert found is named["C"]


def test_the_circuit_of_the_course():
    f, named = run("q = x + y; f = q * z", x=-2, y=5, z=-4)
    f.backward()
    assert f.item() == -12 and named["q"].item() == 3
    assert [named[n].grad.item() for n in "xyz"] == [-4, -4, 3]
    assert set(named) == {"x", "y", "z", "q", "f"}
    assert all(t.dtype is bl.float64 for t in named.values())
    assert f.node.op.name == "mul"


def test_gates_of_the_sigmoid_neuron():
    w, x = [2, -3, -3], [-1, -2]
    values = {f"w{i}": v for i, v in enumerate(w)} | {f"x{i}": v for i, v in enumerate(x)}
    plain, named = run("1 / (1 + exp(-(w0*x0 + w1*x1 + w2)))", **values)
    closed, _ = run(r"\sigma(w_0 x_0 + w_1 x_1 + w_2)", **values)
    plain.backward()
    assert plain.item() == pytest.approx(0.7310585786300049, abs=1e-16) and (
        closed.item() == pytest.approx(plain.item(), abs=1e-16)
    )
    expected = [-0.19661193324148185, -0.3932238664829637, 0.19661193324148185]
    np.testing.assert_allclose([named[f"w{i}"].grad.item() for i in range(3)], expected,
                               rtol=1e-14)  # fmt: skip


def test_a_tensor_with_a_history_keeps_it():
    x = bl.tensor([1.0, 2.0], dtype=bl.float64, requires_grad=True)
    (run("sum(v^2)", v=x * 3)[0]).backward()
    np.testing.assert_array_equal(x.grad.numpy(), [18, 36])
    plain = bl.tensor([1.0, 2.0])
    run("sum(v^2)", v=plain)[0].backward()
    assert plain.grad is None


def claims(text, **values):
    found = evaluate(parse(text, values), {n: leaf(v) for n, v in values.items()})
    return {wrt: c.numpy() for (_, wrt), c in found.claims.items()}


def test_claims_are_computed_as_printed():
    assert claims("f = 1/2*(y - t)^2; df/dy = -(y - t)", y=0.5, t=1.0) == {"y": 0.5}
    text = r"f = x y \\ \frac{\partial f}{\partial x} = y \\ dy = \frac{\partial f}{\partial x} x"
    assert claims(text, x=2, y=3) == {"x": 3, "y": 6}


def test_a_chain_of_derivatives_is_the_engines():
    found = claims("q = x + y; f = q * z; df/dx = df/dq * dq/dx", x=-2, y=5, z=-4)
    assert found == {"x": -4}


def test_the_engines_derivative_needs_no_leaves():
    formula = parse("f = x^2 * y; g = df/dx * 2", ["x", "y"])
    with bl.no_grad():
        assert evaluate(formula, {"x": 3.0, "y": 5.0}).result.item() == 60
    x = bl.tensor(3.0, dtype=bl.float64)
    assert evaluate(formula, {"x": x, "y": 5.0}).result.item() == 60
    assert not x.requires_grad


def test_staged_code_accumulates():
    forward = "s = sigmoid(x); f = x * s; "
    right = claims(forward + "ds = x; dx = s; dx += s * (1 - s) * ds", x=0.3)
    lost = claims(forward + "ds = x; dx = s; dx = s * (1 - s) * ds", x=0.3)
    f, named = run("x * sigmoid(x)", x=0.3)
    f.backward()
    assert right["x"] == pytest.approx(named["x"].grad.item(), abs=1e-15)
    assert abs(lost["x"] - named["x"].grad.item()) > 0.1


def test_upstream_is_what_arrives_at_the_result():
    x, w = rng.standard_normal((4, 3)), rng.standard_normal((3, 2))
    formula = parse("Y = X @ W; dX = dY @ W^T; dW = X^T @ dY", ["X", "W"])
    above = bl.tensor(rng.standard_normal((4, 2)))
    given = {"X": leaf(x), "W": leaf(w)}
    found = evaluate(formula, given, upstream=above)
    (found.result * above).sum().backward()
    for name in "XW":
        np.testing.assert_allclose(found.claims["Y", name].numpy(), given[name].grad.numpy())


@pytest.mark.parametrize(
    ("text", "values", "words"),
    [
        ("x + u", {"x": 1}, r"'u' has no value, at column 5(.|\n)*pass u="),
        ("x", {"x": 1, "y": 2}, "'y' is not used"),
        ("w1 * x", {"w1": 1, "w_1": 2, "x": 3}, "'w1' and 'w_1' are spellings of one name"),
        ("A @ A", {"A": W}, "inner sizes differ.*column 3"),
        ("a + b", {"a": A, "b": B}, "column 3"),
        ("1 / 0", {}, "division by zero"),
        ("9^9^9^9", {}, "too large"),
        ("(-1)^0.5", {}, "not real"),
        ("x = 1; x = 2", {}, "x has a value already"),
        ("x += 1", {}, "no value that could be added to"),
        ("2 @ x", {"x": A}, "not of scalars"),
        ("a[0, 1]", {"a": A}, "1 axes, got 2 indices"),
        ("a[7]", {"a": A}, "column 1"),
        ("a[i]", {"a": A}, "index i is neither summed"),
        ("z[i] = 2 * x", {"x": 1}, "does not depend"),
        ("sum[i](x)", {"x": 1}, "nothing under the sum"),
        ("W[i, i]", {"W": W}, "an index twice"),
        ("sum[i](a[i] * b[i])", {"a": A, "b": B}, "3 and over 2"),
        ("sum[i](a[i] * b)", {"a": A, "b": B}, "without indices"),
        ("sum(a[0]) + sum[i](mean(a[i]))", {"a": A}, "whole arrays"),
        ("f = a * 2; g = df/da", {"a": A}, "only of scalars"),
        ("f = x; df/dq = 1", {"x": 1}, "no value to differentiate by"),
    ],
)
def test_what_does_not_fit_is_refused(text, values, words):
    with pytest.raises(FormulaError, match=words):
        run(text, **values)


def test_values_of_no_number_are_refused():
    with pytest.raises((BacklitError, ValueError, TypeError)):
        run("x + 1", x="__import__('os')")
