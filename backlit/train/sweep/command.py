"""What `backlit sweep` does: open a sweep, new or old, make its trials, report.

The command line itself (options, exit codes, how errors look) is cli.py's.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from backlit.errors import ArgumentError
from backlit.files import sole_writer
from backlit.train.recipes import find
from backlit.train.sweep.records import (
    Plan,
    Sweep,
    find_sweep,
    new_sweep,
    read_sweep,
    write_plan,
)
from backlit.train.sweep.report import show_report, write_report
from backlit.train.sweep.run import run_sweep, score_best
from backlit.train.sweep.search import optuna_package

SEEDS, BUDGET, SWEEPS = "0,1,2", 20, Path("sweeps")


def open_sweep(
    which: str | None,
    given: Mapping[str, str],
    *,
    over: Sequence[str] = (),
    seeds: str | None = None,
    budget: int | None = None,
    name: str | None = None,
    sweeps: Path = SWEEPS,
    resume: bool = False,
    test: bool = False,
) -> Sweep:
    """The sweep of a recipe that was asked for: a new folder, or an old one.

    Raises ArgumentError for what can't be swept, CheckpointError where there is none to resume,
    NotAvailable without Optuna.
    """
    optuna_package()
    if resume:
        if given or over or seeds is not None or name is not None:
            raise ArgumentError(
                "sweep: a resumed sweep keeps its plan",
                hint="only --budget, --minutes and --test go with --resume",
            )
        return _resumed(find_sweep(sweeps, which), budget, test)
    plan = Plan(
        find(which or "digits"),
        given,
        tuple(over),
        _read_seeds(SEEDS if seeds is None else seeds),
        BUDGET if budget is None else budget,
    )
    _check_test(plan, test)
    return new_sweep(sweeps, name or plan.recipe.name, plan)


def run_and_report(sweep: Sweep, *, minutes: float | None = None, test: bool = False) -> None:
    """Make the trials, test the best if asked to, and show the report; say how to go on."""
    with sole_writer(sweep.folder):
        _run_and_report(sweep, minutes, test)


def _run_and_report(sweep: Sweep, minutes: float | None, test: bool) -> None:
    print(f"sweep {sweep.folder}", flush=True)
    try:
        run_sweep(sweep, minutes=minutes, say=_say)
        if test:
            score_best(sweep, say=_say)
    except BaseException as failure:
        if not sweep.trials:
            shutil.rmtree(sweep.folder, ignore_errors=True)
        elif isinstance(failure, KeyboardInterrupt):
            _report(sweep)
        raise
    _report(sweep)


def _report(sweep: Sweep) -> None:
    write_report(sweep)
    show_report(sweep)
    if len(sweep.ended()) < sweep.plan.budget:
        where = "" if sweep.folder.parent == SWEEPS else f" --sweeps {sweep.folder.parent}"
        print(f"go on with: backlit sweep --resume {sweep.folder.name}{where}", file=sys.stderr)


def _say(text: str) -> None:
    print(text, flush=True)


def _check_test(plan: Plan, test: bool) -> None:
    if test and not plan.settings.validation:
        raise ArgumentError(
            "sweep: --test: these settings are chosen on the test part",
            hint="leave --validation 0 away, and a part of the training part chooses",
        )


def _resumed(folder: Path, budget: int | None, test: bool) -> Sweep:
    """The sweep of a folder, with a larger budget if one is given."""
    sweep = read_sweep(folder)
    _check_test(sweep.plan, test)
    if budget is not None and budget != sweep.plan.budget:
        if budget < len(sweep.trials):
            raise ArgumentError(f"sweep: --budget {budget}: {len(sweep.trials)} trials are made")
        sweep.plan.budget = budget
        write_plan(folder, sweep.plan)
    return sweep


def _read_seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ArgumentError(
            f"sweep: --seeds {text}: expected whole numbers, such as 0,1,2"
        ) from None
