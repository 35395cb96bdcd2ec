"""Worker processes seen from the main one: started by spawn or forkserver, never by fork.

Every worker answers in the order it was asked and batches are dealt out in turn, so that their
order needs no bookkeeping. Owns starting, asking, ending, and what is said when a worker dies.
Read next: worker_process.py (the other end), loader.py (which owns the position).
"""

from __future__ import annotations

import multiprocessing
import pickle
import signal
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

from backlit.data.batches import Recipe
from backlit.data.parcels import Parcel, receive
from backlit.data.worker_process import Setup, Task, work
from backlit.errors import ArgumentError, ArgumentTypeError, WorkerError

GRACE = 2.0  # seconds a worker may finish what it is doing before it is ended
STARTUP = 60.0  # seconds a worker may take to import what it needs
START_METHODS = ("spawn", "forkserver")


class WorkerPool:
    """Processes and their pipes. Closing the pipes ends the processes."""

    def __init__(
        self, recipe: Recipe, num_workers: int, init: Callable[[int], Any] | None, context: Any
    ):
        self.epoch = 0
        self.processes: list[Any] = []
        self.connections: list[Connection] = []
        self.answered = [False] * num_workers
        self.close = weakref.finalize(self, _end, self.processes, self.connections)
        try:
            with _interrupts_held_back():
                for number in range(num_workers):
                    setup = Setup(number, num_workers, recipe, init)
                    self._start(context, Parcel(setup))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            self.close()
            raise ArgumentTypeError(
                f"DataLoader: num_workers={num_workers}: the dataset, collate_fn or "
                f"worker_init_fn cannot be sent to another process: {error}",
                hint="define classes and functions at the top of a module, or use num_workers=0",
            ) from error
        except BaseException:
            self.close()
            raise

    def _start(self, context: Any, parcel: Parcel) -> None:
        ours, theirs = multiprocessing.Pipe()
        self.connections.append(ours)
        process = context.Process(target=work, args=(theirs, parcel), daemon=True)
        process.start()
        self.processes.append(process)
        theirs.close()

    @property
    def alive(self) -> bool:
        return self.close.alive

    def batches(
        self, tasks: Iterable[tuple[int, Any, bool]], seed: int, ahead: int, timeout: float
    ) -> Iterator[Any]:
        """The batches of the tasks (number, indices, skip), in order, `ahead` per worker."""
        self.epoch += 1
        for worker in range(len(self.processes)):
            self._send(worker, Task(self.epoch, seed=seed))
        waiting = iter(tasks)
        live = list(range(len(self.processes)))
        asked: deque[int] = deque()
        turn = self._hand_out(waiting, live, asked, 0, ahead)
        while asked:
            worker = asked.popleft()
            kind, content = self._answer(worker, timeout)
            if kind == "end" and worker in live:
                turn = _turn_without(worker, live, turn)
            turn = self._hand_out(waiting, live, asked, turn, ahead)
            if kind == "batch":
                yield content

    def _hand_out(
        self, waiting: Iterator[Any], live: list[int], asked: deque[int], turn: int, ahead: int
    ) -> int:
        """Keep every live worker busy; returns whose turn is next."""
        while live and len(asked) < ahead * len(live):
            task = next(waiting, None)
            if task is None:
                break
            worker = live[turn % len(live)]
            number, indices, skip = task
            self._send(worker, Task(self.epoch, number, indices, skip))
            asked.append(worker)
            turn = (turn + 1) % len(live)
        return turn

    def _send(self, worker: int, task: Task) -> None:
        try:
            self.connections[worker].send(task)
        except OSError:
            raise self._death(worker) from None

    def _answer(self, worker: int, timeout: float) -> tuple[str, Any]:
        while True:
            connection = self.connections[worker]
            try:
                patience = timeout if self.answered[worker] else max(timeout, STARTUP)
                if timeout and not connection.poll(patience):
                    raise WorkerError(
                        f"DataLoader: worker {worker} gave no batch within {patience} seconds",
                        hint="raise timeout, or look for a sample that takes so long",
                    )
                epoch, kind, content = receive(connection)
            except (EOFError, OSError):
                raise self._death(worker) from None
            self.answered[worker] = True
            # What an abandoned epoch still had under way is passed over.
            if epoch != self.epoch or kind == "begun":
                continue
            if kind == "error":
                raise _from_worker(worker, *content)
            return kind, content

    def _death(self, worker: int) -> WorkerError:
        process = self.processes[worker]
        process.join(GRACE)
        code = process.exitcode
        how = f"ended with exit code {code}"
        hint = "look for sys.exit() or a crash in the dataset; its own output may be above"
        if code is not None and code < 0:
            how = f"was killed by signal {-code} ({_signal_name(-code)})"
            hint = "often the machine is out of memory: fewer workers or smaller batches help"
        elif code == 1 and not self.answered[worker]:
            how += " before it had started"
            hint = (
                "a script that starts workers must be importable: put its main part under "
                "`if __name__ == '__main__':`"
            )
        return WorkerError(f"DataLoader: worker {worker} (pid {process.pid}) {how}", hint=hint)


def _turn_without(worker: int, live: list[int], turn: int) -> int:
    place = live.index(worker)
    live.remove(worker)
    shifted = turn - 1 if place < turn else turn
    return shifted % len(live) if live else 0


def _from_worker(worker: int, error: Exception, text: str) -> Exception:
    error.add_note(f"raised in DataLoader worker {worker}:\n{text.rstrip()}")
    return error


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _end(processes: list[Any], connections: list[Connection]) -> None:
    """Close the pipes, wait a moment, then end whoever is still there."""
    for connection in connections:
        connection.close()
    for stop in (None, "terminate", "kill"):
        deadline = time.monotonic() + GRACE
        for process in processes:
            if stop and process.is_alive():
                getattr(process, stop)()
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
    processes.clear()
    connections.clear()


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C waits while workers start: a half-started one would fail with a page of its own."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is None:
        with _interrupts_blocked():
            yield
        return
    pressed: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        with _interrupts_blocked():
            yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pressed:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes started now inherit the mask, until they ignore the signal themselves."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    # The tracker lifts the mask when it starts, so it starts first.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start_context(choice: Any) -> Any:
    """The multiprocessing context for a name or a context; fork is refused."""
    method = "spawn" if choice is None else choice
    if hasattr(method, "get_start_method"):
        method = method.get_start_method()
    if method not in START_METHODS:
        raise ArgumentError(
            f"DataLoader: multiprocessing_context={method!r} is not one of "
            f"{', '.join(START_METHODS)}",
            hint="a forked child of a process with threads hangs, so fork is not offered",
        )
    return multiprocessing.get_context(method)
