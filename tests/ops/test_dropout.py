"""Dropout: how much is dropped, whole channels at a time, and what stays on average."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.nn import functional as F


@pytest.fixture(autouse=True)
def _seed() -> None:
    bl.manual_seed(5)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_and_mean(p: float) -> None:
    y = F.dropout(bl.ones(100_000), p).numpy()
    assert abs((y == 0).mean() - p) < 0.01
    np.testing.assert_allclose(y[y != 0], 1 / (1 - p), rtol=1e-6)


@pytest.mark.parametrize("drop, shape, lead", [
    (F.dropout1d, (50, 40, 3), 2), (F.dropout1d, (2000, 3), 1), (F.dropout2d, (50, 40, 2, 2), 2),
    (F.dropout3d, (50, 40, 1, 2, 2), 2), (F.dropout3d, (2000, 1, 2, 2), 1),
    (bl.feature_dropout, (50, 40, 3), 2),
])  # fmt: skip
def test_whole_channels(drop, shape: tuple, lead: int) -> None:
    y = drop(bl.ones(*shape), 0.3).numpy().reshape(*shape[:lead], -1)
    assert (y == y[..., :1]).all()
    assert abs((y[..., 0] == 0).mean() - 0.3) < 0.05


@pytest.mark.parametrize("drop", [F.alpha_dropout, F.feature_alpha_dropout])
def test_alpha_dropout_keeps_mean_and_variance(drop) -> None:
    y = drop(bl.randn(400, 400), 0.3, True).numpy()
    assert abs(y.mean()) < 0.01 and abs(y.std() - 1) < 0.01


def test_the_backward_drops_the_same_elements() -> None:
    x = bl.ones(1000, requires_grad=True)
    y = F.dropout(x, 0.4)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())


def test_in_place() -> None:
    x = bl.ones(6, 4, 2)
    assert F.dropout1d(x, 0.5, inplace=True) is x
    assert set(np.unique(x.numpy())) <= {0.0, 2.0}


def test_nothing_happens_in_evaluation() -> None:
    x = bl.ones(3, 2, 2)
    state = bl.get_rng_state()
    assert F.dropout1d(x, 0.5, training=False) is x and F.alpha_dropout(x) is x
    assert bl.get_rng_state() == state
