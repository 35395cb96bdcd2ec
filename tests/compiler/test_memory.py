"""Recomputation in compiled steps: less memory for activations, the same numbers."""

import numpy as np
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import nn


def made(run, depth=8, autocast=False):
    """A step of training a deep network of blocks, each called through `run`."""
    bl.manual_seed(0)
    blocks = nn.ModuleList(
        nn.Sequential(nn.Linear(16, 64), nn.BatchNorm1d(64), nn.Tanh(), nn.Dropout(0.1),
                      nn.Linear(64, 16), nn.Tanh())
        for _ in range(depth)
    )  # fmt: skip
    optimizer = bl.optim.SGD(blocks.parameters(), lr=0.1)

    def step(x, y):
        optimizer.zero_grad()
        with bl.autocast("cpu", enabled=autocast):
            for block in blocks:
                x = run(block, x)
            loss = F.mse_loss(x, y)
        loss.backward()
        optimizer.step()
        return loss

    return step, blocks


def plain(function, *args):
    return function(*args)


@pytest.mark.parametrize("autocast", [False, True])
def test_recomputed_steps_are_the_same(autocast):
    batches = [(bl.randn(n, 16), bl.randn(n, 16)) for n in (32, 32, 24, 32, 24)]
    found = []
    for run, compiled in ((plain, False), (bl.recompute, False), (bl.recompute, True)):
        step, blocks = made(run, 3, autocast)
        step = bl.compile(step) if compiled else step
        bl.manual_seed(1)
        losses = [step(x, y).item() for x, y in batches]
        found.append([losses, *(v.numpy() for v in blocks.state_dict().values())])
    tolerance = {"rtol": 2e-2, "atol": 2e-2} if autocast else {"rtol": 1e-4, "atol": 1e-5}
    for other in found[1:]:
        for a, b in zip(found[0], other):
            np.testing.assert_allclose(a, b, **tolerance)


def test_recomputation_needs_less_memory():
    x, y = bl.randn(512, 16), bl.randn(512, 16)
    needed = []
    for run in (plain, bl.recompute):
        step = bl.compile(made(run)[0])
        step(x, y)
        needed.append(step.executable.arena_bytes)
    assert needed[1] < 0.5 * needed[0]
