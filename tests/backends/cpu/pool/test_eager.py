"""Generated pooling against a walk over every window, and against PyTorch."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from ml_dtypes import bfloat16

from backlit.backends.cpu.pool import eager as pool

from ..helpers import assert_close, is_nhwc, nhwc, same_for_one_thread

# size, kernel, stride, padding, dilation, ceil_mode
CASES = [
    ((8, 8), (2, 2), (2, 2), (0, 0), (1, 1), False),
    ((9, 7), (3, 2), (2, 1), (1, 1), (1, 2), False),
    ((9, 8), (3, 3), (2, 3), (1, 0), (2, 1), True),
    ((17,), (3,), (2,), (1,), (1,), True),
    ((7, 6, 5), (2, 3, 2), (2, 2, 1), (1, 1, 0), (1, 1, 2), True),
]
CHANNELS = [1, 3, 8, 20, 33]


def windows(case: tuple, size: tuple[int, ...]) -> Iterator[tuple[tuple, list[tuple], int]]:
    """Yield (output, taps inside, size of the window with padding) by the definition."""
    spatial, kernel, stride, padding, dilation, _ = case
    for output in itertools.product(*(range(n) for n in size)):
        axes, padded = [], 1
        for o, n, k, s, p, d in zip(output, spatial, kernel, stride, padding, dilation):
            places = [o * s - p + t * d for t in range(k)]
            axes.append([i for i in places if 0 <= i < n])
            padded *= sum(i < n + p for i in places)
        yield output, list(itertools.product(*axes)), padded


def options(case: tuple, **more: Any) -> dict:
    names = ("kernel", "stride", "padding", "dilation", "ceil_mode")
    return dict(zip(names, case[1:], strict=True)) | more


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("vector_width")
def test_max_pool(case: tuple, channels: int, rng: np.random.Generator) -> None:
    # few distinct values make ties
    x = rng.integers(-3, 3, (3, channels, *case[0])).astype(np.float32)
    x[rng.random(x.shape) < 0.05] = np.nan
    y, indices = same_for_one_thread(lambda: pool.max_pool(nhwc(x), **options(case)))
    assert is_nhwc(y) and is_nhwc(indices) and indices.dtype == np.int64
    g = rng.standard_normal(y.shape).astype(np.float32)
    expected = np.zeros(x.shape, np.float32)
    for output, taps, _ in windows(case, y.shape[2:]):
        for n, c in np.ndindex(x.shape[:2]):
            values = [x[n, c][t] for t in taps]
            nans = [i for i, v in enumerate(values) if np.isnan(v)]
            # of several NaN the last is named, of equal numbers the first
            best = nans[-1] if nans else int(np.argmax(values))
            np.testing.assert_equal(y[n, c][output], values[best])
            assert indices[n, c][output] == np.ravel_multi_index(taps[best], case[0])
            expected[n, c][taps[best]] += g[n, c][output]
    (gx,) = same_for_one_thread(lambda: [pool.max_pool_grad(nhwc(g), indices, size=case[0])])
    assert is_nhwc(gx)
    assert_close(gx, expected)


@pytest.mark.parametrize("include", [True, False])
@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.usefixtures("vector_width")
def test_avg_pool(case: tuple, channels: int, include: bool, rng: np.random.Generator) -> None:
    case = (*case[:4], (1,) * len(case[0]), case[5])
    arguments = options(case, count_include_pad=include)
    del arguments["dilation"]
    x = rng.standard_normal((3, channels, *case[0]))
    (y,) = same_for_one_thread(lambda: [pool.avg_pool(nhwc(x), **arguments)])
    g = rng.standard_normal(y.shape)
    expected, grad = np.zeros(y.shape), np.zeros(x.shape)
    for output, taps, padded in windows(case, y.shape[2:]):
        divisor = padded if include else len(taps)
        for tap in taps:
            expected[(..., *output)] += x[(..., *tap)] / divisor
            grad[(..., *tap)] += g[(..., *output)] / divisor
    assert_close(y, expected)
    (gx,) = same_for_one_thread(lambda: [pool.avg_pool_grad(nhwc(g), size=case[0], **arguments)])
    assert is_nhwc(y) and is_nhwc(gx)
    assert_close(gx, grad)


@pytest.mark.torch
@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_torch(case: tuple, rng: np.random.Generator) -> None:
    torch = pytest.importorskip("torch")
    n = len(case[0])
    x = rng.integers(-3, 3, (2, 5, *case[0])).astype(np.float64)
    call = getattr(torch.nn.functional, f"max_pool{n}d")
    ty, ti = call(torch.tensor(x), *case[1:5], ceil_mode=case[5], return_indices=True)
    y, indices = pool.max_pool(x, **options(case))
    np.testing.assert_array_equal(y, ty.numpy())
    np.testing.assert_array_equal(indices, ti.numpy())
    for include in (True, False):
        call = getattr(torch.nn.functional, f"avg_pool{n}d")
        ty = call(torch.tensor(x), *case[1:4], case[5], include)
        arguments = options(case, count_include_pad=include)
        del arguments["dilation"]
        assert_close(pool.avg_pool(x, **arguments), ty.numpy())


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.float16, bfloat16])
def test_other_dtypes(dtype: type, rng: np.random.Generator) -> None:
    case = CASES[0]
    x = rng.integers(0, 99, (2, 17, *case[0])).astype(dtype)
    y, indices = pool.max_pool(x, **options(case))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, x.reshape(2, 17, 4, 2, 4, 2).max((3, 5)))
    back = pool.max_pool_grad(y, indices.astype(np.int32), size=case[0])
    assert back.dtype == dtype
    np.testing.assert_array_equal(back.reshape(2, 17, 4, 2, 4, 2).sum((3, 5), dtype), y)


def test_large_integers_stay_exact() -> None:
    x = np.array([2**62, 2**62 + 1, -(2**62), 5], np.int64).reshape(1, 1, 4)
    y, indices = pool.max_pool(
        x, kernel=(2,), stride=(2,), padding=(0,), dilation=(1,), ceil_mode=False
    )
    assert y.ravel().tolist() == [2**62 + 1, 5] and indices.ravel().tolist() == [1, 3]


@pytest.mark.parametrize("bad", [-1, 64, 2**40])
def test_an_index_outside_the_plane_is_refused(bad: int) -> None:
    g, indices = np.ones((2, 3, 4, 4), np.float32), np.zeros((2, 3, 4, 4), np.int64)
    indices[1, 2, 3, 3] = bad
    with pytest.raises(IndexError, match=f"index {bad} lies outside a plane of 64"):
        pool.max_pool_grad(g, indices, size=(8, 8))


def test_a_dilated_window_over_a_short_axis_stays_inside() -> None:
    x = np.ones((1, 3, 2, 2), np.float32)
    y, indices = pool.max_pool(
        x, kernel=(2, 2), stride=(1, 1), padding=(1, 1), dilation=(3, 3), ceil_mode=False
    )
    assert np.all(y == -np.inf) and np.all((indices >= 0) & (indices < 4))


def test_empty_batch() -> None:
    x = np.empty((0, 4, 8, 8), np.float32)
    y, indices = pool.max_pool(x, **options(CASES[0]))
    assert y.shape == indices.shape == (0, 4, 4, 4)
    assert pool.max_pool_grad(y, indices, size=(8, 8)).shape == x.shape
