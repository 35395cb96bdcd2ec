"""How one batch is read from a dataset: the work that the main process and workers share.

Owns the readers (by index, as a stream) and the fast path for tensors in memory. Knows nothing of
processes and epochs. Read next: loader.py, workers.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.data.collate import default_collate
from backlit.data.dataset import IterableDataset, Subset, TensorDataset

Indices = Sequence[Any] | np.ndarray
Rows = Callable[[np.ndarray], Any]


class EndOfStream(Exception):
    """A stream has no batch left; StopIteration cannot cross a generator."""


@dataclass
class Recipe:
    """All that is needed to read batches; what a worker is sent."""

    dataset: Any
    collate_fn: Callable[[Any], Any]
    batch_size: int | None  # of a stream; None: samples come one by one
    drop_last: bool
    grouped: bool  # an element of the index order is a list of indices

    def reader(self) -> IndexReader | StreamReader:
        """A reader at the beginning of the dataset."""
        if isinstance(self.dataset, IterableDataset):
            return StreamReader(self)
        return IndexReader(self)


class IndexReader:
    """Reads the batch at given indices."""

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        fast = recipe.grouped and recipe.collate_fn is default_collate
        self._rows = rows_reader(recipe.dataset) if fast else None

    @property
    def gathers(self) -> bool:
        """Whether a batch is one gather from tensors in memory."""
        return self._rows is not None

    def read(self, indices: Any) -> Any:
        """The collated batch; an error notes which sample it came from."""
        collate = self.recipe.collate_fn
        if not self.recipe.grouped:
            return collate(self._sample(indices))
        if self._rows is not None and _whole(indices):
            return self._rows(np.asarray(indices, np.int64))
        plain = indices.tolist() if isinstance(indices, np.ndarray) else indices
        if callable(getattr(self.recipe.dataset, "__getitems__", None)):
            return collate(self._samples_at_once(plain))
        return collate([self._sample(index) for index in plain])

    def skip(self, indices: Any) -> None:
        """Pass over a batch: nothing to do where samples have indices."""

    def _sample(self, index: Any) -> Any:
        try:
            return self.recipe.dataset[index]
        except Exception as error:
            error.add_note(f"while reading sample {index!r} of {self._name()}")
            raise

    def _samples_at_once(self, indices: Any) -> Any:
        try:
            return self.recipe.dataset.__getitems__(indices)
        except Exception as error:
            error.add_note(f"while reading samples {_shortened(indices)} of {self._name()}")
            raise

    def _name(self) -> str:
        return type(self.recipe.dataset).__name__


class StreamReader:
    """Reads the next batch of an IterableDataset; indices mean nothing to it."""

    gathers = False

    def __init__(self, recipe: Recipe):
        self.recipe = recipe
        self._samples: Iterator[Any] | None = None

    def read(self, _indices: Any) -> Any:
        """The next collated batch. Raises EndOfStream after the last one."""
        return self.recipe.collate_fn(self._take())

    def skip(self, _indices: Any) -> None:
        """Pass over the next batch."""
        self._take()

    def _take(self) -> Any:
        if self._samples is None:
            self._samples = iter(self.recipe.dataset)
        size = self.recipe.batch_size
        if size is None:
            for sample in self._samples:
                return sample
            raise EndOfStream
        batch = list(itertools.islice(self._samples, size))
        if not batch or (self.recipe.drop_last and len(batch) < size):
            raise EndOfStream
        return batch


def rows_reader(dataset: Any) -> Rows | None:
    """How to gather a batch with one index per tensor, or None where samples are made singly."""
    kind = type(dataset)
    if isinstance(dataset, TensorDataset):
        own = kind.__getitem__, kind.__getitems__, kind.rows
        plain = TensorDataset.__getitem__, TensorDataset.__getitems__, TensorDataset.rows
        return dataset.rows if own == plain else None
    if kind is Subset:
        inner = rows_reader(dataset.dataset)
        if inner is not None and _whole(dataset.indices):
            indices = np.asarray(dataset.indices, np.int64)
            return lambda chosen: inner(indices[chosen])
    return None


def _whole(indices: Any) -> bool:
    """Whether these are whole numbers, and not a mask or something of the user's own."""
    try:
        array = np.asarray(indices)
    except ValueError:
        return False
    return array.ndim == 1 and array.size > 0 and array.dtype.kind in "iu"


def _shortened(indices: Any) -> str:
    shown = list(indices)
    return f"{shown}" if len(shown) <= 8 else f"{shown[:8]} and {len(shown) - 8} more"
