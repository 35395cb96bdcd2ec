"""Run: one training under way, with everything that a checkpoint must hold to resume it exactly.

Owns the position (epoch, step, batch), saving and restoring it. What happens in a step and in
which order is fit.py's; the files are checkpoint.py's.
"""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import backlit as bl
from backlit.errors import CheckpointError, DivergedError
from backlit.train.callbacks import Callback
from backlit.train.checkpoint import Checkpoint, Checkpoints, checkpoint_name
from backlit.train.history import History
from backlit.train.metrics import Mean, Metric
from backlit.train.progress import Progress, batches_of
from backlit.train.stop import GradientNorm, StopRule


@dataclass
class Position:
    """Where a training stands; `batch` counts those of the unfinished epoch."""

    epoch: int = 0  # finished ones
    step: int = 0
    batch: int = 0
    seconds: float = 0.0  # of the whole training, resumed parts together
    epoch_seconds: float = 0.0


@dataclass
class Limits:
    """Maxima that end a training."""

    epochs: int
    steps: int | None = None
    seconds: float | None = None


@dataclass
class Saving:
    """When and where checkpoints are written."""

    folder: Path
    checkpoints: Checkpoints
    every_epochs: int = 1
    every_steps: int | None = None
    every_seconds: float | None = None
    last_moment: tuple[int, int] | None = None
    last_time: float = field(default_factory=time.monotonic)

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    def due(self, step: int) -> bool:
        """Whether the middle of an epoch is the moment for a checkpoint."""
        if self.every_steps and step % self.every_steps == 0:
            return True
        late = time.monotonic() - self.last_time
        return self.every_seconds is not None and late >= self.every_seconds


@dataclass
class Run:
    """What callbacks see of a training."""

    model: Any
    optimizer: Any
    loss: Callable[..., Any]
    train_data: Iterable[Any]
    val_data: Iterable[Any] | None
    scheduler: Any
    scheduler_per_batch: bool
    clip_grad_norm: float | None
    rules: list[StopRule]
    callbacks: list[Callback]
    train_metrics: dict[str, Metric]
    val_metrics: dict[str, Metric]
    limits: Limits
    saving: Saving | None
    progress: Progress
    history: History = field(default_factory=History)
    position: Position = field(default_factory=Position)
    train_loss: Mean = field(default_factory=Mean)
    grad_norm: Mean = field(default_factory=Mean)
    batch_loss: float = float("nan")
    trained: bool = False  # the epoch's batches are done, its validation is not
    _pending: dict[str, Any] | None = None  # loader and random state before a validation

    def stop(self, reason: str) -> None:
        """End the training after this epoch."""
        self.history.stopped = reason

    @property
    def watches_gradient(self) -> bool:
        return any(isinstance(rule, GradientNorm) for rule in self.rules)

    def limit(self) -> str:
        """The maximum that is reached, or nothing."""
        limits, position = self.limits, self.position
        if position.epoch >= limits.epochs:
            return f"{limits.epochs} epoch{'s' if limits.epochs > 1 else ''} done"
        if limits.steps is not None and position.step >= limits.steps:
            return f"{limits.steps} steps done"
        if limits.seconds is not None and position.seconds >= limits.seconds:
            return f"{limits.seconds:g} seconds are over"
        return ""

    def goes_on(self) -> bool:
        """Whether there is an epoch to begin, or one to finish."""
        return bool(self.position.batch) or not (self.history.stopped or self.limit())

    def cut(self) -> bool:
        """Whether a maximum ends the training in the middle of this epoch."""
        in_the_middle = self.position.batch != batches_of(self.train_data)
        return in_the_middle and bool(self.limit())

    # Going forward

    def start_measures(self) -> None:
        for part in (self.train_loss, self.grad_norm, *self.train_metrics.values()):
            part.reset()

    def room(self) -> int:
        """How many steps may follow each other before something must be looked at."""
        ends = []
        if self.limits.steps is not None:
            ends.append(self.limits.steps - self.position.step)
        if self.saving is not None and self.saving.every_steps:
            ends.append(self.saving.every_steps - self.position.step % self.saving.every_steps)
        count = batches_of(self.train_data)
        # behind the last batch the data would already be in the next epoch
        ends.append(1 if count is None else count - self.position.batch)
        return max(1, min(ends))

    def advance(self, samples: int, seconds: float, steps: int = 1) -> None:
        """Some more steps are done."""
        self.position.step += steps
        self.position.batch += steps
        self.position.seconds += seconds
        self.position.epoch_seconds += seconds
        self.progress.batch(self, samples)

    def next_epoch(self) -> None:
        self.position.epoch += 1
        self.position.batch, self.position.epoch_seconds = 0, 0.0
        self.trained, self._pending = False, None

    # Saving

    def save(self) -> str | None:
        """Write a checkpoint of this very moment, once; returns the path of its tensor file."""
        if self.saving is None:
            return None
        epoch, step = moment = (self.position.epoch, self.position.step)
        checkpoints = self.saving.checkpoints
        if self.saving.last_moment != moment:
            check_finite(self)
            state = self.state()
            summary = {
                "data": {"epoch": epoch + 1, "batches done": self.position.batch},
                "random": [int(part) for part in state["random"]["backlit"]],
            }
            checkpoints.save(state, epoch=epoch, step=step, score=self._score(), summary=summary)
            self.saving.last_moment = moment
        self.saving.last_time = time.monotonic()
        return str(checkpoints.folder / f"{checkpoint_name(*moment)}.safetensors")

    def try_save(self, *, history: bool = False, checkpoint: bool = True) -> None:
        """Save; a full disk must not end the training, only be told."""
        if self.saving is None:
            return
        try:
            if history:
                self.history.write(self.saving.metrics)
            if checkpoint:
                self.save()
        except CheckpointError as error:
            self.saving.last_time = time.monotonic()
            self.progress.message(f"{error}\n  the training goes on; the last checkpoint stands")

    def state(self) -> dict[str, Any]:
        """Everything that a resumed training needs to go on exactly."""
        moment = self._pending or {"data": loader_states(self), "random": random_state()}
        return {
            "position": asdict(self.position),
            "trained": self.trained,
            "kinds": self._kinds(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "parts": {name: part.state_dict() for name, part in self._parts().items()},
            "history": {"rows": self.history.rows, "stopped": self.history.stopped},
            **moment,
        }

    def before_validation(self) -> None:
        """Remember what validation may change, so that an interrupted one starts again."""
        self.trained = True
        self._pending = {"data": loader_states(self), "random": random_state()}

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go to the moment of a checkpoint; CheckpointError where it does not fit."""
        state, name = checkpoint.state, checkpoint.name
        try:
            self._check_kinds(state.get("kinds", {}))
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            if self.scheduler is not None:
                self.scheduler.load_state_dict(state["scheduler"])
            for part_name, part in self._parts().items():
                if part_name in state["parts"]:  # rules and callbacks may change on a resume
                    part.load_state_dict(state["parts"][part_name])
            self.position = Position(**state["position"])
            self.trained = state["trained"]
            # A scheduler asks whether its optimizer ever stepped: in the saved life it did.
            self.optimizer._opt_called = self.position.step > 0
            self.history.rows[:] = state["history"]["rows"]
            self.history.stopped = state["history"]["stopped"]
            restore_loaders(self, state["data"])
            restore_random(state["random"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"checkpoint {name} does not fit this training: {error}",
                hint="resume with the model, optimizer, scheduler and rules it was made with",
            ) from error
        if self.saving is not None:
            self.saving.last_moment = (self.position.epoch, self.position.step)
        self.progress.message(f"resumed from {name}")

    def _kinds(self) -> dict[str, str]:
        """What updates the weights: the state of one kind means nothing to another."""
        parts = {"optimizer": self.optimizer, "scheduler": self.scheduler}
        return {key: "none" if x is None else type(x).__name__ for key, x in parts.items()}

    def _check_kinds(self, saved: dict[str, str]) -> None:
        for key, kind in self._kinds().items():
            if saved.get(key, kind) != kind:  # older checkpoints do not tell
                raise ValueError(f"its {key} was {saved[key]}, now it is {kind}")

    def _score(self) -> float | None:
        """What the best checkpoint is lowest in; only whole epochs have it."""
        if self.position.batch or not self.history.rows:
            return None
        row = self.history.rows[-1]
        value = row["train_loss"] if row["val_loss"] is None else row["val_loss"]
        return value if math.isfinite(value) else None

    def _parts(self) -> dict[str, Any]:
        """Whatever has memory of its own, by a name that stays the same from run to run."""
        parts: dict[str, Any] = {"train_loss": self.train_loss, "grad_norm": self.grad_norm}
        parts |= {f"train_{name}": metric for name, metric in self.train_metrics.items()}
        for part in [*self.rules, *self.callbacks]:
            if hasattr(part, "state_dict"):
                name = type(part).__name__
                same = sum(known.startswith(name + ".") for known in parts)
                parts[f"{name}.{same}"] = part
        return parts


def check_finite(run: Run) -> None:
    """A checkpoint of NaN is worse than none: it would push a good one out."""
    for name, p in run.model.named_parameters():
        if not np.isfinite(p.array).all():
            raise diverged(run, f"{name} has become NaN or infinite", run.position.step)
    for name, buffer in run.model.named_buffers():  # a mask may hold infinities
        if np.isnan(buffer.array).any():
            raise diverged(run, f"{name} has become NaN", run.position.step)


def diverged(run: Run, what: str, step: int) -> DivergedError:
    """The error of a training that left the finite numbers."""
    names = run.saving.checkpoints.names() if run.saving else []
    good = f"the last good checkpoint is {names[-1]}" if names else "there is no checkpoint"
    return DivergedError(
        f"fit: {what} in epoch {run.position.epoch + 1}, step {step}; {good}",
        hint="lower the learning rate, set clip_grad_norm, or look for NaN in the data",
    )


def random_state() -> dict[str, Any]:
    """Backlit's, Python's and NumPy's global generators: users' data code may use any."""
    numpy = np.random.get_state()
    return {"backlit": bl.get_rng_state(), "python": random.getstate(), "numpy": numpy}


def restore_random(state: dict[str, Any]) -> None:
    bl.set_rng_state(state["backlit"])
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])


def loader_states(run: Run) -> list[Any]:
    loaders: tuple[Any, ...] = (run.train_data, run.val_data)
    return [x.state_dict() if hasattr(x, "state_dict") else None for x in loaders]


def restore_loaders(run: Run, states: list[Any]) -> None:
    loaders: tuple[Any, ...] = (run.train_data, run.val_data)
    for loader, state in zip(loaders, states, strict=True):
        if state is not None and hasattr(loader, "load_state_dict"):
            loader.load_state_dict(state)


def run_folder(run_dir: str | os.PathLike[str]) -> Path:
    """The run's folder, made if need be; CheckpointError where that is refused."""
    folder = Path(run_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"run folder {folder} can't be made: {error.strerror}") from error
    return folder
