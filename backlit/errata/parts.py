"""BatchNorm, Dropout, residual and dense connections, activations (S1): E29 to E33, E54."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from backlit.errata.erratum import Erratum, Words
from backlit.errata.judge import Derivative, Equals, Experiment, compute
from backlit.tensor import Tensor

BATCH = {"x": np.array([1.0, 2.0, 3.0, 4.0]), "gamma": 1.5, "beta": -0.25}
BLOCK = {"x": [0.5, -1.0], "W": [[0.3, -0.8], [1.1, 0.4]], "V": [[0.7, 0.2], [-0.5, 0.9]]}
RESIDUAL = "h = tanh(W @ x); y = x + V @ h; "


def normalized(x: np.ndarray, gamma: float, beta: float) -> Tensor:
    """Batch normalization of one feature: Backlit's own operator."""
    one = [bl.tensor([v], dtype=bl.float64) for v in (gamma, beta)]
    column = bl.tensor(np.asarray(x)).reshape(-1, 1)
    return bl.nn.functional.batch_norm(column, None, None, *one, training=True).reshape(-1)


def standardized(order: str) -> tuple[bool, str]:
    """Whether the numbers that reach the activation have mean 0 and variance 1 per channel."""
    bl.manual_seed(0)
    conv = bl.nn.Conv2d(3, 4, 3, padding=1)
    norm = bl.nn.BatchNorm2d(3 if order == "before" else 4)
    x = 2.0 + 5.0 * bl.randn(8, 3, 6, 6)
    with bl.no_grad():
        h = conv(norm(x)) if order == "before" else norm(conv(x))
    values = h.numpy()
    mean = float(np.abs(values.mean((0, 2, 3))).max())
    spread = float(np.abs(values.var((0, 2, 3)) - 1).max())
    told = f"per channel the mean is up to {mean:.2g} and the variance up to {spread:.2g} off"
    return mean < 1e-4 and spread < 1e-3, told


def keeps_expectation(output: str) -> tuple[bool, str]:
    """Whether dropout leaves the expected output as it was: all masks of three units, weighed."""
    x, p = np.array([1.0, -2.0, 3.0]), 0.4
    total = np.zeros(3)
    for mask in itertools.product((0.0, 1.0), repeat=3):
        m = np.array(mask)
        chance = float(np.prod(np.where(m == 1, 1 - p, p)))
        total += chance * compute(output, {"m": m, "x": x, "p": p})
    return bool(np.allclose(total, x)), f"x = {x}, p = {p}: expected output {np.round(total, 6)}"


def every_layer_learns(says: bool) -> tuple[bool, str]:
    """Whether all layers of a residual network get gradients that are not zero."""
    bl.manual_seed(1)
    net = bl.models.resnet20()
    net(bl.randn(2, 3, 16, 16)).square().mean().backward()
    norms = {n: float(p.grad.norm().item()) for n, p in net.named_parameters() if p.ndim > 1}
    least = min(norms, key=lambda n: norms[n])
    told = f"ResNet-20 has {len(norms)} weight arrays; the smallest gradient is {norms[least]:.3g}"
    return (norms[least] > 0) == says, f"{told}, of {least}"


def keeps_earlier_maps(connect: Callable[..., Any]) -> tuple[bool, str]:
    """Whether every earlier feature map can be read off what the next layer gets."""
    bl.manual_seed(2)
    maps = [bl.randn(1, 2, 4, 4).relu() for _ in range(3)]
    found = connect(maps).numpy().reshape(-1, 16)
    flat = [m.numpy().reshape(-1, 16) for m in maps]
    lost = 0
    for m in np.vstack(flat):
        lost += not any(np.array_equal(m, row) for row in found)
    return (
        lost == 0,
        f"of 6 earlier maps {lost} are lost; the next layer gets {len(found)} channels",
    )


def product(maps: list[Tensor]) -> Tensor:
    """Element by element."""
    return maps[0] * maps[1] * maps[2]


def branch(maps: list[Tensor]) -> Tensor:
    """One branch only."""
    return maps[-1]


def concatenation(maps: list[Tensor]) -> Tensor:
    """Side by side, as channels."""
    return bl.cat(maps, dim=1)


def grows_by_growth_rate() -> tuple[bool, str]:
    """Whether the layers of Backlit's DenseNet read k0 + k l channels."""
    net = bl.models.DenseNet(depth=22, growth=4)
    read = [layer.conv1.in_channels for layer in net.block1]
    steps = {b - a for a, b in itertools.pairwise(read)}
    return steps == {4}, f"growth rate 4: the layers of a block read {read} channels"


def changes_size(activation: Callable[[], Any]) -> tuple[bool, str]:
    """Whether exchanging sigmoid for another activation changes the number of parameters."""

    def count(act: Any) -> int:
        net = bl.nn.Sequential(bl.nn.Linear(20, 20), act, bl.nn.Linear(20, 2))
        return sum(p.numel() for p in net.parameters())

    a, b = count(bl.nn.Sigmoid()), count(activation())
    return a != b, f"with Sigmoid {a} parameters, with {activation().__class__.__name__} {b}"


def same_size(activation: Callable[[], Any]) -> tuple[bool, str]:
    """The contrary of `changes_size`."""
    changed, told = changes_size(activation)
    return not changed, told


ERRATA = (
    Erratum(
        "E29", "S1",
        Words("What batch normalization computes", "批归一化的计算"),
        Words("Subtract the mean, divide by the standard deviation, then scale and shift; running"
              " statistics at inference. There are no neurons in it.",
              "减去均值，除以标准差，再缩放平移；推理时用滑动统计量。其中没有全连接神经元。"),
        (Equals("mu = mean(x); s = sqrt(mean((x - mu)^2)); gamma * (x / mu - mu * s) + beta",
                normalized, (BATCH,), 1e-4),),
        (Equals("mu = mean(x); v = mean((x - mu)^2); gamma * (x - mu) / sqrt(v + 1e-5) + beta",
                normalized, (BATCH, {**BATCH, "x": [-3.0, 0.5, 9.0, 2.0]})),
         Derivative("mu = mean(x); v = mean((x - mu)^2); s = sqrt(v + 1e-5); n = (x - mu) / s;"
                    " y = gamma * n + beta; dn = gamma * dy;"
                    " dx = (dn - mean(dn) - n * mean(dn * n)) / s", BATCH)),
    ),
    Erratum(
        "E30", "S1",
        Words("Where batch normalization goes", "批归一化的位置"),
        Words("The paper (Ioffe and Szegedy, 2015) puts it between the linear map and the"
              " activation, so that what the activation reads is standardized. Networks with"
              " BN-ReLU-conv (pre-activation ResNet, DenseNet) are the named exception.",
              "原论文放在线性变换之后、激活之前，使激活函数的输入标准化；BN-ReLU-卷积"
              "（预激活 ResNet、DenseNet）是特例，而不是规则。"),
        (Experiment("before the convolution: the activation reads standardized numbers",
                    standardized, ("before",)),),
        (Experiment("after the convolution: the activation reads standardized numbers",
                    standardized, ("after",)),),
    ),
    Erratum(
        "E31", "S1",
        Words("Dropout without scaling", "Dropout 的缩放"),
        Words("What remains is scaled by 1/(1 - p) in training (or the output by 1 - p at test):"
              " else the expected input of the next layer shrinks.",
              "训练时需乘 1/(1−p)（或测试时乘 1−p），否则下一层输入的期望会变小。"),
        (Experiment("y = m x", keeps_expectation, ("m * x",)),),
        (Experiment("y = m x / (1 - p)", keeps_expectation, ("m * x / (1 - p)",)),),
    ),
    Erratum(
        "E32", "S1",
        Words("What a residual connection does", "残差连接做了什么"),
        Words("y = x + F(x). The gradient is (I + dF/dx)^T g: an identity is added, and no layer's"
              " gradient is skipped.",
              "y = x+F(x)，梯度为 (I+∂F/∂x)ᵀg：多了一条恒等路径，没有任何层的梯度被跳过。"),
        (Derivative(RESIDUAL + "dx = dy", BLOCK),
         Experiment("gradients of some layers are skipped", every_layer_learns, (False,))),
        (Derivative(RESIDUAL + "dh = V^T @ dy; dx = dy + W^T @ (dh * (1 - h^2));"
                    " dV = dy @ h^T; dW = (dh * (1 - h^2)) @ x^T", BLOCK),
         Experiment("every layer gets a gradient", every_layer_learns, (True,))),
    ),
    Erratum(
        "E33", "S1",
        Words("How DenseNet connects", "DenseNet 的连接方式"),
        Words("By concatenation, so that every layer reads every earlier map. Products and"
              " branches do not keep them; they are other networks.",
              "只有通道拼接，每层都能读到之前的所有特征图；乘积或分支会丢失它们。"),
        (Experiment("maps are multiplied", keeps_earlier_maps, (product,)),
         Experiment("maps are branched", keeps_earlier_maps, (branch,))),
        (Experiment("maps are concatenated", keeps_earlier_maps, (concatenation,)),
         Experiment("layer l reads k0 + k l channels", grows_by_growth_rate)),
    ),
    Erratum(
        "E54", "S1",
        Words("Activations and the size of a model", "激活函数与模型大小"),
        Words("The number of parameters does not depend on the activation, unless it has"
              " parameters itself (PReLU).",
              "参数量与激活函数无关，除非激活函数本身带参数（如 PReLU）。"),
        (Experiment("tanh for sigmoid changes the model's size", changes_size, (bl.nn.Tanh,)),
         Experiment("ReLU for sigmoid changes the model's size", changes_size, (bl.nn.ReLU,))),
        (Experiment("tanh for sigmoid keeps the size", same_size, (bl.nn.Tanh,)),
         Experiment("PReLU, which has a parameter, changes it", changes_size, (bl.nn.PReLU,))),
    ),
)  # fmt: skip
