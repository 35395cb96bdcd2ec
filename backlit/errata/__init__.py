"""What the founding texts get wrong, as pages that decide by computing: E1 to E54, and controls.

A page holds the printed version and the corrected one; the same judges (judge.py) look at both,
and no verdict is written down. `show` prints them, `write_html` makes a file. Read next:
erratum.py, judge.py, then the pages: machines, slopes, layers, training, parts, program, courses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backlit.errata import controls, courses, layers, machines, parts, program, slopes, training
from backlit.errata.erratum import Erratum as Erratum, Verdict as Verdict, Words as Words
from backlit.errors import ArgumentError

_ROOMS = (machines, slopes, layers, training, parts, program, courses)
ERRATA: tuple[Erratum, ...] = tuple(
    sorted((e for room in _ROOMS for e in room.ERRATA), key=lambda e: int(e.number[1:]))
)
CONTROLS: tuple[Erratum, ...] = controls.CONTROLS


def find(number: str) -> Erratum:
    """The page with that number: E1 to E54, or a control such as C1.

    >>> from backlit import errata
    >>> errata.find("E48").refuted
    True
    """
    for e in (*ERRATA, *CONTROLS):
        if e.number.lower() == number.strip().lower():
            return e
    have = ", ".join(c.number for c in CONTROLS)
    raise ArgumentError(
        f"errata: there is no page {number!r}", hint=f"E1 to E{len(ERRATA)}, and {have}"
    )


def show(which: str | None = None, *, html: str | Path | None = None, console: Any = None) -> None:
    """Print the list of all pages with their verdicts, or one page; with `html`, write a file.

    `console` is where rich prints; standard output if left out. Every verdict is computed now.

    >>> from backlit import errata
    >>> errata.show("E48")  # doctest: +ELLIPSIS
    <BLANKLINE>
    E48 (S4)  The sigmoid function · sigmoid 函数  refuted · 有误
    ...
    """
    chosen = [find(which)] if which is not None else [*ERRATA, *CONTROLS]
    from rich.console import Console

    from backlit.errata.page import to_html
    from backlit.errata.terminal import print_list, print_page

    console = console or Console()
    if html is not None:
        Path(html).write_text(to_html(chosen), encoding="utf-8")
        console.print(f"{len(chosen)} {'page' if len(chosen) == 1 else 'pages'} in {html}")
    elif which is None:
        print_list(chosen, console)
    else:
        print_page(chosen[0], console)
