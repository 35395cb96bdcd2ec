"""Generated batch normalization against its formula in float64."""

import numpy as np
import pytest

from backlit.backends.cpu.norm import eager as norm

from ..helpers import assert_close, is_nhwc, nhwc, same_for_one_thread

SHAPES = [(128, 16, 9, 9), (33, 17, 5), (31, 1, 7, 7), (5, 33, 3, 2, 4), (100, 12), (7, 50, 4, 4)]
EPS = 1e-5


def formula(x: np.ndarray, w: np.ndarray, b: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return y, mean, rstd and the gradients for x, w and b, in float64."""
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    x, w, b, g = (a.astype(np.float64) for a in (x, w, b, g))
    mean, rstd = x.mean(axes), 1 / np.sqrt(x.var(axes) + EPS)
    z = (x - mean.reshape(shape)) * rstd.reshape(shape)
    y = z * w.reshape(shape) + b.reshape(shape)
    gz = g * w.reshape(shape)
    centred = gz - gz.mean(axes, keepdims=True) - z * (gz * z).mean(axes, keepdims=True)
    return y, mean, rstd, centred * rstd.reshape(shape), (g * z).sum(axes), g.sum(axes)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.usefixtures("vector_width")
def test_agrees_with_formula(shape: tuple[int, ...], dtype: type, rng: np.random.Generator) -> None:
    x, g = (rng.standard_normal(shape).astype(dtype) for _ in range(2))
    x = x * 3 + dtype(2)
    w, b = (rng.standard_normal(shape[1]).astype(dtype) for _ in range(2))
    expected = formula(x, w, b, g)

    def run(x: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, ...]:
        y, mean, rstd = norm.batch_norm(x, w, b, eps=EPS)
        return y, mean, rstd, *norm.batch_norm_grad(g, x, w, mean, rstd)

    for order in (nhwc, np.ascontiguousarray):
        actual = same_for_one_thread(lambda order=order: run(order(x), order(g)))
        for a, e in zip(actual, expected, strict=True):
            assert a.dtype == dtype
            assert_close(a, e)
        assert is_nhwc(actual[0]) and is_nhwc(actual[3])


def test_without_weight_and_bias(rng: np.random.Generator) -> None:
    x, g = rng.standard_normal((2, 6, 5, 7, 3))
    ones, zeros = np.ones(5), np.zeros(5)
    y, mean, rstd = norm.batch_norm(x, None, None, eps=EPS)
    gx, gw, gb = norm.batch_norm_grad(g, x, None, mean, rstd)
    for a, e in zip((y, mean, rstd, gx, gw, gb), formula(x, ones, zeros, g), strict=True):
        assert_close(a, e)


def test_float32_statistics_survive_a_large_mean(rng: np.random.Generator) -> None:
    x = (rng.standard_normal((64, 16, 32, 32)) + 1000).astype(np.float32)
    _, mean, rstd = norm.batch_norm(x, None, None, eps=EPS)
    axes = (0, 2, 3)
    np.testing.assert_allclose(mean, x.mean(axes, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(x.var(axes, dtype=np.float64) + EPS), rtol=1e-5)


def test_constant_channels_have_variance_zero() -> None:
    x = np.full((8, 9, 5, 5), 3.7, np.float32)
    y, mean, rstd = norm.batch_norm(x, None, np.full(9, 0.5, np.float32), eps=EPS)
    np.testing.assert_allclose(rstd, 1 / np.sqrt(EPS), rtol=1e-5)
    np.testing.assert_allclose(y, 0.5, rtol=1e-3)
    assert np.all(mean == np.float32(3.7))


def test_empty_batch() -> None:
    x = np.empty((0, 4, 3, 3), np.float32)
    y, mean, rstd = norm.batch_norm(x, None, None, eps=EPS)
    gx, gw, gb = norm.batch_norm_grad(y, x, None, mean, rstd)
    assert y.shape == gx.shape == x.shape
    assert gw.shape == gb.shape == (4,) and not gw.any() and not gb.any()


def test_half_precision_is_computed_in_float32(rng: np.random.Generator) -> None:
    x = rng.standard_normal((16, 4, 5, 5)).astype(np.float16)
    y, mean, _ = norm.batch_norm(x, None, None, eps=EPS)
    assert y.dtype == np.float16 and mean.dtype == np.float32
    exact, *_ = norm.batch_norm(x.astype(np.float64), None, None, eps=EPS)
    np.testing.assert_allclose(y, exact, atol=2e-3)
