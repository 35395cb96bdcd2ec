"""Worker processes that read batches: started by spawn or forkserver, never by fork.

Every worker answers in the order it was asked, so that the order of batches needs no bookkeeping:
batch b is worker b's, modulo their number. Before each batch a worker is seeded from the epoch's
seed and b, so that neither their number nor a resumed run changes what is drawn. Arrays travel
through a pipe as raw buffers. Read next: loader.py, which owns the position.
"""

from __future__ import annotations

import io
import multiprocessing
import pickle
import signal
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from typing import Any

import numpy as np

from backlit.data import worker_info
from backlit.data.batches import EndOfStream, Recipe
from backlit.data.random_state import seed_everything
from backlit.errors import ArgumentError, ArgumentTypeError, BacklitError

GRACE = 2.0  # seconds a worker may finish what it is doing before it is ended
START_METHODS = ("spawn", "forkserver")


class WorkerError(BacklitError, RuntimeError):
    """A worker process of a DataLoader that died, could not start or did not answer in time."""


@dataclass
class Setup:
    """What one worker is started with."""

    number: int
    num_workers: int
    recipe: Recipe
    init: Callable[[int], Any] | None


@dataclass
class Task:
    """One batch to read, or (seed given) an epoch to begin."""

    epoch: int
    batch: int = 0
    indices: Any = None
    skip: bool = False
    seed: int | None = None


# ---------------------------------------------------------------- in the worker process


def work(connection: Connection, parcel: Parcel) -> None:
    """The life of a worker: read tasks until the main process closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    answers: SimpleQueue[list[Any]] = SimpleQueue()
    # A thread of its own writes, so that reading the next batch goes on meanwhile.
    threading.Thread(target=_send_all, args=(connection, answers), daemon=True).start()
    worker: _Worker | None = None
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            worker = worker or _Worker(parcel.open())
            kind, content = worker.do(task)
            answer = _encode(task.epoch, kind, content)
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            answer = _encode(task.epoch, "error", (_portable(error), text))
        answers.put(answer)


class _Worker:
    def __init__(self, setup: Setup):
        self.setup = setup
        self.reader = setup.recipe.reader()
        self.seed = 0
        self.initialized = False

    def do(self, task: Task) -> tuple[str, Any]:
        if task.seed is not None:
            self._begin(task.seed)
            return "begun", None
        seed_everything(self.seed, 1, task.batch)
        try:
            if task.skip:
                return "skipped", self.reader.skip(task.indices)
            return "batch", self.reader.read(task.indices)
        except EndOfStream:
            return "end", None

    def _begin(self, seed: int) -> None:
        import backlit as bl

        setup, self.seed = self.setup, seed
        own = seed_everything(seed, 0, setup.number)
        info = worker_info.WorkerInfo(setup.number, setup.num_workers, own, setup.recipe.dataset)
        worker_info.current = info
        if not self.initialized:
            self.initialized = True
            bl.set_num_threads(1)
            if setup.init is not None:
                setup.init(setup.number)
        self.reader = setup.recipe.reader()


def _send_all(connection: Connection, answers: SimpleQueue[list[Any]]) -> None:
    try:
        while True:
            for part in answers.get():
                connection.send_bytes(part)
    except OSError:
        return


def _portable(error: Exception) -> Exception:
    """The error itself where it survives the journey, else its words."""
    try:
        copy = pickle.loads(pickle.dumps(error))
        if type(copy) is type(error) and str(copy) == str(error):
            return error
    except Exception:
        pass
    return RuntimeError(f"{type(error).__name__}: {error}")


# ---------------------------------------------------------------- what travels


class Parcel:
    """Something that is unpacked inside the worker, where a failure can be reported."""

    def __init__(self, contents: Any):
        self.contents = contents

    def __getstate__(self) -> bytes:
        stream = io.BytesIO()
        _Pickler(stream, pickle.HIGHEST_PROTOCOL).dump(self.contents)
        return stream.getvalue()

    def __setstate__(self, packed: bytes) -> None:
        self.packed = packed

    def open(self) -> Any:
        return pickle.loads(self.packed)


class _Pickler(ForkingPickler):
    """Sends a tensor as its array; only ever read by the process at the pipe's other end."""

    def reducer_override(self, item: Any) -> Any:
        import backlit as bl

        if type(item) is bl.Tensor:
            return _tensor, (item.detach().numpy(), item.requires_grad)
        return NotImplemented


def _tensor(array: np.ndarray, requires_grad: bool) -> Any:
    import backlit as bl

    return bl.from_numpy(array).requires_grad_(requires_grad)


def _encode(epoch: int, kind: str, content: Any) -> list[Any]:
    buffers: list[pickle.PickleBuffer] = []
    body = io.BytesIO()
    _Pickler(body, pickle.HIGHEST_PROTOCOL, True, buffers.append).dump(content)
    head = pickle.dumps((epoch, kind, len(buffers)))
    # Copied now: a dataset may fill the same array again while the thread still writes.
    return [head, body.getvalue(), *(bytes(buffer.raw()) for buffer in buffers)]


def _receive(connection: Connection) -> tuple[int, str, Any]:
    epoch, kind, count = pickle.loads(connection.recv_bytes())
    body = connection.recv_bytes()
    # bytearray, so that arrays in a batch can be written to as usual.
    buffers = [bytearray(connection.recv_bytes()) for _ in range(count)]
    return epoch, kind, pickle.loads(body, buffers=buffers)


# ---------------------------------------------------------------- in the main process


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
                if timeout and not connection.poll(timeout):
                    raise WorkerError(
                        f"DataLoader: worker {worker} gave no batch within {timeout} seconds",
                        hint="raise timeout, or look for a sample that takes so long",
                    )
                epoch, kind, content = _receive(connection)
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
        hint = "its own error message is above"
        if code is not None and code < 0:
            how = f"was killed by signal {-code} ({_signal_name(-code)})"
            hint = "often the machine is out of memory: fewer workers or smaller batches help"
        elif not self.answered[worker]:
            how += " before its first batch"
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
    """Ctrl-C waits while workers start: they inherit the mask until they ignore it themselves."""
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
