"""The states of random generators that make a data position, and the seeding of a worker.

Owns reading, writing and replaying states as plain JSON values. Draws from Backlit's generators
only; Python's and NumPy's are seeded in workers for the sake of users' datasets.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from backlit import Generator

State = list[int]
MAX_SEED = 2**63 - 1
# Where datasets and transforms keep other datasets, transforms and their generators.
KEPT_IN = ("dataset", "datasets", "transform", "target_transform", "transforms", "generator")


def read_all(generators: Iterable[Generator]) -> list[State]:
    """The states of several generators."""
    return [read(generator) for generator in generators]


def write_all(states: Iterable[State], generators: Iterable[Generator]) -> None:
    """Put each generator into its state."""
    for state, generator in zip(states, generators, strict=True):
        write(state, generator)


def read(generator: Generator | None = None) -> State:
    """The state of a generator (default: the global one) as plain numbers."""
    import backlit as bl

    state = bl.get_rng_state() if generator is None else generator.get_state()
    return [int(number) for number in state]


def write(state: State, generator: Generator | None = None) -> None:
    """Put a generator (default: the global one) into a state read before."""
    import backlit as bl

    if generator is None:
        bl.set_rng_state(tuple(state))
    else:
        generator.set_state(tuple(state))


def is_state(value: Any) -> bool:
    """Whether this can be a generator's state."""
    return isinstance(value, list | tuple) and all(type(number) is int for number in value)


@contextmanager
def global_state(state: State | None) -> Iterator[None]:
    """Draw from a given state of the global generator; afterwards it is where it was before."""
    if state is None:
        yield
        return
    before = read()
    write(state)
    try:
        yield
    finally:
        write(before)


def own_generators(holders: Iterable[Any]) -> list[Generator]:
    """The distinct generators that these objects hold, the global one left out."""
    from backlit.random import Generator, default_generator

    found: list[Any] = []
    for holder in holders:
        generator = getattr(holder, "generator", None)
        known = [*found, default_generator]
        if isinstance(generator, Generator) and not any(generator is g for g in known):
            found.append(generator)
    return found


def kept_generators(root: Any) -> list[Generator]:
    """The generators of a dataset's transforms, in the order in which they are kept."""
    from backlit.random import Generator, default_generator

    found: list[Any] = []
    waiting, seen = [root], set()
    while waiting:
        item = waiting.pop(0)
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, Generator):
            found += [item] if item is not default_generator else []
        elif isinstance(item, list | tuple):
            waiting += item
        else:
            own = getattr(item, "__dict__", {})
            waiting += [own[name] for name in KEPT_IN if own.get(name) is not None]
    return found


def draw_seed(generator: Generator | None) -> int:
    """A fresh seed, from the global generator where none is given."""
    import backlit as bl

    return int(bl.randint(0, MAX_SEED, (1,), generator=generator).item())


def mix(*parts: int) -> int:
    """One seed from several numbers."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0]) >> 1


def seed_everything(*parts: int) -> int:
    """Seed Backlit, Python and NumPy in this process from numbers; returns the mixed seed."""
    import backlit as bl

    mixed = mix(*parts)
    bl.manual_seed(mixed)
    random.seed(mixed)
    np.random.seed(mixed & 0xFFFFFFFF)
    return mixed
