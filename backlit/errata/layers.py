"""Networks of layers (S0, S1): E12 to E19 and E22."""

from __future__ import annotations

import numpy as np

import backlit as bl
from backlit.errata.erratum import Erratum, Words
from backlit.errata.judge import Computes, Derivative, Equals, Experiment
from backlit.tensor import Tensor

X, Y = np.array([1.0, -2.0]), np.array([1.0, 0.0])
W2 = np.array([[0.1, 0.2], [0.3, 0.4], [-0.5, 0.6]])
B2, W3 = np.array([0.1, -0.1, 0.0]), np.array([[0.2, -0.3, 0.5], [-0.4, 0.1, 0.7]])
B3 = np.array([0.05, -0.05])
NET = {"x": X, "y": Y, "W2": W2, "b2": B2, "W3": W3, "b3": B3}
ACTIVITY = 1 / (1 + np.exp(-(W2 @ X + B2)))

# One layer u -> z inside a loss, with indices, as the text writes it.
LAYER = "p[i] = sum[k](W[i, k] * u[k]) + b[i]; z = sigmoid(p); J = 1/2 * norm(z - t)^2; "
LAYER_VALUES = {"W": W2, "u": X, "b": B2, "t": [1.0, 0.0, 0.5]}
ARRIVES = "dJ/dz = z - t; "


def network() -> bl.nn.Sequential:
    """The 2-3-2 network of the fixture, in float64."""
    net = bl.nn.Sequential(
        bl.nn.Linear(2, 3), bl.nn.Sigmoid(), bl.nn.Linear(3, 2), bl.nn.Sigmoid()
    ).double()
    with bl.no_grad():
        for p, value in zip(net.parameters(), (W2, B2, W3, B3)):
            p.copy_(bl.tensor(value))
    return net


def linear(W: Tensor, z: Tensor, b: Tensor, **rest: Tensor) -> Tensor:
    """What a layer computes: Backlit's own operator."""
    return bl.nn.functional.linear(*(bl.tensor(np.asarray(v)) for v in (z, W, b)))


def activity(W: Tensor, z: Tensor, b: Tensor, **rest: Tensor) -> Tensor:
    """The same layer with its activation."""
    return linear(W, z, b).sigmoid()


def jacobian(W: np.ndarray, u: np.ndarray, b: np.ndarray, **rest: np.ndarray) -> Tensor:
    """The Jacobian of sigma(W u + b) by u, from the engine."""
    weight, bias = bl.tensor(W), bl.tensor(b)
    return bl.autograd.functional.jacobian(
        lambda v: bl.nn.functional.linear(v, weight, bias).sigmoid(), bl.tensor(u)
    )


def within_a_layer() -> np.ndarray:
    """Derivatives of each neuron by its left neighbour in the same layer: measured."""
    net = network()
    z = net[1](net[0](bl.tensor(X)))
    neurons = [z[i] for i in range(3)]
    found = [0.0]
    for i in (1, 2):
        (g,) = bl.autograd.grad([neurons[i]], [neurons[i - 1]], retain_graph=True,
                                allow_unused=True)  # fmt: skip
        found.append(0.0 if g is None else float(g.item()))
    return np.array(found)


def gradients_number(count: str) -> tuple[bool, str]:
    """How many arrays get a gradient in one backward pass of a network with 3 layers."""
    net = network()
    net(bl.tensor(X)).sum().backward()
    updated = sum(p.grad is not None for p in net.parameters())
    arrays = len(list(net.parameters()))
    wanted = 3 - 1 if count == "K - 1" else arrays
    return updated == wanted, f"K = 3 layers, {arrays} parameter arrays, {updated} gradients"


def layers_are_equal(says: bool) -> tuple[bool, str]:
    """Whether a network that trains must have layers of one size."""
    net = network()
    sizes = [2, *(m.out_features for m in net if isinstance(m, bl.nn.Linear))]
    net(bl.tensor(X)).sum().backward()
    trained = all(p.grad is not None for p in net.parameters())
    return (len(set(sizes)) == 1 or not trained) == says, f"a network of sizes {sizes} trains"


def changes_parameters(step: str) -> tuple[bool, str]:
    """Whether backpropagation, or the optimizer's step after it, changes the parameters."""
    net = network()
    before = [p.detach().numpy().copy() for p in net.parameters()]

    def moved() -> float:
        return max(float(np.abs(p.detach().numpy() - b).max())
                   for p, b in zip(net.parameters(), before))  # fmt: skip

    optimizer = bl.optim.SGD(net.parameters(), lr=0.1)
    ((net(bl.tensor(X)) - bl.tensor(Y)) ** 2).sum().backward()
    by_backward = moved()
    optimizer.step()
    told = f"largest change of a parameter: backward {by_backward:.3g}, step {moved():.3g}"
    if step == "backward":
        return by_backward > 0, told
    return by_backward == 0 and moved() > 0, told


ERRATA = (
    Erratum(
        "E12", "S0",
        Words("The shape of a weight matrix", "权重矩阵的形状"),
        Words("To take x of m_{l-1} numbers to m_l numbers, W is m_l x m_{l-1} (or is transposed).",
              "把 m_{l−1} 维的 x 变为 m_l 维，W 应为 m_l×m_{l−1}（或者使用 Wᵀ）。"),
        (Computes("W @ x", {"W": W2.T, "x": X}, (3,)),),
        (Computes("W @ x", {"W": W2, "x": X}, (3,)),
         Computes("W^T @ x", {"W": W2.T, "x": X}, (3,))),
    ),
    Erratum(
        "E13", "S0",
        Words("Which layers the error sums over", "误差在哪些层上求和"),
        Words("Targets exist for the output layer only; hidden layers have neither targets nor,"
              " in general, their size.",
              "只有输出层有目标值；隐藏层既没有目标，尺寸一般也不同。"),
        (Computes("a2 = sigmoid(W2 @ x + b2); a3 = sigmoid(W3 @ a2 + b3);"
                  " J = 1/2 * norm(a2 - y)^2 + 1/2 * norm(a3 - y)^2", NET, ()),),
        (Computes("a2 = sigmoid(W2 @ x + b2); a3 = sigmoid(W3 @ a2 + b3);"
                  " J = 1/2 * norm(a3 - y)^2", NET, ()),),
    ),
    Erratum(
        "E14", "S0",
        Words("Sizes of layers, number of updates", "各层大小与更新次数"),
        Words("Layers may have any sizes, and every parameter array gets a gradient of its own.",
              "各层神经元数可以不同；每个参数数组各有一个梯度。"),
        (Experiment("all layers have the same number of neurons", layers_are_equal, (True,)),
         Experiment("K layers need K - 1 updates", gradients_number, ("K - 1",))),
        (Experiment("layers may differ in size", layers_are_equal, (False,)),
         Experiment("one gradient per parameter array", gradients_number, ("arrays",))),
    ),
    Erratum(
        "E15", "S0",
        Words("What a neuron sums over", "神经元对什么求和"),
        Words("x_{i-1} is the neighbour in the same layer; the sum runs over the neurons k of the"
              " layer before, and a bias is added.",
              "x_{i−1} 是同层的相邻神经元；应对上一层的神经元 k 求和，并加上偏置。"),
        (Equals("x[i] = sum[k](W[i, k] * n[i])", linear,
                ({"W": W2, "z": X, "b": B2, "n": np.roll(W2 @ X + B2, 1)},)),),
        (Equals("x[i] = sum[k](W[i, k] * z[k]) + b[i]", linear, ({"W": W2, "z": X, "b": B2},)),),
    ),
    Erratum(
        "E16", "S0",
        Words("The derivative from layer to layer", "层与层之间的导数"),
        Words("Neurons of one layer do not depend on each other: a factor within the layer is 0,"
              " and so would be every gradient.",
              "同层神经元互不依赖，同层之间的导数为 0，若以它为因子，梯度处处为 0。"),
        (Equals("p[i] = sum[k](W[i, k] * u[k]) + b[i];"
                " D[i, k] = sigmoid'(p[i]) * W[i, k] * same[i]", jacobian,
                ({"W": W2, "u": X, "b": B2, "same": within_a_layer()},)),),
        (Equals("p[i] = sum[k](W[i, k] * u[k]) + b[i]; D[i, k] = sigmoid'(p[i]) * W[i, k]",
                jacobian, ({"W": W2, "u": X, "b": B2},)),),
    ),
    Erratum(
        "E17", "S0",
        Words("Rules 1 to 3: one sigma too many", "规则 1–3：多了一个 σ"),
        Words("sigma' belongs at the pre-activation x, not at z, and no sigma stands beside it.",
              "σ' 应取在激活前的 x 上，而不是 z；旁边也没有多余的 σ。"),
        (Derivative(LAYER + ARRIVES
                    + "dJ/du[k] = sum[i](dJ/dz[i] * sigmoid(p[i]) * sigmoid'(z[i]) * W[i, k])",
                    LAYER_VALUES),),
        (Derivative(LAYER + ARRIVES + "dJ/du[k] = sum[i](dJ/dz[i] * sigmoid'(p[i]) * W[i, k])",
                    LAYER_VALUES),),
    ),
    Erratum(
        "E18", "S0",
        Words("Rules 4 and 5: a Kronecker delta", "规则 4–5：多余的 δ_ij"),
        Words("A neuron feeds every neuron of the next layer: the sum runs over all i; delta_ij"
              " keeps one of them.",
              "一个神经元影响下一层的所有神经元，应对所有 i 求和；δ_ij 只留下其中一项。"),
        (Derivative(LAYER + ARRIVES
                    + "dJ/du[k] = sum[i](dJ/dz[i] * d[i, k] * sigmoid'(p[i]) * W[i, k])",
                    {**LAYER_VALUES, "d": np.eye(3, 2)}),),
        (Derivative(LAYER + ARRIVES + "dJ/dp[i] = dJ/dz[i] * sigmoid'(p[i]);"
                    " dJ/du[k] = sum[i](dJ/dp[i] * W[i, k]); dJ/dW[i, k] = dJ/dp[i] * u[k]",
                    LAYER_VALUES),),
    ),
    Erratum(
        "E19", "S0, S1",
        Words("Backpropagation is no optimizer", "反向传播不是优化算法"),
        Words("Backpropagation computes gradients and changes nothing; the optimizer updates.",
              "反向传播只计算梯度，不改变任何参数；更新由优化器完成。"),
        (Experiment("backpropagation trains the parameters", changes_parameters, ("backward",)),),
        (Experiment("backpropagation computes, the optimizer updates", changes_parameters,
                    ("step",)),),
    ),
    Erratum(
        "E22", "S1",
        Words("Which activations a neuron reads", "神经元读取哪些激活值"),
        Words("Those of the previous layer, not of the previous node in its own layer.",
              "是上一层的激活 a^{l−1}，不是同层的前一个结点。"),
        (Equals("a[j] = sigmoid(b[j] + sum[k](W[j, k]) * n[j])", activity,
                ({"W": W2, "z": X, "b": B2, "n": np.roll(ACTIVITY, 1)},)),),
        (Equals("a[j] = sigmoid(b[j] + sum[k](W[j, k] * z[k]))", activity,
                ({"W": W2, "z": X, "b": B2},)),),
    ),
)  # fmt: skip
