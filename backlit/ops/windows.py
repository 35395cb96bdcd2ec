"""Windows over spatial axes of NumPy arrays (N, C, *S), as PyTorch defines them.

Owns sizes in ceil mode, padding that keeps the memory's order of axes, the strided view per
kernel tap, and how many elements a mean divides by. Knows no Tensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from backlit.errors import IndexOutOfRange, ShapeError

Sizes = tuple[int, ...]


def widened(x: np.ndarray) -> np.ndarray:
    """Half precision as single, everything else as it is."""
    return x.astype(np.float32) if x.dtype.itemsize == 2 and x.dtype.kind in "fV" else x


def lowest(dtype: np.dtype) -> float | int:
    """What no element is smaller than."""
    return -math.inf if dtype.kind in "fV" else int(np.iinfo(dtype).min)


def pooled_size(size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes,
                ceil_mode: bool) -> Sizes:  # fmt: skip
    """The number of windows along each axis; in ceil mode also those that hang over the end."""
    found = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation):
        spare = n + 2 * p - d * (k - 1) - 1
        count = (-(-spare // s) if ceil_mode else spare // s) + 1
        if ceil_mode and (count - 1) * s >= n + p:  # it would start in the padding at the end
            count -= 1
        found.append(count)
    if any(c < 1 for c in found):
        raise ShapeError(
            f"kernel {kernel} (dilation {dilation}) is larger than the padded input"
            f" {tuple(n + 2 * p for n, p in zip(size, padding))}"
        )
    return tuple(found)


def empty_like(like: np.ndarray, shape: Sizes) -> np.ndarray:
    """An uninitialised array whose axes lie in memory in the order of those of `like`."""
    order = sorted(range(like.ndim), key=lambda a: -like.strides[a])
    made = np.empty([shape[a] for a in order], like.dtype)
    return made.transpose(np.argsort(order))


def padded_shape(shape: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes,
                 size: Sizes) -> Sizes:  # fmt: skip
    """The shape that holds every window."""
    dims = zip(shape[2:], kernel, stride, padding, dilation, size)
    reach = (max(n + p, (o - 1) * s + d * (k - 1) + 1 - p) + p for n, k, s, p, d, o in dims)
    return (*shape[:2], *reach)


def padded(x: np.ndarray, kernel: Sizes, stride: Sizes, padding: Sizes, dilation: Sizes,
           size: Sizes, value: float) -> np.ndarray:  # fmt: skip
    """x with `value` around it, as far as windows reach."""
    shape = padded_shape(x.shape, kernel, stride, padding, dilation, size)
    if shape == x.shape:
        return x
    made = empty_like(x, shape)
    made[...] = value
    inner = tuple(slice(p, p + n) for p, n in zip(padding, x.shape[2:]))
    made[(slice(None), slice(None), *inner)] = x
    return made


def taps(x: np.ndarray, kernel: Sizes, stride: Sizes, dilation: Sizes,
         size: Sizes) -> Iterator[np.ndarray]:  # fmt: skip
    """For each place in the kernel, row by row, a view of what all windows see there."""
    whole = slice(None)
    for tap in np.ndindex(*kernel):
        dims = zip(tap, size, stride, dilation)
        seen = (slice(t * d, t * d + (o - 1) * s + 1, s) for t, o, s, d in dims)
        yield x[(whole, whole, *seen)]


def first_taps(size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes,
               dilation: Sizes) -> np.ndarray:  # fmt: skip
    """The number of each window's first tap that is not in the padding."""
    total = np.zeros((1,) * len(size), np.int64)
    for axis, (o, s, p, d) in enumerate(zip(size, stride, padding, dilation)):
        first = -(-np.maximum(p - np.arange(o) * s, 0) // d) * math.prod(kernel[axis + 1 :])
        total = total + first.reshape((-1,) + (1,) * (len(size) - axis - 1))
    return total


def places(which: np.ndarray, size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes,
           dilation: Sizes) -> np.ndarray:  # fmt: skip
    """Tap numbers per window as flat places in the plane of `size`, in place."""
    steps = [math.prod(size[a + 1 :]) for a in range(len(size))]
    tap = np.indices(kernel).reshape(len(kernel), -1)
    reach = np.asarray(sum(t * d * step for t, d, step in zip(tap, dilation, steps)))
    found = reach[which]
    for axis, (s, p, step) in enumerate(zip(stride, padding, steps)):
        count = which.shape[axis + 2]
        start = (np.arange(count) * s - p) * step
        found += start.reshape((-1,) + (1,) * (len(size) - axis - 1))
    return found


def divisors(size: Sizes, kernel: Sizes, stride: Sizes, padding: Sizes, out: Sizes,
             include_pad: bool) -> np.ndarray:  # fmt: skip
    """How many elements each window's mean divides by, shaped to broadcast over (*out)."""
    total = np.ones((1,) * len(size))
    for axis, (n, k, s, p, o) in enumerate(zip(size, kernel, stride, padding, out)):
        start = np.arange(o) * s - p
        end = np.minimum(start + k, n + p)
        count = end - start if include_pad else np.minimum(end, n) - np.maximum(start, 0)
        if (count == count[0]).all():
            count = count[:1]
        total = total * count.reshape((-1,) + (1,) * (len(size) - axis - 1))
    return total


def check_places(indices: np.ndarray, count: int) -> None:
    """Refuse places outside a plane of `count` elements."""
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        bad = int(indices.min()) if indices.min() < 0 else int(indices.max())
        raise IndexOutOfRange(f"index {bad} lies outside a plane of {count} elements")


def latex(kernel: Sizes) -> str:
    return r" \times ".join(map(str, kernel))


def map_axes(x: np.ndarray, maps: list[np.ndarray]) -> np.ndarray:
    """A matrix (new, old) applied along each spatial axis."""
    for axis, matrix in enumerate(maps, 2):
        x = np.moveaxis(np.tensordot(x, matrix, (axis, 1)), -1, axis)
    return x
