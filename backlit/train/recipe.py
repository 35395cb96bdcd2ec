"""The main job: a LeNet-style network on handwritten digits, as `backlit train` runs it.

Owns the settings of such a run and the folder it leaves: config.json, metrics.jsonl,
checkpoints/, model.safetensors, curves.png, mistakes.png. How training works is fit.py's.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError, CheckpointError, DataError
from backlit.files import atomic_write, saving
from backlit.models.lenet import LeNet
from backlit.nn.functional import cross_entropy
from backlit.serialization import save
from backlit.train.fit import fit
from backlit.train.history import History
from backlit.train.plots import plot_curves, plot_mistakes
from backlit.train.progress import Progress

CONFIG, MODEL, CURVES, MISTAKES = "config.json", "model.safetensors", "curves.png", "mistakes.png"
VALIDATION_BATCH = 500


@dataclass
class Settings:
    """What decides every bit of a run; a resumed run reads it from config.json."""

    data: str | None = None  # None: the digits in the package
    epochs: int = 4
    batch_size: int = 100
    lr: float = 0.004
    seed: int = 0
    threads: int | None = None


def train_digits(
    settings: Settings, folder: Path, *, resume: bool = False, progress: Progress | None = None
) -> History:
    """Train in a run folder, or go on there, and leave the model and the pictures."""
    if settings.threads is not None:
        bl.set_num_threads(settings.threads)
    bl.manual_seed(settings.seed)
    training = bl.data.digits("train", settings.data)
    held_out = bl.data.digits("val", settings.data)
    batches = bl.data.DataLoader(training, settings.batch_size, shuffle=True)
    val_batches = bl.data.DataLoader(held_out, VALIDATION_BATCH)
    model = LeNet()
    optimizer = bl.optim.Adam(model.parameters(), lr=settings.lr)
    scheduler = bl.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=settings.lr, total_steps=settings.epochs * len(batches)
    )
    history = _fit_or_keep(
        folder / MODEL,
        model,
        batches,
        loss=cross_entropy,
        optimizer=optimizer,
        epochs=settings.epochs,
        val_data=val_batches,
        metrics=["accuracy"],
        scheduler=scheduler,
        scheduler_per_batch=True,
        run_dir=folder,
        resume=resume,
        checkpoint_every_seconds=10.0,
        progress=progress,
    )
    save(model.state_dict(), folder / MODEL)
    plot_curves(history, folder / CURVES)
    plot_mistakes(model, val_batches, folder / MISTAKES, classes=held_out.classes)
    return history


def _fit_or_keep(path: Path, model: Any, batches: Any, **arguments: Any) -> History:
    """Fit; where the disk is too full for the last checkpoint, leave at least the weights."""
    try:
        return fit(model, batches, **arguments)
    except CheckpointError as error:
        if arguments["scheduler"].last_epoch > 0:
            with suppress(CheckpointError):
                save(model.state_dict(), path)
                error.add_note(f"the weights alone are in {path}")
        raise


def is_complete(folder: Path) -> bool:
    """Whether everything that a run leaves at its end is there."""
    return all((folder / name).exists() for name in (MODEL, CURVES, MISTAKES))


def new_run(runs: Path, name: str, settings: Settings) -> Path:
    """A new folder with its config.json, both at once or not at all; a taken name gets a number."""
    if Path(name).name != name or name.startswith("."):
        raise ArgumentError(f"train: {name!r} can't be a run's name", hint="letters, digits, -, _")
    with saving(runs):
        runs.mkdir(parents=True, exist_ok=True)
        draft = runs / f".new-{secrets.token_hex(4)}"
        draft.mkdir()
        with atomic_write(draft / CONFIG) as file:
            config = {"recipe": "digits", **asdict(settings), "backlit": bl.__version__}
            file.write(json.dumps(config, indent=1).encode())
        number = 1
        while True:
            folder = runs / (name if number == 1 else f"{name}-{number}")
            number += 1
            if folder.exists():
                continue
            try:
                os.rename(draft, folder)
            except FileExistsError:
                continue
            except OSError:
                if not folder.exists():
                    raise
                continue
            return folder


def discard_unstarted(folder: Path) -> None:
    """Remove a run that ended before its first checkpoint: nothing of it could be resumed."""
    if not any(folder.glob("checkpoints/*.json")):
        shutil.rmtree(folder, ignore_errors=True)


def find_run(runs: Path, name: str | None) -> Path:
    """The folder of a run by name, or the one that was trained last."""
    if name is not None:
        if (runs / name / CONFIG).is_file():
            return runs / name
        have = ", ".join(sorted(f.parent.name for f in runs.glob(f"*/{CONFIG}")))
        raise CheckpointError(
            f"train: there is no run {name!r} in {runs}",
            hint=f"there are: {have}" if have else "start one with: backlit train",
        )
    found = [file.parent for file in runs.glob(f"*/{CONFIG}")]
    if not found:
        raise CheckpointError(f"train: there is no run in {runs}", hint="start one: backlit train")
    return max(found, key=_last_touched)


def read_settings(folder: Path, given: dict[str, Any]) -> Settings:
    """The settings of a run; ArgumentError where given ones differ, DataError if unreadable."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_bytes())
        settings = Settings(**{field.name: config[field.name] for field in fields(Settings)})
    except (ValueError, TypeError, KeyError):
        raise DataError(f"{path} is damaged: not the settings of a run") from None
    for name, value in given.items():
        if value is not None and value != getattr(settings, name):
            raise ArgumentError(
                f"train: --{name.replace('_', '-')} {value} differs from the "
                f"{getattr(settings, name)} of the run {folder.name}",
                hint="a resumed run keeps its settings; start a new one without --resume",
            )
    return settings


def _last_touched(folder: Path) -> float:
    places = (folder, folder / "checkpoints")
    return max(place.stat().st_mtime for place in places if place.exists())
