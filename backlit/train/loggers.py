"""Callbacks of `fit` that write what is measured: CSV, JSON Lines, TensorBoard's event files.

CSV and JSON files are replaced whole each epoch from the history, so that a kill never leaves
half a row and a resumed run never doubles one. Next: history.py, utils/tensorboard.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backlit.errors import ArgumentError
from backlit.files import atomic_write, saving
from backlit.train.callbacks import Callback
from backlit.train.history import History

if TYPE_CHECKING:
    from backlit.train.run import Run


class _TableLogger(Callback):
    """Keeps a file with one row an epoch."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def on_start(self, run: Run) -> None:
        self._write(run.history)  # a path that can't be written shows before the first step

    def on_epoch(self, run: Run, row: dict[str, Any]) -> None:
        self._write(History([*run.history.rows, row]))

    def on_end(self, run: Run) -> None:
        self._write(run.history)  # with what later callbacks have put into the rows

    def _write(self, history: History) -> None:
        raise NotImplementedError


class CSVLogger(_TableLogger):
    """Writes one line an epoch with a column per measure; missing and NaN values are empty.

    Raises CheckpointError where the file can't be written.

    >>> import pathlib, tempfile; path = pathlib.Path(tempfile.mkdtemp(), "log.csv")
    >>> model = nn.Linear(1, 1); data = [(bl.ones(2, 1), bl.ones(2, 1))]
    >>> sgd = bl.optim.SGD(model.parameters(), lr=0.1)
    >>> _ = bl.train.fit(model, data, loss=F.mse_loss, optimizer=sgd, progress=False,
    ...                  callbacks=bl.train.CSVLogger(path))
    >>> path.read_text().splitlines()[0].split(",")[:3]
    ['epoch', 'train_loss', 'val_loss']
    """

    def _write(self, history: History) -> None:
        columns = list(dict.fromkeys(key for row in history for key in row))
        held = io.StringIO()
        table = csv.writer(held, lineterminator="\n")
        if columns:
            table.writerow(columns)
        for row in history:
            table.writerow([_cell(row.get(key)) for key in columns])
        with saving(self.path), atomic_write(self.path) as file:
            file.write(held.getvalue().encode())


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    plain = value.tolist() if hasattr(value, "tolist") else value
    return json.dumps(plain) if isinstance(plain, list | tuple | dict) else plain


class JSONLogger(_TableLogger):
    """Writes one JSON object a line and epoch, as `fit(run_dir=...)` does; NaN becomes null.

    Raises CheckpointError where the file can't be written.

    >>> import os, tempfile; path = os.path.join(tempfile.mkdtemp(), "log.jsonl")
    >>> model = nn.Linear(1, 1); data = [(bl.ones(2, 1), bl.ones(2, 1))]
    >>> sgd = bl.optim.SGD(model.parameters(), lr=0.1)
    >>> _ = bl.train.fit(model, data, loss=F.mse_loss, optimizer=sgd, progress=False,
    ...                  callbacks=bl.train.JSONLogger(path))
    >>> len(bl.train.History.read(path))
    1
    """

    def _write(self, history: History) -> None:
        history.write(self.path)


class TensorBoardLogger(Callback):
    """Writes every measure of an epoch as a scalar: `train_loss` as `loss/train` and so on.

    `every_steps` also logs the loss of a batch as often, `histograms` the parameters and
    gradients after each epoch. A resumed run hides what an older one logged beyond its place.

    >>> import os, tempfile; folder = tempfile.mkdtemp()
    >>> model = nn.Linear(1, 1); data = [(bl.ones(2, 1), bl.ones(2, 1))]
    >>> sgd = bl.optim.SGD(model.parameters(), lr=0.1)
    >>> _ = bl.train.fit(model, data, loss=F.mse_loss, optimizer=sgd, progress=False,
    ...                  callbacks=bl.train.TensorBoardLogger(folder))
    >>> len(os.listdir(folder))
    1
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        *,
        every_steps: int | None = None,
        histograms: bool = False,
    ) -> None:
        if every_steps is not None and every_steps < 1:
            raise ArgumentError(f"TensorBoardLogger: every_steps={every_steps} must be at least 1")
        self.log_dir, self.every_steps, self.histograms = log_dir, every_steps, histograms
        self.writer: Any = None
        self._logged = 0

    def on_start(self, run: Run) -> None:
        from backlit.utils.tensorboard import SummaryWriter

        step = self._logged = run.position.step
        self.writer = SummaryWriter(self.log_dir, purge_step=step + 1 if step else None)

    def on_batch(self, run: Run) -> None:
        # Compiled training looks up only every so many steps.
        step = run.position.step
        if self.every_steps and step // self.every_steps > self._logged // self.every_steps:
            self.writer.add_scalar("loss/batch", run.batch_loss, step)
            self._logged = step

    def on_epoch(self, run: Run, row: dict[str, Any]) -> None:
        step = run.position.step
        for key, value in row.items():
            if isinstance(value, int | float):
                self.writer.add_scalar(_tag(key), value, step)
        if self.histograms:
            for name, parameter in run.model.named_parameters():
                self.writer.add_histogram(f"parameters/{name}", parameter, step)
                if parameter.grad is not None:
                    self.writer.add_histogram(f"gradients/{name}", parameter.grad, step)
        self.writer.flush()

    def on_end(self, run: Run) -> None:
        self.writer.close()


def _tag(key: str) -> str:
    """Training and validation of a measure stand next to each other."""
    part, _, measure = key.partition("_")
    return f"{measure}/{part}" if part in ("train", "val") and measure else key
