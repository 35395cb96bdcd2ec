"""The course notes and the reading of Nielsen's chapter 2 (S2, S3, S4): E43 to E52."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit.errata.erratum import Erratum, Words
from backlit.errata.judge import (
    Derivative,
    Equals,
    Experiment,
    Reads,
    compute,
    slope_of,
)
from backlit.errata.layers import B2, B3, W2, W3, X, Y

SCORES = {"s": [3.2, 5.1, -1.7], "t": [1.0, 0.0, 0.0]}
HINGE = "L = sum((1 - t) * max(0, s - dot(t, s) + 1)); "
CONSUMERS = "q = x^2; r = exp(q); f = q * r; "
ACTIVE = "1[s - dot(t, s) + 1 > 0]"

# A network whose layers have the same size, so that a wrong layer still computes.
SQUARE = {"x": X, "y": Y, "W2": W2[:2], "b2": B2[:2], "W3": W3[:, :2], "b3": B3}
NET = {"x": X, "y": Y, "W2": W2, "b2": B2, "W3": W3, "b3": B3}
NAMES = ("x", "y", "W2", "b2", "W3", "b3")
FORWARD = (
    "z2 = W2 @ x + b2; a2 = sigmoid(z2); z3 = W3 @ a2 + b3; a3 = sigmoid(z3);"
    " C = 1/2 * norm(y - a3)^2; "
)
BP = (
    "dC/dz3 = (a3 - y) * sigmoid'(z3); dC/dz2 = (W3^T @ dz3) * sigmoid'(z2);"
    " dC/db3 = dz3; dC/db2 = dz2; dC/dW3 = dz3 @ a2^T; dC/dW2 = dz2 @ x^T"
)
NEURON = {"z": 0.8, "y": 0.3}


def logistic(x: float) -> Any:
    """Backlit's own operator."""
    return bl.tensor(x, dtype=bl.float64).sigmoid()


def hidden(W1: np.ndarray, x: np.ndarray) -> Any:
    """What a ReLU layer computes."""
    return bl.tensor(np.asarray(W1) @ np.asarray(x)).relu()


def nudge_lowers(step: str) -> tuple[bool, str]:
    """Whether a change of z by `step` lowers the cost, for a small eta and any demon's mood."""
    for z, mood in ((0.8, 1.0), (0.8, -1.0), (-0.5, 2.0), (-0.5, -0.3)):
        cost = "1/2 * (sigmoid(z) - y)^2"
        found = bl.tensor(z, dtype=bl.float64, requires_grad=True)
        value = ((found.sigmoid() - 0.2) ** 2) / 2
        value.backward()
        moved = float(compute(step, {"z": z, "g": float(slope_of(found)), "eta": 0.1, "dz": mood}))
        after = float(compute(cost, {"z": moved, "y": 0.2}))
        if after >= value.item():
            return (
                False,
                f"at z = {z}, dz = {mood}: the cost goes {value.item():.6f} -> {after:.6f}",
            )
    return True, "the cost falls in all four cases"


def brackets_hold_vectors(brackets: str) -> tuple[bool, str]:
    """Whether [1, 2] times [3, 4], element by element, can be computed in a notation."""
    x, y = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    try:
        found = np.linalg.det(x) * np.linalg.det(y) if brackets == "determinant" else x * y
    except np.linalg.LinAlgError as error:
        return False, f"the determinant of a vector: {error}"
    return bool(np.array_equal(found, [3.0, 8.0])), f"it gives {found}"


ERRATA = (
    Erratum(
        "E43", "S2", Words("The hidden layer", "隐藏层"),
        Words("max(W1 x) is one number; ReLU compares each with 0: max(0, W1 x).",
              "max(W1x) 只是一个数；ReLU 是逐元素与 0 比较：max(0, W1x)。"),
        (Equals("max(W1 @ x)", hidden, ({"W1": W2, "x": X},)),),
        (Equals("max(0, W1 @ x)", hidden, ({"W1": W2, "x": X}, {"W1": W2, "x": [0.3, 0.8]})),),
    ),
    Erratum(
        "E44", "S2", Words("The gradient of the right class", "正确类别的梯度"),
        Words("Every margin above 0 pulls s_y down as well: its gradient is minus their number.",
              "每个大于 0 的间隔项也作用于 s_y，其梯度为 −Σ1[margin>0]。"),
        (Derivative(HINGE + f"dL/ds = (1 - t) * {ACTIVE}", SCORES),),
        (Derivative(HINGE + f"dL/ds = (1 - t) * {ACTIVE} - t * sum((1 - t) * {ACTIVE})", SCORES),),
    ),
    Erratum(
        "E45", "S2", Words("A variable with several consumers", "被多处使用的变量"),
        Words("The gradient is the sum over all consumers, not the product along one of them.",
              "梯度是所有使用者贡献之和，而不是只沿其中一个的乘积。"),
        (Derivative(CONSUMERS + "df/dx = df/dr * dr/dq * dq/dx", {"x": 0.7}),),
        (Derivative(CONSUMERS + "df/dr = q; df/dq = r + df/dr * dr/dq; df/dx = df/dq * 2 * x",
                    {"x": 0.7}),),
    ),
    Erratum(
        "E46", "S2", Words("Y = W X or Y = X W", "Y = WX 还是 Y = XW"),
        Words("dX = dY W^T belongs to Y = X W. For Y = W X it is W^T dY.",
              "dX = dY·Wᵀ 属于 Y = XW；对 Y = WX 应为 Wᵀ·dY。"),
        (Derivative("Y = W @ X; dX = dY @ W^T; dW = X^T @ dY",
                    {"W": [[1.0, 2.0], [0.5, -1.0]], "X": [[0.3, 1.0], [-2.0, 0.7]]}),),
        (Derivative("Y = X @ W; dX = dY @ W^T; dW = X^T @ dY",
                    {"X": [[0.3, 1.0], [-2.0, 0.7]], "W": [[1.0, 2.0], [0.5, -1.0]]}),
         Derivative("Y = W @ X; dX = W^T @ dY; dW = dY @ X^T",
                    {"W": [[1.0, 2.0], [0.5, -1.0]], "X": [[0.3, 1.0], [-2.0, 0.7]]})),
    ),
    Erratum(
        "E47", "S3", Words("The sigmoid of 1", "σ(1) 的值"),
        Words("A slip of the sign: sigma is never negative. (Its derivative 0.2 is right.)",
              "符号笔误：σ 恒为正；其导数约 0.2 是对的。"),
        (Equals("-0.73", lambda: logistic(1.0), ({},), 0.005),),
        (Equals("0.73", lambda: logistic(1.0), ({},), 0.005),
         Derivative("f = sigmoid(x); df/dx = f * (1 - f)", {"x": 1.0})),
    ),
    Erratum(
        "E48", "S4", Words("The sigmoid function", "sigmoid 函数"),
        Words("1/(1 - e^-x) has a pole at 0 and leaves the interval from 0 to 1.",
              "1/(1−e^{−x}) 在 0 处发散，且取值越出 (0,1)。"),
        (Equals(r"\frac{1}{1 - e^{-x}}", logistic, ({"x": 1.0}, {"x": -2.0})),),
        (Equals(r"\frac{1}{1 + e^{-x}}", logistic, ({"x": 0.0}, {"x": 1.0}, {"x": -2.0})),),
    ),
    Erratum(
        "E49", "S4", Words("BP1: which layer's sigma'", "BP1 中 σ' 的层号"),
        Words("The output layer's: sigma'(z^L).", "应取输出层：σ'(z^L)。"),
        (Derivative(FORWARD + "dC/dz3 = (a3 - y) * sigmoid'(z2)", SQUARE),),
        (Derivative(FORWARD + "dC/dz3 = (a3 - y) * sigmoid'(z3)", SQUARE),),
    ),
    Erratum(
        "E50", "S4", Words("The demon's step", "“恶魔”的一步"),
        Words("The demon chooses dz = -eta dC/dz. As printed the step depends on a dz that nobody"
              " has chosen, and may climb.",
              "恶魔选取 Δz = −η∂C/∂z；按原文，步长还乘以任意的 Δz，可能反而增大代价。"),
        (Experiment("z := z - eta (dC/dz) dz lowers C", nudge_lowers, ("z - eta * g * dz",)),),
        (Experiment("dz = -eta dC/dz lowers C", nudge_lowers, ("z - eta * g",)),),
    ),
    Erratum(
        "E51", "S4", Words("The end of BP2's proof", "BP2 证明的最后一步"),
        Words("The last derivative has to be worked out: w_kj sigma'(z_j).",
              "最后一个导数还需算出：∂z_k^{l+1}/∂z_j^l = w_kj σ'(z_j)。"),
        (Reads(r"z = x \\ u = W \sigma(z) \\ "
               r"\delta_j = \sum_k \frac{\partial u_k}{\partial z_j} d_k", ("x", "W", "d")),),
        (Reads(r"z = x \\ u = W \sigma(z) \\ \delta_j = \sum_k d_k W_{kj} \sigma'(z_j)",
               ("x", "W", "d")),
         Equals(r"\delta_{kj} = w_{kj} \sigma'(z_j)",
                lambda w, z: bl.autograd.functional.jacobian(
                    lambda v: bl.tensor(np.asarray(w)) @ v.sigmoid(), bl.tensor(np.asarray(z))),
                ({"w": W2, "z": X},)),
         Derivative(FORWARD + "dC/dz3 = (a3 - y) * sigmoid'(z3);"
                    " dC/dz2[j] = sum[k](dz3[k] * W3[k, j] * sigmoid'(z2[j]))", NET)),
    ),
    Erratum(
        "E52", "S4", Words("Slips of BP4's proof", "BP4 证明中的笔误"),
        Words("A derivative needs a d on both sides of its fraction; \\C is no command; bars around"
              " a vector are a determinant; sigma' is da/dz, not the influence on the whole loss."
              " (Equation 7 is meant where 6 is cited.)",
              "求导分子分母都要有 ∂；\\C 未定义；向量应使用方括号而不是行列式竖线；"
              "σ' = da/dz，并不是输入对整个损失的影响。（引用的 (6) 应为 (7)。）"),
        (Reads(r"z = w a \\ \frac{\partial z}{w} = a", ("w", "a")),
         Reads(r"\C = \frac{1}{2}(a - y)^2", ("a", "y")),
         Experiment("|x_1, x_2| for a vector", brackets_hold_vectors, ("determinant",)),
         Derivative("a = sigmoid(z); C = 1/2 * (a - y)^2; dC/dz = sigmoid'(z)", NEURON)),
        (Reads(r"z = w a \\ \frac{\partial z}{\partial w} = a", ("w", "a")),
         Derivative(r"z = w a \\ \frac{\partial z}{\partial w} = a", {"w": 0.5, "a": 0.3}),
         Reads(r"C = \frac{1}{2}(a - y)^2", ("a", "y")),
         Experiment("[x_1, x_2] for a vector", brackets_hold_vectors, ("brackets",)),
         Derivative("a = sigmoid(z); C = 1/2 * (a - y)^2; da/dz = sigmoid'(z);"
                    " dC/dz = (a - y) * sigmoid'(z)", NEURON)),
    ),
)  # fmt: skip
