"""What the texts have right, before the same judges: C1, C6 to C9, C15, V2, V3, V5, N3, BP."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit.errata.courses import BP, FORWARD, NET
from backlit.errata.erratum import Erratum, Words
from backlit.errata.judge import Derivative, Experiment, HandWritten, slope_of

NEURON = {"w0": 2.0, "w1": -3.0, "w2": -3.0, "x0": -1.0, "x1": -2.0}
STAGED = """
sigy = 1 / (1 + exp(-y)); num = x + sigy; sigx = 1 / (1 + exp(-x)); xpy = x + y
xpysqr = xpy^2; den = sigx + xpysqr; invden = 1 / den; f = num * invden
dnum = invden; dinvden = num; dden = (-1 / den^2) * dinvden
dsigx = 1 * dden; dxpysqr = 1 * dden; dxpy = (2 * xpy) * dxpysqr
dx = 1 * dxpy; dy = 1 * dxpy; dx += ((1 - sigx) * sigx) * dsigx; dx += 1 * dnum
dsigy = 1 * dnum; dy += ((1 - sigy) * sigy) * dsigy
"""
SVM = """
h = max(0, W1 @ x); s = W2 @ h; m = (1 - t) * max(0, s - dot(t, s) + 1)
L = sum(m) + lam * norm(W1)^2 + lam * norm(W2)^2
dL/ds = (1 - t) * 1[s - dot(t, s) + 1 > 0] - t * sum((1 - t) * 1[s - dot(t, s) + 1 > 0])
dL/dW2 = ds @ h^T + 2 * lam * W2
dL/dh = W2^T @ ds; dL/dW1 = (dh * 1[h > 0]) @ x^T + 2 * lam * W1
"""
SVM_VALUES = {
    "x": [1.0, -2.0], "t": [1.0, 0.0, 0.0], "lam": 0.1, "W1": [[1.0, -1.0], [-0.5, 2.0]],
    "W2": [[0.2, 0.4], [-0.3, 0.5], [0.6, -0.1]],
}  # fmt: skip


def forward(a, b):
    return a * b, (a, b)


def backward(grad_output, cache):
    a, b = cache
    return {"a": grad_output * b, "b": grad_output * a}


def scaled_inputs(factor: float) -> tuple[bool, str]:
    """Whether inputs times `factor` make the weights' gradient as many times as large."""
    norms = []
    for scale in (1.0, factor):
        w = bl.tensor([2.0, -3.0], dtype=bl.float64, requires_grad=True)
        x = bl.tensor([-1.0, -2.0], dtype=bl.float64, requires_grad=True)
        (scale * x * w).sum().backward()
        norms.append(float(np.linalg.norm(slope_of(w))))
    ratio = norms[1] / norms[0]
    return ratio == factor, f"inputs times {factor:g}: the gradient of the weights times {ratio:g}"


def _right(number: str, text: str, en: str, zh: str, *statements: Any) -> Erratum:
    words = Words("Right as printed.", "原文正确。")
    return Erratum(number, text, Words(en, zh), words, (), statements)


CONTROLS = (
    _right("C1", "S2, S3", "The circuit (x + y) z", "(x+y)z 电路",
           Derivative("q = x + y; f = q * z; df/dq = z; df/dz = q; dq/dx = 1; dq/dy = 1;"
                      " df/dx = df/dq * dq/dx; df/dy = df/dq * dq/dy",
                      {"x": -2.0, "y": 5.0, "z": -4.0})),
    _right("C6", "S3", "The sigmoid neuron", "sigmoid 神经元",
           Derivative("p = w0 * x0 + w1 * x1 + w2; f = 1 / (1 + exp(-p)); dp = (1 - f) * f;"
                      " dx0 = w0 * dp; dx1 = w1 * dp; dw0 = x0 * dp; dw1 = x1 * dp; dw2 = 1 * dp",
                      NEURON)),
    _right("C7", "S2, S3", "sigma' = sigma (1 - sigma)", "σ 的导数 σ' = σ(1−σ)",
           Derivative(r"f = \sigma(z); \frac{\partial f}{\partial z} = f(1 - f)", {"z": 1.0})),
    _right("C8", "S3", "Staged computation, with its backward pass (C8, C9)",
           "分段计算及其反向（C8、C9）", Derivative(STAGED, {"x": 3.0, "y": -4.0})),
    _right("C15", "S3", "Inputs times 1000", "输入放大 1000 倍",
           Experiment("the gradient of the weights is 1000 times as large", scaled_inputs,
                      (1000.0,))),
    _right("V2", "S2", "Y = X W", "Y = XW 的梯度",
           Derivative("Y = X @ W; dX = dY @ W^T; dW = X^T @ dY",
                      {"X": np.arange(6.0).reshape(2, 3) / 5, "W": np.arange(12.0).reshape(3, 4)})),
    _right("V3", "S3", "D = W X", "D = WX 的梯度",
           Derivative("D = W @ X; dW = dD @ X^T; dX = W^T @ dD",
                      {"W": np.sin(np.arange(50.0)).reshape(5, 10),
                       "X": np.cos(np.arange(30.0)).reshape(10, 3)})),
    _right("V5", "S2", "The operator Multiply", "Multiply 算子",
           HandWritten(forward, backward, {"a": np.array([1.0, 2.0]), "b": np.array([3.0, -4.0])})),
    _right("N3", "S2", "The two-layer SVM with 2 lambda W", "两层 SVM，正则项 2λW",
           Derivative(SVM, SVM_VALUES)),
    _right("BP", "S4", "BP1 to BP4", "四个基本公式 BP1–BP4", Derivative(FORWARD + BP, NET)),
)  # fmt: skip
