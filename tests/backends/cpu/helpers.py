"""What the kernel tests share: NHWC arrays, relative errors, one against two threads."""

from collections.abc import Callable, Sequence

import numpy as np

from backlit.backends.cpu.native import threads

TOLERANCE = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-4}


def nhwc(x: np.ndarray) -> np.ndarray:
    """Return the same logical (N, C, *S) array with NHWC memory."""
    memory = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    return np.moveaxis(memory, -1, 1)


def is_nhwc(x: np.ndarray) -> bool:
    return np.moveaxis(x, 1, -1).flags.c_contiguous


def assert_close(actual: np.ndarray, expected: np.ndarray) -> None:
    """Compare relative to the largest expected value, as sums of products deserve."""
    assert actual.shape == expected.shape
    if actual.size:
        tolerance = TOLERANCE[actual.dtype] * max(float(np.abs(expected).max()), 1e-30)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def same_for_one_thread(call: Callable[[], Sequence[np.ndarray]]) -> Sequence[np.ndarray]:
    """Run with two threads and with one, assert equal bits, return the result."""
    two = call()
    threads.set_num_threads(1)
    one = call()
    threads.set_num_threads(2)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)
    return two
