"""Running one update rule on one parameter: in NumPy, or recorded as Tensor arithmetic.

Update rules are elementwise, so large arrays go through in blocks that stay in the cache, into
the arrays they came from where nobody else looks at those. Knows no rule. Next: sgd.py.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.state import state as state_of_thread
from backlit.tensor import Cell, Tensor

Arrays = dict[str, Any]
Update = Callable[[Any, Any, Arrays], Any]

BLOCK = 65536  # entries at a time, so that a rule's arrays stay in the cache
LARGE = 4 * BLOCK  # below it a whole array is faster
PLAIN = (np.dtype(np.float32), np.dtype(np.float64))
P = "p"  # the parameter's place among its state


def apply(update: Update, p: Tensor, grad: Tensor, state: dict[str, Tensor]) -> None:
    """Refill the parameter with `update(p, grad, state)`, and its state as the update left it."""
    tensors = {P: p, **state}
    slope = grad.cell.array
    dtypes = {slope.dtype, *[tensor.cell.array.dtype for tensor in tensors.values()]}
    if state_of_thread.observers or len(dtypes) > 1 or slope.dtype not in PLAIN:
        _as_tensors(update, tensors, grad)
    elif slope.size <= LARGE or not _is_flat(slope, tensors):
        _refill(tensors, _values(update, {n: t.cell.array for n, t in tensors.items()}, slope))
    else:
        _in_blocks(update, tensors, slope)


def _values(update: Update, values: Arrays, grad: Any) -> Arrays:
    p = values.pop(P)
    values[P] = update(p, grad, values)
    return values


def _refill(tensors: dict[str, Tensor], values: Arrays) -> None:
    for name, tensor in tensors.items():
        cell = tensor.cell
        cell.put(np.asarray(values[name], cell.array.dtype))


def _as_tensors(update: Update, tensors: dict[str, Tensor], grad: Tensor) -> None:
    """The same formula as recorded operators; also for dtypes that NumPy computes poorly."""
    values = _values(update, {n: t.detach() for n, t in tensors.items()}, grad)
    _refill(tensors, {n: values[n].to(t.dtype).cell.array for n, t in tensors.items()})


def _in_blocks(update: Update, tensors: dict[str, Tensor], slope: np.ndarray) -> None:
    cells = {name: tensor.cell for name, tensor in tensors.items()}
    own = {name: _is_own(cell) for name, cell in cells.items()}
    old = {name: cell.array for name, cell in cells.items()}
    new = {name: a if own[name] else np.empty_like(a) for name, a in old.items()}
    sources = {name: array.reshape(-1) for name, array in old.items()}
    targets = {name: array.reshape(-1) for name, array in new.items()}
    slope = slope.reshape(-1)
    for start in range(0, slope.size, BLOCK):
        part = slice(start, start + BLOCK)
        blocks = {name: source[part] for name, source in sources.items()}
        values = _values(update, blocks, slope[part])
        for name, target in targets.items():
            target[part] = values[name]
    _refill(tensors, new)


def _is_flat(slope: np.ndarray, tensors: dict[str, Tensor]) -> bool:
    arrays = [slope, *[tensor.cell.array for tensor in tensors.values()]]
    return all(array.flags.c_contiguous for array in arrays)


def _is_own(cell: Any) -> bool:
    """Whether nothing but the cell holds its array."""
    if type(cell) is not Cell or cell.array.base is not None:
        return False
    if not (cell.array.flags.owndata and cell.array.flags.writeable):
        return False
    # One reference is the cell's, one is this call's argument.
    return sys.getrefcount(cell.array) <= 2
