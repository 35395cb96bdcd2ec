"""Samplers: in which order samples are visited, and how they are grouped into batches.

A sampler of this file draws its whole order when iteration begins (`order`, an index array), so
that the order depends on the generator's state at that moment alone; an order too long for memory
is drawn piece by piece from a generator of its own. Knows nothing of datasets but their length.
Read next: loader.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from backlit import Generator

T_co = TypeVar("T_co", covariant=True)
LONGEST = 1 << 20  # an order of more samples than this and the dataset has is never whole


class Sampler(Generic[T_co]):
    """Gives the indices of an epoch: a subclass gives `__iter__`, and `__len__` where known.

    >>> class Backwards(bl.data.Sampler):
    ...     def __iter__(self): return iter([2, 1, 0])
    >>> [b.tolist() for b in bl.data.DataLoader([10, 11, 12], 2, sampler=Backwards())]
    [[12, 11], [10]]
    """

    def __init__(self, data_source: Any = None):
        del data_source

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__()")


class OrderedSampler(Sampler[int]):
    """A sampler whose epoch is one index array, drawn when iteration begins."""

    def order(self) -> np.ndarray:
        """The indices of one epoch, (len(self),) int64."""
        raise NotImplementedError

    def whole(self) -> bool:
        """Whether the epoch is short enough for one array."""
        return True

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())


class SequentialSampler(OrderedSampler):
    """0, 1, 2, ... up to the length of the dataset.

    >>> list(bl.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Sized):
        self.data_source = data_source

    def order(self) -> np.ndarray:
        return np.arange(len(self), dtype=np.int64)

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(OrderedSampler):
    """A random order; every sample once, or with `replacement` independent draws.

    `num_samples` (default: all) may exceed the dataset's length: then permutations follow each
    other. `generator` defaults to the global one.

    >>> sorted(bl.data.RandomSampler(range(4), num_samples=8))
    [0, 0, 1, 1, 2, 2, 3, 3]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ):
        self.data_source = data_source
        self.replacement = _flag(replacement, "RandomSampler: replacement")
        self._num_samples = num_samples
        self.generator = generator
        _positive(len(data_source), "RandomSampler: the number of samples in the dataset")
        _positive(self.num_samples, "RandomSampler: num_samples")

    @property
    def num_samples(self) -> int:
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self) -> np.ndarray:
        import backlit as bl

        size, count = len(self.data_source), self.num_samples
        if self.replacement:
            return bl.randint(0, size, (count,), generator=self.generator).numpy()
        rounds = [_permutation(size, self.generator) for _ in range(-(-count // size))]
        return np.concatenate(rounds)[:count]

    def whole(self) -> bool:
        return self.num_samples <= max(LONGEST, len(self.data_source))

    def __iter__(self) -> Iterator[int]:
        if self.whole():
            return super().__iter__()
        import backlit as bl

        seed = int(bl.randint(0, 1 << 62, (), generator=self.generator))
        own = bl.Generator().manual_seed(seed)
        length = len(self.data_source) * max(1, LONGEST // len(self.data_source))
        part = RandomSampler(self.data_source, self.replacement, length, own)
        endless = itertools.chain.from_iterable(map(iter, itertools.repeat(part)))
        return itertools.islice(endless, self.num_samples)

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(OrderedSampler):
    """The given indices in random order, each once.

    >>> sorted(bl.data.SubsetRandomSampler([8, 3, 5]))
    [3, 5, 8]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None):
        self.indices = indices
        self.generator = generator

    def order(self) -> np.ndarray:
        indices = np.asarray(self.indices, np.int64)
        return indices[_permutation(len(indices), self.generator)]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(OrderedSampler):
    """Draws `num_samples` indices, each with a probability in proportion to its weight.

    >>> sampler = bl.data.WeightedRandomSampler([0.0, 1.0, 0.0], num_samples=3)
    >>> list(sampler)
    [1, 1, 1]
    """

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ):
        import backlit as bl

        _positive(num_samples, "WeightedRandomSampler: num_samples")
        values = np.asarray(weights, np.float64)
        if values.ndim != 1:
            raise ArgumentError(f"WeightedRandomSampler: weights have shape {values.shape}")
        if not (np.isfinite(values).all() and (values >= 0).all() and values.sum() > 0):
            raise ArgumentError(
                "WeightedRandomSampler: weights must be finite, not negative and not all zero"
            )
        if not replacement and num_samples > np.count_nonzero(values):
            raise ArgumentError(
                f"WeightedRandomSampler: {num_samples} samples without replacement from "
                f"{np.count_nonzero(values)} positive weights"
            )
        self.weights = bl.from_numpy(values)
        self.num_samples = num_samples
        self.replacement = _flag(replacement, "WeightedRandomSampler: replacement")
        self.generator = generator

    def order(self) -> np.ndarray:
        import backlit as bl

        drawn = bl.multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )
        return drawn.numpy()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Groups the indices of a sampler into lists of `batch_size`.

    >>> list(bl.data.BatchSampler(range(5), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool):
        _positive(batch_size, "BatchSampler: batch_size")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = _flag(drop_last, "BatchSampler: drop_last")

    def __iter__(self) -> Iterator[list[int]]:
        if isinstance(self.sampler, OrderedSampler) and self.sampler.whole():
            return (batch.tolist() for batch in self.arrays(self.sampler.order()))
        return self._grouped(iter(self.sampler))

    def arrays(self, order: np.ndarray) -> Iterator[np.ndarray]:
        """The batches of an index array, as slices of it."""
        end = len(order) - len(order) % self.batch_size if self.drop_last else len(order)
        return (order[i : min(i + self.batch_size, end)] for i in range(0, end, self.batch_size))

    def _grouped(self, indices: Iterator[int]) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in indices:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)  # type: ignore[arg-type]
        return full if self.drop_last or not rest else full + 1


def _permutation(size: int, generator: Generator | None) -> np.ndarray:
    import backlit as bl

    return bl.randperm(size, generator=generator).numpy()


def _positive(value: Any, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentError(f"{what} must be a whole number, got {value!r}")
    if value <= 0:
        raise ArgumentError(f"{what} must be positive, got {value}")


def _flag(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise ArgumentTypeError(f"{what} must be True or False, got {value!r}")
    return value
