"""The functions that update rules are written with, for three kinds of numbers.

A rule is one formula. It is read with Python floats and NumPy arrays when a step simply runs,
and with Tensors when it is recorded or observed; `+ - * / **` need no help, these do.
Next: rule.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import backlit as bl
from backlit.tensor import Tensor


def sqrt(x: Any) -> Any:
    """Square root of a number or an array."""
    if isinstance(x, np.ndarray):
        return np.sqrt(x)
    return x.sqrt() if isinstance(x, Tensor) else math.sqrt(x)


def absolute(x: Any) -> Any:
    """Entries without their sign."""
    return x.abs() if isinstance(x, Tensor) else np.abs(x)


def sign(x: Any) -> Any:
    """-1, 0 or 1 for each entry of an array."""
    return x.sign() if isinstance(x, Tensor) else np.sign(x)


def maximum(x: Any, y: Any) -> Any:
    """The larger of two arrays; NaN wins."""
    return bl.maximum(x, y) if isinstance(x, Tensor) else np.maximum(x, y)


def at_least(x: Any, least: float) -> Any:
    """The larger of a number and a bound."""
    return x.clamp(min=least) if isinstance(x, Tensor) else max(x, least)


def within(x: Any, least: float, most: float) -> Any:
    """Each entry of an array, or the bound it lies beyond."""
    return x.clamp(least, most) if isinstance(x, Tensor) else np.clip(x, least, most)


def where(condition: Any, x: Any, y: Any) -> Any:
    """x where the condition holds, else y; the condition is a bool or an array of them."""
    if isinstance(condition, Tensor):
        return bl.where(condition, x, y)
    return np.where(condition, x, y) if isinstance(condition, np.ndarray) else x if condition else y


def one_if(condition: Any) -> Any:
    """1 where a condition on numbers holds, else 0."""
    return condition.double() if isinstance(condition, Tensor) else float(condition)


def moving_average(average: Any, value: Any, share: Any) -> Any:
    """average + share (value - average)."""
    return average + share * (value - average)
