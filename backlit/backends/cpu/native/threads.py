"""A team of Python threads that run native kernels side by side.

Owns the number of threads and the wake-up of the team; handover.py holds the native half.
Threads draw chunk numbers from one counter, so which thread runs a chunk is left to the clock; a
kernel must therefore write per chunk, never per thread, which makes results bit-equal for every
number of threads.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import queue
import threading
import time
from typing import Any

import numpy as np

from backlit import config

from . import features, handover, jit

# How long a helper stays awake after a job: as long as a sleeping one takes to get going.
AWAKE_SECONDS = 150e-6
MOST_SPINS = 100_000
_requested: int | None = None
_team: Team | None = None
_team_lock = threading.Lock()
_ended = False  # at exit threads no longer get to run
_callables: dict[int, Any] = {}


def get_num_threads() -> int:
    """Return how many threads a large kernel uses, the caller's included."""
    return _requested or config.cores()


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
    helpers = 0 if small or _ended else min(workers or get_num_threads(), n_chunks) - 1
    counter, at = ctypes.c_int64(0), words.ctypes.data
    if helpers < 1 or not _team_lock.acquire(blocking=False):
        _callable(address)(at, ctypes.addressof(counter), n_chunks, 0)
        return
    try:
        _current_team().run(helpers, address, at, ctypes.addressof(counter), n_chunks, free=True)
    finally:
        _team_lock.release()


def together(address: int, words: int, workers: int) -> None:
    """Run a function that needs all its workers at once, as it has barriers: alone where the team
    is busy. It gets `words` (an address), nothing, how many workers run, and which one it is.
    """
    if workers < 2 or _ended or not _team_lock.acquire(blocking=False):
        _callable(address)(words, None, 1, 0)
        return
    try:
        _current_team().run(workers - 1, address, words, 0, workers, free=False)
    finally:
        _team_lock.release()


class Team:
    """Daemon threads, each with a mailbox that native code reads and an inbox to sleep on."""

    def __init__(self) -> None:
        machine = features.machine()
        self.lead = jit.KERNEL_TYPE(handover.lead(machine))
        self.serve = jit.KERNEL_TYPE(handover.serve(machine))
        self.call = (ctypes.c_int64 * len(handover.CALL))()
        self.call[handover.CALL.index("yields")] = handover.yield_address()
        self.mailboxes, self.mailboxes_at = _mailboxes(0), 0
        self.inboxes: list[queue.SimpleQueue[bool]] = []
        self.threads: list[threading.Thread] = []
        self.spins = self._measure()

    def run(
        self,
        helpers: int,
        address: int,
        words: int,
        counter: int,
        chunks: int,
        *,
        free: bool,
    ) -> None:
        """One kernel call by the caller and `helpers`, who are out of it when this returns.

        With `free`, whoever wakes too late to be of use is left out.
        """
        if len(self.threads) < helpers:
            self._grow(helpers)
        values = (handover.NEW, helpers, free, self.mailboxes_at, address, words, counter, chunks)
        self.call[: len(values)] = list(values)
        interrupt = None
        while self.call[0] != handover.FINISHED:
            try:
                self._finish(helpers)
            except KeyboardInterrupt as error:
                # helpers write into the caller's arrays: first bring the call to its end
                interrupt = error
        if interrupt:
            raise interrupt

    def _finish(self, helpers: int) -> None:
        """Lead the call from whatever stage it is in to its end."""
        at = ctypes.addressof(self.call)
        self.lead(at, None, 0, 0)
        if self.call[0] == handover.POSTED:
            for helper in range(helpers):
                if self.mailboxes[helper, handover.ASLEEP].item():
                    self.inboxes[helper].put(True)
            self.lead(at, None, 0, 0)

    def _grow(self, count: int) -> None:
        """Start again with more helpers; nothing is changed until all of them run."""
        mailboxes = _mailboxes(count)
        mailboxes[:, handover.ASLEEP] = 1
        inboxes: list[queue.SimpleQueue[bool]] = [queue.SimpleQueue() for _ in range(count)]
        # more threads than cores would only be in each other's way
        spins = self.spins if count < config.cores() else 0
        threads = []
        for i, inbox in enumerate(inboxes):
            given = (inbox, self.serve, mailboxes[i].ctypes.data, spins, i + 1)
            name = f"backlit-{i + 1}"
            threads.append(threading.Thread(target=_help, args=given, name=name, daemon=True))
            threads[-1].start()
        self.end()
        self.mailboxes, self.mailboxes_at = mailboxes, mailboxes.ctypes.data
        self.inboxes, self.threads = inboxes, threads

    def end(self) -> None:
        """End the helpers: none may wait in native code whose memory is about to go."""
        self.mailboxes[:, handover.STOP] = 1
        for inbox in self.inboxes:
            inbox.put(False)
        for thread in self.threads:
            thread.join()
        self.inboxes, self.threads = [], []

    def _measure(self) -> int:
        """How many rounds of waiting take AWAKE_SECONDS."""
        mailbox, rounds = _mailboxes(1), 1000
        began = time.perf_counter()
        self.serve(mailbox.ctypes.data, None, rounds, 0)
        each = (time.perf_counter() - began) / rounds
        return min(MOST_SPINS, int(AWAKE_SECONDS / each) + 1)


def _help(
    inbox: queue.SimpleQueue[bool], serve: Any, mailbox: int, spins: int, worker: int
) -> None:
    while inbox.get():
        serve(mailbox, None, spins, worker)


def _mailboxes(count: int) -> np.ndarray:
    """Rows of words, each on cache lines of its own."""
    whole = np.zeros((count + 1) * handover.MAILBOX_WORDS, np.int64)
    start = -whole.ctypes.data % (8 * handover.MAILBOX_WORDS) // 8
    return whole[start : start + count * handover.MAILBOX_WORDS].reshape(
        count, handover.MAILBOX_WORDS
    )


def _callable(address: int) -> Any:
    found = _callables.get(address)
    if found is None:
        found = _callables[address] = jit.KERNEL_TYPE(address)
    return found


def _current_team() -> Team:
    global _team
    if _team is None:
        _team = Team()
    return _team


def _forget_team() -> None:
    """A forked child has no threads but its own: start over."""
    global _team, _team_lock
    _team, _team_lock = None, threading.Lock()


@atexit.register
def _end() -> None:
    global _ended
    with _team_lock:
        _ended = True
        if _team is not None:
            _team.end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_team)
