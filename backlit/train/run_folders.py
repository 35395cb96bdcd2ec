"""Folders of runs: a new one with its config.json, an old one found again, settings read back.

Owns names of runs and the settings as text, of the command line and of config.json. What a
recipe is, and what it leaves in the folder, is recipe.py's.
"""

from __future__ import annotations

import json
import math
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import backlit as bl
from backlit.errors import ArgumentError, CheckpointError, DataError
from backlit.files import atomic_write, saving
from backlit.train.recipe import Recipe, Settings
from backlit.train.recipes import find

CONFIG = "config.json"
LEAST = {"epochs": 1, "batch_size": 1, "threads": 1}


def settings_from_text(recipe: Recipe, given: Mapping[str, str]) -> Settings:
    """A recipe's settings, some given as text. Raises ArgumentError for unknown or unfit ones.

    >>> from backlit.train import recipes, run_folders
    >>> run_folders.settings_from_text(recipes.find("digits"), {"epochs": "2"}).epochs
    2
    """
    names = {field.name for field in fields(recipe.settings)}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ArgumentError(
            f"train: {recipe.name} has no setting --{unknown[0].replace('_', '-')}",
            hint=", ".join(f"--{name.replace('_', '-')}" for name in sorted(names)),
        )
    kinds = get_type_hints(recipe.settings)
    values = {name: _value(name, text, kinds[name]) for name, text in given.items()}
    return recipe.settings(**values)


def _value(name: str, text: str, kind: Any) -> Any:
    """Text as the type of its field."""
    kind = next((k for k in get_args(kind) if k is not type(None)), kind)
    if kind is bool:
        if text.lower() in ("true", "1", "yes"):
            return True
        if text.lower() in ("false", "0", "no"):
            return False
    try:
        value = kind(text)
    except ValueError:
        value = None
    fits = kind is str or (value is not None and LEAST.get(name, 0) <= value < math.inf)
    if value is None or kind is bool or not fits:
        least = f" of at least {LEAST[name]}" if name in LEAST else ""
        said = {
            bool: "true or false",
            int: f"a whole number{least}",
            float: "a number, not below 0",
        }
        raise ArgumentError(f"train: --{name.replace('_', '-')} {text}: expected {said[kind]}")
    return value


def is_complete(recipe: Recipe, folder: Path) -> bool:
    """Whether everything that a run leaves at its end is there."""
    return all((folder / name).exists() for name in recipe.files())


def new_run(runs: Path, name: str, recipe: Recipe, settings: Settings) -> Path:
    """A new folder with its config.json, both at once or not at all; a taken name gets a number."""
    if Path(name).name != name or name.startswith("."):
        raise ArgumentError(f"train: {name!r} can't be a run's name", hint="letters, digits, -, _")
    with saving(runs):
        runs.mkdir(parents=True, exist_ok=True)
        draft = runs / f".new-{secrets.token_hex(4)}"
        draft.mkdir()
        try:
            with atomic_write(draft / CONFIG) as file:
                config = {"recipe": recipe.name, **asdict(settings), "backlit": bl.__version__}
                file.write(json.dumps(config, indent=1).encode())
            return _named(draft, name)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def _named(draft: Path, name: str) -> Path:
    """The folder under its name, or under the first number of it that is free."""
    number, folder = 1, draft.with_name(name)
    while True:
        try:
            if not folder.exists():
                return draft.rename(folder)
        except OSError:
            if not folder.exists():  # else another run was faster
                raise
        number += 1
        folder = draft.with_name(f"{name}-{number}")


def discard_unstarted(folder: Path) -> None:
    """Remove a run that ended before its first checkpoint: nothing of it could be resumed."""
    if not any(folder.glob("checkpoints/*.json")):
        shutil.rmtree(folder, ignore_errors=True)


def find_run(runs: Path, name: str | None) -> Path:
    """The folder of a run by name, or the one that was trained last."""
    if name is not None:
        if (runs / name / CONFIG).is_file():
            return runs / name
        have = ", ".join(sorted(folder.name for folder in _all_runs(runs)))
        raise CheckpointError(
            f"train: there is no run {name!r} in {runs}",
            hint=f"there are: {have}" if have else "start one with: backlit train",
        )
    found = _all_runs(runs)
    if not found:
        raise CheckpointError(f"train: there is no run in {runs}", hint="start one: backlit train")
    return max(found, key=_last_touched)


def _all_runs(runs: Path) -> list[Path]:
    """The folders of runs; those that were killed at their making are hidden ones."""
    return [file.parent for file in runs.glob(f"[!.]*/{CONFIG}")]


def read_settings(folder: Path, given: Mapping[str, str]) -> tuple[Recipe, Settings]:
    """Recipe and settings of a run; ArgumentError where given ones differ, DataError if damaged."""
    path = folder / CONFIG
    try:
        config = json.loads(path.read_bytes())
        recipe = find(config["recipe"])
        names = [field.name for field in fields(recipe.settings)]
        settings = recipe.settings(**{name: config[name] for name in names if name in config})
    except (ValueError, TypeError, KeyError, ArgumentError):
        raise DataError(f"{path} is damaged: not the settings of a run") from None
    asked = settings_from_text(recipe, given)
    for name in given:
        value, kept = getattr(asked, name), getattr(settings, name)
        if value != kept:
            raise ArgumentError(
                f"train: --{name.replace('_', '-')} {value} differs from the "
                f"{kept} of the run {folder.name}",
                hint="a resumed run keeps its settings; start a new one without --resume",
            )
    return recipe, settings


def _last_touched(folder: Path) -> float:
    places = (folder, folder / "checkpoints")
    return max(place.stat().st_mtime for place in places if place.exists())
