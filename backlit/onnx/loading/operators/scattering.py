"""Writing values into a copy of a tensor, by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.api import NAMESPACES
from backlit.creation import as_tensor
from backlit.onnx.loading.operators.indexing import counted
from backlit.onnx.loading.table import Node, axis_of, operator
from backlit.tensor import Tensor

bl = NAMESPACES["bl"]

REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@operator("Scatter", "ScatterElements")
def scatter_elements(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    axis = axis_of(node, node.get("axis", 0), x.ndim)
    index = counted(index, x.shape[axis])
    how = node.get("reduction", "none")
    if how == "none":
        return bl["scatter"](x, axis, index, updates)
    return bl["scatter_reduce"](x, axis, index, updates, REDUCE[how], include_self=True)


@operator("ScatterND")
def scatter_nd(node: Node, x: Tensor, index: Tensor, updates: Tensor) -> Tensor:
    """Slices at the places that the last axis of the index addresses."""
    how = node.get("reduction", "none")
    depth = index.shape[-1]
    places = tuple(counted(bl["select"](index, -1, i), x.shape[i]) for i in range(depth))
    if how in ("none", "add"):
        return bl["index_put"](x, places, updates, how == "add")
    rows = int(np.prod(x.shape[:depth], dtype=np.int64))
    flat: Any = 0
    for i, place in enumerate(places):
        flat = flat + place * int(np.prod(x.shape[i + 1 : depth], dtype=np.int64))
    table = bl["reshape"](x, (rows, -1))
    new = bl["reshape"](updates, (-1, table.shape[1]))
    at = bl["broadcast_to"](bl["reshape"](flat, (-1, 1)), tuple(new.shape))
    made = bl["scatter_reduce"](table, 0, at, new, REDUCE[how], include_self=True)
    return bl["reshape"](made, tuple(x.shape))


@operator("TensorScatter", settings=(2,))
def tensor_scatter(node: Node, past: Tensor, update: Tensor, start: Any = None) -> Tensor:
    """A cache whose rows are overwritten from a position of each batch on."""
    axis = axis_of(node, node.get("axis", -2), past.ndim)
    batch, size, count = past.shape[0], past.shape[axis], update.shape[axis]
    begin = np.zeros(batch, np.int64) if start is None else start.reshape(batch)
    places = begin[:, None] + np.arange(count)
    places = places % size if node.get("mode", "linear") == "circular" else places
    shape = [batch if i == 0 else count if i == axis else 1 for i in range(past.ndim)]
    index = np.broadcast_to(places.reshape(shape), tuple(update.shape))
    return bl["scatter"](past, axis, as_tensor(np.ascontiguousarray(index)), update)
