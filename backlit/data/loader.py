"""DataLoader: batches of a dataset, in an order that can be saved and resumed exactly.

Owns the epoch and the position in it. A position is the state of the generators when the epoch
began and how many batches were delivered; the order is drawn again from that. Reading a batch is
batches.py, worker processes are workers.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from backlit.data import random_state
from backlit.data.batches import Recipe
from backlit.data.collate import default_collate, default_convert
from backlit.data.dataset import Dataset, IterableDataset
from backlit.data.epoch import Epoch, Progress, ReadHere
from backlit.data.sampler import (
    BatchSampler,
    OrderedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)
from backlit.errors import ArgumentError, ArgumentTypeError, CheckpointError, WorkerError

if TYPE_CHECKING:
    from backlit import Generator
    from backlit.data.workers import WorkerPool

T_co = TypeVar("T_co", covariant=True)
STATE_VERSION = 1


class DataLoader(Generic[T_co]):
    """Iterates over a dataset in batches, shuffled or not, with or without worker processes.

    Arguments are PyTorch's. Workers are started by spawn (or forkserver), never by fork, so what
    they need must be importable. `state_dict()` is the position, also within an epoch.
    `pin_memory` and `in_order` are accepted and have no effect.

    >>> pairs = bl.data.TensorDataset(bl.arange(6), bl.arange(6) * 2)
    >>> [x.tolist() for x, y in bl.data.DataLoader(pairs, batch_size=4)]
    [[0, 1, 2, 3], [4, 5]]
    """

    def __init__(
        self,
        dataset: Dataset[T_co] | Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ):
        _check_worker_options(num_workers, timeout, prefetch_factor, persistent_workers)
        self.dataset: Any = dataset
        self.num_workers = num_workers
        self.prefetch_factor = (prefetch_factor or 2) if num_workers else None
        self.pin_memory, self.pin_memory_device = pin_memory, pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        self.streams = isinstance(dataset, IterableDataset)
        _check_order_options(self.streams, batch_size, shuffle, sampler, batch_sampler, drop_last)
        self._set_order(batch_size, bool(shuffle), sampler, batch_sampler, drop_last)
        self.collate_fn = collate_fn or (default_collate if self._batched else default_convert)
        self._context = None
        if num_workers or multiprocessing_context is not None:
            from backlit.data.workers import start_context

            self._context = start_context(multiprocessing_context)
        self._pool: WorkerPool | None = None
        self._progress: Progress | None = None
        self._resume_at: dict[str, Any] | None = None
        self._next_epoch = 0

    def _set_order(
        self, batch_size: int | None, shuffle: bool, sampler: Any, batch_sampler: Any, drop: bool
    ) -> None:
        self.batch_size = None if batch_sampler is not None else batch_size
        self.drop_last = drop
        self._batched = batch_size is not None or batch_sampler is not None
        if sampler is None and not self.streams:
            if shuffle:
                sampler = RandomSampler(self.dataset, generator=self.generator)
            else:
                sampler = SequentialSampler(self.dataset)
        if batch_sampler is None and batch_size is not None and not self.streams:
            batch_sampler = BatchSampler(sampler, batch_size, drop)
        self.sampler, self.batch_sampler = sampler, batch_sampler

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        if self.streams:
            samples = len(self.dataset)
            if self.batch_size is None:
                return samples
            full, rest = divmod(samples, self.batch_size)
            return full if self.drop_last or not rest else full + 1
        return len(self.batch_sampler if self.batch_sampler is not None else self.sampler)

    def __iter__(self) -> Iterator[Any]:
        state, self._resume_at = self._resume_at, None
        generators, kept = self._generators(), self._transforms()
        under_way = state is not None and state["global"] is not None
        if state is not None:
            random_state.write_all(state["generators"], generators)
            if not under_way:
                random_state.write_all(state["transforms"], kept)
        epoch = state["epoch"] if state else self._next_epoch
        start = state["global"] if state is not None and under_way else random_state.read()
        progress = Progress(
            epoch, state["delivered"] if state else 0, start, random_state.read_all(generators)
        )
        with random_state.global_state(start if under_way else None):
            indices = self._index_batches()
            if not self.streams:
                # A sampler written as a generator function draws when first asked.
                indices = _past(indices, progress.delivered)
            seed = random_state.draw_seed(self.generator)
        if state is not None and under_way:
            random_state.write_all(state["transforms"], kept)
        self._progress, self._next_epoch = progress, epoch + 1
        return Epoch(self._read(indices, progress.delivered, seed), progress, _length(self))

    def _generators(self) -> list[Generator]:
        nested = getattr(self.batch_sampler, "sampler", None)
        return random_state.own_generators((self, self.sampler, self.batch_sampler, nested))

    def _transforms(self) -> list[Generator]:
        return random_state.kept_generators(self.dataset)

    def state_dict(self) -> dict[str, Any]:
        """The position as plain JSON values: epoch, batches delivered, generators at its start.

        Batches that workers have read ahead do not count as delivered.
        """
        if self._resume_at is not None:
            return dict(self._resume_at)
        now = self._progress
        if now is None or now.finished:
            now = Progress(self._next_epoch, 0, None, random_state.read_all(self._generators()))
        return {
            **self._shape(),
            "epoch": now.epoch,
            "delivered": now.delivered,
            "global": now.global_start,
            "generators": list(now.own_starts),
            "transforms": random_state.read_all(self._transforms()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position: the next iteration yields exactly the batches that were left.

        Raises CheckpointError where the state is damaged or was saved for other data.
        """
        counts = {"generators": len(self._generators()), "transforms": len(self._transforms())}
        _check_state(state, self._shape(), counts)
        self._resume_at = dict(state)

    def _shape(self) -> dict[str, Any]:
        try:
            samples = len(self.dataset)
        except (TypeError, NotImplementedError):
            samples = None
        return {"version": STATE_VERSION, "samples": samples, "batch_size": self.batch_size}

    def _index_batches(self) -> Iterator[Any]:
        """An epoch's elements of order: lists of indices, or single ones. Draws it now."""
        if self.streams:
            return itertools.repeat(None)
        order = self.batch_sampler if self.batch_sampler is not None else self.sampler
        sampler = order.sampler if type(order) is BatchSampler else None
        if isinstance(sampler, OrderedSampler) and sampler.whole():
            return order.arrays(sampler.order())
        return iter(order)

    def _read(self, indices: Iterator[Any], done: int, seed: int) -> Iterator[Any]:
        # Only a stream must be read again to get past what was delivered.
        first = 0 if self.streams else done
        tasks = ((i, chosen, i < done) for i, chosen in enumerate(indices, first))
        if self.num_workers:
            return self._read_by_workers(tasks, seed)
        return ReadHere(tasks, self._recipe().reader())

    def _read_by_workers(self, tasks: Iterator[tuple[int, Any, bool]], seed: int) -> Iterator[Any]:
        pool = self._workers()
        done = False
        try:
            assert self.prefetch_factor is not None
            for batch in pool.batches(tasks, seed, self.prefetch_factor, self.timeout):
                mine = pool.epoch
                yield batch
                if pool.epoch != mine:
                    done = True  # the pool is the newer iterator's
                    raise WorkerError(
                        "DataLoader: a newer iterator has taken over the persistent workers",
                        hint="use one iterator at a time, or persistent_workers=False",
                    )
            done = True
        except GeneratorExit:
            done = True
            raise
        finally:
            # After an error or Ctrl-C what is in the pipes cannot be trusted.
            if not done or not self.persistent_workers:
                pool.close()

    def _recipe(self) -> Recipe:
        grouped = self.batch_sampler is not None
        return Recipe(self.dataset, self.collate_fn, self.batch_size, self.drop_last, grouped)

    def _workers(self) -> WorkerPool:
        from backlit.data.workers import WorkerPool

        if self._pool is not None and self._pool.alive:
            return self._pool
        pool = WorkerPool(self._recipe(), self.num_workers, self.worker_init_fn, self._context)
        if self.persistent_workers:
            self._pool = pool
        return pool


def _past(indices: Iterator[Any], count: int) -> Iterator[Any]:
    """The rest after `count` elements, whose first one is asked for now."""
    for _ in itertools.islice(indices, count):
        pass
    head = list(itertools.islice(indices, 1))
    return itertools.chain(head, indices)


def _length(loader: DataLoader[Any]) -> int | None:
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


def _check_worker_options(
    num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool
) -> None:
    if isinstance(num_workers, bool) or not isinstance(num_workers, int):
        raise ArgumentTypeError(f"DataLoader: num_workers must be an int, got {num_workers!r}")
    if num_workers < 0:
        raise ArgumentError(
            f"DataLoader: num_workers must not be negative, got {num_workers}",
            hint="0 reads the data in the main process",
        )
    if timeout < 0:
        raise ArgumentError(f"DataLoader: timeout must not be negative, got {timeout}")
    if prefetch_factor is not None and num_workers == 0:
        raise ArgumentError("DataLoader: prefetch_factor needs num_workers > 0")
    if prefetch_factor is not None and prefetch_factor < 1:
        raise ArgumentError(f"DataLoader: prefetch_factor must be positive, got {prefetch_factor}")
    if persistent_workers and num_workers == 0:
        raise ArgumentError("DataLoader: persistent_workers needs num_workers > 0")


def _check_order_options(
    streams: bool, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop: bool
) -> None:
    if batch_size is not None and (isinstance(batch_size, bool) or not _is_positive(batch_size)):
        raise ArgumentError(
            f"DataLoader: batch_size must be a positive whole number, got {batch_size!r}"
        )
    if streams:
        given = {"shuffle": shuffle, "sampler": sampler, "batch_sampler": batch_sampler}
        for name, value in given.items():
            if value is not None and value is not False:
                raise ArgumentError(
                    f"DataLoader: {name} does not go with an IterableDataset",
                    hint="a stream has its own order",
                )
    if sampler is not None and shuffle:
        raise ArgumentError("DataLoader: give either sampler or shuffle=True, not both")
    if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop):
        raise ArgumentError(
            "DataLoader: batch_sampler does not go with batch_size, shuffle, sampler or drop_last"
        )
    if batch_size is None and drop:
        raise ArgumentError("DataLoader: drop_last needs a batch_size")


def _is_positive(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _check_state(state: Any, shape: dict[str, Any], counts: dict[str, int]) -> None:
    expected = [*shape, "epoch", "delivered", "global", *counts]
    if not isinstance(state, dict) or set(state) != set(expected):
        raise CheckpointError(
            f"DataLoader: not a position: expected the keys {', '.join(expected)}"
        )
    if state["version"] != shape["version"]:
        raise CheckpointError(f"DataLoader: unknown version {state['version']!r} of the position")
    for name in ("epoch", "delivered"):
        if type(state[name]) is not int or state[name] < 0:
            raise CheckpointError(f"DataLoader: {name} must be a count, got {state[name]!r}")
    for name in ("samples", "batch_size"):
        if state["delivered"] and state[name] != shape[name]:
            raise CheckpointError(
                f"DataLoader: the position was saved with {name}={state[name]}, "
                f"this loader has {shape[name]}"
            )
    if not (state["global"] is None or random_state.is_state(state["global"])):
        raise CheckpointError(f"DataLoader: not a generator's state: {state['global']!r}")
    for name, count in counts.items():
        _check_generators(name, state[name], count)


def _check_generators(name: str, states: Any, count: int) -> None:
    if not isinstance(states, list) or not all(map(random_state.is_state, states)):
        raise CheckpointError(f"DataLoader: not states of generators: {states!r}")
    if len(states) != count:
        raise CheckpointError(
            f"DataLoader: the position holds {len(states)} states of {name}, "
            f"this loader has {count}",
            hint="make the loader and its dataset with the same arguments as before",
        )
