"""The command line: `backlit train`, `backlit see`, `backlit errata`, `backlit version`.

Owns options, exit codes (0 done, 1 error, 2 wrong usage, 130 interrupted) and how errors look.
What a command does lives where it belongs: train/recipe.py, views/command.py, errata. Imports
of the package are inside the commands, so that `backlit --help` answers at once.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

INTERRUPTED = 130
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


@app.command()
def train(
    which: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="With --resume: the run; else the last one trained."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Folder or URL of MNIST's idx files; else the shipped digits."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data; 4 if left out.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per step; 100 if left out.")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(min=0, help="Highest learning rate; 0.004 if left out.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of weights and order; 0 if left out.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The new run's name; digits if left out.")
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("runs"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on exactly where a run stopped.")
    ] = False,
    threads: Annotated[int | None, typer.Option(min=1, help="All cores if left out.")] = None,
) -> None:
    """Train a small convolutional network on handwritten digits."""
    if which is not None and not resume:
        raise typer.BadParameter("NAME goes with --resume; a new run is named by --name")
    if name is not None and resume:
        raise typer.BadParameter("--name is for a new run; write --resume NAME")
    given = {"data": data, "epochs": epochs, "batch_size": batch_size, "lr": lr, "seed": seed}
    with _errors_in_red():
        _train({**given, "threads": threads}, runs, name or "digits", which, resume)


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


def _train(given: dict[str, Any], runs: Path, name: str, which: str | None, resume: bool) -> None:
    from backlit.train import recipe
    from backlit.train.progress import Bar, Lines

    if resume:
        folder = recipe.find_run(runs, which)
        settings = recipe.read_settings(folder, given)
        if recipe.is_complete(folder):
            print(f"nothing to do: {folder} is finished")
            return
    else:
        chosen = {key: value for key, value in given.items() if value is not None}
        settings = recipe.Settings(**chosen)
        folder = recipe.new_run(runs, name, settings)
    progress = Bar(unit="images") if sys.stdout.isatty() else Lines()
    progress.message(f"run {folder}")
    try:
        history = recipe.train_digits(settings, folder, resume=resume, progress=progress)
    except BaseException as failure:
        if not resume:
            recipe.discard_unstarted(folder)
        if not isinstance(failure, KeyboardInterrupt):
            raise
        where = "" if runs == Path("runs") else f" --runs {runs}"
        _say(str(failure) or "interrupted", "yellow")
        if not folder.exists():
            raise typer.Exit(INTERRUPTED) from None
        print(f"  go on with: backlit train --resume {folder.name}{where}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    last = history.rows[-1]
    seconds = sum(row["seconds"] for row in history)
    epochs = "epoch" if len(history) == 1 else "epochs"
    print(
        f"{100 * last['val_accuracy']:.2f} % of the held-out digits are right "
        f"after {len(history)} {epochs} in {seconds:.1f} s; see {folder}"
    )


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
