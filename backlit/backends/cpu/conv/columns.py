"""Convolutions as products with columns: for every output pixel the inputs that its window sees.

Where weights are large beside images, the gradient of a weight is one product: the gradients of
all pixels, transposed, times the columns. The sums come out in the weight's own order, each over
all pixels at once, so nothing is added up in memory. Owns when that pays, the geometry and the
eager form; `columns_lowering.py` plans it, `columns_kernels.py` has the code.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from backlit.backends.cpu.channels.layout import channels_last
from backlit.backends.cpu.native import features
from backlit.backends.cpu.native.threads import get_num_threads, parallel_for
from backlit.backends.cpu.native.words import ELEMENTS, pack_words

from . import columns_kernels

Sizes = tuple[int, ...]
Geometry = tuple[Sizes, Sizes, Sizes]
# sums that leave the second cache, beside which columns are small
LARGE_WEIGHT, PIXELS_PER_OUTPUT = 256 * 1024, 8
BLOCK_BYTES = 128 * 1024
SMALL_WORK = 100_000


def is_product(grad: Sizes, weight: Sizes, item_bytes: int, groups: int) -> bool:
    """Whether a weight is so large, and the pixels of its gradient so few, that this is faster."""
    pixels = grad[0] * math.prod(grad[2:])
    large = math.prod(weight) * item_bytes >= LARGE_WEIGHT
    return groups == 1 and large and pixels <= PIXELS_PER_OUTPUT * grad[1]


def is_seen_once(source: Sizes, grad: Sizes, size: Sizes) -> bool:
    """Whether each output sees just the pixel at its place: then the image is its columns."""
    return math.prod(size) == 1 and source[2:] == grad[2:]


def block_pixels(line: int, item_bytes: int) -> int:
    """How many lines stay in the second cache."""
    return max(1, BLOCK_BYTES // (line * item_bytes))


@functools.lru_cache(maxsize=512)
def tap_offsets(source: Sizes, output: Sizes, size: Sizes, geometry: Geometry) -> np.ndarray:
    """Where each output sees each tap, (outputs, taps), in images (C, *S) whose channels are
    neighbours; negative outside."""
    channels, *spatial = source
    found, inside = np.zeros((1, 1), np.int64), np.ones((1, 1), bool)
    for n, m, k, s, p, d in zip(spatial, output, size, *geometry, strict=True):
        here = np.arange(m)[:, None] * s - p + np.arange(k) * d
        found = (found[:, None, :, None] * n + here[:, None]).reshape(len(found) * m, -1)
        within = ((here >= 0) & (here < n))[:, None]
        inside = (inside[:, None, :, None] & within).reshape(len(found), -1)
    return np.where(inside, found * channels, -1).astype(np.int32)


def weight_product(g: np.ndarray, x: np.ndarray, size: Sizes, geometry: Geometry) -> np.ndarray:
    """The gradient (O, C, *size) of a weight, from g (N, O, *output) and x (N, C, *S)."""
    outputs, channels = g.shape[1], x.shape[1]
    grad, source = channels_last(g), channels_last(x)
    if is_seen_once(x.shape, g.shape, size):
        seen = source.reshape(-1, channels)
    else:
        seen = _columns(source, tap_offsets(x.shape[1:], g.shape[2:], size, geometry))
    total = grad.reshape(-1, outputs).T @ seen
    return total.reshape(outputs, channels, *size)


def _columns(source: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The lines of all pixels of (N, *S, C), channel by channel the taps."""
    images, channels, (pixels, taps) = len(source), source.shape[-1], offsets.shape
    machine, element, line = features.machine(), ELEMENTS[source.dtype], channels * taps
    block = block_pixels(line, source.itemsize)
    blocks = -(-pixels // block)
    made = np.empty((images * pixels, line), source.dtype)
    zeros = np.zeros(machine.width(element), source.dtype)
    words = pack_words(
        columns_kernels.COLUMNS,
        x=source,
        x_image=source[0].size,
        pixels=pixels,
        channels=channels,
        offsets=offsets,
        taps=taps,
        zeros=zeros,
        block_pixels=block,
        blocks=blocks,
        scratch=0,
        line=line,
        target=made,
        depth=0,
    )
    address = columns_kernels.columns(machine, element, source.dtype, 0)
    parallel_for(images * blocks, address, words, workers=get_num_threads(),
                 small=made.size < SMALL_WORK)  # fmt: skip
    return made
