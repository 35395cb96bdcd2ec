"""Callbacks: a user's own code at the moments of a training.

A callback sees the whole Run (run.py): its model, optimizer, history and position, and may end
the training with `run.stop(reason)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backlit.train.run import Run


class Callback:
    """Base of callbacks: override the moments you need.

    A callback that has memory returns it from `state_dict`; a checkpoint keeps it.

    >>> class Watch(bl.train.Callback):
    ...     def on_epoch(self, run, row):
    ...         if row["train_loss"] < 0.1:
    ...             run.stop("good enough")
    """

    def on_start(self, run: Run) -> None:
        """Before the first step, after a resume."""

    def on_batch(self, run: Run) -> None:
        """After each step; `run.batch_loss` and `run.position` are current."""

    def on_epoch(self, run: Run, row: dict[str, Any]) -> None:
        """After validation; what is put into `row` goes into the history."""

    def on_end(self, run: Run) -> None:
        """After the last epoch; not after an error or an interruption."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the memory back from a checkpoint."""
