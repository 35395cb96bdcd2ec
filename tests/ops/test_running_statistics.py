"""Running statistics of batch and instance norm: what training leaves behind, and only once."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.errors import BacklitError
from backlit.nn import functional as F


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(3.0, 2.0, shape)


def test_batch_norm_moves_towards_the_unbiased_variance() -> None:
    x, mean, var = normal(5, 3, 4), bl.zeros(3).double(), bl.ones(3).double()
    F.batch_norm(bl.tensor(x), mean, var, training=True, momentum=0.25)
    axes = (0, 2)
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.mean(axes))
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * x.var(axes, ddof=1))


def test_instance_norm_averages_the_samples() -> None:
    x, mean, var = normal(5, 3, 4), bl.zeros(3).double(), bl.ones(3).double()
    F.instance_norm(bl.tensor(x), mean, var, momentum=0.25)
    np.testing.assert_allclose(mean.numpy(), 0.25 * x.mean(2).mean(0))
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * x.var(2, ddof=1).mean(0))


@pytest.mark.parametrize("norm", [F.batch_norm, F.instance_norm])
def test_statistics_stay_leaves_without_history(norm) -> None:
    x = bl.tensor(normal(4, 2, 3), requires_grad=True)
    mean, var = bl.zeros(2), bl.ones(2)
    cell = mean.cell
    extra = {"training": True} if norm is F.batch_norm else {}
    y = norm(x, mean, var, **extra)
    assert mean.cell is cell and mean.dtype is bl.float32
    assert not mean.requires_grad and not var.requires_grad
    once = mean.numpy().copy()
    (y * y).sum().backward()
    np.testing.assert_array_equal(mean.numpy(), once)


def test_evaluation_leaves_statistics_alone() -> None:
    x, mean, var = bl.tensor(normal(4, 2)).float(), bl.ones(2), bl.ones(2) * 4
    y = F.batch_norm(x, mean, var, eps=0.0)
    np.testing.assert_allclose(y.numpy(), (x.numpy() - 1) / 2, rtol=1e-6)
    assert mean.tolist() == [1, 1] and var.tolist() == [4, 4]


def test_a_refused_batch_loses_nothing() -> None:
    mean, var = bl.zeros(2), bl.ones(2)
    with pytest.raises(BacklitError, match="no variance"):
        F.batch_norm(bl.ones(1, 2), mean, var, training=True)
    assert mean.tolist() == [0, 0] and var.tolist() == [1, 1]


def test_an_empty_batch_changes_no_statistics() -> None:
    mean, var = bl.zeros(2), bl.ones(2)
    y = F.batch_norm(bl.zeros(0, 2, 3), mean, var, training=True)
    assert tuple(y.shape) == (0, 2, 3)
    assert mean.tolist() == [0, 0] and var.tolist() == [1, 1]


def test_channels_last_memory_gives_the_same() -> None:
    x = normal(4, 6, 3, 5).astype(np.float32)
    last = bl.tensor(np.ascontiguousarray(x.transpose(0, 2, 3, 1))).permute(0, 3, 1, 2)
    for call in (
        lambda a: F.batch_norm(a, None, None, training=True),
        lambda a: F.group_norm(a, 3),
        lambda a: F.instance_norm(a),
        lambda a: F.max_pool2d(a, 2),
        lambda a: F.avg_pool2d(a, 2, padding=1),
        lambda a: F.adaptive_avg_pool2d(a, (2, 4)),
        lambda a: F.interpolate(a, scale_factor=2, mode="bilinear"),
    ):
        np.testing.assert_allclose(
            call(last).numpy(), call(bl.tensor(x)).numpy(), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("shape", [(40_000, 3), (2, 3, 100, 200)])
def test_many_rows_cost_no_digits(shape: tuple) -> None:
    """Float32 statistics of 20 000 and more values of mean 100 agree with float64."""
    from backlit.ops.norm import BatchNorm, BatchNormGrad

    x = np.random.default_rng(1).normal(100.0, 1.0, shape).astype(np.float32)
    g = np.random.default_rng(2).normal(0.5, 1.0, shape).astype(np.float32)
    y, mean, rstd = BatchNorm.forward(x, None, None, eps=1e-5)
    exact = BatchNorm.forward(x.astype(np.float64), None, None, eps=1e-5)
    np.testing.assert_allclose(mean, exact[1], rtol=1e-6)
    np.testing.assert_allclose(rstd, exact[2], rtol=1e-5)
    np.testing.assert_allclose(y, exact[0], atol=2e-4)
    got = BatchNormGrad.forward(g, x, None, mean, rstd, eps=1e-5)
    wide = (g.astype(np.float64), x.astype(np.float64))
    want = BatchNormGrad.forward(*wide, None, *exact[1:], eps=1e-5)
    np.testing.assert_allclose(got[2], want[2], rtol=1e-5)
    np.testing.assert_allclose(got[0], want[0], atol=2e-4)


@pytest.mark.parametrize("dtype", [bl.float16, bl.bfloat16])
def test_half_precision_keeps_the_digits_of_statistics(dtype) -> None:
    x = bl.tensor(normal(16, 3, 5)).to(dtype)
    exact = x.double().numpy()
    mean, var, weight = bl.zeros(3), bl.ones(3), bl.ones(3, requires_grad=True)
    y = F.batch_norm(x, mean, var, weight, training=True, momentum=1.0)
    assert y.dtype is dtype
    np.testing.assert_allclose(mean.numpy(), exact.mean((0, 2)), rtol=1e-5)
    np.testing.assert_allclose(var.numpy(), exact.var((0, 2), ddof=1), rtol=1e-5)
    (y * x).sum().backward()
    assert weight.grad.dtype is bl.float32
