"""Bad indices and classes given to a compiled step: refused before anything has changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import IndexOutOfRange
from backlit.nn import functional as F


def training() -> tuple[nn.Module, Callable]:
    bl.manual_seed(0)
    model = nn.Sequential(nn.Embedding(30, 8), nn.Flatten(), nn.Linear(8 * 5, 10))
    optimizer = bl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    @bl.compile
    def step(x: bl.Tensor, y: bl.Tensor) -> bl.Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return model, step


rng = np.random.default_rng(0)
X = bl.from_numpy(rng.integers(0, 30, (2, 4, 5)))
Y = bl.from_numpy(rng.integers(0, 10, (2, 4)))


@pytest.mark.parametrize(
    "shift, label, message",
    [(30, 0, "embedding"), (-1000, 0, "embedding"), (0, 10, "nll_loss"), (0, -20, "nll_loss")],
)
def test_a_refused_step_changes_nothing(shift: int, label: int, message: str) -> None:
    model, step = training()
    step(X[0], Y[0])
    step(X[0], Y[0])
    before = [p.detach().numpy().copy() for p in model.parameters()]
    with pytest.raises(IndexOutOfRange, match=message):
        step(X[0] + shift, Y[0] + label)
    with pytest.raises(IndexOutOfRange, match=message):
        step.loop(X + shift, Y + label)
    for p, old in zip(model.parameters(), before):
        np.testing.assert_array_equal(p.detach().numpy(), old)
    _, again = training()
    again(X[0], Y[0])
    again(X[0], Y[0])
    assert step(X[1], Y[1]).item() == again(X[1], Y[1]).item()


def test_ignored_targets_are_no_strangers() -> None:
    _, step = training()
    y = Y[0].clone()
    step(X[0], y)
    y[1] = -100
    assert np.isfinite(step(X[0], y).item())


def test_indices_that_count_from_the_end() -> None:
    step = bl.compile(lambda x, i: x[i] * 2)
    x = bl.randn(5, 3)
    for i in ([0, -5], [4, -1]):
        index = bl.tensor(i)
        np.testing.assert_array_equal(step(x, index).numpy(), (x[index] * 2).numpy())
    for i in ([0, 5], [-6, 0]):
        with pytest.raises(IndexOutOfRange, match="size 5"):
            step(x, bl.tensor(i))
