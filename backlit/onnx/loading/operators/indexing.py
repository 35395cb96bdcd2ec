"""Picking elements by index, by mask and by rank."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.api import NAMESPACES
from backlit.creation import as_tensor
from backlit.errors import ShapeError
from backlit.onnx.loading.table import Node, axis_of, operator, setting
from backlit.tensor import Tensor

bl, F = NAMESPACES["bl"], NAMESPACES["F"]


def counted(index: Tensor, size: int) -> Tensor:
    """Indices counted from the front."""
    index = index.long()
    return bl["where"](index < 0, index + size, index)


@operator("Gather")
def gather(node: Node, x: Tensor, index: Tensor) -> Tensor:
    """Slices of one axis; the index's axes stand in its place."""
    axis = axis_of(node, node.get("axis", 0), x.ndim)
    index = counted(index, x.shape[axis])
    if axis == 0 and x.ndim == 2 and x.dtype.is_floating_point:
        return F["embedding"](index, x)
    picked = bl["index_select"](x, axis, bl["reshape"](index, (-1,)))
    return bl["reshape"](picked, (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


@operator("GatherElements")
def gather_elements(node: Node, x: Tensor, index: Tensor) -> Tensor:
    axis = axis_of(node, node.get("axis", 0), x.ndim)
    return bl["gather"](x, axis, counted(index, x.shape[axis]))


@operator("GatherND")
def gather_nd(node: Node, x: Tensor, index: Tensor) -> Tensor:
    """The last axis of the index addresses the axes after the batch axes."""
    batch = node.get("batch_dims", 0)
    depth = index.shape[-1]
    if batch + depth > x.ndim:
        raise ShapeError(f"GatherND: indices of {depth} axes into shape {tuple(x.shape)}")
    places = [_batch_index(x, index, i) for i in range(batch)]
    for i in range(depth):
        places.append(counted(bl["select"](index, -1, i), x.shape[batch + i]))
    return x[tuple(places)]


def _batch_index(x: Tensor, index: Tensor, axis: int) -> Tensor:
    """0, 1, ... along one batch axis, in a shape that broadcasts with the index."""
    shape = [1] * (index.ndim - 1)
    shape[axis] = x.shape[axis]
    return as_tensor(np.arange(x.shape[axis]).reshape(shape))


@operator("OneHot", settings=(1,))
def one_hot(node: Node, index: Tensor, depth: np.ndarray, values: Tensor) -> Tensor:
    count = int(depth.reshape(-1)[0])
    rank = index.ndim + 1
    axis = axis_of(node, node.get("axis", -1), rank)
    places = bl["unsqueeze"](counted(index, count), axis)
    shape = [count if i == axis else 1 for i in range(rank)]
    return bl["where"](places == as_tensor(np.arange(count).reshape(shape)), values[1], values[0])


@operator("NonZero")
def nonzero(node: Node, x: Tensor) -> Tensor:
    return bl["nonzero"](bl["atleast_1d"](x)).t()


@operator("Compress", settings=(1,))
def compress(node: Node, x: Tensor, condition: np.ndarray) -> Tensor:
    axis = node.get("axis")
    if axis is None:
        x, axis = bl["reshape"](x, (-1,)), 0
    kept = np.flatnonzero(condition[: x.shape[axis]])
    return bl["index_select"](x, axis_of(node, axis, x.ndim), as_tensor(kept))


@operator("TopK", settings=(1,))
def topk(node: Node, x: Tensor, k: Any = None) -> tuple[Tensor, Tensor]:
    """The k largest or smallest; of equal ones, the first."""
    count = int(setting(node, "k", k).reshape(-1)[0])
    axis = axis_of(node, node.get("axis", -1), x.ndim)
    largest = bool(node.get("largest", 1))
    _, order = bl["sort"](x, axis, largest, True)
    order = bl["narrow"](order, axis, 0, count)
    return bl["gather"](x, axis, order), order


@operator("Unique")
def unique(node: Node, x: Tensor) -> tuple[Tensor, ...]:
    """Distinct values or slices: sorted, or in the order in which they appear."""
    axis = node.get("axis")
    values = x.detach().numpy()
    _, first, inverse, counts = np.unique(
        values, return_index=True, return_inverse=True, return_counts=True, axis=axis
    )
    inverse = inverse.reshape(-1)
    order = np.arange(len(first)) if node.get("sorted", 1) else np.argsort(first)
    rank = np.argsort(order)
    kept = bl["index_select"](x if axis is not None else bl["reshape"](x, (-1,)), axis or 0,
                              as_tensor(first[order]))  # fmt: skip
    return kept, as_tensor(first[order]), as_tensor(rank[inverse]), as_tensor(counts[order])
