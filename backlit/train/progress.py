"""Progress of a training: a live bar in a terminal, one plain line an epoch elsewhere.

Shows what the Run already knows and measures nothing that `fit` does not. rich is imported only
for a terminal.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from backlit.errors import ArgumentError

if TYPE_CHECKING:
    from backlit.train.run import Run

FLUSH_SECONDS = 0.1  # between two refreshes of the bar


class Progress:
    """Says nothing; the base of the others."""

    def start(self, run: Run) -> None:
        """The training begins or goes on."""

    def epoch(self, run: Run) -> None:
        """An epoch begins or goes on."""

    def batch(self, run: Run, size: int) -> None:
        """Steps over `size` samples are done."""

    def row(self, run: Run, row: dict[str, Any]) -> None:
        """An epoch is done and measured."""

    def message(self, text: str) -> None:
        """Something to know: a resume, a damaged checkpoint, a full disk."""

    def close(self) -> None:
        """The training ended, in whichever way."""


class Lines(Progress):
    """One line an epoch on standard output."""

    def row(self, run: Run, row: dict[str, Any]) -> None:
        print(row_text(run, row), flush=True)

    def message(self, text: str) -> None:
        print(text, flush=True)


class Bar(Progress):
    """A live bar: epoch, loss, accuracy, samples per second, time left; a line an epoch above."""

    def __init__(self, unit: str = "samples", console: Any = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self.unit = unit
        self.console = console or Console(highlight=False)
        columns = [
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
        ]
        self.bar = RichProgress(*columns, console=self.console, transient=True, expand=True)
        self.task: Any = None
        self.samples, self.began, self.shown, self.steps, self.before = 0, 0.0, 0.0, 0, 0

    def start(self, run: Run) -> None:
        self.bar.start()

    def epoch(self, run: Run) -> None:
        if self.task is not None:
            self.bar.remove_task(self.task)
        name = f"epoch {run.position.epoch + 1}/{run.limits.epochs}"
        total = batches_of(run.train_data)
        self.task = self.bar.add_task(name, total=total, completed=run.position.batch, text="")
        self.samples, self.began, self.before = 0, time.perf_counter(), run.position.batch

    def batch(self, run: Run, size: int) -> None:
        self.samples += size
        self.steps = run.position.batch - self.before
        now = time.perf_counter()
        if now - self.shown >= FLUSH_SECONDS:
            self.shown = now
            text = self._text(run, now - self.began)
            self.bar.update(self.task, completed=run.position.batch, text=text)

    def row(self, run: Run, row: dict[str, Any]) -> None:
        self.bar.console.print(row_text(run, row), markup=False)

    def message(self, text: str) -> None:
        self.bar.console.print(text, style="yellow", markup=False)

    def close(self) -> None:
        self.bar.stop()

    def _text(self, run: Run, seconds: float) -> str:
        parts = [f"loss {run.train_loss.compute():.4f}"]
        if "accuracy" in run.train_metrics:
            parts.append(f"accuracy {100 * run.train_metrics['accuracy'].compute():.1f} %")
        parts.append(f"{self.samples / max(seconds, 1e-9):,.0f} {self.unit}/s")
        total = batches_of(run.train_data)
        if total is not None:
            epochs = run.limits.epochs - run.position.epoch
            left = (epochs * total - run.position.batch) * seconds / self.steps
            parts.append(f"{clock(left)} left")
        return "  ".join(parts)


def choose(progress: Any, unit: str = "samples") -> Progress:
    """A Progress from what `fit(progress=...)` takes.

    None: a bar in a terminal, else lines; True or "bar"; "lines"; False: silent.
    """
    if isinstance(progress, Progress):
        return progress
    if progress is None:
        progress = "bar" if sys.stdout.isatty() else "lines"
    if progress is False:
        return Progress()
    if progress not in (True, "bar", "lines"):
        raise ArgumentError(f"fit: progress={progress!r}", hint="None, True, False, 'bar', 'lines'")
    return Lines() if progress == "lines" else Bar(unit)


def batches_of(data: Any) -> int | None:
    """The number of batches where the data knows it."""
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


def row_text(run: Run, row: dict[str, Any]) -> str:
    """A row of the history as people read it."""
    parts = [f"epoch {row['epoch']}/{run.limits.epochs}"]
    for key, value in row.items():
        if key in ("epoch", "seconds", "lr") or not isinstance(value, int | float):
            continue
        shown = f"{100 * value:.2f} %" if "accuracy" in key else f"{value:.4f}"
        parts.append(f"{key.replace('_', ' ')} {shown}")
    return "  ".join([*parts, clock(row["seconds"])])


def clock(seconds: float) -> str:
    """Seconds as people read them: 7.2 s, 3:05, 1:02:40."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
