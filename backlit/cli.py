"""The command line: `backlit train`, `recipes`, `sweep`, `see`, `errata`, `version`.

Owns options, exit codes (0 done, 1 error, 2 wrong usage, 130 interrupted) and how errors look.
What a command does lives where it belongs: train, views/command.py, errata. Imports
of the package are inside the commands, so that `backlit --help` answers at once.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

WRONG_USAGE, INTERRUPTED = 2, 130
app = typer.Typer(
    name="backlit",
    help="Train neural networks by backpropagation, and see it happen.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def backlit() -> None:
    """Train neural networks by backpropagation, and see it happen."""


@app.command(
    context_settings={"ignore_unknown_options": True},
    epilog="`backlit recipes` lists the recipes, `backlit recipes NAME` the settings of one.",
)
def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE|--SETTING VALUE",
            help="digits if left out. With --resume: the run, else the last one trained.",
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The new run's name; the recipe's if left out.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on exactly where a run stopped.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Seconds on little data, to see that it works.")
    ] = False,
) -> None:
    """Train a recipe; its settings are options, such as --epochs 3 --lr 0.1."""
    if name is not None and resume:
        raise typer.BadParameter("--name is for a new run; write --resume NAME")
    which, given = _recipe_and_settings(words or [])
    if smoke:
        given = {"smoke": "true", "epochs": "1"} | given
    with _errors_in_red():
        _train(which, name, runs, resume, given)


@app.command()
def recipes(
    which: Annotated[str | None, typer.Argument(metavar="NAME", help="One recipe.")] = None,
) -> None:
    """List the recipes, or the settings of one."""
    from backlit.train.recipe_list import show_all, show_one

    with _errors_in_red():
        if which is None:
            show_all()
        else:
            show_one(which)


@app.command(context_settings={"ignore_unknown_options": True})
def sweep(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RECIPE|--SETTING VALUE",
            help="digits if left out. With --resume: the sweep, else the last one.",
        ),
    ] = None,
    over: Annotated[
        list[str] | None,
        typer.Option(help="What to try: lr=0.001..0.1 or width=8,16,32; may be repeated."),
    ] = None,
    budget: Annotated[int | None, typer.Option(help="Trials; 20 if left out.")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Stop after so many.")] = None,
    seeds: Annotated[
        str | None, typer.Option(help="Trainings of each trial; 0,1,2 if left out.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="The sweep's name.")] = None,
    sweeps: Annotated[Path, typer.Option(help="Folder of the sweeps.")] = Path("sweeps"),
    test: Annotated[
        bool,
        typer.Option(
            "--test",
            help="At the end train the best settings on the whole training "
            "part, and score the test part, once.",
        ),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a sweep.")] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Seconds on little data, to see that it works.")
    ] = False,
) -> None:
    """Try settings of a recipe over seeds, and report which are best."""
    which, given = _recipe_and_settings(words or [])
    if smoke:
        given = {"smoke": "true", "epochs": "1"} | given
    with _errors_in_red():
        from backlit.train.sweep.command import open_sweep, run_and_report

        with _wrong_usage():
            found = open_sweep(which, given, over=over or (), seeds=seeds, budget=budget,
                               name=name, sweeps=sweeps, resume=resume, test=test)  # fmt: skip
        run_and_report(found, minutes=minutes, test=test)


@app.command(context_settings={"ignore_unknown_options": True})
def see(
    formula: Annotated[str, typer.Argument(help='Text or LaTeX, such as "(x + y) * z".')],
    values: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=NUMBER...", help="x=-2 y=5 z=-4")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the page to this file.")] = None,
    svg: Annotated[Path | None, typer.Option(help="Write a still picture.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write a still picture.")] = None,
    language: Annotated[str, typer.Option(help="en or zh.")] = "en",
    steps: Annotated[bool, typer.Option("--steps", help="Explain every step.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
) -> None:
    """Draw a formula as a circuit: values forward, gradients back."""
    from backlit.views.command import see_command

    with _errors_in_red():
        see_command(formula, values or (), html=html, svg=svg, png=png, language=language,
                    steps=steps, show=show)  # fmt: skip


@app.command()
def errata(
    which: Annotated[str | None, typer.Argument(help="One page, such as E10; else all.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write the pages to this file.")] = None,
) -> None:
    """Published mistakes about backpropagation, refuted by running them."""
    from backlit.errata import show

    with _errors_in_red():
        show(which, html=html)


@app.command()
def version() -> None:
    """Print the version."""
    import backlit as bl

    print(bl.__version__)


def main() -> None:
    """The `backlit` command."""
    try:
        app(prog_name="backlit")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _recipe_and_settings(words: list[str]) -> tuple[str | None, dict[str, str]]:
    """The recipe's name, if there is one, and the settings: --lr 0.1 or --lr=0.1."""
    names, given = [], {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option, equals, text = word.partition("=")
        if not option.startswith("--"):
            names.append(word)
        elif not equals and not rest:
            raise typer.BadParameter(f"{word} needs a value")
        else:
            given[option[2:].replace("-", "_")] = text if equals else rest.pop(0)
    if len(names) > 1:
        raise typer.BadParameter(f"one recipe at a time, got {' '.join(names)}")
    return (names[0] if names else None), given


def _train(
    which: str | None, name: str | None, runs: Path, resume: bool, given: dict[str, str]
) -> None:
    from backlit.train import recipes, run_folders
    from backlit.train.progress import Bar, Lines
    from backlit.train.recipe import train_recipe

    if resume:
        folder = run_folders.find_run(runs, which)
        with _wrong_usage():
            recipe, settings = run_folders.read_settings(folder, given)
        if run_folders.is_complete(recipe, folder):
            print(f"nothing to do: {folder} is finished")
            return
    else:
        with _wrong_usage():
            recipe = recipes.find(which or "digits")
            settings = run_folders.settings_from_text(recipe, given)
        folder = run_folders.new_run(runs, name or recipe.name, recipe, settings)
    progress = Bar(unit="samples") if sys.stdout.isatty() else Lines()
    progress.message(f"run {folder}")
    try:
        history = train_recipe(recipe, settings, folder, resume=resume, progress=progress)
    except BaseException as failure:
        if not resume:
            run_folders.discard_unstarted(folder)
        if not isinstance(failure, KeyboardInterrupt):
            raise
        where = "" if runs == Path("runs") else f" --runs {runs}"
        _say(str(failure) or "interrupted", "yellow")
        if not folder.exists():
            raise typer.Exit(INTERRUPTED) from None
        print(f"  go on with: backlit train --resume {folder.name}{where}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    seconds = sum(row["seconds"] for row in history)
    epochs = "epoch" if len(history) == 1 else "epochs"
    said = recipe.said(settings, history)
    print(f"{said} after {len(history)} {epochs} in {seconds:.1f} s; see {folder}")


@contextmanager
def _wrong_usage() -> Iterator[None]:
    """What is refused in here was asked for wrongly."""
    from backlit.errors import ArgumentError

    try:
        yield
    except ArgumentError as error:
        _say(str(error), "red")
        raise typer.Exit(WRONG_USAGE) from None


@contextmanager
def _errors_in_red() -> Iterator[None]:
    """One red line and a hint instead of a traceback, and the exit code that says so."""
    # Until fit takes the signals over, SIGTERM ends a command as Ctrl-C does.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        _say("interrupted", "yellow")
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:
        from backlit.config import flags
        from backlit.errors import BacklitError

        if flags.traceback or isinstance(error, typer.Exit | typer.BadParameter):
            raise
        expected = isinstance(error, BacklitError | OSError)
        _say(str(error) if expected else f"{type(error).__name__}: {error}", "red")
        for note in getattr(error, "__notes__", []):
            print(f"  {note}", file=sys.stderr)
        if not expected:
            print("  hint: BACKLIT_TRACEBACK=1 shows where", file=sys.stderr)
        raise typer.Exit(1) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _say(text: str, style: str) -> None:
    """To standard error: the first line in colour where there are colours, the others plain."""
    from rich.console import Console

    first, *rest = text.split("\n")
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(first, style=style, markup=False)
    for line in rest:
        console.print(line, markup=False)
