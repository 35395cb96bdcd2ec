"""The border between NumPy arrays and kernels: NHWC memory, element names, argument words.

Owns the conversion to NHWC memory behind the logical shape (N, C, *S), and back. Knows nothing
of what is computed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import features, layout_kernels
from .threads import parallel_for

ELEMENTS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}
INTEGERS = {np.dtype(np.int32): "i32", np.dtype(np.int64): "i64"}
# smaller arrays are converted before a kernel is looked up
SMALL_SIZE = 4096
SMALL_WORK = 200_000
BLOCK_ELEMENTS = 16_384


def channels_last(x: np.ndarray) -> np.ndarray:
    """Return x (N, C, *S) as a contiguous (N, *S, C) array; copies only other memory."""
    view = x.transpose(0, *range(2, x.ndim), 1)
    if view.flags.c_contiguous or not _transposable(x):
        return np.ascontiguousarray(view)
    target = np.empty(view.shape, x.dtype)
    _transpose(x, target, x.shape[1], math.prod(x.shape[2:]))
    return target


def channels_first(x: np.ndarray) -> np.ndarray:
    """Return x (N, C, *S) with contiguous NCHW memory; copies only other memory."""
    view = x.transpose(0, *range(2, x.ndim), 1)
    if x.flags.c_contiguous or not _transposable(view):
        return np.ascontiguousarray(x)
    target = np.empty(x.shape, x.dtype)
    _transpose(view, target, math.prod(x.shape[2:]), x.shape[1])
    return target


def empty_channels_last(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Return an uninitialised array of `shape` (N, C, *S) whose memory is NHWC."""
    images, channels, *size = shape
    dimensions = len(shape)
    memory = np.empty((images, *size, channels), dtype)
    return memory.transpose(0, dimensions - 1, *range(1, dimensions - 1))


def is_half(dtype: np.dtype) -> bool:
    """Whether a real type (float16, bfloat16) is computed in float32."""
    return dtype.itemsize == 2 and dtype.kind in "fV"


def pack_words(fields: Sequence[str], **values: np.ndarray | int) -> np.ndarray:
    """Lay a kernel's arguments out in the order of its fields; arrays become addresses."""
    found = (values[name] for name in fields)
    return np.array(
        [v.ctypes.data if isinstance(v, np.ndarray) else int(v) for v in found], np.int64
    )


def ordered(fields: Sequence[str], **values: Any) -> list[Any]:
    """The words of a plan's task in the order of its kernel's fields."""
    return [values[name] for name in fields]


def _transposable(x: np.ndarray) -> bool:
    return x.flags.c_contiguous and x.dtype in ELEMENTS and x.size >= SMALL_SIZE


def _transpose(source: np.ndarray, target: np.ndarray, rows: int, columns: int) -> None:
    """Write the transposed (rows, columns) matrix of each image of `source` to `target`."""
    # whole cache lines of the target belong to one block
    step = max(16, BLOCK_ELEMENTS // columns // 16 * 16)
    blocks = -(-rows // step)
    words = pack_words(
        layout_kernels.TRANSPOSE,
        source=source,
        target=target,
        rows=rows,
        columns=columns,
        block_rows=step,
        blocks=blocks,
    )
    address = layout_kernels.transpose(features.machine(), ELEMENTS[source.dtype])
    parallel_for(len(source) * blocks, address, words, small=source.size < SMALL_WORK)
