"""Who the current worker process is; None in the main process. Set by workers.py alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class WorkerInfo:
    """A worker's number, how many there are, its seed and its copy of the dataset.

    >>> bl.data.WorkerInfo(id=0, num_workers=2, seed=7, dataset=None).num_workers
    2
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


current: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """The WorkerInfo of the worker process this runs in, None in the main process.

    >>> bl.data.get_worker_info() is None
    True
    """
    return current
