"""A team of Python threads that run native kernels side by side.

Owns the number of threads and the wake-up of the team. Threads draw chunk numbers from one
counter, so which thread runs a chunk is left to the clock; a kernel must therefore write per
chunk, never per thread, which makes results bit-equal for every number of threads.
"""

from __future__ import annotations

import os
import queue
import sys
import threading

import numpy as np

from . import jit

_requested: int | None = None
_team: Team | None = None
_team_lock = threading.Lock()
_callables: dict[int, object] = {}


def get_num_threads() -> int:
    """Return how many threads a large kernel uses, the caller's included."""
    return _requested or _available()


def set_num_threads(count: int) -> None:
    """Use `count` threads for large kernels; 1 keeps all work on the caller's thread."""
    global _requested
    if count < 1:
        raise ValueError(f"set_num_threads: {count} threads\nhint: give a number from 1 on")
    _requested = int(count)


def parallel_for(
    n_chunks: int,
    address: int,
    words: np.ndarray,
    *,
    workers: int | None = None,
    small: bool = False,
) -> None:
    """Run the kernel at `address` until chunks 0 to n_chunks - 1 are done.

    `words` is the int64 array of the kernel's arguments; `workers` (default: the number of
    threads) is how many there is scratch memory for. Small work stays with the caller, and so
    does all work while another thread is using the team.
    """
    # at exit helpers no longer get to run
    alone = small or sys.is_finalizing()
    helpers = 0 if alone else min(workers or get_num_threads(), n_chunks) - 1
    job = Job(n_chunks, address, words, max(helpers, 0))
    if helpers < 1 or not _team_lock.acquire(blocking=False):
        job.run(0)
        return
    try:
        _current_team().run(job)
    finally:
        _team_lock.release()


def together(address: int, header: np.ndarray, workers: int, ran: int) -> None:
    """Run a function that needs all its workers at once, as it has barriers: alone where the team
    is busy. It sets word `ran + worker` of `header` when a worker enters it.
    """
    header[ran:] = 0
    if workers < 2 or sys.is_finalizing() or not _team_lock.acquire(blocking=False):
        Gang(1, address, header, 0, ran).run(0)
        return
    try:
        _current_team().run(Gang(workers, address, header, workers - 1, ran))
    finally:
        _team_lock.release()


class Job:
    """One kernel call; it keeps its arguments alive for late workers."""

    def __init__(self, n_chunks: int, address: int, words: np.ndarray, helpers: int) -> None:
        self.words, self.counter = words, np.zeros(1, np.int64)
        self.call = _callable(address)
        self.arguments = (words.ctypes.data, self.counter.ctypes.data, n_chunks)
        self.finished = [False] * helpers
        self.ends = [threading.Lock() for _ in range(helpers)]
        for end in self.ends:
            end.acquire()

    def run(self, worker: int) -> None:
        self.call(*self.arguments, worker)  # type: ignore[operator]

    def help(self, helper: int) -> None:
        self.run(helper + 1)
        if not self.finished[helper]:
            self.finished[helper] = True
            self.ends[helper].release()

    def wait(self, helper: int) -> None:
        # a Ctrl-C may interrupt the wait after the lock was taken: the flag decides
        while not self.finished[helper]:
            self.ends[helper].acquire(timeout=1.0)


class Gang(Job):
    """A call that every worker must enter, and only once: the others wait for it inside."""

    def __init__(self, workers: int, address: int, header: np.ndarray, helpers: int, ran: int):
        super().__init__(workers, address, header, helpers)
        self.arguments = (header.ctypes.data, 0, workers)
        self.ran = ran

    def run(self, worker: int) -> None:
        if not self.words[self.ran + worker]:
            super().run(worker)


class Team:
    """Daemon threads that sleep on their inbox until a job comes."""

    def __init__(self) -> None:
        self.inboxes: list[queue.SimpleQueue[Job]] = []

    def run(self, job: Job) -> None:
        helpers = range(len(job.finished))
        while len(self.inboxes) < len(helpers):
            self._add()
        try:
            for helper in helpers:
                self.inboxes[helper].put(job)
            job.run(0)
        except KeyboardInterrupt:
            if isinstance(job, Gang):  # helpers that have begun wait for this thread
                for helper in helpers:
                    self.inboxes[helper].put(job)
                job.run(0)
            raise
        finally:
            self._join(job)

    def _join(self, job: Job) -> None:
        """Wait for every helper, Ctrl-C or not: they write into the caller's arrays."""
        interrupt = None
        helpers = range(len(job.finished))
        while not all(job.finished):
            try:
                for helper in helpers:
                    job.wait(helper)
            except KeyboardInterrupt as error:
                interrupt = error
                # perhaps it came before the job was handed out; a second copy does no harm
                for helper in helpers:
                    self.inboxes[helper].put(job)
        if interrupt:
            raise interrupt

    def _add(self) -> None:
        inbox: queue.SimpleQueue[Job] = queue.SimpleQueue()
        helper = len(self.inboxes)
        thread = threading.Thread(
            target=_serve, args=(inbox, helper), name=f"backlit-{helper + 1}", daemon=True
        )
        thread.start()
        self.inboxes.append(inbox)


def _serve(inbox: queue.SimpleQueue[Job], helper: int) -> None:
    while True:
        inbox.get().help(helper)


def _callable(address: int) -> object:
    found = _callables.get(address)
    if found is None:
        found = _callables[address] = jit.KERNEL_TYPE(address)
    return found


def _current_team() -> Team:
    global _team
    if _team is None:
        _team = Team()
    return _team


def _available() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _forget_team() -> None:
    """A forked child has no threads but its own: start over."""
    global _team, _team_lock
    _team, _team_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_team)
