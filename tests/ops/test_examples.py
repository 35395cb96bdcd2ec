"""Examples of functions that a loop makes: no module holds them by name, so they run here."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.api import NAMESPACES
from backlit.nn import functional as F

MADE = {
    f"{space}.{name}": function
    for space in ("bl", "F")
    for name, function in NAMESPACES[space].items()
    if function.__module__ == "backlit.ops.pool_adaptive"
}


@pytest.mark.parametrize("name", MADE)
def test_example(name: str) -> None:
    names = {"bl": bl, "nn": nn, "F": F, "np": np}
    example = doctest.DocTestParser().get_doctest(MADE[name].__doc__, names, name, None, 0)
    assert example.examples, f"{name} has no example"
    assert not doctest.DocTestRunner(verbose=False).run(example).failed
