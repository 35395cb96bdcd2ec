"""Operators that move elements and compute nothing: reshape, split, pad, tile."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.api import NAMESPACES
from backlit.creation import as_tensor
from backlit.errors import ShapeError
from backlit.onnx.loading.graph import Values
from backlit.onnx.loading.table import (
    Node,
    axis_of,
    integers,
    operator,
    setting,
)
from backlit.tensor import Tensor

bl, F = NAMESPACES["bl"], NAMESPACES["F"]


@operator("Identity", raw=True)
def identity(node: Node, values: Values, x: Any) -> Any:
    return x


@operator("Reshape", settings=(1,))
def reshape(node: Node, x: Tensor, sizes: np.ndarray) -> Tensor:
    """0 keeps a size (unless `allowzero`), -1 is inferred."""
    keep = not node.get("allowzero", 0)
    wanted = integers(sizes)
    if keep and 0 in wanted[x.ndim :]:
        raise ShapeError(f"Reshape: 0 beyond the {x.ndim} axes of {tuple(x.shape)}")
    wanted = [x.shape[i] if keep and n == 0 else n for i, n in enumerate(wanted)]
    return bl["reshape"](x, wanted)


@operator("Flatten")
def flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    rows = int(np.prod(x.shape[:axis], dtype=np.int64))
    return bl["reshape"](x, (rows, int(np.prod(x.shape[axis:], dtype=np.int64))))


@operator("Squeeze", settings=(1,))
def squeeze(node: Node, x: Tensor, axes: Any = None) -> Tensor:
    axes = setting(node, "axes", axes)
    if axes is None:
        return bl["squeeze"](x)
    gone = {axis_of(node, a, x.ndim) for a in integers(axes)}
    for a in sorted(gone):
        if x.shape[a] != 1:
            raise ShapeError(f"Squeeze: axis {a} of {tuple(x.shape)} is not 1")
    return bl["reshape"](x, [n for i, n in enumerate(x.shape) if i not in gone])


@operator("Unsqueeze", settings=(1,))
def unsqueeze(node: Node, x: Tensor, axes: Any = None) -> Tensor:
    axes = integers(setting(node, "axes", axes))
    rank = x.ndim + len(axes)
    new = {axis_of(node, a, rank) for a in axes}
    if len(new) != len(axes):
        raise ShapeError(f"Unsqueeze: axes {axes} name one axis twice")
    sizes = iter(x.shape)
    return bl["reshape"](x, [1 if i in new else next(sizes) for i in range(rank)])


@operator("Transpose")
def transpose(node: Node, x: Tensor) -> Tensor:
    return bl["permute"](x, node.get("perm", list(range(x.ndim))[::-1]))


@operator("Concat")
def concat(node: Node, *inputs: Tensor) -> Tensor:
    return bl["cat"](inputs, axis_of(node, node.get("axis"), inputs[0].ndim))


@operator("Split", settings=(1,))
def split(node: Node, x: Tensor, sizes: Any = None) -> tuple[Tensor, ...]:
    """Into parts of given sizes, or as many as the node has outputs; the last may be smaller."""
    axis = axis_of(node, node.get("axis", 0), x.ndim)
    parts = setting(node, "split", sizes)
    total = x.shape[axis]
    if parts is None:
        count = node.get("num_outputs", len(node.outputs))
        part = -(-total // count)
        parts = [max(min(part, total - i * part), 0) for i in range(count)]
    parts = integers(parts)
    if sum(parts) != total:
        raise ShapeError(f"Split: parts {parts} of an axis of size {total}")
    return tuple(bl["split"](x, parts, axis))


@operator("Slice", settings=(1, 2, 3, 4))
def slice_(node: Node, x: Tensor, starts: Any = None, ends: Any = None, axes: Any = None,
           steps: Any = None) -> Tensor:  # fmt: skip
    """Python's slices: ends beyond the axis are cut, steps may be negative."""
    starts = integers(setting(node, "starts", starts))
    ends = integers(setting(node, "ends", ends))
    axes = integers(setting(node, "axes", axes, np.arange(len(starts))))
    steps = integers(steps if steps is not None else np.ones(len(starts)))
    index: list[Any] = [slice(None)] * x.ndim
    flipped = []
    for start, end, axis, step in zip(starts, ends, axes, steps):
        axis = axis_of(node, axis, x.ndim)
        if step == 0:
            raise ShapeError("Slice: a step of 0")
        picked = _picked(start, end, step, x.shape[axis])
        if step < 0:
            flipped.append(axis)
            picked = picked[::-1]
        stop = picked[-1] + 1 if picked else 0
        index[axis] = slice(picked[0] if picked else 0, stop, abs(step))
    x = x[tuple(index)] if index else x
    return bl["flip"](x, flipped) if flipped else x


def _picked(start: int, end: int, step: int, size: int) -> range:
    """The indices of a slice; what lies beyond the axis is cut."""
    start = start + size if start < 0 else start
    end = end + size if end < 0 else end
    if step > 0:
        return range(min(max(start, 0), size), min(max(end, 0), size), step)
    return range(min(max(start, 0), size - 1), min(max(end, -1), size - 1), step)


@operator("Expand", settings=(1,))
def expand(node: Node, x: Tensor, sizes: np.ndarray) -> Tensor:
    shape = np.broadcast_shapes(tuple(x.shape), tuple(integers(sizes)))
    return bl["broadcast_to"](x, shape)


@operator("Tile", settings=(1,))
def tile(node: Node, x: Tensor, repeats: np.ndarray) -> Tensor:
    return bl["tile"](x, tuple(integers(repeats)))


@operator("Pad", settings=(1, 2, 3))
def pad(node: Node, x: Tensor, pads: Any = None, value: Any = None, axes: Any = None) -> Tensor:
    """Along each axis in turn; negative pads cut."""
    pads = integers(setting(node, "pads", pads))
    value = setting(node, "value", value, np.zeros(()))
    mode = node.get("mode", "constant")
    axes = integers(axes if axes is not None else np.arange(x.ndim))
    for i, axis in enumerate(axes):
        before, after = pads[i], pads[i + len(axes)]
        if before or after:
            x = pad_axis(x, axis_of(node, axis, x.ndim), before, after, mode, value)
    return x


def pad_axis(x: Tensor, axis: int, before: int, after: int, mode: str, value: Any) -> Tensor:
    """Pad one axis: `constant`, or copies of what is there, by index."""
    if mode == "constant":
        widths = [0, 0] * (x.ndim - 1 - axis) + [before, after]
        number = value.reshape(-1)[0].item() if value.size else 0
        return F["pad"](x, widths, value=number)
    size = x.shape[axis]
    index = np.arange(-before, size + after)
    if mode == "reflect":
        period = max(2 * (size - 1), 1)
        index = np.abs((index % period + period) % period)
        index = np.where(index >= size, period - index, index)
    else:
        index = index % size if mode == "wrap" else index.clip(0, size - 1)
    return bl["index_select"](x, axis, as_tensor(index))


@operator("DepthToSpace")
def depth_to_space(node: Node, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = node.get("blocksize")
    if node.get("mode", "DCR") == "CRD":
        return F["pixel_shuffle"](x, b)
    x = bl["reshape"](x, (n, b, b, c // b**2, h, w))
    return bl["reshape"](bl["permute"](x, (0, 3, 4, 1, 5, 2)), (n, c // b**2, h * b, w * b))


@operator("SpaceToDepth")
def space_to_depth(node: Node, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    b = node.get("blocksize")
    x = bl["reshape"](x, (n, c, h // b, b, w // b, b))
    order = (0, 3, 5, 1, 2, 4) if node.get("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    return bl["reshape"](bl["permute"](x, order), (n, c * b * b, h // b, w // b))


@operator("Trilu", settings=(1,))
def trilu(node: Node, x: Tensor, k: Any = None) -> Tensor:
    diagonal = 0 if k is None else int(k.reshape(()))
    return bl["triu" if node.get("upper", 1) else "tril"](x, diagonal)


@operator("ReverseSequence")
def reverse_sequence(node: Node, x: Tensor, lengths: Tensor) -> Tensor:
    return reverse_steps(x, lengths, node.get("time_axis", 0), node.get("batch_axis", 1))


def reverse_steps(x: Tensor, lengths: Tensor, time: int = 0, batch: int = 1) -> Tensor:
    """The first `length` steps of each row backwards, the rest as it is."""
    steps = as_tensor(np.arange(x.shape[time])).reshape(-1, 1)
    lengths = lengths.long()
    index = bl["where"](steps < lengths, lengths - 1 - steps, steps)  # time, batch
    index = index if time < batch else index.t()
    shape = [n if i in (time, batch) else 1 for i, n in enumerate(x.shape)]
    return bl["gather"](x, time, bl["broadcast_to"](index.reshape(shape), tuple(x.shape)))


@operator("Col2Im", settings=(1, 2))
def col2im(node: Node, x: Tensor, image: np.ndarray, block: np.ndarray) -> Tensor:
    """Columns of patches (N, C * patch, L) added up to the images that they were taken from."""
    sizes, patch = integers(image), integers(block)
    rank = len(sizes)
    strides, dilations = (node.get(k, [1] * rank) for k in ("strides", "dilations"))
    pads = node.get("pads", [0] * 2 * rank)
    whole = [n + pads[i] + pads[i + rank] for i, n in enumerate(sizes)]
    flat: Any = 0
    for i, n in enumerate(whole):
        count = (n - dilations[i] * (patch[i] - 1) - 1) // strides[i] + 1
        within, first = np.arange(patch[i]) * dilations[i], np.arange(count) * strides[i]
        ends = [1] * (rank - 1 - i)
        at = (within.reshape(-1, *ends, *[1] * (i + 1 + len(ends)))
              + first.reshape(-1, *ends))  # fmt: skip
        flat = flat * n + at
    batch, channels = x.shape[0], x.shape[1] // int(np.prod(patch))
    columns = bl["reshape"](x, (batch, channels, -1))
    made = x.new_zeros((batch, channels, int(np.prod(whole))))
    made = bl["index_add"](made, 2, as_tensor(flat.reshape(-1)), columns)
    made = bl["reshape"](made, (batch, channels, *whole))
    inner = tuple(slice(pads[i], pads[i] + n) for i, n in enumerate(sizes))
    return made[(slice(None), slice(None), *inner)]
