"""Who runs each task, and where the team must meet: the last step before a plan is a table.

Large tasks are shared: each worker has its range of chunks. Small ones are run by one worker,
the one with the least to do, so that independent small tasks (the updates of many parameters) run
side by side. A barrier stands only where a task touches memory that another worker used since
the last one. Which worker runs what never changes a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from . import memory
from .plan import Place, Task

# A task that moves and computes less is done before a second thread has met it.
SMALL_WORK = 48_000
SHARED = -1
# Steps of less are tried with one worker too, so many calls each; one must win clearly.
SMALL_STEP = 64_000_000
ROUNDS, CLEARLY = 6, 0.95


@dataclass(frozen=True)
class Turn:
    """One task's part in the schedule: its worker (or SHARED), and whether all meet before it."""

    worker: int
    meet: bool


class Trial:
    """The first calls of a small step, timed with all workers and then with one: which is faster
    depends on the machine. The results are the same, so nobody sees more than the time."""

    def __init__(self, workers: int) -> None:
        self.workers, self._all = workers, workers
        self._seconds: list[float] = []

    def note(self, seconds: float) -> bool:
        """Take the time of a step; True once `workers` is the faster number."""
        self._seconds.append(seconds)
        if len(self._seconds) == ROUNDS:
            self.workers = 1
        if len(self._seconds) < 2 * ROUNDS:
            return False
        together, alone = min(self._seconds[:ROUNDS]), min(self._seconds[ROUNDS:])
        self.workers = 1 if alone < CLEARLY * together else self._all
        return True


def trial(tasks: Sequence[Task], workers: int) -> Trial | None:
    """A Trial where it is not plain that more workers are faster."""
    small = sum(task.work for task in tasks) < SMALL_STEP
    return Trial(workers) if workers > 1 and small else None


Range = tuple[object, int, int]  # where in which memory: first byte, behind the last
Use = tuple[int, list[Range], list[Range]]  # worker, what it read, what it wrote


def is_shared(task: Task) -> bool:
    """Whether threads share the task."""
    if task.inner is not None:
        return task.inner.workers > 1
    return not callable(task.kernel) and task.chunks > 1 and task.work > SMALL_WORK


def schedule(tasks: Sequence[Task], workers: int) -> list[Turn]:
    """A turn for every task, in order."""
    if workers == 1:
        return [Turn(0, False)] * len(tasks)
    turns: list[Turn] = []
    pending: list[Use] = []  # since the last barrier
    busy = [0] * workers
    for task in tasks:
        reads, writes = _ranges(task.reads), _ranges(task.writes)
        met = {w for w, r, x in pending if _touch(writes, r + x) or _touch(reads, x)}
        if is_shared(task):
            worker, meet = SHARED, bool(met)
        else:
            # callbacks stay with the thread that called
            free = [0] if callable(task.kernel) or task.inner is not None else range(workers)
            worker = min(met & set(free), default=min(free, key=busy.__getitem__))
            meet = bool(met - {worker})
        if meet:
            pending, busy = [], [0] * workers
            if worker != SHARED:
                worker = 0
        pending.append((worker, reads, writes))
        if worker != SHARED:
            busy[worker] += task.work
        turns.append(Turn(worker, meet))
    return turns


def _ranges(places: Sequence[Place]) -> list[Range]:
    found: list[Range] = []
    for place in places:
        buffer = memory.root(place.buffer)
        if buffer.is_placed:
            space: object = id(buffer) if buffer.memory is None else "block"
            base = 0 if buffer.memory is None else buffer.memory.__array_interface__["data"][0]
        else:
            space, base = "arena", buffer.address
        first, last = _extent(place)
        found.append((space, base + first, base + last))
    return found


def _extent(place: Place) -> tuple[int, int]:
    """First byte of a place and the one behind its last."""
    steps = [(n - 1) * s for n, s in zip(place.shape, place.strides) if n]
    low = place.offset + sum(s for s in steps if s < 0) * place.dtype.itemsize
    high = place.offset + (sum(s for s in steps if s > 0) + 1) * place.dtype.itemsize
    return low, high


def _touch(some: list[Range], others: list[Range]) -> bool:
    return any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for a in some for b in others)
