"""NHWC memory behind arrays: conversion to it, and back.

The logical shape stays (N, C, *S). Knows nothing of what is computed. In plans: places.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.threads import parallel_for
from backlit.backends.cpu.native.words import ELEMENTS, pack_words

from . import transpose

# smaller arrays are converted before a kernel is looked up
SMALL_SIZE = 4096
SMALL_WORK = 200_000


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


def _transposable(x: np.ndarray) -> bool:
    return x.flags.c_contiguous and x.dtype in ELEMENTS and x.size >= SMALL_SIZE


def _transpose(source: np.ndarray, target: np.ndarray, rows: int, columns: int) -> None:
    """Write the transposed (rows, columns) matrix of each image of `source` to `target`."""
    cut = transpose.cut(rows, columns)
    words = pack_words(transpose.TRANSPOSE, source=source, target=target, **cut)
    address = transpose.transpose(features.machine(), ELEMENTS[source.dtype])
    parallel_for(len(source) * cut["blocks"], address, words, small=source.size < SMALL_WORK)
