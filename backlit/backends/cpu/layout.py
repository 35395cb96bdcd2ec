"""The border between NumPy arrays and kernels: NHWC memory, element names, argument words.

Owns the conversion to NHWC memory behind the logical shape (N, C, *S). Knows nothing of what
is computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ELEMENTS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}


def channels_last(x: np.ndarray) -> np.ndarray:
    """Return x (N, C, *S) as a contiguous (N, *S, C) array; copies only NCHW memory."""
    return np.ascontiguousarray(x.transpose(0, *range(2, x.ndim), 1))


def empty_channels_last(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Return an uninitialised array of `shape` (N, C, *S) whose memory is NHWC."""
    images, channels, *size = shape
    dimensions = len(shape)
    memory = np.empty((images, *size, channels), dtype)
    return memory.transpose(0, dimensions - 1, *range(1, dimensions - 1))


def pack_words(fields: Sequence[str], **values: np.ndarray | int) -> np.ndarray:
    """Lay a kernel's arguments out in the order of its fields; arrays become addresses."""
    found = (values[name] for name in fields)
    return np.array(
        [v.ctypes.data if isinstance(v, np.ndarray) else int(v) for v in found], np.int64
    )
