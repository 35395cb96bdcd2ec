"""Where buffers lie: lifetimes, sharing in place, and one arena for all that is temporary.

A step's results are steered to where they end: a cell's block or an array of the caller, when
nobody still reads what lay there; copy tasks do what steering can't. Next: executable.py.
"""

from __future__ import annotations

import bisect
import ctypes
import functools
import sys
from collections.abc import Iterable
from typing import Any

from .plan import ALIGNMENT, Buffer, Place, Task


def lifetimes(tasks: list[Task]) -> None:
    """First and last task that touch each buffer."""
    for number, task in enumerate(tasks):
        for place in (*task.reads, *task.writes):
            if place.buffer.first < 0:
                place.buffer.first = number
            place.buffer.last = number


def share_in_place(tasks: list[Task]) -> None:
    """Let a result take over the memory of an operand that nobody reads afterwards."""
    for number, task in enumerate(tasks):
        for source, target in task.in_place:
            old, new = root(source.buffer), root(target.buffer)
            if new is old or new.is_placed or old.is_placed or new.first != number:
                continue
            if old.last == number and old.size == new.size and _alone(task, source, target):
                new.shared = old
                old.last = new.last


def _alone(task: Task, source: Place, target: Place) -> bool:
    """Whether the task touches this memory in no other way than element by element."""
    whole = root(source.buffer)
    same = [p for p in (*task.reads, *task.writes) if root(p.buffer) is whole]
    fits = (source.offset, source.strides) == (target.offset, target.strides)
    return fits and all((p.offset, p.strides) == (source.offset, source.strides) for p in same)


def root(buffer: Buffer) -> Buffer:
    """The buffer whose memory this one uses."""
    while buffer.shared is not None:
        buffer = buffer.shared
    return buffer


def steer(tasks: list[Task], place: Place, end: Buffer, origin: Buffer | None) -> bool:
    """Make a result lie in `end` from the start; False where it must be copied there.

    `origin` is the buffer of the value that lies in `end` before (a cell's old value).
    """
    made = root(place.buffer)
    if made.is_placed or made.first < 0 or place.offset or place.nbytes != made.size:
        return False
    if origin is not None and origin.last > made.first:
        return False
    if origin is not None and origin.last == made.first:
        task = tasks[made.first]
        pairs = [(s, t) for s, t in task.in_place if root(t.buffer) is made]
        sources = [s for s, _ in pairs if s.buffer is origin]
        if not sources or not all(
            (p.offset, p.strides) == (place.offset, place.strides)
            for p in task.reads
            if p.buffer is origin
        ):
            return False
    made.shared = end
    return True


def arrange(buffers: Iterable[Buffer]) -> int:
    """Offsets in one arena for all buffers that lie nowhere yet; returns its size in bytes."""
    waiting = [b for b in buffers if b.shared is None and not b.is_placed and b.first >= 0]
    waiting.sort(key=lambda b: (b.first, -b.size))
    free = _Gaps()
    alive: list[tuple[int, int, Buffer]] = []
    for number, buffer in enumerate(waiting):
        while alive and alive[0][0] < buffer.first:
            ended = alive.pop(0)[2]
            free.give(ended.address, _rounded(ended.size))
        buffer.address = free.take(_rounded(buffer.size))
        bisect.insort(alive, (buffer.last, number, buffer))
    return free.end


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def give_back() -> None:
    """Return freed memory to the system, where the C library keeps it: what a recorded eager step
    leaves behind would else lie beside the arena for good."""
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not


class _Gaps:
    """Free ranges below the end of the arena; the smallest that fits is taken."""

    def __init__(self) -> None:
        self.end = 0
        self._gaps: list[tuple[int, int]] = []  # (start, size), by start

    def take(self, size: int) -> int:
        fitting = [(n, start) for start, n in self._gaps if n >= size]
        if fitting:
            n, start = min(fitting)
            self._gaps.remove((start, n))
            if n > size:
                bisect.insort(self._gaps, (start + size, n - size))
            return start
        start = self.end
        if self._gaps and sum(self._gaps[-1]) == self.end:  # grow the last gap
            start, _ = self._gaps.pop()
        self.end = start + size
        return start

    def give(self, start: int, size: int) -> None:
        at = bisect.bisect(self._gaps, (start, size))
        if at < len(self._gaps) and start + size == self._gaps[at][0]:
            size += self._gaps.pop(at)[1]
        if at and sum(self._gaps[at - 1]) == start:
            before = self._gaps.pop(at - 1)
            start, size, at = before[0], size + before[1], at - 1
        self._gaps.insert(at, (start, size))
