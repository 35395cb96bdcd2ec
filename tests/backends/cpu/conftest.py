"""Kernel tests run at every vector width the CPU has, and leave the settings as they were."""

from collections.abc import Iterator

import numpy as np
import pytest

from backlit.backends.cpu import conv, features, layout, norm, pool, threads

WIDTHS = [w for w in (16, 8, 4, 1) if w * 4 <= features.machine().vector_bytes]


@pytest.fixture(params=WIDTHS, ids=lambda w: f"width{w}")
def vector_width(request: pytest.FixtureRequest) -> Iterator[int]:
    features.set_vector_width(request.param)
    yield request.param
    features.set_vector_width(None)


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads, also for the small arrays of tests."""
    for module in (conv, layout, norm, pool):
        monkeypatch.setattr(module, "SMALL_WORK", 0)
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    yield
    threads.set_num_threads(before)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
