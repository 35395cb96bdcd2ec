"""What the arguments of transforms may be: each function returns them in one form or refuses.

A name that errors begin with comes last. Read next: transforms.py, which alone uses this.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backlit.data import images
from backlit.errors import ArgumentError

Range = float | Sequence[float]


def pair(size: int | Sequence[int], what: str) -> tuple[int, int]:
    """Height and width from one number or two."""
    sizes = one_or_pair(size, what)
    return (sizes[0], sizes[-1])


def one_or_pair(size: int | Sequence[int], what: str) -> tuple[int, ...]:
    """One number or (height, width), all positive."""
    sizes = tuple(size) if isinstance(size, list | tuple) else (size,)
    if len(sizes) not in (1, 2) or any(not isinstance(n, int) or n <= 0 for n in sizes):
        raise ArgumentError(f"{what} must be one or two positive whole numbers, got {size!r}")
    return sizes


def sides(padding: int | Sequence[int]) -> list[int]:
    """(left, top, right, bottom) from 1, 2 or 4 numbers."""
    given: list[Any] = list(padding) if isinstance(padding, list | tuple) else [padding]
    if len(given) not in (1, 2, 4) or any(not isinstance(n, int) or n < 0 for n in given):
        raise ArgumentError(f"padding must be 1, 2 or 4 whole numbers, got {padding!r}")
    return (given * 4)[:4]


def known_filter(name: str, known: Sequence[str], owner: str) -> str:
    """The name of a resampling filter, also from Pillow's enumeration."""
    text = str(getattr(name, "name", name)).lower()
    if text not in known:
        raise ArgumentError(f"{owner}: interpolation {name!r} is not one of {', '.join(known)}")
    return text


def known_padding(mode: str, owner: str) -> str:
    """The name of a way to fill a border."""
    if mode != "constant" and mode not in images.PADDING_MODES:
        known = ", ".join(("constant", *images.PADDING_MODES))
        raise ArgumentError(f"{owner}: padding_mode {mode!r} is not one of {known}")
    return mode


def probability(p: float, owner: str) -> float:
    """A number from 0 to 1."""
    if not 0 <= p <= 1:
        raise ArgumentError(f"{owner}: p must lie between 0 and 1, got {p}")
    return p


def bounds(value: Any, what: str) -> tuple[float, float]:
    """(low, high)."""
    if not isinstance(value, list | tuple) or len(value) != 2 or not value[0] <= value[1]:
        raise ArgumentError(f"{what} must be (low, high), got {value!r}")
    return float(value[0]), float(value[1])


def around_zero(value: Range, what: str) -> tuple[float, float]:
    """(-x, x) from one number x, or (low, high)."""
    if not isinstance(value, int | float):
        return bounds(value, what)
    if value < 0:
        raise ArgumentError(f"{what} must not be negative, got {value}")
    return -float(value), float(value)


def around_one(value: Range, what: str) -> tuple[float, float]:
    """(1 - x, 1 + x) from one number x, not below 0, or (low, high)."""
    if isinstance(value, int | float) and value >= 0:
        return max(0.0, 1.0 - value), 1.0 + value
    low, high = bounds(value, what)
    if low < 0:
        raise ArgumentError(f"{what} must not be negative, got {value}")
    return low, high
