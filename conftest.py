"""What every doctest finds in its namespace: bl, nn, F and np."""

from __future__ import annotations

import importlib
import os
from types import SimpleNamespace
from typing import Any

if "PYTEST_XDIST_WORKER" in os.environ:  # one thread each: the workers share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest

import backlit as bl  # first: a family collected before it would register its operators twice


def _room(name: str) -> Any:
    """A part of the package, or its operators alone while that part is not importable."""
    from backlit.api import NAMESPACES

    try:
        return importlib.import_module(f"backlit.{name}")
    except ImportError:
        return SimpleNamespace(**NAMESPACES["F"])


@pytest.fixture(autouse=True)
def _names(request: pytest.FixtureRequest) -> None:
    if isinstance(request.node, pytest.DoctestItem):
        namespace = request.getfixturevalue("doctest_namespace")
        namespace.update(bl=bl, np=np, nn=_room("nn"), F=_room("nn.functional"))
