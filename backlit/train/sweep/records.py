"""What a sweep was asked for and what it has tried, in memory and as files of its folder.

sweep.json holds the Plan; trials.jsonl a line for each trial, replaced whole after every training,
so that a kill loses at most the one under way; test.json what the best settings reach on the test
part. Knows nothing of how trials are chosen.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError, CheckpointError, DataError
from backlit.files import atomic_write, saving
from backlit.train.recipe import Recipe, Settings
from backlit.train.recipes import find
from backlit.train.run_folders import settings_from_text
from backlit.train.sweep.space import Space, read_space

PLAN, TRIALS, TEST = "sweep.json", "trials.jsonl", "test.json"
VALIDATION = "0.1"  # share of the training part that settings are chosen on
FINISHED, PRUNED, DIVERGED, FAILED = "finished", "pruned", "diverged", "failed"
UNDER_WAY = "under way"


@dataclass
class Plan:
    """What is tried: settings that stay, settings that vary, seeds, number of trials.

    Settings are chosen on a validation part, unless the given `validation` is 0.
    """

    recipe: Recipe
    given: Mapping[str, str]
    over: tuple[str, ...]
    seeds: tuple[int, ...] = (0, 1, 2)
    budget: int = 20

    def __post_init__(self) -> None:
        if self.budget < 1:
            raise ArgumentError(f"sweep: --budget {self.budget}: at least one trial")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            shown = ",".join(map(str, self.seeds))
            raise ArgumentError(f"sweep: --seeds {shown}: different numbers from 0, such as 0,1,2")
        if "seed" in self.given:
            raise ArgumentError("sweep: --seed is for one training", hint="--seeds 0,1,2")
        self.given = {"validation": VALIDATION, **self.given}
        self.settings: Settings = settings_from_text(self.recipe, self.given)
        self.space: Space = read_space(self.recipe, self.over, self.given)


@dataclass
class SeedRun:
    """One training of a trial: its score, after each epoch and at the end."""

    seed: int
    score: float
    scores: list[float]
    seconds: float


@dataclass
class Trial:
    """Values that are tried together, and a training with them for each seed."""

    number: int
    params: dict[str, Any]
    state: str = UNDER_WAY
    runs: list[SeedRun] = field(default_factory=list)

    @property
    def score(self) -> float:
        """The median over the seeds; NaN before the first."""
        scores = [run.score for run in self.runs if math.isfinite(run.score)]
        return median(scores) if scores else math.nan

    @property
    def seconds(self) -> float:
        return sum(run.seconds for run in self.runs)


@dataclass
class Sweep:
    """A plan and the trials made so far, in a folder; `test` is the best one on the test part."""

    folder: Path
    plan: Plan
    trials: list[Trial] = field(default_factory=list)
    test: Trial | None = None

    def ended(self) -> list[Trial]:
        """Those that nothing is added to."""
        return [trial for trial in self.trials if trial.state != UNDER_WAY]

    def best(self) -> Trial | None:
        """The finished trial with the best median over the seeds; the earliest of equals."""
        finished = [trial for trial in self.trials if trial.state == FINISHED]
        sign = 1 if self.plan.recipe.lower_is_better else -1
        return min(finished, key=lambda trial: sign * trial.score, default=None)

    def write(self) -> None:
        """Replace trials.jsonl and test.json; CheckpointError where they can't be written."""
        _write_trials(self.folder / TRIALS, self.trials)
        if self.test is not None:
            _write_trials(self.folder / TEST, [self.test])


def new_sweep(sweeps: Path, name: str, plan: Plan) -> Sweep:
    """A new folder with its plan; a taken name gets a number."""
    if Path(name).name != name or name.startswith("."):
        raise ArgumentError(f"sweep: {name!r} can't be a name", hint="letters, digits, -, _")
    number = 1
    with saving(sweeps):
        sweeps.mkdir(parents=True, exist_ok=True)
        while True:
            folder = sweeps / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                number += 1
                continue
            write_plan(folder, plan)
            return Sweep(folder, plan)


def write_plan(folder: Path, plan: Plan) -> None:
    """sweep.json, so that a sweep can be resumed."""
    config = {"recipe": plan.recipe.name, "given": dict(plan.given), "over": plan.over,
              "seeds": plan.seeds, "budget": plan.budget, "backlit": bl.__version__}  # fmt: skip
    with saving(folder / PLAN), atomic_write(folder / PLAN) as file:
        file.write(json.dumps(config, indent=1).encode())


def _write_trials(path: Path, trials: list[Trial]) -> None:
    lines = "".join(json.dumps(_without_nan(asdict(trial))) + "\n" for trial in trials)
    with saving(path), atomic_write(path) as file:
        file.write(lines.encode())


def find_sweep(sweeps: Path, name: str | None) -> Path:
    """The folder of a sweep by name, or the one that was worked on last."""
    folders = sorted(file.parent for file in sweeps.glob(f"*/{PLAN}"))
    if name is not None:
        if sweeps / name in folders:
            return sweeps / name
        have = ", ".join(folder.name for folder in folders)
        raise CheckpointError(
            f"sweep: there is no sweep {name!r} in {sweeps}",
            hint=f"there are: {have}" if have else None,
        )
    if not folders:
        raise CheckpointError(f"sweep: there is no sweep in {sweeps}")
    return max(folders, key=lambda folder: folder.stat().st_mtime)


def read_sweep(folder: str | os.PathLike[str]) -> Sweep:
    """A sweep as it was left. Raises DataError where one of its files is damaged."""
    folder = Path(folder)
    path = folder / PLAN
    try:
        config = json.loads(path.read_bytes())
        plan = Plan(
            find(config["recipe"]),
            # A sweep of older versions was scored on the test part.
            {"validation": "0", **{str(name): str(text) for name, text in config["given"].items()}},
            tuple(config["over"]),
            tuple(config["seeds"]),
            config["budget"],
        )
        sweep = Sweep(folder, plan)
        path = folder / TRIALS
        if path.exists():
            sweep.trials = [_read_trial(line) for line in path.read_text().splitlines()]
        path = folder / TEST
        if path.exists():
            sweep.test = _read_trial(path.read_text())
    except (ValueError, TypeError, KeyError, AttributeError, ArgumentError):
        raise DataError(f"{path} is damaged: not the record of a sweep") from None
    return sweep


def _read_trial(line: str) -> Trial:
    row = json.loads(line)
    runs = [
        SeedRun(r["seed"], _number(r["score"]), [_number(s) for s in r["scores"]], r["seconds"])
        for r in row["runs"]
    ]
    return Trial(row["number"], dict(row["params"]), row["state"], runs)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _without_nan(value: Any) -> Any:
    """JSON has no NaN: null stands for it."""
    if isinstance(value, dict):
        return {key: _without_nan(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
