"""The loop of a sweep: propose values, train with them for each seed, write down, until the end.

Owns the budget and the time; a trial's first training may be pruned, the others are whole. At the
end the best settings may be scored on the test part. What is proposed is search.py's, what is kept
records.py's.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from backlit.errors import ArgumentError, BacklitError, DivergedError
from backlit.train.callbacks import Callback
from backlit.train.progress import clock
from backlit.train.recipe import Recipe, fit_job, start
from backlit.train.run import Run
from backlit.train.sweep.records import (
    DIVERGED,
    FAILED,
    FINISHED,
    PRUNED,
    UNDER_WAY,
    SeedRun,
    Sweep,
    Trial,
)
from backlit.train.sweep.search import Proposal

Say = Callable[[str], Any]


class OutOfTime(Exception):
    """The minutes of a sweep are over."""


class Watch(Callback):
    """Gathers the score of every epoch, and ends a training that is late or falls behind."""

    def __init__(self, recipe: Recipe, proposal: Proposal | None, deadline: float):
        self.recipe, self.proposal, self.deadline = recipe, proposal, deadline
        self.scores: list[float] = []
        self.pruned = False

    def on_batch(self, run: Run) -> None:
        if time.monotonic() > self.deadline:
            raise OutOfTime

    def on_epoch(self, run: Run, row: dict[str, Any]) -> None:
        self.scores.append(row[self.recipe.score])
        if self.proposal is not None and self.proposal.falls_behind(
            len(self.scores), self.scores[-1]
        ):
            self.pruned = True
            run.stop("pruned")


def run_sweep(sweep: Sweep, *, minutes: float | None = None, say: Say = print) -> Sweep:
    """Make trials until the plan's budget or the minutes are used; returns the sweep.

    The files of its folder are current after every training; Ctrl-C loses the one under way.
    Raises what a recipe raises before any trial is finished; later a trial just fails.
    """
    if minutes is not None and not minutes > 0:
        raise ArgumentError(f"sweep: --minutes {minutes:g} must be above zero")
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    while len(sweep.ended()) < sweep.plan.budget:
        trial, proposal = _next_trial(sweep)
        try:
            _go_on(sweep, trial, proposal, deadline, say)
        except OutOfTime:
            say(f"{minutes:g} minutes are over")
            break
    return sweep


def score_best(sweep: Sweep, *, say: Say = print) -> Trial | None:
    """Train the best settings on the whole training part for each seed, and score the test part.

    Only once: what was begun is gone on with, what is finished stays, whatever trials came later.
    None where no trial is finished.
    """
    if sweep.test is None:
        best = sweep.best()
        if best is None:
            return None
        sweep.test = Trial(best.number, best.params)
    found = sweep.test
    for seed in sweep.plan.seeds[len(found.runs) :] if found.state == UNDER_WAY else ():
        watch = Watch(sweep.plan.recipe, None, math.inf)
        failure = _train(sweep, found, seed, watch, validation=0.0)
        if not failure and len(found.runs) == len(sweep.plan.seeds):
            found.state = FINISHED
        if found.state == FAILED:  # such as data that is not there: it may be by the next time
            found.state = UNDER_WAY
        sweep.write()
        say(_line(sweep, found, seed, failure, head=f"test of trial {found.number}"))
        if failure:
            break
    return found


def _next_trial(sweep: Sweep) -> tuple[Trial, Proposal | None]:
    """The trial that was left under way, or a new one, which is written down with its first run."""
    if sweep.trials and sweep.trials[-1].state == UNDER_WAY:
        return sweep.trials[-1], None
    proposal = Proposal(sweep)
    return Trial(len(sweep.trials) + 1, proposal.params), proposal


def _go_on(
    sweep: Sweep, trial: Trial, proposal: Proposal | None, deadline: float, say: Say
) -> None:
    """The trainings of a trial that are still to do."""
    for seed in sweep.plan.seeds[len(trial.runs) :]:
        watch = Watch(sweep.plan.recipe, None if trial.runs else proposal, deadline)
        failure = _train(sweep, trial, seed, watch)
        if watch.pruned:
            trial.state = PRUNED
        elif not failure and len(trial.runs) == len(sweep.plan.seeds):
            trial.state = FINISHED
        if trial not in sweep.trials:
            sweep.trials.append(trial)
        sweep.write()
        say(_line(sweep, trial, seed, failure))
        if trial.state != UNDER_WAY:
            return


def _train(sweep: Sweep, trial: Trial, seed: int, watch: Watch, **more: Any) -> str:
    """One training, added to the trial; what went wrong, if anything."""
    plan = sweep.plan
    settings = replace(plan.settings, seed=seed, **trial.params, **more)
    began = time.perf_counter()
    try:
        job = start(plan.recipe, settings)
        history = fit_job(job, epochs=settings.epochs, callbacks=[watch], progress=False)
        score = plan.recipe.result(history)
        if not math.isfinite(score):
            raise DivergedError(f"{plan.recipe.score} is {score}")
    except DivergedError:
        trial.state = DIVERGED
        return DIVERGED
    except BacklitError as error:
        if sweep.best() is None:
            error.add_note(f"trial {trial.number}: {_values(trial)}, seed {seed}")
            raise
        trial.state = FAILED
        return f"{FAILED}: {error.message}"
    seconds = round(time.perf_counter() - began, 3)
    trial.runs.append(SeedRun(seed, score, watch.scores, seconds))
    return ""


def _line(sweep: Sweep, trial: Trial, seed: int, failure: str, head: str = "") -> str:
    head = head or f"trial {trial.number}/{sweep.plan.budget}"
    head = f"{head}  {_values(trial)}  seed {seed}"
    if failure:
        return f"{head}  {failure}"
    run = trial.runs[-1]
    pruned = f"  pruned after epoch {len(run.scores)}" if trial.state == PRUNED else ""
    return f"{head}  {sweep.plan.recipe.score} {run.score:.4f}  {clock(run.seconds)}{pruned}"


def _values(trial: Trial) -> str:
    return "  ".join(f"{name} {value}" for name, value in trial.params.items())
