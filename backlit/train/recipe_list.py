"""What `backlit recipes` prints: a table of all, or one with its settings and its text.

Owns the tables. Read next: recipe.py, recipes/.
"""

from __future__ import annotations

import sys
from dataclasses import fields
from typing import Any

from backlit.train.recipes import NAMES, find


def show_all() -> None:
    """A line for each recipe: name, what it is, data, expected result, time on two cores."""
    rows = [find(name) for name in NAMES]
    table = _table("recipe", "what", "data", "expected", "time")
    for r in rows:
        time = f"{r.minutes:g} min" if r.minutes >= 1 else f"{60 * r.minutes:.0f} s"
        table.add_row(r.name, r.title, r.data, r.expects, time)
    _print(table)


def show_one(name: str) -> None:
    """The text of a recipe's file and its settings with their defaults."""
    recipe = find(name)
    print((sys.modules[recipe.prepare.__module__].__doc__ or recipe.title).strip() + "\n")
    print(f"data: {recipe.data}\nexpected: {recipe.expects}\n")
    table = _table("setting", "default")
    for field in fields(recipe.settings):
        table.add_row(f"--{field.name.replace('_', '-')}", str(field.default))
    _print(table)


def _table(*columns: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number == 0)
    return table


def _print(table: Any) -> None:
    from rich.console import Console

    Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(table)
