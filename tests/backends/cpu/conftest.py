"""Kernel tests run at every vector width, and leave the settings as they were."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from backlit.backends.cpu.channels import layout
from backlit.backends.cpu.conv import eager as conv
from backlit.backends.cpu.native import features, threads
from backlit.backends.cpu.norm import eager as norm
from backlit.backends.cpu.plans import schedule
from backlit.backends.cpu.pool import eager as pool


@pytest.fixture(params=[16, 8, 4, 1], ids=lambda w: f"width{w}")
def vector_width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Generate for vectors of so many floats; LLVM splits those that the CPU lacks."""
    machine = replace(features.machine(), vector_bytes=4 * request.param)
    monkeypatch.setattr(features, "machine", lambda: machine)
    return request.param


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two threads, also for the small arrays of tests."""
    for module in (conv, layout, norm, pool, schedule):
        monkeypatch.setattr(module, "SMALL_WORK", 0)
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    yield
    threads.set_num_threads(before)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)
