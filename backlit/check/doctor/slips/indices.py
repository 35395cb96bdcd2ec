"""Slices, indices and directions that are off."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import Bench, Trial, sites
from backlit.check.doctor.slips.common import (
    at_site,
    changed,
    keyed,
    keys_of,
    places,
    same_element,
    value_at,
    with_argument,
)
from backlit.check.doctor.tape import Call, Edit


def indices(bench: Bench) -> Iterator[Trial]:
    """Slices and whole numbers that are off: by one or two, scaled, reversed."""
    for site, calls in sites(bench):
        call = calls[0]
        if call.name not in ("getitem", "setitem", "add.at", "index", "select"):
            continue
        if len(call.args) < 2:
            continue
        keys = keys_of(call.args[1])
        both = same_element(bench.first, calls)
        for k in range(len(keys)):
            for words, change in KEY_CHANGES:
                edit = with_argument(1, _rekeying((k,), change))
                yield keyed(site, both, "index_error", 2.1, f"{words} at axis {k}", edit)
            yield keyed(
                site, both, "index_error", 2.1, f"one index per row at axis {k}", _paired(k)
            )
        if len(keys) > 1:
            numeric = tuple(k for k in range(len(keys)) if keys[k] is not None)
            for chosen in (numeric, numeric[-2:], numeric[:2]):
                for words, change in KEY_CHANGES:
                    edit = with_argument(1, _rekeying(chosen, change))
                    yield keyed(site, both, "index_error", 2.15, f"{words} at axes {chosen}", edit)
            for i, j in itertools.combinations(range(len(keys)), 2):
                edit = with_argument(1, functools.partial(_swapped, i, j))
                yield keyed(site, both, "index_error", 2.1, f"indices {i} and {j} swapped", edit)


def flips(bench: Bench) -> Iterator[Trial]:
    """A contribution that runs the other way, a roll the other way, a sum from the other end."""
    for site, calls, position in places(bench):
        n = np.ndim(value_at(bench.first, calls[0], position))
        for axis in range(n):
            edit = changed(position, functools.partial(np.flip, axis=axis))
            yield at_site(site, "index_error", 2.12, f"reversed along axis {axis}", edit)
    for site, calls in sites(bench):
        if calls[0].name == "roll":
            edit = with_argument(1, lambda shift: -shift)
            yield at_site(site, "index_error", 2.1, "rolling the other way", edit)
        elif calls[0].name in ("cumsum", "cumprod"):
            for axis in range(np.ndim(value_at(bench.first, calls[0], 0))):

                def back(call: Call, args: list, kwargs: dict, env: list, axis: int = axis) -> Any:
                    turned = call.function(np.flip(args[0], axis), *args[1:], **kwargs)
                    return np.flip(turned, axis)

                yield at_site(site, "index_error", 2.1, "summing from the other end", back)


def _paired(k: int) -> Edit:
    """`x[arange(n), y]` for `x[:, y]`."""

    def edit(call: Call, args: list, kwargs: dict, env: list) -> Any:
        key = list(keys_of(args[1]))
        if not (isinstance(key[k], slice) and key[k] == slice(None)):
            raise ValueError("not a whole axis")
        key[k] = np.arange(np.shape(args[0])[k])
        return call.function(args[0], tuple(key), *args[2:], **kwargs)

    return edit


def _rekeying(chosen: tuple, change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda key: _rekeyed(key, chosen, change)


def _rekeyed(key: Any, chosen: tuple[int, ...], change: Callable[[Any], Any]) -> Any:
    if not isinstance(key, tuple):
        return change(key)
    return tuple(change(part) if k in chosen else part for k, part in enumerate(key))


def _swapped(i: int, j: int, key: tuple) -> tuple:
    parts = list(key)
    parts[i], parts[j] = parts[j], parts[i]
    return tuple(parts)


def _moved(d: int, start: bool = True, stop: bool = True) -> Callable[[Any], Any]:
    def change(part: Any) -> Any:
        if isinstance(part, slice):
            low = part.start + d if start and part.start is not None else part.start
            low = d if start and part.start is None and d > 0 else low
            high = part.stop + d if stop and part.stop is not None else part.stop
            high = d if stop and part.stop is None and d < 0 else high
            if high is not None and high >= 0 > (part.stop or 0):
                high = None  # moved over the end
            return slice(low, high, part.step)
        if isinstance(part, (bool, np.bool_)) or part is None or part is Ellipsis:
            return part
        if isinstance(part, (list, range)):
            return [p + d for p in part]
        return part + d

    return change


def _scaled(m: int) -> Callable[[Any], Any]:
    def change(part: Any) -> Any:
        if isinstance(part, slice) and part.start is not None and part.stop is not None:
            return slice(part.start * m, part.start * m + part.stop - part.start, part.step)
        return part

    return change


def _shrunk(m: int) -> Callable[[Any], Any]:
    def change(part: Any) -> Any:
        if isinstance(part, slice) and part.start is not None and part.stop is not None:
            low = part.start // m
            return slice(low, low + part.stop - part.start, part.step)
        return part

    return change


def _reversed(part: Any) -> Any:
    if isinstance(part, slice):
        if part.step in (None, 1) and part.start is None and part.stop is None:
            return slice(None, None, -1)
        return slice(None, None, 1) if part.step == -1 else part
    return part


KEY_CHANGES: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    *((f"{d:+d}", _moved(d)) for d in (1, -1, 2, -2)),
    *((f"start {d:+d}", _moved(d, stop=False)) for d in (1, -1, 2)),
    *((f"stop {d:+d}", _moved(d, start=False)) for d in (1, -1, 2)),
    ("reversed", _reversed),
    *((f"start times {m}", _scaled(m)) for m in (2, 3)),
    *((f"start by {m}", _shrunk(m)) for m in (2, 3)),
)
