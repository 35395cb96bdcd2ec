"""Perceptron and support vector machine (S0): E1 to E6."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from backlit.errata.erratum import Erratum, Words
from backlit.errata.judge import Experiment, compute, slope_of

POINTS = np.array([[2.0, 1.0], [1.0, 3.0], [-1.0, -2.0]])
TARGETS, WEIGHTS = np.array([1.0, 1.0, -1.0]), np.array([1.0, -1.0])
# Two classes that a line can part, and the machine's own solution for them.
SPREAD = np.array([[1.0, 0.0], [3.0, 1.0], [-1.0, 0.0], [-2.0, -2.0]])
LABELS = np.array([1.0, 1.0, -1.0, -1.0])


def punishes_mistakes(loss: str) -> tuple[bool, str]:
    """Whether a loss is positive at points on the wrong side, and only there."""
    rng = np.random.default_rng(0)
    margins = TARGETS * (POINTS @ WEIGHTS)
    found = compute(f"sum({loss}) / 3", {"t": TARGETS, "s": POINTS @ WEIGHTS})
    told = f"on the three points with margins {margins} the loss is {float(found):.4g}"
    for t, s in [(1.0, 1.0), (1.0, -1.0), *zip(rng.choice([-1.0, 1.0], 50), rng.normal(size=50))]:
        value = float(compute(loss, {"t": t, "s": s}))
        if (value > 0) != (t * s < 0):
            side = "right" if t * s > 0 else "wrong"
            return False, f"{told}; a point on the {side} side (t = {t:g}, s = {s:.3g}) costs " + (
                f"{value:.3g}"
            )
    return True, f"{told}; only points on the wrong side cost"


def objective(theta: np.ndarray) -> float:
    """The primal of the linear machine with C = 1: theta holds w and b."""
    w, b = theta[:2], theta[2]
    return float(w @ w / 2 + np.maximum(0, 1 - TARGETS * (POINTS @ w + b)).sum())


def chords_above(convex: bool) -> tuple[bool, str]:
    """Whether random chords of the primal say the same as the statement about convexity."""
    rng = np.random.default_rng(1)
    worst = -np.inf
    for _ in range(2000):
        a, b = rng.normal(0, 3, (2, 3))
        worst = max(worst, objective((a + b) / 2) - (objective(a) + objective(b)) / 2)
    gram = (POINTS * TARGETS[:, None]) @ (POINTS * TARGETS[:, None]).T
    smallest = float(np.linalg.eigvalsh(gram).min())
    measured = worst <= 1e-12 and smallest >= -1e-12
    told = (
        f"of 2000 chords none runs below the function (largest excess of the middle {worst:.2g});"
        f" the dual's matrix has no eigenvalue below {smallest:.2g}"
    )
    return measured == convex, told


def dual(kernel: np.ndarray, labels: np.ndarray, c: float = 100.0) -> tuple[np.ndarray, float]:
    """Multipliers and bias of the support vector machine, by projected steps in pairs."""
    alpha = np.zeros(len(labels))
    q = kernel * np.outer(labels, labels)
    for _ in range(200):
        for i in range(len(labels)):
            for j in range(i):
                s = labels[i] * labels[j]
                curve = q[i, i] + q[j, j] - 2 * s * q[i, j]
                slope = (q[i] @ alpha - 1) - s * (q[j] @ alpha - 1)
                step = -slope / max(curve, 1e-12)
                low, high = -alpha[i], c - alpha[i]  # both multipliers stay in [0, c]
                other = (alpha[j] - c, alpha[j]) if s > 0 else (-alpha[j], c - alpha[j])
                step = float(np.clip(step, max(low, other[0]), min(high, other[1])))
                alpha[i] += step
                alpha[j] -= s * step
    inside = (alpha > 1e-8) & (alpha < c - 1e-8)
    bias = float(np.mean((labels - (alpha * labels) @ kernel)[inside])) if inside.any() else 0.0
    return alpha, bias


def decides(formula: str) -> tuple[bool, str]:
    """Whether a decision formula in the multipliers puts separable points on their sides."""
    kernel = SPREAD @ SPREAD.T
    alpha, bias = dual(kernel, LABELS)
    given = {"a": alpha, "K": kernel, "y": LABELS, "b": bias}
    scores = compute(formula, {n: v for n, v in given.items() if n != "y" or "y[" in formula})
    right = int((np.sign(scores) == LABELS).sum())
    return right == len(LABELS), (
        f"with the multipliers {np.round(alpha, 4)} it puts {right} of 4 points on their side;"
        f" scores {np.round(scores, 3)}"
    )


def multipliers_are(kind: str) -> tuple[bool, str]:
    """Whether the a_j of the solution are the slacks, or multipliers of the constraints."""
    kernel = SPREAD @ SPREAD.T
    alpha, bias = dual(kernel, LABELS)
    margins = LABELS * ((alpha * LABELS) @ kernel + bias)
    slack = np.maximum(0, 1 - margins)
    told = (
        f"a = {np.round(alpha, 4)}, slacks = {np.round(slack, 4)}, margins {np.round(margins, 3)}"
    )
    if kind == "slacks":
        return bool(np.allclose(alpha, slack, atol=1e-3)), told
    complementary = np.allclose(alpha * (margins - 1), 0, atol=1e-3)
    return bool(complementary and (alpha > 1e-3).any()), f"{told}; a (margin - 1) = 0 everywhere"


def by_distance(score: np.ndarray) -> np.ndarray:
    """The printed rule: distance at most 1 is +1, above 1 is -1."""
    distance = np.abs(score)
    return np.where(distance <= 1, 1.0, np.where(distance > 1, -1.0, 0.0))


def labels_right(rule: Callable[[np.ndarray], np.ndarray]) -> tuple[bool, str]:
    """Whether a rule labels the training points of the separable machine as they are labelled."""
    alpha, bias = dual(SPREAD @ SPREAD.T, LABELS)
    score = SPREAD @ ((alpha * LABELS) @ SPREAD) + bias
    found = rule(score)
    wrong = np.flatnonzero(found != LABELS)
    told = f"f = {np.round(score, 3)}, labels {found}, true {LABELS}"
    return not wrong.size, told + (f"; wrong at point {wrong[0]}" if wrong.size else "")


def machine_found_by(loss: str) -> tuple[bool, str]:
    """Whether minimizing an objective over all that it leaves free separates the points."""
    from backlit.expressions import leaf, parse
    from backlit.expressions.evaluate import evaluate

    start = {"w": [0.3, 0.4], "b": 0.1, "e": np.full(4, 0.5)}
    free = {n: leaf(v) for n, v in start.items() if n != "e" or "e" in loss.split("sum")[1]}
    fixed = {"y": LABELS, "X": SPREAD, "C": 10.0}
    read = parse(loss, {**free, **fixed}).names_read()
    fixed = {n: v for n, v in fixed.items() if n in read}
    values = {n: t for n, t in free.items() if n in read}
    formula = parse(loss, {**values, **fixed})
    for step in range(120):
        evaluate(formula, {**values, **fixed}).result.backward()
        for name, t in values.items():
            moved = t.detach().numpy() - 0.1 / (1 + step / 5) * slope_of(t)
            values[name] = leaf(moved)
    w = values["w"].detach().numpy()
    b = float(values["b"].detach().numpy()) if "b" in values else 0.0
    margins = LABELS * (SPREAD @ w + b)
    told = f"the minimum has |w| = {np.linalg.norm(w):.3g} and margins {np.round(margins, 2)}"
    return bool(margins.min() > 0.9), told


def tells_apart(kernel: str) -> tuple[bool, str]:
    """Whether a kernel lets the machine tell (1, 0) from (-1, 0)."""
    points, labels = np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([1.0, -1.0])
    gram = np.array([[float(compute(kernel, {"x": p, "z": q})) for q in points] for p in points])
    weights = np.linalg.lstsq(gram + 1e-9 * np.eye(2), labels, rcond=None)[0]
    scores = gram @ weights
    told = f"its matrix on (1, 0) and (-1, 0) is {np.round(gram, 4).tolist()}, scores " + (
        f"{np.round(scores, 3)}"
    )
    return bool((np.sign(np.round(scores, 6)) == labels).all()), told


ERRATA = (
    Erratum(
        "E1", "S0",
        Words("The loss of the perceptron", "感知机的损失函数"),
        Words("The sign is missing: as printed, points on the right side are punished and mistakes"
              " are free. w·x + b is a score; its sign is the answer.",
              "缺少负号：按原文，分类正确的点受罚，错误的点反而没有损失。"
              "w·x+b 是得分，其符号才是输出。"),
        (Experiment("max(0, t (w x + b)) is positive exactly at mistakes",
                    punishes_mistakes, ("max(0, t * s)",)),),
        (Experiment("max(0, -t (w x + b)) is positive exactly at mistakes",
                    punishes_mistakes, ("max(0, -t * s)",)),),
    ),
    Erratum(
        "E2", "S0",
        Words("Is the support vector machine convex?", "支持向量机是凸问题吗？"),
        Words("Primal and dual are convex quadratic programmes: every local minimum is global.",
              "原问题与对偶问题都是凸二次规划，局部极小即全局极小。"),
        (Experiment("the support vector machine is not convex", chords_above, (False,)),),
        (Experiment("the support vector machine is a convex programme", chords_above, (True,)),),
    ),
    Erratum(
        "E3", "S0",
        Words("The decision function in the multipliers", "用乘子写出的决策函数"),
        Words("The labels y_j and the kernel are missing, and the a_j are Lagrange multipliers;"
              " slacks are other numbers.",
              "漏掉了标签 y_j 与核函数；a_j 是拉格朗日乘子，不是松弛变量。"),
        (Experiment("sign(sum_j a_j x_j x + b) decides", decides,
                    ("s[i] = sum[j](a[j] * K[j, i]) + b",)),
         Experiment("the a_j are slack variables", multipliers_are, ("slacks",))),
        (Experiment("sign(sum_j a_j y_j K(x_j, x) + b) decides", decides,
                    ("s[i] = sum[j](a[j] * y[j] * K[j, i]) + b",)),
         Experiment("the a_j are multipliers of the constraints", multipliers_are,
                    ("multipliers",))),
    ),
    Erratum(
        "E4", "S0",
        Words("Which side a point is on", "点属于哪一类"),
        Words("The sign of f decides, not its distance; y f(x) >= 1 is the margin that training"
              " asks for.",
              "决定类别的是 f 的符号而不是距离；y f(x) ≥ 1 是训练时要求的间隔。"),
        (Experiment("distance <= 1 is +1, > 1 is -1, else 0", labels_right, (by_distance,)),),
        (Experiment("the sign of f is the label", labels_right, (np.sign,)),),
    ),
    Erratum(
        "E5", "S0",
        Words("What the machine minimizes", "支持向量机的目标函数"),
        Words("With slacks free and no constraint, w = 0 is the minimum. The slack is tied to w:"
              " it is max(0, 1 - y f).",
              "若松弛变量不受约束，最小值就是 w=0。松弛由 w 决定：ξ = max(0, 1 − y f)。"),
        (Experiment("1/2 |w| |w| + C sum l_i, all of w, b, e free", machine_found_by,
                    ("1/2 * norm(w) * norm(w) + C * sum(e^2)",)),),
        (Experiment("1/2 |w|^2 + C sum max(0, 1 - y f)", machine_found_by,
                    ("1/2 * norm(w)^2 + C * sum(max(0, 1 - y * (X @ w + b)))",)),),
    ),
    Erratum(
        "E6", "S0",
        Words("What a kernel is", "什么是核函数"),
        Words("gamma is a width. 2 / (|x| |z|) knows lengths only: opposite points are the same"
              " to it.",
              "γ 只是宽度参数。2/(‖x‖‖z‖) 只看长度，相反的两点对它来说完全相同。"),
        (Experiment("2 / (|x_i| |x_j|) is the kernel", tells_apart,
                    ("2 / (norm(x) * norm(z))",)),),
        (Experiment("exp(-gamma |x_i - x_j|^2) is a kernel", tells_apart,
                    ("exp(-norm(x - z)^2)",)),
         Experiment("x_i x_j is a kernel", tells_apart, ("x @ z",))),
    ),
)  # fmt: skip
