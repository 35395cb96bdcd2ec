"""BACKLIT_CHECK=1: wrong kernels are named, and steps that are not the same twice are refused."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.compiler.checking import agree
from backlit.errors import CaptureError, ProgramError
from backlit.nn import functional as F


@pytest.fixture(autouse=True)
def _check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bl.config.flags, "check", True)


def trained(between: Any = None) -> Any:
    bl.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
    optimizer = bl.optim.Adam(model.parameters(), lr=0.01)

    def step(x: Any, y: Any) -> Any:
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    fast = bl.compile(step)
    losses = [fast(bl.randn(6, 4), bl.randn(6, 2)).item() for _ in range(4)]
    many = fast.loop(bl.randn(3, 6, 4), bl.randn(3, 6, 2))
    return [*losses, *many.tolist()]


def test_what_is_right_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    checked = trained()
    monkeypatch.setattr(bl.config.flags, "check", False)
    assert checked == trained()


def test_a_wrong_kernel_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from backlit.backends.cpu.plans import executable

    real = executable.build

    def wrong(program: Any, *rest: Any) -> Any:
        changed = [
            i.__class__(i.op, (i.inputs[0], 3.5), *list(vars(i).values())[2:])
            if i.op == "mul" and 3.0 in i.inputs
            else i
            for i in program.instrs
        ]
        return real(program.__class__(program.name, program.inputs, tuple(changed),
                                      program.outputs), *rest)  # fmt: skip

    monkeypatch.setattr(executable, "build", wrong)
    monkeypatch.setattr("backlit.compiler.pipeline.PIPELINE", ())
    with pytest.raises(ProgramError, match=r"mul_0\[.*should be .*mul at test_checking.py"):
        bl.compile(lambda x: (x.exp() * 3.0).sum())(bl.ones(4))


def test_what_no_guard_sees_is_refused() -> None:
    fast = bl.compile(lambda x: x * time.perf_counter())
    with pytest.raises(CaptureError, match="not the same when it runs again"):
        fast(bl.ones(2))


def test_constants_are_compared() -> None:
    def draw() -> np.ndarray:  # behind NumPy's back: no guard and no generator sees it
        return np.frombuffer(os.urandom(4096), np.uint8).astype(np.float64)

    fast = bl.compile(lambda x: x + bl.from_numpy(draw()))
    with pytest.raises(CaptureError, match=r"the constant .* has other values"):
        fast(bl.zeros(4096, dtype=bl.float64))


def test_agreement() -> None:
    assert agree(np.float64(1.0), np.float64(1.0 + 1e-12))
    assert not agree(np.float64(1.0), np.float64(1.0 + 1e-6))
    assert agree(np.array([np.nan, np.inf]), np.array([np.nan, np.inf]))
    assert not agree(np.array([1]), np.array([2])) and not agree(np.zeros(2), np.zeros(3))
