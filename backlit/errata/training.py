"""Training, losses and regularization (S0, S1): E20, E21, E23 to E28, E53."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import backlit as bl
from backlit.errata.erratum import Erratum, Words
from backlit.errata.judge import Computes, Derivative, Equals, Experiment, compute, slope_of
from backlit.expressions import run

VALLEYS = "w^4 - 2 * w^2 + 0.3 * w"  # two minima, one lower
LOGITS = {"z": [0.2, -1.0, 0.7], "t": [0.0, 0.0, 1.0]}


def descend(start: float, lr: float, steps: int) -> tuple[float, list[float]]:
    """Plain gradient descent on VALLEYS: where it ends, and the losses."""
    w, losses = start, []
    for _ in range(steps):
        f, named = run(VALLEYS, w=w)
        f.backward()
        losses.append(f.item())
        w -= lr * float(slope_of(named["w"]))
    return w, losses


def every_step_lowers(says: bool) -> tuple[bool, str]:
    """Whether each step of gradient descent lowers the loss, whatever the step size."""
    _, losses = descend(1.2, 0.5, 2)
    lowers = losses[1] < losses[0]
    return lowers == says, f"from w = 1.2 with lr = 0.5 the loss goes {losses[0]:.4g} -> " + (
        f"{losses[1]:.4g}"
    )


def ends_at_the_global_minimum(says: bool) -> tuple[bool, str]:
    """Whether gradient descent ends at the same, lowest point from every start."""
    ends = [descend(float(s), 0.05, 60)[0] for s in np.linspace(-1.5, 1.5, 6)]
    values = [float(compute(VALLEYS, {"w": e})) for e in ends]
    same = max(values) - min(values) < 1e-3
    kinds = sorted({round(e, 2) for e in ends})
    told = f"{VALLEYS}: six starts end at w = {kinds}, with losses from {min(values):.3f} to " + (
        f"{max(values):.3f}"
    )
    return same == says, told


def accuracy_falls(says: bool) -> tuple[bool, str]:
    """Whether plain gradient descent makes training accuracy lower and lower."""
    rng = np.random.default_rng(3)
    x = np.vstack([rng.normal(1, 1, (40, 2)), rng.normal(-1, 1, (40, 2))])
    t = np.repeat([1.0, 0.0], 40)
    w, rates = np.array([-0.5, 0.2]), []
    for _ in range(30):
        y = 1 / (1 + np.exp(-x @ w))
        rates.append(float(((y > 0.5) == t).mean()))
        w = w - 0.5 * x.T @ (y - t) / len(t)
    told = f"logistic regression by plain gradient descent: accuracy {rates[0]:.3f} -> "
    return (rates[-1] < rates[0]) == says, told + f"{rates[-1]:.3f}"


def diagonal(zeros: str) -> tuple[bool, str]:
    """Which elements of a diagonal matrix are zero."""
    m = np.diag([1.0, 2.0, 3.0])
    off = m - np.diag(np.diag(m))
    found = not m.any() if zeros == "all" else not off.any()
    return found, f"diag(1, 2, 3) has {np.count_nonzero(m)} elements that are not zero, " + (
        f"{np.count_nonzero(off)} of them off the diagonal"
    )


def millimetre(centimetres: float) -> tuple[bool, str]:
    """One millimetre in centimetres, from the prefixes."""
    found = 1e-3 / 1e-2
    return bool(np.isclose(centimetres, found)), f"1 mm = 10^-3 m, 1 cm = 10^-2 m: {found:g} cm"


def averages_out(error: str) -> tuple[bool, str]:
    """Whether an error is noise: it disappears from the mean of many readings."""
    rng = np.random.default_rng(4)
    readings = 7.0 + (rng.normal(0, 5, 20_000) if error == "random" else np.full(20_000, 5.0))
    gap = abs(float(readings.mean()) - 7.0)
    return (
        gap < 0.2,
        f"20000 readings of 7 with a {error} error of size 5: their mean is {gap:.3g} off",
    )


def amplitude(measure: Callable[[np.ndarray], float]) -> tuple[bool, str]:
    """Whether a measure gives A for the oscillation A sin."""
    wave = 3.0 * np.sin(np.linspace(0, 2 * np.pi, 1001))
    found = measure(wave)
    return bool(np.isclose(found, 3.0, rtol=1e-4)), f"3 sin(x): {found:.4g}"


def can_be_sure(output: str) -> tuple[bool, str]:
    """Whether the output layer can give a class a probability above 0.99."""
    best = max(
        float(compute(output, {"z": [s, -s, -s]}).max()) for s in (0.0, 1.0, 5.0, 50.0, 500.0)
    )
    return best > 0.99, f"the largest probability that three classes allow is {best:.4f}"


def mistakes_cost(loss: str) -> tuple[bool, str]:
    """Whether a loss is larger for a wrong prediction than for a right one."""
    right = {"y": [0.9, 0.05, 0.05], "t": [1.0, 0.0, 0.0], "W": np.ones((2, 2)), "lam": 0.01}
    wrong = {**right, "y": [0.05, 0.9, 0.05]}
    a, b = float(compute(loss, right)), float(compute(loss, wrong))
    return b > a, f"a right prediction costs {a:.5g}, a wrong one {b:.5g}"


def finite_gradient(loss: str) -> tuple[bool, str]:
    """Whether loss and gradient stay finite for confident logits."""
    with np.errstate(all="ignore"):
        f, named = run(loss, z=[1000.0, 0.0, 0.0], t=[0.0, 1.0, 0.0])
        f.backward()
    g = slope_of(named["z"])
    finite = np.isfinite(f.item()) and np.isfinite(g).all()
    return bool(finite), f"at z = (1000, 0, 0): loss {f.item():.4g}, gradient {g}"


def log_below_zero(says: float) -> tuple[bool, str]:
    """What the logarithm of a negative number is."""
    with np.errstate(all="ignore"):
        found = float(bl.log(bl.tensor(-0.5)).item())
        zero = float(bl.log(bl.tensor(0.0)).item())
    same = np.isnan(found) if np.isnan(says) else found == says
    return bool(same), f"log(0) = {zero}, log(-0.5) = {found}"


def teaches(targets: str) -> tuple[bool, str]:
    """Whether cross-entropy with these targets costs something where the prediction is wrong."""
    y, label = np.array([0.8, 0.1, 0.1]), 2
    right = float(y.argmax() == label)
    t = np.eye(3)[label] if targets == "labels" else np.full(3, right)
    cost = -float((t * np.log(y)).sum())
    return cost > 0, f"class 2 was predicted as 0: t = {t}, the loss is {abs(cost):.4g}"


def batch_statistics(claim: str) -> tuple[bool, str]:
    """What the sum of per-sample gradients divided by N is."""
    rng = np.random.default_rng(5)
    g = 3.0 + 0.5 * rng.standard_normal((64, 4))
    quotient = g.sum(0) / 64
    told = f"64 gradients around 3: the quotient is {np.round(quotient, 3)}"
    if claim == "standardized":
        return bool(np.allclose(quotient.mean(), 0, atol=0.1)), told
    return bool(np.allclose(quotient, g.mean(0))), told + ", their mean"


def selected_score(chosen_on: str) -> tuple[bool, str]:
    """Whether the score of the model chosen on a set predicts that of new data."""
    rng = np.random.default_rng(6)
    gaps = []
    for _ in range(200):  # 50 equally good models, 70 % right, scored on 100 samples
        seen = rng.binomial(100, 0.7, 50) / 100
        test = seen if chosen_on == "test" else rng.binomial(100, 0.7, 50) / 100
        gaps.append(test[seen.argmax()] - 0.7)
    gap, error = float(np.mean(gaps)), float(np.std(gaps) / np.sqrt(len(gaps)))
    told = f"the best of 50 equal models: its test score is {gap:+.3f} (±{error:.3f}) off the truth"
    return abs(gap) < 4 * error + 0.005, told


ERRATA = (
    Erratum(
        "E20", "S1",
        Words("What training guarantees", "训练能保证什么"),
        Words("Neither a lower loss at each step nor the global optimum is guaranteed; and plain"
              " gradient descent does not make accuracy fall.",
              "既不保证每步误差下降，也不保证全局最优；普通梯度下降的精度也不会“越来越低”。"),
        (Experiment("every step lowers the error", every_step_lowers, (True,)),
         Experiment("training ends at the global optimum", ends_at_the_global_minimum, (True,)),
         Experiment("with plain gradient descent accuracy gets lower and lower", accuracy_falls,
                    (True,))),
        (Experiment("a step may raise the error", every_step_lowers, (False,)),
         Experiment("the optimum found depends on the start", ends_at_the_global_minimum,
                    (False,)),
         Experiment("plain gradient descent does not lower accuracy", accuracy_falls, (False,))),
    ),
    Erratum(
        "E21", "S1",
        Words("Four definitions", "四个定义"),
        Words("A diagonal matrix is zero off its diagonal; 1 mm is 0.1 cm; noise is a random"
              " disturbance; max - min is the peak-to-peak value, twice the amplitude.",
              "对角矩阵是非对角元素为零；1 毫米 = 0.1 厘米；噪声是随机扰动；"
              "最大值减最小值是峰峰值。"),
        (Experiment("all elements of a diagonal matrix are zero", diagonal, ("all",)),
         Experiment("1 mm = 1 cm", millimetre, (1.0,)),
         Experiment("any large error is noise", averages_out, ("constant",)),
         Experiment("amplitude = max - min", amplitude, (np.ptp,))),
        (Experiment("its elements off the diagonal are zero", diagonal, ("off",)),
         Experiment("1 mm = 0.1 cm", millimetre, (0.1,)),
         Experiment("noise is a random disturbance", averages_out, ("random",)),
         Experiment("amplitude = (max - min) / 2", amplitude, (lambda w: float(np.ptp(w) / 2),))),
    ),
    Erratum(
        "E23", "S1",
        Words("Softmax of what", "对什么做 softmax"),
        Words("Of the logits z. Of activations that were squashed before, no class can get more"
              " than 58 %, and the gradient is not y - t.",
              "应对未激活的 z 做 softmax。若先经过 σ，三类时任何一类的概率不超过 58%，"
              "梯度也不再是 y−t。"),
        (Experiment("y = softmax(sigma(z))", can_be_sure, ("softmax(sigmoid(z))",)),
         Derivative("L = -sum(t * log(softmax(sigmoid(z)))); dL/dz = softmax(sigmoid(z)) - t",
                    LOGITS),
         Equals("sigmoid(z)", "softmax(sigmoid(z))", ({"z": [0.2, -1.0, 0.7]},))),
        (Experiment("y = softmax(z)", can_be_sure, ("softmax(z)",)),
         Derivative("L = -sum(t * log_softmax(z)); dL/dz = softmax(z) - t", LOGITS)),
    ),
    Erratum(
        "E24", "S1",
        Words("The positive part of something negative", "对负数取正部"),
        Words("t log y is never positive, so its positive part is 0 and the loss is the penalty"
              " alone: nothing is learned.",
              "t·log y 恒不为正，取正部后为 0，损失只剩正则项，与数据无关。"),
        (Experiment("loss = -(1/N) sum [t log y]_+ + lambda |W|^2", mistakes_cost,
                    ("-sum(max(0, t * log(y))) + lam * norm(W)^2",)),),
        (Experiment("loss = -(1/N) sum t log y + lambda |W|^2", mistakes_cost,
                    ("-sum(t * log(y)) + lam * norm(W)^2",)),),
    ),
    Erratum(
        "E25", "S1",
        Words("What t is, and the logarithm of zero", "t 的含义与 log 0"),
        Words("t is the one-hot label, whatever was predicted. log y is -inf at 0 and NaN below;"
              " log-softmax keeps loss and gradient finite.",
              "t 是 one-hot 标签，与预测无关。log 在 0 处为 −∞，负数处无意义；"
              "应使用 log-softmax。"),
        (Experiment("t = 1 means: predicted correctly", teaches, ("correctness",)),
         Experiment("log y = -inf for y <= 0", log_below_zero, (-np.inf,)),
         Experiment("loss = -sum t log(softmax(z))", finite_gradient,
                    ("-sum(t * log(softmax(z)))",))),
        (Experiment("t is the one-hot label", teaches, ("labels",)),
         Experiment("log y is not a number for y < 0", log_below_zero, (np.nan,)),
         Experiment("loss = -sum t log_softmax(z)", finite_gradient,
                    ("-sum(t * log_softmax(z))",)),
         Derivative("L = -sum(t * log_softmax(z)); dL/dz = softmax(z) - t", LOGITS)),
    ),
    Erratum(
        "E26", "S1",
        Words("The linear layer and its transposes", "线性层与转置"),
        Words("With W of n x m and samples in the columns of X, Y = W X + b.",
              "当 W 为 n×m、样本按列排放时，Y = WX + b。"),
        (Computes("(W^T @ X + b)^T", {"W": np.ones((2, 3)), "X": np.ones((3, 4)),
                                      "b": np.ones((2, 1))}, (2, 4)),),
        (Computes("W @ X + b", {"W": np.ones((2, 3)), "X": np.ones((3, 4)),
                                "b": np.ones((2, 1))}, (2, 4)),),
    ),
    Erratum(
        "E27", "S1",
        Words("The gradient divided by N", "梯度除以 N"),
        Words("It is the mean over the batch; nothing is standardized.",
              "它只是批平均，并没有被标准化。"),
        (Experiment("it has mean 0, variance N, standard deviation 1", batch_statistics,
                    ("standardized",)),),
        (Experiment("it is the mean over the batch", batch_statistics, ("mean",)),),
    ),
    Erratum(
        "E28", "S1",
        Words("The gradient of weight decay", "权重衰减的梯度"),
        Words("The gradient of lambda |W|^2 is 2 lambda W, a matrix; |W|^2 itself is a number and"
              " pulls every weight the same way.",
              "λ‖W‖² 的梯度是矩阵 2λW；‖W‖² 是标量，会把所有权重推向同一方向。"),
        (Derivative("E = W @ x - y; L = norm(E)^2 + lam * norm(W)^2;"
                    " dL/dW = 2 * E @ x^T + lam * norm(W)^2",
                    {"W": [[0.5, -1.0], [2.0, 0.3]], "x": [1.0, 2.0], "y": [0.5, -0.5],
                     "lam": 0.1}),),
        (Derivative("E = W @ x - y; L = norm(E)^2 + lam * norm(W)^2;"
                    " dL/dW = 2 * E @ x^T + 2 * lam * W",
                    {"W": [[0.5, -1.0], [2.0, 0.3]], "x": [1.0, 2.0], "y": [0.5, -0.5],
                     "lam": 0.1}),),
    ),
    Erratum(
        "E53", "S0",
        Words("What the test set is for", "测试集的用途"),
        Words("Choosing on the test set makes its score optimistic. Choose on validation data;"
              " the test set is used once.",
              "用测试集来选择，会使测试成绩偏高。应在验证集上选择，测试集只用一次。"),
        (Experiment("train and choose until the test set says it is good", selected_score,
                    ("test",)),),
        (Experiment("choose on validation data, test once", selected_score, ("validation",)),),
    ),
)  # fmt: skip
