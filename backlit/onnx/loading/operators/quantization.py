"""Whole numbers that stand for real ones: quantize, dequantize, and products of them.

Only 8 and 32 bits, which Backlit has dtypes for. Rounding has no gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.api import NAMESPACES
from backlit.onnx.loading.operators.convolution import convolve
from backlit.onnx.loading.table import Node, axis_of, dtype_of, operator
from backlit.tensor import Tensor

bl = NAMESPACES["bl"]


def _along(node: Node, value: Tensor, x: Tensor) -> Tensor:
    """A scale or zero point as it broadcasts with x: one, one per slice, or one per block."""
    axis = axis_of(node, node.get("axis", 1), x.ndim) if value.ndim else 0
    if value.ndim == x.ndim and node.get("block_size", 0):
        long = bl["repeat_interleave"](value, node.get("block_size"), axis)
        return bl["narrow"](long, axis, 0, x.shape[axis])
    if value.ndim == 1 and value.shape[0] > 1:
        return bl["reshape"](value, [-1 if i == axis else 1 for i in range(x.ndim)])
    return bl["reshape"](value, ()) if value.numel() == 1 else value


def _saturated(x: Tensor, to: dt.dtype) -> Tensor:
    limits = np.iinfo(to.numpy)
    return bl["clamp"](x, int(limits.min), int(limits.max)).to(to)


@operator("QuantizeLinear")
def quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    chosen = node.get("output_dtype", 0)
    to = dtype_of(chosen, node.op) if chosen else dt.uint8 if zero is None else zero.dtype
    if to.is_floating_point:
        raise node.unsupported(f"output type {to.name}", "8, 16 or 32 bits are supported")
    y = bl["round"](x / _along(node, scale.to(x.dtype), x))
    return _saturated(y if zero is None else y + _along(node, zero, x).to(y.dtype), to)


@operator("DequantizeLinear")
def dequantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    y = x.to(dt.int32)
    if zero is not None:
        y = y - _along(node, zero, x).to(dt.int32)
    return y.to(scale.dtype) * _along(node, scale, x)


def _shifted(x: Tensor, zero: Tensor | None, row: bool = False) -> Tensor:
    """x minus its zero point, in numbers that hold every product exactly."""
    wide = x.to(dt.float64)
    if zero is None:
        return wide
    zero = zero.to(dt.float64)
    return wide - (bl["unsqueeze"](zero, -1) if row and zero.ndim == 1 else zero)


@operator("MatMulInteger")
def matmul_integer(node: Node, a: Tensor, b: Tensor, za: Any = None, zb: Any = None) -> Tensor:
    return bl["matmul"](_shifted(a, za, True), _shifted(b, zb)).to(dt.int32)


@operator("ConvInteger")
def conv_integer(node: Node, x: Tensor, w: Tensor, zx: Any = None, zw: Any = None) -> Tensor:
    return convolve(node, _shifted(x, zx), _shifted(w, _channels(zw, w)), None).to(dt.int32)


def _channels(zero: Tensor | None, w: Tensor) -> Tensor | None:
    if zero is None or zero.numel() == 1:
        return None if zero is None else bl["reshape"](zero, ())
    return bl["reshape"](zero, (-1, *[1] * (w.ndim - 1)))


def _requantized(y: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    return _saturated(bl["round"](y * scale.to(dt.float64)) + zero.to(dt.float64), zero.dtype)


@operator("QLinearMatMul")
def qlinear_matmul(node: Node, a: Tensor, sa: Tensor, za: Tensor, b: Tensor, sb: Tensor,
                   zb: Tensor, sy: Tensor, zy: Tensor) -> Tensor:  # fmt: skip
    product = bl["matmul"](_shifted(a, za, True), _shifted(b, zb))
    rows = bl["unsqueeze"](sa, -1) if sa.ndim == 1 and sa.numel() > 1 else sa
    scale = rows.to(dt.float64) * sb.to(dt.float64) / sy.to(dt.float64)
    return _requantized(product, scale, zy)


@operator("QLinearConv")
def qlinear_conv(node: Node, x: Tensor, sx: Tensor, zx: Tensor, w: Tensor, sw: Tensor,
                 zw: Tensor, sy: Tensor, zy: Tensor, bias: Any = None) -> Tensor:  # fmt: skip
    wide = None if bias is None else bias.to(dt.float64)
    y = convolve(node, _shifted(x, zx), _shifted(w, _channels(zw, w)), wide)
    scale = sx.to(dt.float64) * sw.to(dt.float64) / sy.to(dt.float64)
    if scale.numel() > 1:
        scale = bl["reshape"](scale, (1, -1, *[1] * (x.ndim - 2)))
    return _requantized(y, scale, zy)
