"""Two calls of the same code draw the same random numbers, and leave no trace outside.

The generators of NumPy, Python, Backlit and (where it is loaded) PyTorch are put back, and so
are the NumPy generators that a function holds in its closure or its module.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

import backlit as bl


def generators_of(*functions: Any) -> list[np.random.Generator]:
    """NumPy generators that the functions can reach by name."""
    found: dict[int, np.random.Generator] = {}

    def look(value: Any) -> None:
        if isinstance(value, np.random.Generator):
            found[id(value)] = value

    for function in functions:
        code = getattr(function, "__code__", None)
        if code is None:
            continue
        for cell in function.__closure__ or ():
            try:
                look(cell.cell_contents)
            except ValueError:  # not filled yet
                continue
        for name in code.co_names:
            look(function.__globals__.get(name))
        for value in function.__defaults__ or ():
            look(value)
    return list(found.values())


class Chance:
    """Whether a function draws random numbers: asked once, so that others need no seeding."""

    def __init__(self) -> None:
        self.used: bool | None = None

    def run(self, function: Callable[[], Any], seed: int, generators: list) -> Any:
        """Call a function with the generators seeded, if it uses them at all."""
        if self.used is False:
            return function()
        with repeatable(seed, generators):
            before = _states(generators)
            result = function()
            if self.used is None:
                self.used = _states(generators) != before
        return result


def _states(generators: list[np.random.Generator]) -> list[Any]:
    kind, keys, *rest = np.random.get_state()
    torch = sys.modules.get("torch")
    return [
        kind, np.asarray(keys).tobytes(), *rest, random.getstate(),
        str(bl.get_rng_state()), [str(g.bit_generator.state) for g in generators],
        bytes(torch.get_rng_state().numpy()) if torch is not None else b"",
    ]  # fmt: skip


@contextmanager
def repeatable(seed: int, generators: list[np.random.Generator]) -> Iterator[Callable[[int], None]]:
    """Seed everything for a `with` block; what it yields seeds again, in the middle."""
    torch = sys.modules.get("torch")
    kept = [g.bit_generator.state for g in generators]
    before = np.random.get_state(), random.getstate(), bl.get_rng_state()
    torch_before = torch.get_rng_state() if torch is not None else None

    def reseed(number: int) -> None:
        np.random.seed(number)
        random.seed(number)
        bl.manual_seed(number)
        if torch is not None:
            torch.manual_seed(number)
        for g, state in zip(generators, kept):
            g.bit_generator.state = state
            if number != seed:
                g.random(number % 97 + 1)

    reseed(seed)
    try:
        yield reseed
    finally:
        np.random.set_state(before[0])
        random.setstate(before[1])
        bl.set_rng_state(before[2])
        if torch is not None:
            torch.set_rng_state(torch_before)
        for g, state in zip(generators, kept):
            g.bit_generator.state = state
