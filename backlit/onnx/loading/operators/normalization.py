"""Normalizations over batches, groups, layers and neighbours."""

from __future__ import annotations

from typing import Any

from backlit.api import NAMESPACES
from backlit.onnx.loading.table import Node, axis_of, dtype_of, operator
from backlit.tensor import Tensor

bl, F = NAMESPACES["bl"], NAMESPACES["F"]


@operator("BatchNormalization", statistics=(3, 4))
def batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor,
               var: Tensor) -> Any:  # fmt: skip
    """By given statistics; a node in training mode takes those of the batch and returns both."""
    eps = node.get("epsilon", 1e-5)
    if node.version < 9 and not node.get("spatial", 1):
        raise node.unsupported("spatial = 0", "export with per-channel statistics")
    if not node.get("training_mode", 0):
        return F["batch_norm"](x, mean.detach(), var.detach(), scale, bias, False, 0.0, eps)
    old = node.get("momentum", 0.9)
    dims = [0, *range(2, x.ndim)]
    now_mean, now_var = bl["mean"](x, dims), bl["var"](x, dims, False)
    y = F["batch_norm"](x, None, None, scale, bias, True, 0.0, eps)
    return y, mean * old + now_mean * (1 - old), var * old + now_var * (1 - old)


@operator("InstanceNormalization")
def instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F["instance_norm"](x, None, None, scale, bias, True, 0.1, node.get("epsilon", 1e-5))


@operator("LayerNormalization")
def layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Any:
    """Over the axes from `axis` on; also the mean and 1 / standard deviation where wanted."""
    axis, eps = axis_of(node, node.get("axis", -1), x.ndim), node.get("epsilon", 1e-5)
    shape = tuple(x.shape[axis:])
    plain = tuple(scale.shape) == shape and (bias is None or tuple(bias.shape) == shape)
    if plain:
        y = F["layer_norm"](x, shape, scale, bias, eps)
    else:
        y = F["layer_norm"](x, shape, None, None, eps) * scale
        y = y if bias is None else y + bias
    if not node.wants(1) and not node.wants(2):
        return y
    dims = list(range(axis, x.ndim))
    wide = x.to(dtype_of(node.get("stash_type", 1), node.op))
    return y, bl["mean"](wide, dims, True), bl["rsqrt"](bl["var"](wide, dims, False, True) + eps)


@operator("RMSNormalization")
def rms_norm(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    axis, eps = axis_of(node, node.get("axis", -1), x.ndim), node.get("epsilon", 1e-5)
    shape = tuple(x.shape[axis:])
    if tuple(scale.shape) == shape:
        return F["rms_norm"](x, shape, scale, eps)
    return F["rms_norm"](x, shape, None, eps) * scale


@operator("GroupNormalization")
def group_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Scale and bias are per group before opset 21, per channel from then on."""
    groups, eps = node.get("num_groups"), node.get("epsilon", 1e-5)
    if node.version < 21:
        each = x.shape[1] // groups
        scale, bias = (bl["repeat_interleave"](v, each) for v in (scale, bias))
    return F["group_norm"](x, groups, scale, bias, eps)


@operator("LRN")
def local_response(node: Node, x: Tensor) -> Tensor:
    """x / (bias + alpha / size * sum of squares of neighbouring channels)^beta."""
    size = node.get("size")
    before = (size - 1) // 2
    squares = x * x
    widths = [0, 0] * (x.ndim - 2) + [before, size - 1 - before]
    padded = F["pad"](squares, widths)
    total = sum(bl["narrow"](padded, 1, i, x.shape[1]) for i in range(size))
    scale = node.get("bias", 1.0) + total * (node.get("alpha", 1e-4) / size)
    return x / scale ** node.get("beta", 0.75)


@operator("LpNormalization")
def lp_norm(node: Node, x: Tensor) -> Tensor:
    """Vectors along an axis divided by their norm; zeros stay zeros."""
    axis = axis_of(node, node.get("axis", -1), x.ndim)
    norm = bl["norm"](x, node.get("p", 2), axis, True)
    return x / bl["where"](norm == 0, norm + 1, norm)


@operator("MeanVarianceNormalization")
def mean_variance(node: Node, x: Tensor) -> Tensor:
    dims = node.get("axes", [0, 2, 3])
    centred = x - bl["mean"](x, dims, True)
    return centred / (bl["sqrt"](bl["mean"](centred * centred, dims, True)) + 1e-9)
