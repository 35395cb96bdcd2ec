"""What `backlit see` does: a formula with its values becomes a circuit, printed or written.

The command line itself (options, exit codes, how errors look) is cli.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from backlit.errors import ArgumentError
from backlit.views.circuit import circuit

OPTIONS = {"language", "title", "elements", "open", "gradient"}


def see_command(
    formula: str,
    assignments: Iterable[str] = (),
    *,
    html: str | Path | None = None,
    svg: str | Path | None = None,
    png: str | Path | None = None,
    language: str = "en",
    steps: bool = False,
    show: bool = False,
) -> None:
    """Print the circuit of a formula at `name=number` values, and write the files asked for.

    >>> from backlit.views.command import see_command
    >>> see_command("x * y", ["x=2", "y=3"], steps=True)  # doctest: +ELLIPSIS
    x * y: ...
    """
    from rich.console import Console

    values = read_values(assignments)
    taken = sorted(values.keys() & OPTIONS)
    if taken:
        raise ArgumentError(f"{taken[0]} can't be the name of a value here", hint="rename it")
    made = circuit(formula, language=language, **values)  # type: ignore[arg-type]
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(made)
    else:
        print(made)
    if steps:
        console.print()
        for n, sentence in enumerate(made.steps(), 1):
            console.print(f"{n}. {sentence}", markup=False, soft_wrap=not console.is_terminal)
    if html is not None:
        made.html(html)
    if svg is not None:
        made.svg(svg)
    if png is not None:
        made.png(png)
    if show:
        made.show()


def read_values(assignments: Iterable[str]) -> dict[str, float]:
    """`["x=-2", "y=5"]` as numbers by name.

    >>> from backlit.views.command import read_values
    >>> read_values(["x=-2", "y=0.5"])
    {'x': -2.0, 'y': 0.5}
    """
    found: dict[str, float] = {}
    for text in assignments:
        name, equals, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise ArgumentError(
                f"expected a value such as x=-2, got {text!r}", hint='backlit see "x * y" x=2 y=3'
            )
        if name.strip() in found:
            raise ArgumentError(f"{name.strip()} is given twice: {text!r}")
        found[name.strip()] = number
    return found
