"""Datasets: where samples come from, addressed by index or as a stream.

Owns the containers (tensors, subsets, concatenations) and `random_split`. It knows nothing of
batches, workers or files. Read next: sampler.py (which index comes when), loader.py.
"""

from __future__ import annotations

import bisect
import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError, IndexOutOfRange

if TYPE_CHECKING:
    from backlit import Generator, Tensor

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Dataset(Generic[T_co]):
    """Samples addressed by index: a subclass gives `__getitem__` and `__len__`.

    A subclass may also give `__getitems__(indices)`, which returns a list of samples at once.

    >>> class Squares(bl.data.Dataset):
    ...     def __len__(self): return 4
    ...     def __getitem__(self, i): return i * i
    >>> list(bl.data.DataLoader(Squares(), batch_size=2))[1].tolist()
    [4, 9]
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__(index)")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Samples that come as a stream: a subclass gives `__iter__`.

    With workers every worker iterates a copy of its own; share the work out by
    `get_worker_info()`, or each sample comes once per worker.

    >>> class Count(bl.data.IterableDataset):
    ...     def __iter__(self): return iter(range(5))
    >>> [batch.tolist() for batch in bl.data.DataLoader(Count(), batch_size=3)]
    [[0, 1, 2], [3, 4]]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")

    def __add__(self, other: Dataset[T_co]) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Tensors of equal first size; sample i is the tuple of their rows i.

    Raises ArgumentError (a ValueError) where the first sizes differ.

    >>> pairs = bl.data.TensorDataset(bl.arange(3), bl.tensor([1., 2., 4.]))
    >>> len(pairs), pairs[2][1].item()
    (3, 4.0)
    """

    def __init__(self, *tensors: Tensor):
        if not tensors:
            raise ArgumentError("TensorDataset: give at least one tensor")
        for tensor in tensors:
            if not getattr(tensor, "shape", ()):
                raise ArgumentError(f"TensorDataset: every tensor needs a first axis, got {tensor}")
        sizes = [tensor.shape[0] for tensor in tensors]
        if len(set(sizes)) > 1:
            raise ArgumentError(f"TensorDataset: first sizes differ: {', '.join(map(str, sizes))}")
        self.tensors: tuple[Any, ...] = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, ...]]:
        return list(zip(*self.rows(np.asarray(indices, np.int64)), strict=True))

    def rows(self, indices: np.ndarray) -> list[Tensor]:
        """The samples at `indices` as one batch: one gather per tensor."""
        return [_gather(tensor, indices) for tensor in self.tensors]

    def select(self, indices: Any) -> TensorDataset:
        """The samples at `indices`, or where a mask is true, as a dataset of the same kind.

        >>> bl.data.TensorDataset(bl.arange(5)).select([3, 1]).tensors[0].tolist()
        [3, 1]
        """
        return TensorDataset(*self._selected(indices))

    def _selected(self, indices: Any) -> list[Any]:
        given = np.asarray(indices)
        return self.rows(np.flatnonzero(given) if given.dtype == bool else given.astype(np.int64))

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])


def _gather(tensor: Any, indices: np.ndarray) -> Any:
    from backlit.tensor import wrap

    if tensor.requires_grad:
        return tensor[wrap(indices)]
    return wrap(np.take(tensor.numpy(), indices, axis=0))


class StackDataset(Dataset[Any]):
    """Datasets of equal length side by side: a tuple (or, by keywords, a dict) of their samples.

    >>> bl.data.StackDataset(letter=["a", "b"], number=[1, 2])[1]
    {'letter': 'b', 'number': 2}
    """

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]):
        if bool(args) == bool(kwargs):
            raise ArgumentError("StackDataset: give datasets either by position or by keyword")
        self.datasets: Any = kwargs or args
        lengths = [len(dataset) for dataset in self._parts()]
        if len(set(lengths)) > 1:
            raise ArgumentError(f"StackDataset: lengths differ: {', '.join(map(str, lengths))}")
        self._length = lengths[0]

    def _parts(self) -> list[Any]:
        named = isinstance(self.datasets, dict)
        return list(self.datasets.values() if named else self.datasets)

    def __getitem__(self, index: Any) -> Any:
        samples = [dataset[index] for dataset in self._parts()]
        if isinstance(self.datasets, dict):
            return dict(zip(self.datasets, samples, strict=True))
        return tuple(samples)

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Datasets one after the other; `cumulative_sizes` are the ends of each.

    >>> both = bl.data.TensorDataset(bl.zeros(2)) + bl.data.TensorDataset(bl.ones(3))
    >>> len(both), both[-1][0].item()
    (5, 1.0)
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]):
        self.datasets: list[Any] = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset: give at least one dataset")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise ArgumentTypeError(
                "ConcatDataset: an IterableDataset has no indices", hint="use ChainDataset"
            )
        self.cumulative_sizes = list(accumulate(len(dataset) for dataset in self.datasets))

    def __getitem__(self, index: int) -> Any:
        index = _from_start(index, len(self), "ConcatDataset")
        which = bisect.bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


def _from_start(index: int, length: int, owner: str) -> int:
    if not -length <= index < length:
        raise IndexOutOfRange(f"{owner}: index {index} is out of range for {length} samples")
    return index + length if index < 0 else index


class ChainDataset(IterableDataset[Any]):
    """Streams one after the other.

    >>> class Upto(bl.data.IterableDataset):
    ...     def __init__(self, n): self.n = n
    ...     def __iter__(self): return iter(range(self.n))
    >>> list(bl.data.ChainDataset([Upto(2), Upto(3)]))
    [0, 1, 0, 1, 2]
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]):
        self.datasets: list[Any] = list(datasets)
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise ArgumentTypeError(
                    f"ChainDataset: takes IterableDatasets, got {type(dataset).__name__}",
                    hint="use ConcatDataset for datasets with indices",
                )

    def __iter__(self) -> Iterator[Any]:
        for dataset in self.datasets:
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


class Subset(Dataset[T_co]):
    """The samples of a dataset at the given indices, in that order.

    >>> part = bl.data.Subset(bl.data.TensorDataset(bl.arange(10)), [3, 7])
    >>> [row.item() for (row,) in part]
    [3, 7]
    """

    def __init__(self, dataset: Dataset[Any], indices: Sequence[int]):
        self.dataset: Any = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        own = [self.indices[i] for i in indices]
        if callable(getattr(self.dataset, "__getitems__", None)):
            return list(self.dataset.__getitems__(own))
        return [self.dataset[i] for i in own]

    def __len__(self) -> int:
        return len(self.indices)


def random_split(
    dataset: Dataset[T], lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset[T]]:
    """Split at random into parts that do not overlap.

    `lengths` are whole numbers that add up to `len(dataset)`, or fractions that add up to 1
    (what rounding leaves over goes to the first parts in turn). Raises ArgumentError otherwise.

    >>> parts = bl.data.random_split(range(10), [0.7, 0.3])
    >>> [len(part) for part in parts]
    [7, 3]
    """
    import backlit as bl

    total = len(dataset)  # type: ignore[arg-type]
    sizes = _part_sizes(total, list(lengths))
    for i, size in enumerate(sizes):
        if size == 0:
            warnings.warn(f"random_split: part {i} is empty", stacklevel=2)
    order = bl.randperm(total, generator=generator).tolist()
    ends = list(accumulate(sizes))
    return [Subset(dataset, order[e - n : e]) for e, n in zip(ends, sizes, strict=True)]


def _part_sizes(total: int, lengths: list[int | float]) -> list[int]:
    if any(not length >= 0 for length in lengths):
        raise ArgumentError(f"random_split: lengths must not be negative, got {lengths}")
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1 + 1e-9 and total != 1:
        sizes = [math.floor(total * fraction) for fraction in lengths]
        for i in range(total - sum(sizes)):
            sizes[i % len(sizes)] += 1
        return sizes
    if any(length != int(length) for length in lengths) or sum(lengths) != total:
        raise ArgumentError(
            f"random_split: {lengths} adds up to {sum(lengths)}, the dataset has {total} samples",
            hint="give whole numbers that add up to the length, or fractions that add up to 1",
        )
    return [int(length) for length in lengths]
