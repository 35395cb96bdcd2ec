"""What the tests of the export share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest

import backlit as bl
from backlit import tree
from backlit.onnx.exporting.running import run


def _same(made: onnx.ModelProto, model: Callable, *calls: tuple) -> None:
    onnx.checker.check_model(made, full_check=True)
    for args in calls:
        with bl.no_grad():
            expected = [t.numpy() for t in tree.leaves(model(*args))]
        found = run(made, [t.numpy() for t in tree.leaves(args)])
        assert len(found) == len(expected)
        for y, e in zip(found, expected):
            assert y.dtype == e.dtype
            np.testing.assert_allclose(y, e, rtol=1e-5, atol=1e-5)


@pytest.fixture
def same() -> Callable:
    """`same(made, model, *calls)`: the file gives what the model gives, for tuples of arguments."""
    return _same
