"""Batches as a training reads them: checked, and several at once where one call takes several.

A chunk is never larger than what is wanted now: what was read but not run would be lost to a
checkpoint. What is done with them is steps.py's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import backlit as bl
from backlit.errors import DataError
from backlit.tensor import Tensor

READ_SECONDS = 0.05  # of one chunk: slow data must not keep Ctrl-C waiting
LARGEST_CHUNK = 64 << 20  # bytes


@dataclass
class Chunk:
    """Batches of equal shapes: each part (inputs..., target) has an axis of batches in front."""

    parts: Sequence[Any]
    count: int
    size: int  # samples of one batch
    single: bool  # of the one batch itself, without the axis

    @property
    def shapes(self) -> tuple:
        """What decides whether another executable is needed."""
        skip = 0 if self.single else 1
        return tuple((tuple(p.shape[skip:]), p.dtype) for p in self.parts if hasattr(p, "dtype"))

    def split(self, j: int) -> tuple[Sequence[Any], Any]:
        """Inputs and target of batch j."""
        batch = self.batch(j)
        return batch[:-1], batch[-1]

    def batch(self, j: int) -> list[Any]:
        """All parts of batch j."""
        return list(self.parts) if self.single else [p[j] for p in self.parts]

    def first(self, count: int) -> Chunk:
        """The chunk of the first `count` batches."""
        if self.single or count == self.count:
            return self
        return Chunk([p[:count] for p in self.parts], count, self.size, False)


class Reader:
    """The batches of an epoch that are still to do."""

    def __init__(self, batches: Iterable[Any], done: int) -> None:
        self.batches = iter(batches)
        self.done = done

    def take(self, wanted: int) -> list[Chunk]:
        """The next batches, at most `wanted`, in chunks of equal shapes; none at the end."""
        if wanted > 1 and (found := self._gathered(wanted)):
            return found
        read: list[list[Any]] = []
        began = time.perf_counter()
        for batch in self.batches:
            read.append(checked(batch, self.done + len(read) + 1))
            size = sum(p.nbytes for p in read[0] if isinstance(p, Tensor))
            late = time.perf_counter() - began > READ_SECONDS
            if len(read) == wanted or late or size * len(read) > LARGEST_CHUNK:
                break
        self.done += len(read)
        return [_stacked(group) for group in _alike(read)]

    def _gathered(self, wanted: int) -> list[Chunk]:
        """Straight from tensors in memory, where the loader can do that."""
        take = getattr(self.batches, "take", None)
        chunks = []
        for parts in take(wanted) if take else ():
            checked([p[0] for p in parts], self.done + 1)
            chunks.append(Chunk(parts, len(parts[0]), parts[0].shape[1], False))
            self.done += len(parts[0])
        return chunks


def checked(batch: Any, number: int) -> list[Any]:
    """The parts of a batch, refused where they can't belong together."""
    if not isinstance(batch, tuple | list) or len(batch) < 2:
        raise DataError(
            f"fit: a batch is a {type(batch).__name__}, expected (inputs..., target)",
            hint="let the dataset return (input, target) pairs",
        )
    for part in batch:
        if not hasattr(part, "__len__"):
            raise DataError(
                f"fit: batch {number} holds the {type(part).__name__} {part!r}, without a length",
                hint="let the dataset return tensors, one entry a sample",
            )
    sizes = {len(x) if getattr(x, "ndim", 1) else 0 for x in batch}
    if len(sizes) > 1:
        shapes = ", ".join(str(tuple(x.shape)) for x in batch if isinstance(x, Tensor))
        raise DataError(
            f"fit: batch {number} has parts of different lengths: {shapes}",
            hint="a dataset gives samples; DataLoader(dataset, batch_size=...) makes batches of it",
        )
    if sizes == {0}:
        raise DataError(f"fit: batch {number} is empty")
    return list(batch)


def _alike(batches: Sequence[list[Any]]) -> Iterator[list[list[Any]]]:
    """Neighbours of equal shapes together; what is no tensor stays alone."""
    group: list[list[Any]] = []
    kind: Any = None
    for batch in batches:
        tensors = all(isinstance(p, Tensor) for p in batch)
        this = tuple((tuple(p.shape), p.dtype) for p in batch) if tensors else None
        if group and (this is None or this != kind):
            yield group
            group = []
        group.append(batch)
        kind = this
    if group:
        yield group


def _stacked(batches: Sequence[list[Any]]) -> Chunk:
    size = len(batches[0][-1])
    if len(batches) == 1:
        return Chunk(batches[0], 1, size, True)
    parts = [bl.from_numpy(np.stack([p.numpy() for p in column])) for column in zip(*batches)]
    return Chunk(parts, len(batches), size, False)
