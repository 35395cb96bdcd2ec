"""Conversion between NCHW and NHWC memory."""

import numpy as np
import pytest

from backlit.backends.cpu.channels.layout import channels_first, channels_last, empty_channels_last

from ..helpers import is_nhwc, nhwc

SHAPES = [
    (3, 16, 24, 16),
    (5, 17, 31, 9),
    (2, 3, 65, 67),
    (9, 33, 5, 4, 3),
    (64, 50, 4, 4),
    (2, 5, 3),
    (7, 12),
    (0, 3, 8, 8),
    (1, 1, 128, 128),
    (1, 700, 40),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("vector_width")
def test_conversions(shape: tuple[int, ...], dtype: type) -> None:
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    moved = np.moveaxis(x, 1, -1)
    for source in (x, nhwc(x), np.flip(np.flip(x, 0).copy(), 0)):
        last, first = channels_last(source), channels_first(source)
        assert last.flags.c_contiguous and first.flags.c_contiguous
        np.testing.assert_array_equal(last, moved)
        np.testing.assert_array_equal(first, x)


def test_memory_in_the_right_order_is_not_copied() -> None:
    x = np.zeros((4, 5, 32, 32), np.float32)
    assert np.shares_memory(channels_first(x), x)
    assert np.shares_memory(channels_last(nhwc := np.moveaxis(x, -1, 1)), nhwc)


def test_empty_channels_last() -> None:
    y = empty_channels_last((2, 3, 4, 5, 6), np.dtype(np.float64))
    assert y.shape == (2, 3, 4, 5, 6) and is_nhwc(y)
