"""Joins that shape their inputs first, and products of lists: grids, tuples, blocks."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.join import Cat, Stack, listed
from backlit.ops.op import apply, export
from backlit.ops.pad import pad_constant
from backlit.ops.shape import Expand
from backlit.ops.views import atleast_1d, atleast_2d, atleast_3d


def _joined(tensors: Any, name: str, shaped: Any, dim: int) -> Any:
    if hasattr(tensors, "cell"):
        raise ArgumentTypeError(f"{name}: expected a list or tuple of tensors")
    found = listed([shaped(x) for x in tensors], name)
    return apply(Cat, *found, dim=0 if found[0].ndim == 1 else dim)


@export("bl")
def hstack(tensors):
    """Tensors joined along the second axis, vectors along their only one.

    >>> bl.hstack([bl.tensor([1]), bl.tensor([2])])
    tensor([1, 2])
    """
    return _joined(tensors, "hstack", atleast_1d, 1)


@export("bl", "row_stack")
def vstack(tensors):
    """Tensors joined along the first axis, vectors as rows.

    >>> bl.vstack([bl.tensor([1, 2]), bl.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return _joined(tensors, "vstack", atleast_2d, 0)


@export("bl")
def dstack(tensors):
    """Tensors joined along the third axis.

    >>> bl.dstack([bl.tensor([1, 2]), bl.tensor([3, 4])]).shape
    backlit.Size([1, 2, 2])
    """
    return _joined(tensors, "dstack", atleast_3d, 2)


@export("bl")
def column_stack(tensors):
    """Tensors joined along the second axis, vectors as columns.

    >>> bl.column_stack([bl.tensor([1, 2]), bl.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    return _joined(tensors, "column_stack", lambda x: x.reshape(-1, 1) if x.ndim < 2 else x, 1)


def _vectors(tensors: tuple, name: str) -> list:
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    found = listed(given, name)
    if any(x.ndim > 1 for x in found):
        raise ShapeError(f"{name}: expected vectors, got {[tuple(x.shape) for x in found]}")
    return found


@export("bl")
def meshgrid(*tensors, indexing="ij"):
    """Coordinates of a grid from its axes; "xy" swaps the first two.

    >>> a, b = bl.meshgrid(bl.tensor([1, 2]), bl.tensor([3, 4, 5]), indexing="ij"); b
    tensor([[3, 4, 5],
            [3, 4, 5]])
    """
    if indexing not in ("ij", "xy"):
        raise ArgumentError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    found = [x.reshape(-1) for x in _vectors(tensors, "meshgrid")]
    shape = tuple(x.shape[0] for x in found)
    swap = indexing == "xy" and len(found) > 1
    grids = []
    for i, x in enumerate(found):
        lone = (*(1,) * i, shape[i], *(1,) * (len(shape) - i - 1))
        grid = apply(Expand, x.reshape(lone), shape=shape)
        grids.append(grid.transpose(0, 1) if swap else grid)
    return tuple(grids)


@export("bl")
def cartesian_prod(*tensors):
    """All tuples of elements, one from each vector, as rows.

    >>> bl.cartesian_prod(bl.tensor([1, 2]), bl.tensor([3, 4])).tolist()
    [[1, 3], [1, 4], [2, 3], [2, 4]]
    """
    found = _vectors(tensors, "cartesian_prod")
    if len(found) == 1:
        return found[0]
    return apply(Stack, *(g.reshape(-1) for g in meshgrid(*found)), dim=1)


@export("bl")
def combinations(input, r=2, with_replacement=False):
    """All subsets of `r` elements of a vector, as rows.

    >>> bl.combinations(bl.tensor([1, 2, 3])).tolist()
    [[1, 2], [1, 3], [2, 3]]
    """
    if input.ndim != 1:
        raise ShapeError(f"combinations: expected a vector, got {input.ndim} axes")
    if r < 0:
        raise ArgumentError(f"combinations: r must not be negative, got {r}")
    if not r:
        return input[:0]
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    chosen = list(choose(range(input.shape[0]), r))
    index = np.array(chosen, np.int64).reshape(len(chosen), r)
    return input[index]


@export("bl")
def block_diag(*tensors):
    """Matrices along the diagonal of a larger one, zeros elsewhere.

    >>> bl.block_diag(bl.tensor([[1, 2]]), bl.tensor([[3]])).tolist()
    [[1, 2, 0], [0, 0, 3]]
    """
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    blocks = [atleast_2d(x) for x in listed(given, "block_diag")]
    if any(b.ndim > 2 for b in blocks):
        raise ShapeError("block_diag: expected tensors of at most 2 axes")
    width = sum(b.shape[1] for b in blocks)
    rows, left = [], 0
    for b in blocks:
        rows.append(pad_constant(b, (left, width - left - b.shape[1])))
        left += b.shape[1]
    return apply(Cat, *rows, dim=0)
