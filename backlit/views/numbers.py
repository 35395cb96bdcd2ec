"""What is shown of a value: a scalar exactly, an array by its statistics.

Numbers leave as Python's own floats and whole numbers, which JSON writes as shortest exact
decimals; NaN and infinities as the words "nan", "inf", "-inf". The norm tells of them; minimum,
maximum, mean and histogram are those of the finite elements. Next: pictures.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

BINS = 24
SMALL = 25  # so many elements are shown one by one


def exact(value: Any) -> int | float | str:
    """A number as JSON can hold it without losing a digit.

    >>> from backlit.views.numbers import exact
    >>> exact(np.float32(0.5)), exact(True), exact(-np.inf)
    (0.5, 1, '-inf')
    """
    value = value[()] if isinstance(value, np.ndarray) else value
    if isinstance(value, bool | np.bool_ | int | np.integer):
        return int(value)
    if not_a_number(value):
        return repr(value)
    found = float(value)
    if math.isnan(found):
        return "nan"
    if math.isinf(found):
        return "inf" if found > 0 else "-inf"
    return found


def not_a_number(value: Any) -> bool:
    """Whether a value is something else that a Function was called with: a text, an object."""
    return not isinstance(value, float | np.generic | np.ndarray)


def numbers(value: Any, chosen: Iterable[tuple[int, ...]] = ()) -> dict[str, Any]:
    """The `Numbers` of a snapshot: docs/design/snapshot.md. `chosen` elements come exactly.

    >>> from backlit.views.numbers import numbers
    >>> found = numbers(np.array([3.0, 4.0]))
    >>> found["norm"], found["mean"], found["elements"][1]
    (5.0, 3.5, {'index': [1], 'value': 4.0})
    """
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return {"scalar": exact(value)}
    array = value
    found = statistics(array)
    wanted = list(np.ndindex(array.shape)) if array.size <= SMALL else list(dict.fromkeys(chosen))
    if wanted:
        found["elements"] = [{"index": list(i), "value": exact(array[i])} for i in wanted]
    return found


def statistics(array: np.ndarray) -> dict[str, Any]:
    """Norm, range, mean, zeros and histogram; nothing but the norm where there is no element."""
    wide = array.reshape(-1).astype(np.float64)
    found: dict[str, Any] = {"norm": exact(norm(wide))}
    if not wide.size:
        return found
    found["zeros"] = float(np.count_nonzero(wide == 0) / wide.size)
    finite = np.isfinite(wide)
    bad = int(wide.size - np.count_nonzero(finite))
    if bad:
        found["bad"] = bad
        wide = wide[finite]
    if not wide.size:
        return found
    low, high = float(wide.min()), float(wide.max())
    with np.errstate(over="ignore"):
        found |= {"min": low, "max": high, "mean": exact(wide.mean())}
    if low < high:
        found["histogram"] = {"low": low, "high": high, "counts": histogram(wide, low, high)}
    return found


def norm(wide: np.ndarray) -> float:
    """The Euclidean norm; squares that leave the range are scaled first."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        found = math.sqrt(float(np.square(wide).sum()))
        if math.isinf(found) or found < 1e-150:
            largest = float(np.max(np.abs(wide), initial=0.0))
            if 0 < largest < math.inf:
                found = largest * math.sqrt(float(np.square(wide / largest).sum()))
    return found


def histogram(wide: np.ndarray, low: float, high: float) -> list[int]:
    """Counts of BINS equal bins between `low` and `high`."""
    half = high / 2 - low / 2  # high - low itself may leave the range
    if half == 0:  # neighbours among the smallest numbers
        half = high - low
    place = np.minimum((wide / 2 - low / 2) / half * BINS, BINS - 1).astype(np.int64)
    return [int(n) for n in np.bincount(place, minlength=BINS)]


def largest_element(array: np.ndarray) -> tuple[int, ...]:
    """The index of the element of the largest size; NaN counts as larger than all."""
    size = np.abs(np.nan_to_num(array.astype(np.float64), nan=math.inf))
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(size)), array.shape))


def in_range(index: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether an index names one element of that shape."""
    return len(index) == len(shape) and all(-n <= i < n for i, n in zip(index, shape))
