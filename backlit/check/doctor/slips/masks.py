"""Masks and local derivatives of the forward that a contribution was not multiplied by."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from backlit.check.doctor.repairs import Bench, Trial, sites
from backlit.check.doctor.slips.common import (
    at_site,
    is_float,
    made_by,
    operands,
    places,
    shape_at,
    stock_of,
    times_value,
    two_valued,
    value_at,
    with_result,
)
from backlit.check.doctor.tape import Edit, Ref, Tape

COMPARISONS = frozenset(
    ("greater", "less", "greater_equal", "less_equal", "gt", "lt", "ge", "le", "logical_not")
)


def masks(bench: Bench) -> Iterator[Trial]:
    """A mask of the forward applied to a contribution, in place of another or of none."""
    tape = bench.first
    found = _masks(bench)
    for site, calls, position in operands(bench):
        old = value_at(tape, calls[0], position)
        if not two_valued(old):
            continue
        for words, slots, of in found:
            if np.shape(tape.values[slots[0]]) == np.shape(old):
                yield Trial("mask_not_reused", 1.72, f"the mask of {words}", site,
                            times_value(site, position, slots, of, True))  # fmt: skip
    yield from _inverted(bench)
    for site, calls, spot in places(bench):
        shape = shape_at(tape, calls[0], spot)
        for words, slots, of in found:
            if np.shape(tape.values[slots[0]]) == shape:
                yield Trial("mask_not_reused", 1.74, f"the mask of {words}", site,
                            times_value(site, spot, slots, of, False))  # fmt: skip
                one = _one_where(of)
                yield Trial("mask_not_reused", 2.05, f"1 where {words}", site,
                            times_value(site, spot, slots, one, False, join=one))  # fmt: skip
    for seed in sorted(tape.seeds):
        for words, slots, of in found:
            if np.shape(tape.values[slots[0]]) == np.shape(tape.values[seed]):
                yield Trial("mask_not_reused", 1.73, f"the mask of {words}", None,
                            _nothing, swaps={seed: _product(seed, slots[0], of)})  # fmt: skip
    for name in bench.case.wrong:
        for words, slots, of in found:

            def finish(tape: Tape, env: list, claims: dict, name: str = name, of: Any = of,
                       slots: list = slots) -> dict:  # fmt: skip
                return {**claims, name: np.asarray(claims[name]) * of(env[slots[0]])}

            if np.shape(tape.values[slots[0]]) == bench.case.points[0].values[name].shape:
                yield Trial("mask_not_reused", 1.74, f"the mask of {words}", None,
                            lambda tape: {}, finish)  # fmt: skip


def _inverted(bench: Bench) -> Iterator[Trial]:
    """A comparison the other way round."""
    for site, calls in sites(bench):
        if is_mask(made_by(bench.first, calls[0])) and calls[0].name in COMPARISONS:
            turned = with_result(np.logical_not)
            yield at_site(site, "mask_not_reused", 1.71, "the mask the other way round", turned)


def _product(seed: int, slot: int, of: Callable[[Any], Any]) -> Callable[[list], Any]:
    return lambda env: env[seed] * of(env[slot])


def _times(k: float) -> Callable[[Any], Any]:
    return lambda value: value * k


def is_mask(value: Any) -> bool:
    """An array of truth values."""
    return isinstance(value, np.ndarray) and value.dtype.kind == "b"


def _masks(bench: Bench) -> list[tuple[str, list[int], Callable[[Any], Any]]]:
    tape, found = bench.first, []
    scalars = dict(bench.case.scalars)
    for call in tape.calls[: tape.half]:
        scalars.update({f"{a:g}": a for a in call.args if isinstance(a, float)})
    for words, slots in stock_of(bench):
        value = tape.values[slots[0]]
        if np.ndim(value) == 0 or getattr(value, "dtype", None) is None:
            continue
        if two_valued(value):
            found.append((words, slots, lambda v: v))
            if value.dtype != bool:
                found.append((f"{words} != 0", slots, lambda v: v != 0))
            for name, p in scalars.items():
                if 0 < p < 1 and value.dtype == bool:
                    for k, shown in ((1 / p, f"1/{name}"), (1 / (1 - p), f"1/(1 - {name})")):
                        found.append((f"{words} times {shown}", slots, _times(k)))
        elif value.dtype.kind == "f" and (value > 0).any() and (value <= 0).any():
            found.append((f"{words} > 0", slots, lambda v: v > 0))
    for call in tape.calls[: tape.half]:
        if isinstance(call.made, int) and getattr(made_by(tape, call), "dtype", None) is np.dtype(
            bool
        ):
            found.append((str(call.site), [call.made], lambda v: v))
    return found


def _one_where(of: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda value, other: np.where(of(other), 1.0, value)


DERIVED: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("{}", lambda v: v),
    ("1 / {}", lambda v: 1 / v),
    ("1 - {}", lambda v: 1 - v),
    ("1 - {}**2", lambda v: 1 - v * v),
)


def values(bench: Bench) -> Iterator[Trial]:
    """A contribution times a value of the forward that was forgotten (a local derivative)."""
    tape = bench.first
    stock = [(w, s) for w, s in stock_of(bench) if is_float(tape.values[s[0]])]
    for name in bench.case.wrong:
        shape = bench.case.points[0].values[name].shape
        for (form, of), (words, slots) in itertools.product(DERIVED, stock):
            if not _spreads(np.shape(tape.values[slots[0]]), shape):
                continue

            def finish(tape: Tape, env: list, claims: dict, name: str = name, of: Any = of,
                       slots: list = slots) -> dict:  # fmt: skip
                return {**claims, name: np.asarray(claims[name]) * of(env[slots[0]])}

            yield Trial(*_factor(tape, form, words, slots), None, lambda tape: {}, finish)
    for seed in sorted(tape.seeds):
        for (form, of), (words, slots) in itertools.product(DERIVED, stock):
            if _spreads(np.shape(tape.values[slots[0]]), np.shape(tape.values[seed])):
                yield Trial(*_factor(tape, form, words, slots), None, lambda tape: {},
                            swaps={seed: _product(seed, slots[0], of)})  # fmt: skip
    for site, calls, position in places(bench):
        value = value_at(tape, calls[0], position)
        for (form, of), (words, slots) in itertools.product(DERIVED, stock):
            if _spreads(np.shape(tape.values[slots[0]]), np.shape(value)):
                yield Trial(*_factor(tape, form, words, slots), site,
                            times_value(site, position, slots, of, False))  # fmt: skip


def _factor(tape: Tape, form: str, words: str, slots: list[int]) -> tuple[str, float, str]:
    if form.startswith("1 / "):
        divides = any(
            c.name in ("divide", "div", "true_divide") and refs_in(c.args[-1], slots)
            for c in tape.calls[: tape.half]
        )
        if not divides:
            return "extra_factor", 2.0, f"without the factor {words}, it"
    return "missing_factor", 1.9, f"the missing factor {form.format(words)}"


def refs_in(arg: Any, slots: list[int]) -> bool:
    """Whether an argument is one of these values."""
    return isinstance(arg, Ref) and arg.slot in slots


def _spreads(small: tuple, large: tuple) -> bool:
    return len(small) <= len(large) and all(
        a in (1, b) for a, b in zip(reversed(small), reversed(large))
    )


def _nothing(tape: Tape) -> dict[int, Edit]:
    return {}
