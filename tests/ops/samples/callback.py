"""Samples of the operator that runs Python code within a Program."""

from __future__ import annotations

from typing import Any

import numpy as np
from rows import Row, T

from backlit.ops.callback import Callback, register
from backlit.ops.op import apply, spec_of

KEPT: list[Any] = []  # a Program names its code by a number only


class Split:
    """The positive and the negative part."""

    def __init__(self, x: np.ndarray):
        self.specs = (spec_of(x),) * 2

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        return [np.maximum(x, 0), np.minimum(x, 0)]


def split_by_sign(x: Any) -> Any:
    KEPT.append(Split(x.cell.array))
    return apply(Callback, x, number=register(KEPT[-1]))


ROWS = [
    Row(split_by_sign, op="callback", torch=None,
        numpy=lambda x: (np.maximum(x, 0), np.minimum(x, 0)), args=[(T((4, 3)),), (T(()),)]),
]  # fmt: skip
