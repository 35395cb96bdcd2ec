"""Convolutions, plain and transposed, over 1 to 3 axes."""

from __future__ import annotations

from typing import Any

from backlit.api import NAMESPACES
from backlit.onnx.loading.operators.windows import Window, window_of
from backlit.onnx.loading.table import Node, operator
from backlit.tensor import Tensor

bl, F = NAMESPACES["bl"], NAMESPACES["F"]


def convolve(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution by a node's attributes; uneven padding is a pad before it."""
    sizes = tuple(x.shape[2:])
    window = window_of(node, sizes, tuple(weight.shape[2:]))
    padding: Any = window.before
    if not window.even:
        x, padding = F["pad"](x, window.widths()), 0
    return F[f"conv{len(sizes)}d"](x, weight, bias, window.strides, padding, window.dilations,
                                   node.get("group", 1))  # fmt: skip


@operator("Conv")
def conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    return convolve(node, x, weight, bias)


@operator("ConvTranspose")
def conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The whole result, then cut or extended at its ends as pads and output_padding say."""
    sizes = tuple(x.shape[2:])
    rank = len(sizes)
    window = window_of(node, sizes, tuple(weight.shape[2:]))
    extra = tuple(node.get("output_padding", [0] * rank))
    before, after = _transposed_pads(node, window, sizes, extra)
    function = F[f"conv_transpose{rank}d"]
    group = node.get("group", 1)
    fits = all(e < max(s, d) for e, s, d in zip(extra, window.strides, window.dilations))
    if before == after and fits and "output_shape" not in node.attributes:
        return function(x, weight, bias, window.strides, before, extra, group, window.dilations)
    y = function(x, weight, None, window.strides, 0, 0, group, window.dilations)
    whole = Window(window.kernel, window.strides, window.dilations, tuple(-b for b in before),
                   tuple(e - a for e, a in zip(extra, after)))  # fmt: skip
    y = F["pad"](y, whole.widths())
    return y if bias is None else y + bl["reshape"](bias, (1, -1, *[1] * rank))


def _transposed_pads(node: Node, window: Window, sizes: tuple[int, ...],
                     extra: tuple[int, ...]) -> tuple[tuple, tuple]:  # fmt: skip
    """What is cut at both ends; `output_shape` and `auto_pad` say it through the result's size."""
    wanted = node.get("output_shape")
    auto = node.get("auto_pad", "NOTSET")
    if wanted is None and auto in ("SAME_UPPER", "SAME_LOWER"):
        wanted = [n * s for n, s in zip(sizes, window.strides)]
    if wanted is None:
        return window.before, window.after
    before, after = [], []
    for i, size in enumerate(wanted[-len(sizes) :]):
        full = window.strides[i] * (sizes[i] - 1) + extra[i] + window.extents[i]
        less = (full - size) // 2
        more = full - size - less
        upper = auto == "SAME_UPPER"
        before.append(less if upper else more)
        after.append(more if upper else less)
    return tuple(before), tuple(after)
