"""One pass over the data: how far it has come, and batches one by one or many at once.

Owns what a position must know. The order of samples is loader.py's, how a batch is read is
batches.py's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.data import random_state
from backlit.data.batches import EndOfStream


class ReadHere:
    """The batches of an epoch, read in this process."""

    def __init__(self, tasks: Iterator[tuple[int, Any, bool]], reader: Any):
        self._tasks, self._reader = tasks, reader

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        for _, indices, skip in self._tasks:
            try:
                if skip:
                    self._reader.skip(indices)
                    continue
                return self._reader.read(indices)
            except EndOfStream:
                self._tasks = iter(())
                break
        raise StopIteration

    def take(self, count: int) -> list[tuple[int, Any]]:
        """The next batches in groups of equal size, one gather for each: (how many, their rows);
        nothing where samples are made one by one."""
        if not self._reader.gathers:
            return []
        chosen = [indices for _, indices, _ in itertools.islice(self._tasks, count)]
        groups = [list(same) for _, same in itertools.groupby(chosen, len)]
        return [(len(g), self._reader.read(np.concatenate(g))) for g in groups]


@dataclass
class Progress:
    """How far an epoch has come. It outlives the iterator, so that it can be saved after Ctrl-C."""

    epoch: int
    delivered: int
    global_start: random_state.State | None  # None: no epoch is under way
    own_starts: list[random_state.State]
    finished: bool = False


class Epoch:
    """One pass over the data: an iterator that counts what it delivers."""

    def __init__(self, batches: Iterator[Any], progress: Progress, length: int | None):
        self._batches, self._progress, self._length = batches, progress, length

    def __iter__(self) -> Epoch:
        return self

    def __next__(self) -> Any:
        try:
            batch = next(self._batches)
        except StopIteration:
            self._progress.finished = True
            raise
        self._progress.delivered += 1
        return batch

    def take(self, count: int) -> list[list[Any]]:
        """The next `count` batches at once, stacked along a new first axis, those of equal size
        together; nothing where that would cost more than one by one.
        """
        groups = self._batches.take(count) if isinstance(self._batches, ReadHere) else []
        self._progress.delivered += sum(n for n, _ in groups)
        return [[p.reshape(n, -1, *p.shape[1:]) for p in rows] for n, rows in groups]

    def __len__(self) -> int:
        if self._length is None:
            raise TypeError("this epoch's number of batches is not known")
        return self._length
