"""A small least-squares problem whose gradient is NumPy's, and runs of an optimizer on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

RNG = np.random.default_rng(7)
INPUTS = RNG.standard_normal((12, 4))
TARGETS = RNG.standard_normal((12, 3))
START = [RNG.standard_normal((4, 3)), RNG.standard_normal(3)]


def gradients(params: list[np.ndarray], step: int) -> list[np.ndarray]:
    """Of the mean square error over the four rows whose turn it is."""
    rows = slice(4 * (step % 3), 4 * (step % 3) + 4)
    w, b = (p.astype(np.float64) for p in params)
    error = (INPUTS[rows] @ w + b - TARGETS[rows]) / 4
    return [INPUTS[rows].T @ error, error.sum(0)]


class Run:
    """Parameters of one framework under one optimizer, stepped with NumPy's gradients."""

    def __init__(self, lib: Any, dtype: str, make: Callable[[list[Any]], Any]) -> None:
        self.lib, self.dtype = lib, dtype
        self.params = [self.leaf(value) for value in START]
        self.optimizer = make(self.params)
        self.count = 0

    def leaf(self, value: np.ndarray) -> Any:
        return self.lib.nn.Parameter(self.tensor(value))

    def tensor(self, value: np.ndarray) -> Any:
        return self.lib.from_numpy(np.array(value, dtype=self.dtype))

    def values(self) -> list[np.ndarray]:
        return [p.detach().numpy().copy() for p in self.params]

    def step(self, times: int = 1, skip: tuple[int, ...] = ()) -> Run:
        for _ in range(times):
            self.set_gradients(skip)
            self.optimizer.step()
        return self

    def set_gradients(self, skip: tuple[int, ...] = ()) -> None:
        for i, grad in enumerate(gradients(self.values(), self.count)):
            self.params[i].grad = None if i in skip else self.tensor(grad)
        self.count += 1


@pytest.fixture
def run() -> type[Run]:
    return Run


@pytest.fixture
def torch() -> Iterator[Any]:
    """PyTorch with float64 scalars: its NAdam and ASGD keep products in the default dtype."""
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield torch
    torch.set_default_dtype(before)


def assert_close(ours: Any, theirs: Any, tolerance: float) -> None:
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.fixture
def close() -> Callable[[Any, Any, float], None]:
    return assert_close
