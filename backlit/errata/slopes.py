"""Gradients, the logistic function and the single neuron (S0): E7 to E11."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

import backlit as bl
from backlit.errata.erratum import Erratum, Words
from backlit.errata.judge import Derivative, Equals, Experiment, compute, slope_of

NEURON = {"w": [0.5, -0.25], "x": [1.0, 2.0], "b": 0.1, "t": 1.0}
FORWARD = "z = w @ x + b; y = sigmoid(z); L = 1/2 * (y - t)^2; "


def raises_above(threshold: float) -> tuple[bool, str]:
    """Whether a small step up raises a cost exactly where its derivative is above a number."""
    for w in (2.0, 0.5, -0.5, -2.0, 0.25, -0.1):
        cost = bl.tensor(w, dtype=bl.float64, requires_grad=True)
        value = cost * cost / 2
        value.backward()
        slope = float(slope_of(cost))
        rises = (w + 1e-3) ** 2 / 2 > value.item()
        if rises != (slope > threshold):
            word = "raises" if rises else "lowers"
            return False, f"C = w^2/2 at w = {w:g}: the derivative is {slope:g}, a step up {word} C"
    return True, f"C = w^2/2 at six points: a step up raises C exactly where dC/dw > {threshold:g}"


def steepest_is(where: str) -> tuple[bool, str]:
    """Whether the gradient is the best direction here, or leads to the highest point."""
    x = bl.tensor([1.0, 1.0], dtype=bl.float64, requires_grad=True)

    def height(p: np.ndarray) -> float:
        return -float((p[0] - 3) ** 2 + 10 * (p[1] - 2) ** 2)

    (-((x[0] - 3) ** 2) - 10 * (x[1] - 2) ** 2).backward()
    g = slope_of(x) / np.linalg.norm(slope_of(x))
    to_top = np.array([2.0, 1.0]) / math.sqrt(5)
    gains = [height(np.ones(2) + 1e-4 * np.array([math.cos(a), math.sin(a)]))
             for a in np.linspace(0, 2 * np.pi, 720)]  # fmt: skip
    best = height(np.ones(2) + 1e-4 * g) >= max(gains) - 1e-12
    told = (
        f"f = -(x-3)^2 - 10 (y-2)^2 at (1, 1): the gradient points to {np.round(g, 3)}, the top"
        + (
            f" lies in direction {np.round(to_top, 3)};"
            f" no direction rises faster than the gradient: {best}"
        )
    )
    return (bool(np.allclose(g, to_top, atol=1e-2)) if where == "top" else best), told


def has_closed_derivative(says: bool) -> tuple[bool, str]:
    """Whether sigma(1 - sigma) passes the doctor."""
    verdict = Derivative("f = sigmoid(x); df/dx = f * (1 - f)", {"x": 0.7}).judge()
    return verdict.right == says, f"sigma' = sigma (1 - sigma): {verdict.evidence}"


def series_of_sigmoid(order: int) -> np.ndarray:
    """Taylor coefficients of the logistic function at 0, from sigma' = sigma - sigma^2."""
    c = np.zeros(order + 1)
    c[0] = 0.5
    for k in range(order):
        square = sum(c[i] * c[k - i] for i in range(k + 1))
        c[k + 1] = (c[k] - square) / (k + 1)
    return c


def series_of_exp(order: int) -> np.ndarray:
    """The printed sum of z^k / k!."""
    return np.array([1 / math.factorial(k) for k in range(order + 1)])


def series_of_minus(order: int) -> np.ndarray:
    """The printed -z + z^2/2 - ..."""
    return np.array([0.0] + [(-1) ** k / math.factorial(k) for k in range(1, order + 1)])


def approaches_sigmoid(series: Callable[[int], np.ndarray]) -> tuple[bool, str]:
    """Whether a series meets the logistic function better and better within |z| <= 2."""
    points = np.linspace(-2, 2, 9)
    exact = compute("sigmoid(z)", {"z": points})
    errors = []
    for order in (5, 11, 21, 41):
        powers = points[:, None] ** np.arange(order + 1)
        errors.append(float(np.abs(powers @ series(order) - exact).max()))
    one = float(series(11).sum())
    far = [float((z ** np.arange(21.0)) @ series(20)) for z in (3.0, 4.0)]
    told = (
        f"largest error on [-2, 2] with 5, 11, 21, 41 orders: "
        f"{', '.join(f'{e:.2g}' for e in errors)}; at z = 1 with order 11 it gives {one:.7f}"
        f" (true 0.7310586), with order 20 at z = 3 {far[0]:.4g}, at z = 4 {far[1]:.4g}"
    )
    return errors == sorted(errors, reverse=True) and errors[-1] < 1e-6, told


ERRATA = (
    Erratum(
        "E7", "S0",
        Words("What the gradient says", "梯度的含义"),
        Words("The gradient is the direction of steepest ascent here, not the way to the summit;"
              " whether a step raises or lowers the cost is decided by the sign, relative to 0.",
              "梯度是当前点上升最快的方向，并不指向最高点；"
              "升或降由导数相对于 0 的符号决定，而不是 1。"),
        (Experiment("a derivative above 1 raises the cost, below 1 lowers it",
                    raises_above, (1.0,)),
         Experiment("the gradient points to the steepest (highest) point", steepest_is,
                    ("top",))),
        (Experiment("a derivative above 0 raises the cost, below 0 lowers it",
                    raises_above, (0.0,)),
         Experiment("the gradient is the direction of steepest ascent", steepest_is,
                    ("direction",))),
    ),
    Erratum(
        "E8", "S0",
        Words("The derivative of the logistic function", "σ 的导数"),
        Words("Monotone functions have derivatives like others: sigma' = sigma (1 - sigma)."
              " No Taylor series is needed.",
              "单调函数同样可以解析求导：σ' = σ(1−σ)，无需泰勒展开。"),
        (Experiment("the derivative of sigma has no closed form", has_closed_derivative,
                    (False,)),),
        (Derivative(r"f = \sigma(x); \frac{df}{dx} = f(1 - f)", {"x": 0.7}),
         Experiment("the derivative of sigma has a closed form", has_closed_derivative, (True,))),
    ),
    Erratum(
        "E9", "S0",
        Words("The Taylor series of the logistic function", "σ 的泰勒级数"),
        Words("sum z^k/k! is e^z and -z + z^2/2 - ... is e^-z - 1. The series of sigma is 1/2 +"
              " z/4 - z^3/48 + z^5/480 - ..., and it converges for |z| < pi only.",
              "Σz^k/k! 是 e^z，−z+z²/2−… 是 e^{−z}−1。σ 的级数为 1/2+z/4−z³/48+z⁵/480−…，"
              "且仅当 |z|<π 时收敛。"),
        (Experiment("sigma(z) = sum z^k / k!", approaches_sigmoid, (series_of_exp,)),
         Experiment("sigma(z) = -z + z^2/2 - ...", approaches_sigmoid, (series_of_minus,))),
        (Experiment("sigma(z) = 1/2 + z/4 - z^3/48 + z^5/480 - 17 z^7/80640 + ...",
                    approaches_sigmoid, (series_of_sigmoid,)),
         Equals("1/2 + z/4 - z^3/48 + z^5/480 - 17*z^7/80640 + 31*z^9/1451520"
                " - 691*z^11/319334400", "sigmoid(z)", ({"z": 0.5}, {"z": -0.5}), 1e-10)),
    ),
    Erratum(
        "E10", "S0",
        Words("The sign of the neuron's gradient", "单个神经元梯度的符号"),
        Words("There is no minus: with it the update climbs the loss.",
              "没有负号；带上负号，更新就变成了梯度上升。"),
        (Derivative(FORWARD + "dL/dw = -(y - t) * y * (1 - y) * x;"
                              " dL/db = -(y - t) * y * (1 - y)", NEURON),),
        (Derivative(FORWARD + "dL/dy = y - t; dL/dz = dL/dy * y * (1 - y); dL/dw = dL/dz * x;"
                              " dL/db = dL/dz", NEURON),),
    ),
    Erratum(
        "E11", "S0",
        Words("Where sigma' is taken", "σ' 在哪里取值"),
        Words("There is one z = w x + b, and sigma' is taken there for every weight and the bias;"
              " the input signals are x.",
              "只有一个 z = w·x+b，所有权重与偏置都用同一个 σ'(z)；输入信号是 x，不是 z。"),
        (Derivative(FORWARD + "dL/dw = (y - t) * sigmoid(x) * (1 - sigmoid(x)) * x;"
                              " dL/db = (y - t) * sigmoid(1) * (1 - sigmoid(1))", NEURON),),
        (Derivative(FORWARD + "dL/dw = (y - t) * sigmoid'(z) * x; dL/db = (y - t) * sigmoid'(z)",
                    NEURON),),
    ),
)  # fmt: skip
