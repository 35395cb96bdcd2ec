"""What a sweep has found: a table, results.csv, report.png, and the command that trains the best.

Owns how trials are shown; reads the records and changes nothing.
"""

from __future__ import annotations

import csv
import io
import math
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from backlit.figures import new_figure, write_png
from backlit.files import atomic_write, saving
from backlit.train.progress import clock
from backlit.train.sweep.records import FINISHED, Sweep, Trial
from backlit.train.sweep.space import Choices, Range

CSV, PNG = "results.csv", "report.png"
SHOWN = 15  # trials in the table
INK, PALE = "#4878a8", "#c8c8c8"


def write_report(sweep: Sweep) -> None:
    """results.csv, a row for each training, and report.png; CheckpointError where refused."""
    _write_csv(sweep)
    if any(math.isfinite(trial.score) for trial in sweep.trials):
        _draw(sweep)


def show_report(sweep: Sweep) -> None:
    """Print the best trials, how the sweep stands, and the command for the best settings."""
    from rich.console import Console

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    console.print(_table(sweep))
    states = [trial.state for trial in sweep.trials]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    seconds = sum(trial.seconds for trial in sweep.trials)
    print(f"{counts or 'no trial was made'} in {clock(seconds)}; see {sweep.folder}")
    print(chosen_on(sweep))
    if sweep.test is not None and sweep.test.runs:
        print(_tested(sweep, sweep.test))
    best = sweep.best()
    if best is not None:
        print(f"best {sweep.plan.recipe.score}: {best.score:.4f} with\n  {best_command(sweep)}")


def chosen_on(sweep: Sweep) -> str:
    """Which data the scores of the trials are of."""
    recipe, share = sweep.plan.recipe, sweep.plan.settings.validation
    if not share:
        return f"chosen on the {recipe.part} part: its scores flatter the best trial"
    text = f"chosen on {100 * share:g} % of the training part"
    return text if sweep.test is not None else f"{text}; the {recipe.part} part was not used"


def _tested(sweep: Sweep, test: Trial) -> str:
    recipe = sweep.plan.recipe
    scores = ", ".join(f"{run.score:.4f}" for run in test.runs)
    return (
        f"trial {test.number} on the {recipe.part} part, after the whole training part: "
        f"{recipe.score} {test.score:.4f} ({scores})"
    )


def best_command(sweep: Sweep) -> str:
    """The `backlit train` line with the best settings and the whole training part; empty where no
    trial is finished."""
    best = sweep.best()
    if best is None:
        return ""
    settings = {**sweep.plan.given, **best.params}
    del settings["validation"]
    words = ["backlit", "train", sweep.plan.recipe.name]
    if settings.pop("smoke", "") == "true":
        words.append("--smoke")
    for name, value in settings.items():
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def ranked(sweep: Sweep) -> list[Trial]:
    """The trials, finished ones first, the best first."""
    sign = 1 if sweep.plan.recipe.lower_is_better else -1

    def key(trial: Trial) -> tuple[bool, float]:
        score = sign * trial.score
        return trial.state != FINISHED, score if math.isfinite(score) else math.inf

    return sorted(sweep.trials, key=key)


def _table(sweep: Sweep) -> Any:
    from rich.table import Table

    names = list(sweep.plan.space)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("trial", *names, sweep.plan.recipe.score, "lowest", "highest", "time", "state"):
        table.add_column(column, justify="left" if column == "state" else "right")
    for trial in ranked(sweep)[:SHOWN]:
        scores = [run.score for run in trial.runs]
        numbers = [trial.score, *((min(scores), max(scores)) if scores else (math.nan,) * 2)]
        table.add_row(
            str(trial.number),
            *(str(trial.params[name]) for name in names),
            *("" if math.isnan(number) else f"{number:.4f}" for number in numbers),
            clock(trial.seconds),
            trial.state,
        )
    return table


def _write_csv(sweep: Sweep) -> None:
    names = list(sweep.plan.space)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["trial", "state", *names, "seed", sweep.plan.recipe.score, "epochs", "seconds"]
    )
    for trial in sweep.trials:
        values = [trial.number, trial.state, *(trial.params[name] for name in names)]
        for run in trial.runs:
            writer.writerow([*values, run.seed, run.score, len(run.scores), run.seconds])
        if not trial.runs:
            writer.writerow([*values, "", "", "", ""])
    with saving(sweep.folder / CSV), atomic_write(sweep.folder / CSV) as file:
        file.write(text.getvalue().encode())


def _draw(sweep: Sweep) -> None:
    """The best so far, and the score against each setting that was tried."""
    names = list(sweep.plan.space)
    columns = min(3, 1 + len(names))
    rows = math.ceil((1 + len(names)) / columns)
    figure = new_figure(4.2 * columns, 3.3 * rows)
    score = sweep.plan.recipe.score.replace("_", " ")
    _draw_progress(figure.add_subplot(rows, columns, 1), sweep, score)
    for number, name in enumerate(names, 2):
        axes = figure.add_subplot(rows, columns, number)
        _draw_setting(axes, sweep, name, sweep.plan.space[name])
        axes.set_xlabel(name.replace("_", " "))
        axes.set_ylabel(score)
    for axes in figure.axes:
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    write_png(figure, sweep.folder / PNG)


def _draw_progress(axes: Any, sweep: Sweep, score: str) -> None:
    finished = [trial for trial in sweep.trials if trial.state == FINISHED]
    best = np.minimum if sweep.plan.recipe.lower_is_better else np.maximum
    _scatter(axes, sweep, {trial.number: trial.number for trial in sweep.trials})
    if finished:
        numbers = [*(trial.number for trial in finished), len(sweep.trials)]
        so_far = best.accumulate([*(trial.score for trial in finished), finished[-1].score])
        axes.step(numbers, so_far, where="post", color=INK, label="best so far")
        axes.legend(frameon=False, fontsize=8)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("trial (pale: pruned)")
    axes.set_ylabel(score)


def _draw_setting(axes: Any, sweep: Sweep, name: str, values: Range | Choices) -> None:
    if isinstance(values, Choices):
        order = list(values.values)
        places = {trial.number: order.index(trial.params[name]) for trial in sweep.trials}
        axes.set_xticks(range(len(order)), [str(value) for value in order])
        axes.set_xlim(-0.5, len(order) - 0.5)
    else:
        places = {trial.number: trial.params[name] for trial in sweep.trials}
        if values.log:
            axes.set_xscale("log")
    _scatter(axes, sweep, places)


def _scatter(axes: Any, sweep: Sweep, places: Mapping[int, float]) -> None:
    """Every training as a point; pale where its trial was not finished."""
    for trial in sweep.trials:
        colour = INK if trial.state == FINISHED else PALE
        for run in trial.runs:
            axes.plot(places[trial.number], run.score, "o", color=colour, markersize=4, alpha=0.8)
