"""Sums over channels and rows on NumPy arrays, as products with ones.

A matrix product sums in the machine's widest registers and in several running sums, so it is
both faster and more exact than a reduction along a strided axis. Used by the normalizations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

_CHUNK = 1024


@functools.lru_cache(maxsize=64)
def _ones(count: int, dtype: np.dtype) -> np.ndarray:
    made = np.ones(count, dtype)
    made.flags.writeable = False
    return made


def widened(x: np.ndarray) -> np.ndarray:
    """Half precision as single, everything else as it is."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 else x


def _flat_planes(a: np.ndarray) -> np.ndarray:
    return a.reshape(a.shape[0], a.shape[1], -1)


def channel_sums(a: np.ndarray) -> np.ndarray:
    """The sum over all axes but the second (of a matrix: its columns)."""
    last = np.moveaxis(a, 1, -1)
    if not a.size:
        return np.zeros(a.shape[1], a.dtype)
    if last.flags.c_contiguous:
        return _chunked(lambda r: _ones(len(r), a.dtype) @ r, last.reshape(-1, a.shape[1]))
    if a.flags.c_contiguous:
        planes = _flat_planes(a)
        return (planes @ _ones(planes.shape[2], a.dtype)).sum(axis=0)
    return a.sum(axis=(0, *range(2, a.ndim)))


def channel_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of a * b over all axes but the second."""
    if not a.size:
        return np.zeros(a.shape[1], a.dtype)
    if a.ndim > 2 and a.flags.c_contiguous and b.flags.c_contiguous:
        return np.vecdot(_flat_planes(a), _flat_planes(b)).sum(axis=0)
    last, other = np.moveaxis(a, 1, -1), np.moveaxis(b, 1, -1)
    if last.flags.c_contiguous and other.flags.c_contiguous:
        shape = (-1, a.shape[1])
        return _chunked(_column_products, last.reshape(shape), other.reshape(shape))
    return channel_sums(a * b)


def _column_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("rc,rc->c", a, b)


def _chunked(function: Callable[..., np.ndarray], *rows: np.ndarray) -> np.ndarray:
    """Add up by chunks: one running sum per column would lose digits over many rows."""
    if len(rows[0]) <= _CHUNK:
        return function(*rows)
    starts = range(0, len(rows[0]), _CHUNK)
    return np.add.reduce([function(*(r[i : i + _CHUNK] for r in rows)) for i in starts])


def row_sums(rows: np.ndarray) -> np.ndarray:
    """The sum of each row of a matrix."""
    return rows @ _ones(rows.shape[1], rows.dtype)


def row_products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of a * b over each row."""
    return np.vecdot(a, b)
