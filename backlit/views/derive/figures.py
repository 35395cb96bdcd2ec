"""Numbers as LaTeX: four digits, small arrays as matrices, larger ones as shape and norm."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

LARGEST = 6  # rows and columns that are printed number by number
DIGITS = 4


def digits(value: Any) -> str:
    """One number with four significant digits."""
    value = np.asarray(value)[()]
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return str(int(value))
    number = float(value)
    if math.isnan(number):
        return r"\text{NaN}"
    if math.isinf(number):
        return r"\infty" if number > 0 else r"-\infty"
    text = f"{number:.{DIGITS}g}"
    if text in ("-0", "0"):
        return "0"
    mantissa, e, exponent = text.partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if e else text


def figure(array: np.ndarray) -> str | None:
    """The numbers of a small array, or None where there are too many."""
    if array.ndim == 0:
        return digits(array)
    if array.ndim > 2 or not array.size or max(array.shape) > LARGEST:
        return None
    rows = array.reshape(-1, array.shape[-1])
    body = r" \\ ".join(" & ".join(digits(v) for v in row) for row in rows)
    return rf"\begin{{bmatrix}} {body} \end{{bmatrix}}"


def summary(array: np.ndarray) -> str:
    """Shape and norm."""
    size = r" \times ".join(map(str, array.shape))
    norm = digits(np.sqrt(np.square(array.astype(np.float64)).sum()))
    return rf"\left[{size},\ \left\|\cdot\right\| = {norm}\right]"
