"""Activation functions, with ONNX's own constants, and what normalizes along an axis."""

from __future__ import annotations

from typing import Any

from backlit.api import NAMESPACES
from backlit.creation import tensor
from backlit.onnx.loading.table import Node, axis_of, operator, setting, simple
from backlit.tensor import Tensor

bl, F = NAMESPACES["bl"], NAMESPACES["F"]

simple("Relu", F["relu"])
simple("Sigmoid", bl["sigmoid"])
simple("Softsign", F["softsign"])
simple("Mish", F["mish"])
simple("HardSwish", F["hardswish"])


@operator("Softplus")
def softplus(node: Node, x: Tensor) -> Tensor:
    return F["softplus"](x)


@operator("LeakyRelu")
def leaky_relu(node: Node, x: Tensor) -> Tensor:
    return F["leaky_relu"](x, node.get("alpha", 0.01))


@operator("PRelu")
def prelu(node: Node, x: Tensor, slope: Tensor) -> Tensor:
    """The slope broadcasts as in every other operator."""
    zero = tensor(0, dtype=x.dtype)
    return bl["maximum"](x, zero) + slope * bl["minimum"](x, zero)


@operator("Elu")
def elu(node: Node, x: Tensor) -> Tensor:
    return F["elu"](x, node.get("alpha", 1.0))


@operator("Celu")
def celu(node: Node, x: Tensor) -> Tensor:
    return F["celu"](x, node.get("alpha", 1.0))


@operator("Selu")
def selu(node: Node, x: Tensor) -> Tensor:
    alpha, gamma = node.get("alpha"), node.get("gamma")
    if alpha is None and gamma is None:
        return F["selu"](x)
    return F["elu"](x, 1.67326319217681884765625 if alpha is None else alpha) * (
        1.05070102214813232421875 if gamma is None else gamma
    )


@operator("ThresholdedRelu")
def thresholded_relu(node: Node, x: Tensor) -> Tensor:
    return F["threshold"](x, node.get("alpha", 1.0), 0.0)


@operator("HardSigmoid")
def hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    return bl["clamp"](x * node.get("alpha", 0.2) + node.get("beta", 0.5), 0.0, 1.0)


@operator("Gelu")
def gelu(node: Node, x: Tensor) -> Tensor:
    return F["gelu"](x, approximate=node.get("approximate", "none"))


@operator("Swish")
def swish(node: Node, x: Tensor) -> Tensor:
    alpha = node.get("alpha", 1.0)
    return F["silu"](x) if alpha == 1.0 else x * bl["sigmoid"](x * alpha)


@operator("Shrink")
def shrink(node: Node, x: Tensor) -> Tensor:
    bias, lambd = node.get("bias", 0.0), node.get("lambd", 0.5)
    low = bl["where"](x < -lambd, x + bias, 0.0)
    return bl["where"](x > lambd, x - bias, low).to(x.dtype)


@operator("Clip", settings=(1, 2))
def clip(node: Node, x: Tensor, low: Any = None, high: Any = None) -> Tensor:
    low, high = setting(node, "min", low), setting(node, "max", high)
    bounds = [None if b is None else b.reshape(()).item() for b in (low, high)]
    if bounds == [None, None]:
        return x
    return bl["clamp"](x, *bounds)


@operator("Softmax")
def softmax(node: Node, x: Tensor) -> Tensor:
    return _along(node, x, F["softmax"])


@operator("LogSoftmax")
def log_softmax(node: Node, x: Tensor) -> Tensor:
    return _along(node, x, F["log_softmax"])


@operator("Hardmax")
def hardmax(node: Node, x: Tensor) -> Tensor:
    """1 at the first largest element along the axis, 0 elsewhere."""

    def first(x: Tensor, axis: int) -> Tensor:
        hot = F["one_hot"](bl["argmax"](x, axis), x.shape[axis])
        return bl["movedim"](hot, -1, axis).to(x.dtype)

    return _along(node, x, first)


def _along(node: Node, x: Tensor, function: Any) -> Tensor:
    """Along one axis; before opset 13, along all axes from that one on together."""
    if node.version >= 13:
        return function(x, axis_of(node, node.get("axis", -1), x.ndim))
    axis = axis_of(node, node.get("axis", 1), x.ndim)
    if axis == x.ndim - 1:
        return function(x, axis)
    return function(bl["flatten"](x, axis), axis).reshape(x.shape)
