"""NHWC memory behind the logical shape (N, C, *S).

Owns the conversion at the border of the kernels. Knows nothing of what is computed.
"""

from __future__ import annotations

import numpy as np


def channels_last(x: np.ndarray) -> np.ndarray:
    """Return x (N, C, *S) as a contiguous (N, *S, C) array; copies only NCHW memory."""
    return np.ascontiguousarray(x.transpose(0, *range(2, x.ndim), 1))


def empty_channels_last(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return an uninitialised array of `shape` (N, C, *S) whose memory is NHWC."""
    images, channels, *size = shape
    dimensions = len(shape)
    memory = np.empty((images, *size, channels), dtype)
    return memory.transpose(0, dimensions - 1, *range(1, dimensions - 1))
