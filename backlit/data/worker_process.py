"""The inside of a worker process: tasks come in, batches go out in the same order.

Owns the worker's life and its seeding: before each batch it is seeded from the epoch's seed and
the batch's number, so that neither the number of workers nor a resumed run changes what is drawn.
"""

from __future__ import annotations

import pickle
import signal
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from backlit.data import worker_info
from backlit.data.batches import EndOfStream, Recipe
from backlit.data.parcels import Parcel, encode
from backlit.data.random_state import kept_generators, mix, seed_everything


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


def work(connection: Connection, parcel: Parcel) -> None:
    """The life of a worker: read tasks until the main process closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    answers: SimpleQueue[list[bytes]] = SimpleQueue()
    # A thread of its own writes, so that reading the next batch goes on meanwhile.
    threading.Thread(target=_send_all, args=(connection, answers), daemon=True).start()
    worker: Worker | None = None
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            worker = worker or Worker(parcel.open())
            kind, content = worker.do(task)
            answer = encode(task.epoch, kind, content)
        except Exception as error:
            text = "".join(traceback.format_exception(error))
            answer = encode(task.epoch, "error", (_portable(error), text))
        answers.put(answer)


class Worker:
    """Reads what the tasks ask for."""

    def __init__(self, setup: Setup):
        self.setup = setup
        self.reader = setup.recipe.reader()
        self.seed = 0
        kept = kept_generators(setup.recipe.dataset)
        self.kept = [(generator, generator.initial_seed()) for generator in kept]
        self.initialized = False

    def do(self, task: Task) -> tuple[str, Any]:
        """The kind of the answer and its content."""
        if task.seed is not None:
            self._begin(task.seed)
            return "begun", None
        seed_everything(self.seed, 1, task.batch)
        for place, (generator, own) in enumerate(self.kept):
            generator.manual_seed(mix(own, self.seed, task.batch, place))
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


def _send_all(connection: Connection, answers: SimpleQueue[list[bytes]]) -> None:
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
