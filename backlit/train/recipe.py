"""A recipe: one training that is known to work, and the run that it leaves in a folder.

Owns what recipes share: their settings, what they hand to `fit`, the files of a finished run
(model.safetensors, curves.png, the recipe's own pictures). Each recipe is one file in recipes/.
How folders are named and found again is run_folders.py's; how training works is fit.py's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import backlit as bl
from backlit.data.validation import validation_split
from backlit.errors import ArgumentError, CheckpointError
from backlit.nn.functional import cross_entropy
from backlit.serialization import save
from backlit.train.fit import fit
from backlit.train.history import History
from backlit.train.plots import plot_curves
from backlit.train.progress import Progress

MODEL, CURVES = "model.safetensors", "curves.png"


@dataclass
class Settings:
    """What decides every bit of a run; a resumed run reads it from config.json.

    Each recipe has its own subclass, whose fields are its options on the command line.
    """

    data: str | None = None  # a folder or URL; else BACKLIT_DATA's folder of the recipe's data
    epochs: int = 1
    batch_size: int = 100
    lr: float = 0.001  # the highest learning rate
    seed: int = 0  # of weights and order
    validation: float = 0.0  # share of the training part to be scored on, in the test part's place
    threads: int | None = None  # all cores if left out
    smoke: bool = False  # seconds on a small part of the data, to see that everything works

    def __post_init__(self) -> None:
        if not 0 <= self.validation < 1:
            raise ArgumentError(
                f"train: --validation {self.validation:g}: expected a share from 0 to below 1",
                hint="0.1 holds out a tenth of the training part",
            )


@dataclass
class Job:
    """What a recipe hands to `fit`, and the pictures it draws of the trained model.

    `pictures` maps a file's name to a function that draws it at a path.
    """

    model: Any
    train_data: Any
    val_data: Any
    loss: Callable[..., Any]
    optimizer: Any
    metrics: Any = None
    scheduler: Any = None
    scheduler_per_batch: bool = False
    clip_grad_norm: float | None = None
    callbacks: Sequence[Any] = ()
    pictures: Mapping[str, Callable[[Path], Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """One training: its name, what it needs, what it reaches, and how its Job is made.

    `score` names the column of the history that tells how good a run is; `says` is a format
    string for the last row's columns and for {part}, what was scored on: the `part` that is held
    out, or the validation part. `minutes` is the time on two cores.
    """

    name: str
    title: str
    data: str
    expects: str
    minutes: float
    settings: type[Settings]
    prepare: Callable[[Any], Job]
    says: str = "{val_accuracy:.2%} of the {part} samples are right"
    part: str = "test"
    score: str = "val_accuracy"
    lower_is_better: bool = False
    pictures: tuple[str, ...] = ("mistakes.png",)

    def files(self) -> tuple[str, ...]:
        """What a finished run leaves beside its config, metrics and checkpoints."""
        return (MODEL, CURVES, *self.pictures)

    def result(self, history: History) -> float:
        """The score of a run: that of the weights it ends with; NaN before the first epoch."""
        return float(history.rows[-1][self.score]) if history.rows else math.nan

    def said(self, settings: Settings, history: History) -> str:
        """What a run has reached, in words."""
        part = "validation" if settings.validation else self.part
        said = self.says.format(part=part, **history.rows[-1])
        return f"smoke test, on little data: {said}" if settings.smoke else said


def train_recipe(
    recipe: Recipe,
    settings: Settings,
    folder: Path,
    *,
    resume: bool = False,
    progress: Progress | None = None,
) -> History:
    """Train in a run folder, or go on there, and leave the model and the pictures."""
    job = start(recipe, settings)
    history = _fit_or_keep(
        folder / MODEL,
        job,
        epochs=settings.epochs,
        run_dir=folder,
        resume=resume,
        checkpoint_every_seconds=10.0,
        progress=progress,
    )
    save(job.model.state_dict(), folder / MODEL)
    plot_curves(history, folder / CURVES)
    for name in recipe.pictures:
        job.pictures[name](folder / name)
    return history


def start(recipe: Recipe, settings: Settings) -> Job:
    """The Job at its beginning: the same settings give the same weights and batches."""
    if settings.threads is not None:
        bl.set_num_threads(settings.threads)
    bl.manual_seed(settings.seed)
    return recipe.prepare(settings)


def parts(
    settings: Settings, read: Callable[[Any, bool], Any], shuffle: bool = True
) -> tuple[Any, Any]:
    """What a recipe learns from and what it is scored on, by its own `read(settings, train)`.

    With `validation` the test part is not even read; `shuffle` as in `validation_split`.
    """
    training = read(settings, True)
    if settings.validation:
        return validation_split(training, settings.validation, shuffle)
    return training, read(settings, False)


def one_cycle(settings: Settings, optimizer: Any, batches: Any, **options: Any) -> Any:
    """A schedule per batch that rises to `lr` and falls to almost nothing at the last step."""
    return bl.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.lr, total_steps=settings.epochs * len(batches), **options
    )


def fit_job(job: Job, **arguments: Any) -> History:
    """`fit` with what the Job holds; `arguments` are the rest of its arguments."""
    callbacks = [*job.callbacks, *arguments.pop("callbacks", ())]
    return fit(
        job.model,
        job.train_data,
        loss=job.loss,
        optimizer=job.optimizer,
        val_data=job.val_data,
        metrics=job.metrics,
        scheduler=job.scheduler,
        scheduler_per_batch=job.scheduler_per_batch,
        clip_grad_norm=job.clip_grad_norm,
        callbacks=callbacks,
        **arguments,
    )


def classification(
    settings: Settings,
    model: Any,
    optimizer: Any,
    batches: Any,
    val_batches: Any,
    draw: Callable[[Path], Any],
    clip_grad_norm: float | None = None,
    label_smoothing: float = 0.0,
    **cycle: Any,
) -> Job:
    """Cross-entropy, accuracy, one cycle of the learning rate, and a picture of mistakes.

    `draw` makes mistakes.png; `cycle` are options of the schedule.
    """
    return Job(
        model=model,
        train_data=batches,
        val_data=val_batches,
        loss=partial(cross_entropy, label_smoothing=label_smoothing),
        optimizer=optimizer,
        metrics=["accuracy"],
        scheduler=one_cycle(settings, optimizer, batches, **cycle),
        scheduler_per_batch=True,
        clip_grad_norm=clip_grad_norm,
        pictures={"mistakes.png": draw},
    )


def _fit_or_keep(path: Path, job: Job, **arguments: Any) -> History:
    """Fit; where the disk is too full for the last checkpoint, leave at least the weights."""
    try:
        return fit_job(job, **arguments)
    except CheckpointError as error:
        if job.scheduler is None or job.scheduler.last_epoch > 0:
            with suppress(CheckpointError):
                save(job.model.state_dict(), path)
                error.add_note(f"the weights alone are in {path}")
        raise
