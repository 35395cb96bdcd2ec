"""Randomness that can be repeated: counter-based numbers from Philox4x32-10.

A generator is a seed and an offset. Element i of a draw at offset o is word (o + i) of the
seed's stream, whatever the layout, the number of threads or the backend, so eager, compiled,
resumed and distributed runs draw the same bits. A draw of n elements moves the offset by n.
Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from backlit.errors import ArgumentError
from backlit.state import state, tell

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
_LOW = 0xFFFFFFFF
_SHIFT = 32
_FEW = 8  # draws of so few elements cost less in Python's whole numbers than in arrays


def philox(counter: tuple[Any, ...], seed: int) -> tuple[Any, ...]:
    """Four 32-bit words for each counter of four words, whole numbers or uint64 arrays."""
    c0, c1, c2, c3 = counter
    k0, k1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(ROUNDS):
        p0, p1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            (p1 >> _SHIFT) ^ c1 ^ k0, p1 & _LOW,
            (p0 >> _SHIFT) ^ c3 ^ k1, p0 & _LOW,
        )  # fmt: skip
        k0, k1 = (k0 + WEYL[0]) & 0xFFFFFFFF, (k1 + WEYL[1]) & 0xFFFFFFFF
    return c0, c1, c2, c3


def words(seed: int, offset: int, count: int, stream: int = 0) -> np.ndarray:
    """`count` 32-bit words (in uint64) of a stream, from element `offset` on."""
    first, last = offset // 4, (offset + count + 3) // 4
    if count <= _FEW:
        few = [w for b in range(first, last)
               for w in philox((b & _LOW, b >> _SHIFT, stream, 0), seed)]  # fmt: skip
        return np.array(few[offset - 4 * first :][:count], np.uint64)
    block = np.arange(first, max(last, first), dtype=np.uint64)
    shape = block.shape
    counter = (block & _LOW, block >> _SHIFT, np.full(shape, stream, np.uint64),
               np.zeros(shape, np.uint64))  # fmt: skip
    drawn = np.stack(philox(counter, seed), axis=-1).reshape(-1)
    return drawn[offset - 4 * first :][:count]


def threshold(p: float) -> int:
    """A word is below it with probability `p`."""
    return round(p * 2.0**32)


def uniform(seed: int, offset: int, count: int, dtype: np.dtype) -> np.ndarray:
    """Numbers in [0, 1): 24 random bits in float32, 53 in float64."""
    if dtype == np.float64:
        high = words(seed, offset, count, 0) >> np.uint64(5)
        low = words(seed, offset, count, 1) >> np.uint64(6)
        return (high * 67108864.0 + low) * 2.0**-53
    return (words(seed, offset, count) >> np.uint64(8)).astype(np.float32) * np.float32(2.0**-24)


def normal(seed: int, offset: int, count: int, dtype: np.dtype) -> np.ndarray:
    """Standard normal numbers, by Box and Muller; computed in float64."""
    u = 1.0 - uniform(seed, offset, count, np.dtype(np.float64))  # (0, 1]: the logarithm is finite
    angle = (words(seed, offset, count, 2) + 0.5) * (2.0 * np.pi * 2.0**-32)
    return (np.sqrt(-2.0 * np.log(u)) * np.cos(angle)).astype(dtype)


class Generator:
    """A seed and an offset; `manual_seed` starts it again.

    >>> g = bl.Generator().manual_seed(1)
    >>> a = bl.rand(2, generator=g); g.manual_seed(1).get_state(), g.initial_seed()
    ((1, 0), 1)
    """

    def __init__(self, device: Any = "cpu"):
        self._seed, self._offset = 67280421310721, 0
        self.device = device

    def manual_seed(self, seed: int) -> Generator:
        """Start again from `seed`, any whole number."""
        tell("reseeded", self)
        self._seed, self._offset = int(seed) & 0xFFFFFFFFFFFFFFFF, 0
        return self

    def seed(self) -> int:
        """Start again from a seed that the system draws; returns it."""
        self.manual_seed(int.from_bytes(os.urandom(7), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """The seed."""
        return self._seed

    def get_state(self) -> tuple[int, int]:
        """Seed and offset: all there is."""
        return self._seed, self._offset

    def set_state(self, state: Any) -> Generator:
        """Continue from a saved state."""
        values = [int(v) for v in state]
        if len(values) != 2 or values[1] < 0:
            raise ArgumentError(f"a generator's state is (seed, offset), got {state!r}")
        tell("reseeded", self)
        self._seed, self._offset = values
        return self

    def advance(self, count: int) -> tuple[int, int]:
        """Take `count` elements: the (seed, offset) to draw them with."""
        taken = self._seed, self._offset
        self._offset += count
        return taken


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Start the default generator again from `seed`.

    >>> _ = bl.manual_seed(0); a = bl.rand(2); _ = bl.manual_seed(0); bool((a == bl.rand(2)).all())
    True
    """
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Start the default generator from a seed that the system draws."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return default_generator.initial_seed()


def get_rng_state() -> tuple[int, int]:
    """State of the default generator: (seed, offset)."""
    return default_generator.get_state()


def set_rng_state(state: Any) -> None:
    """Continue the default generator from a saved state."""
    default_generator.set_state(state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True, **kwargs: Any) -> Iterator[None]:
    """Within the block the default generator is another one; afterwards it goes on as before.

    >>> bl.manual_seed(1).initial_seed()
    1
    >>> with bl.random.fork_rng():
    ...     bl.manual_seed(2).initial_seed()
    2
    >>> bl.initial_seed()
    1
    """
    before = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(before)


def take(generator: Generator | None, count: int) -> tuple[Any, Any]:
    """(seed, offset) of the next `count` elements: whole numbers, or what a capture in progress
    puts in their place."""
    source = generator or default_generator
    for observer in state.observers:
        draw = getattr(observer, "draw", None)
        if draw is not None:
            return draw(source, count)  # type: ignore[no-any-return]
    return source.advance(count)
