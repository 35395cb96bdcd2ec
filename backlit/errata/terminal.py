"""The errata in a terminal: the list with verdicts, and one page.

Knows how pages look, not what is true. The same in a browser: page.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from backlit.errata.erratum import Erratum, Finding

COLOURS = {"refuted": "red", "right": "green", "stands": "yellow", "undecided": "yellow"}


def print_list(errata: Iterable[Erratum], console: Any) -> None:
    """One line per page, printed as soon as its verdict is found."""
    from rich.text import Text

    for e in errata:
        line = Text()
        line.append(f"{e.number:<4} ", style="bold")
        line.append(f"{e.text:<7}", style="dim")
        line.append(f"{e.verdict.en:<10}", style=COLOURS[e.verdict.en])
        line.append(f"{e.title.en}  ")
        line.append(e.title.zh, style="dim")
        console.print(line, soft_wrap=True)


def print_page(e: Erratum, console: Any) -> None:
    """The printed version, the verdict, the counter-example, and the corrected version."""
    from rich.text import Text

    console.print()
    head = Text(f"{e.number} ", style="bold")
    head.append(f"({e.text})  {e.title.en} · {e.title.zh}  ")
    head.append(f"{e.verdict.en} · {e.verdict.zh}", style=f"bold reverse {COLOURS[e.verdict.en]}")
    console.print(head)
    printed, corrected = e.found
    if printed:
        console.print("\nprinted · 原文", style="bold")
        for finding in printed:
            _finding(finding, console)
    console.print(f"\n{'corrected · 更正' if printed else 'as printed · 原文'}", style="bold")
    for finding in corrected:
        _finding(finding, console)
    console.print()
    console.print(f"  {e.why.en}\n  {e.why.zh}", highlight=False)
    console.print()


def _finding(finding: Finding, console: Any) -> None:
    from rich.padding import Padding
    from rich.text import Text

    verdict = finding.verdict
    style, mark = ("green", "✓") if verdict.right else ("red", "✗")
    block = Text()
    for k, line in enumerate(finding.statement.shown.strip("\n").split("\n")):
        block.append(f"{mark if not k else ' '} ", style=style)
        block.append(line + "\n")
    block.append(_told(finding), style="dim")
    console.print(Padding(block, (0, 0, 0, 2)))


def _told(finding: Finding) -> str:
    verdict = finding.verdict
    lines = [f"  {verdict.evidence}"]
    if verdict.cause:
        lines.append(f"  cause: {verdict.cause}")
    if verdict.counter and verdict.counter != verdict.evidence:
        lines.append(f"  smallest counter-example: {verdict.counter}")
    return "\n".join(lines)
