"""Pools: maxima, means and norms of windows or of whole images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.api import NAMESPACES
from backlit.creation import as_tensor, ones
from backlit.onnx.loading.operators.windows import Window, outputs, stretched, window_of
from backlit.onnx.loading.table import Node, fold, integers, operator, tensor
from backlit.tensor import Tensor

bl, F = NAMESPACES["bl"], NAMESPACES["F"]


def _window(node: Node, x: Tensor) -> tuple[tuple[int, ...], Window, Window]:
    """Sizes, the window as declared, and stretched to what `ceil_mode` needs."""
    sizes = tuple(x.shape[2:])
    window = window_of(node, sizes, tuple(node.get("kernel_shape")))
    counts = outputs(window, sizes, bool(node.get("ceil_mode", 0)))
    return sizes, window, stretched(window, sizes, counts)


@operator("MaxPool")
def max_pool(node: Node, x: Tensor) -> Any:
    """Maxima and, where wanted, their places in the whole tensor."""
    sizes, window, whole = _window(node, x)
    rank = len(sizes)
    padded, padding = x, (0,) * rank
    half = all(2 * p <= k for p, k in zip(window.before, window.kernel))
    if window.even and half and all(a <= b for a, b in zip(whole.after, window.after)):
        padding = window.before
    else:
        low = -float("inf") if x.dtype.is_floating_point else int(np.iinfo(x.dtype.numpy).min)
        padded = F["pad"](x, whole.widths(), value=low)
    arguments = (padded, window.kernel, window.strides, padding, window.dilations)
    if not node.wants(1):
        return F[f"max_pool{rank}d"](*arguments)
    y, places = F[f"max_pool{rank}d"](*arguments, return_indices=True)
    if padded is not x:
        inside = zip(_coordinates(places, tuple(padded.shape[2:])), window.before)
        places = _flat([at - pad for at, pad in inside], sizes)
    return y, _in_tensor(places, sizes, bool(node.get("storage_order", 0)))


def _coordinates(places: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    """Places in a flattened tensor, as one index for each axis."""
    found = []
    for i, size in enumerate(sizes):
        rest = int(np.prod(sizes[i + 1 :], dtype=np.int64))
        found.append(bl["remainder"](bl["div"](places, rest, rounding_mode="floor"), size))
    return found


def _flat(coordinates: list[Tensor], sizes: tuple[int, ...]) -> Any:
    """The inverse: places in a flattened tensor of these sizes."""
    found: Any = 0
    for at, size in zip(coordinates, sizes):
        found = found * size + at
    return found


def _in_tensor(places: Tensor, sizes: tuple[int, ...], columns: bool) -> Tensor:
    """Places in an image as places in the whole tensor, by rows or by columns."""
    n, c = places.shape[:2]
    if columns:
        places = _flat(_coordinates(places, sizes)[::-1], sizes[::-1])
    image = np.arange(n * c).reshape(n, c, *[1] * len(sizes)) * int(np.prod(sizes))
    return places + as_tensor(image)


def _sums(x: Tensor, window: Window) -> Tensor:
    """The sum of every window, as a convolution of each channel with ones."""
    n, c, *sizes = x.shape
    x = F["pad"](bl["reshape"](x, (n * c, 1, *sizes)), window.widths())
    kernel = ones(1, 1, *window.kernel, dtype=x.dtype)
    y = F[f"conv{len(sizes)}d"](x, kernel, None, window.strides, 0, window.dilations)
    return bl["reshape"](y, (n, c, *y.shape[2:]))


@operator("AveragePool")
def average_pool(node: Node, x: Tensor) -> Tensor:
    """Means of windows; padding counts only with `count_include_pad`."""
    sizes, window, whole = _window(node, x)
    count_pads = bool(node.get("count_include_pad", 0))
    half = all(2 * p <= k for p, k in zip(window.before, window.kernel))
    exact = all(a <= b for a, b in zip(whole.after, window.after))
    if window.even and half and exact and set(window.dilations) == {1}:
        return F[f"avg_pool{len(sizes)}d"](
            x, window.kernel, window.strides, window.before, False, count_pads
        )
    counts = tensor(fold(lambda: _counts(x, window, whole, count_pads)))
    return _sums(x, whole) / counts


def _counts(x: Tensor, window: Window, whole: Window, count_pads: bool) -> Tensor:
    """How many elements each window averages."""
    ground = ones(1, 1, *x.shape[2:], dtype=x.dtype)
    if not count_pads:
        return _sums(ground, whole)
    last = tuple(min(a, b) for a, b in zip(whole.after, window.after))
    declared = Window(window.kernel, window.strides, window.dilations, window.before, last)
    ground = F["pad"](ground, declared.widths(), value=1)
    rest = tuple(w - a for w, a in zip(whole.after, last))
    zero = (0,) * len(rest)
    return _sums(ground, Window(window.kernel, window.strides, window.dilations, zero, rest))


@operator("LpPool")
def lp_pool(node: Node, x: Tensor) -> Tensor:
    _, _, whole = _window(node, x)
    p = node.get("p", 2)
    return _sums(bl["abs"](x) ** p, whole) ** (1 / p)


def _global(name: str, reduce: Callable[[Node, Tensor, list[int]], Tensor]) -> None:
    @operator(name)
    def run(node: Node, x: Tensor) -> Tensor:
        return reduce(node, x, list(range(2, x.ndim)))


def _norm(node: Node, x: Tensor, dims: list[int]) -> Tensor:
    p = node.get("p", 2)
    return bl["sum"](bl["abs"](x) ** p, dims, True) ** (1 / p)


_global("GlobalAveragePool", lambda node, x, dims: bl["mean"](x, dims, True))
_global("GlobalMaxPool", lambda node, x, dims: bl["amax"](x, dims, True))
_global("GlobalLpPool", _norm)


@operator("MaxUnpool", settings=(2,))
def max_unpool(node: Node, x: Tensor, places: Tensor, shape: Any = None) -> Tensor:
    """Values back to their places in the tensor, zeros elsewhere."""
    kernel = node.get("kernel_shape")
    strides, pads = node.get("strides", [1] * len(kernel)), node.get("pads", [0] * 2 * len(kernel))
    n, c, *sizes = x.shape
    whole = [
        (size - 1) * strides[i] + kernel[i] - pads[i] - pads[i + len(kernel)]
        for i, size in enumerate(sizes)
    ]
    final = whole if shape is None else integers(shape)[2:]
    at = bl["reshape"](places, (-1,))
    if final != whole:  # the places are those of the smaller tensor
        at = _flat(_coordinates(at, (n, c, *whole)), (n, c, *final))
    total = n * c * int(np.prod(final))
    flat = bl["scatter"](bl["reshape"](x, (-1,)).new_zeros(total), 0, at, bl["reshape"](x, (-1,)))
    return bl["reshape"](flat, (n, c, *final))
