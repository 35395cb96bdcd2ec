"""Channels-last memory in plans: joins and cuts along the channels, and what comes as NCHW."""

import numpy as np
import pytest

import backlit as bl
from backlit.nn import functional as F

from ..lowering import check_lowering


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.usefixtures("vector_width")
def test_joins_and_cuts(dtype: type, rng: np.random.Generator) -> None:
    x = rng.standard_normal((3, 5, 9, 7)).astype(dtype)
    w = rng.standard_normal((17, 5, 3, 3)).astype(dtype)
    v = rng.standard_normal((4, 22, 1, 1)).astype(dtype)
    u = rng.standard_normal((3, 6, 3, 3)).astype(dtype)

    def step(x, w, v, u):
        y = F.conv2d(x, w, padding=1)
        joined = bl.cat([x, y], 1)
        part = F.conv2d(joined[:, 3:9], u, padding=1)
        return joined, F.conv2d(joined, v), part, F.max_pool2d(joined[:, 8:20], 2)

    check_lowering(step, x, w, v, u)


def test_joins_of_tokens_stay_in_their_order(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 1, 8)), rng.standard_normal((2, 16, 8))
    check_lowering(lambda a, b: bl.cat([a, b], 1), a, b, callbacks=None)
