"""The table of a model's layers: as text, in a notebook, in a terminal with colours.

Owns how rows and numbers are written. Who fills it: summary.py.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HEAD = ("layer", "output", "parameters", "multiply-adds", "saved")
STATIC = (0, 2)  # the columns that are known without a run


@dataclass(frozen=True)
class Layer:
    """One row: a module and all that is below it."""

    name: str  # dotted, "" for the model itself
    kind: str
    depth: int
    output: str  # shapes; empty where forward did not call it
    parameters: int
    trainable: int
    multiply_adds: int
    saved_bytes: int  # kept for the backward, beside parameters and inputs
    calls: int


@dataclass(frozen=True)
class Summary:
    """The table of a model; `str` gives text, a notebook a table, rich a coloured one."""

    layers: tuple[Layer, ...]
    parameter_bytes: int
    measured: bool = True  # by a run; else only parameters are known

    @property
    def parameters(self) -> int:
        return self.layers[0].parameters

    @property
    def trainable(self) -> int:
        return self.layers[0].trainable

    @property
    def multiply_adds(self) -> int:
        """Of matrix products, convolutions, attention and recurrent layers, forward."""
        return self.layers[0].multiply_adds

    @property
    def saved_bytes(self) -> int:
        """Of what the forward keeps for the backward, each array once."""
        return self.layers[0].saved_bytes

    def _columns(self, row: tuple[str, ...]) -> tuple[str, ...]:
        return row if self.measured else tuple(row[i] for i in STATIC)

    def _cells(self) -> list[tuple[str, ...]]:
        branches = _branches([layer.depth for layer in self.layers])
        rows = [
            (
                branch + _title(layer),
                layer.output,
                f"{layer.parameters:,}" if layer.parameters else "",
                _short(layer.multiply_adds) if layer.multiply_adds else "",
                _size(layer.saved_bytes) if layer.saved_bytes else "",
            )
            for branch, layer in zip(branches, self.layers, strict=True)
        ]
        return [self._columns(row) for row in rows]

    def _foot(self) -> list[str]:
        frozen = self.parameters - self.trainable
        held = f", {frozen:,} of them frozen" if frozen else ""
        parameters = f"parameters: {self.parameters:,}{held} ({_size(self.parameter_bytes)})"
        if not self.measured:
            return [parameters, "shapes and multiply-adds: summary(input_size=(batch, ...))"]
        return [
            parameters,
            f"multiply-adds of a forward pass: {_short(self.multiply_adds)}",
            f"saved for the backward pass: {_size(self.saved_bytes)}",
        ]

    def __str__(self) -> str:
        head = self._columns(HEAD)
        rows = [head, *self._cells()]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [
            "  ".join(
                cell.ljust(w) if name in HEAD[:2] else cell.rjust(w)
                for name, cell, w in zip(head, row, widths)
            ).rstrip()
            for row in rows
        ]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:], rule, *self._foot()])

    __repr__ = __str__

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        styles = {"output": "cyan", "parameters": "green"}
        for name in self._columns(HEAD):
            justify: Any = "left" if name in HEAD[:2] else "right"
            table.add_column(name, justify=justify, style=styles.get(name, ""))
        for row in self._cells():
            table.add_row(*map(Text, row))
        yield table
        yield from map(Text, self._foot())

    def _repr_html_(self) -> str:
        room = "padding:0 .6em"
        left, right = f"{room};text-align:left;white-space:pre", f"{room};text-align:right"
        names = self._columns(HEAD)
        styles = [left if name in HEAD[:2] else right for name in names]
        head = "".join(f'<th style="{s}">{h}</th>' for s, h in zip(styles, names))
        body = "".join(
            "<tr>"
            + "".join(f'<td style="{s}">{html.escape(c)}</td>' for s, c in zip(styles, row))
            + "</tr>"
            for row in self._cells()
        )
        foot = "<br>".join(map(html.escape, self._foot()))
        style = "border-collapse:collapse;font-family:monospace"
        table = (
            f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        )
        return f"{table}<p>{foot}</p>"


def _title(layer: Layer) -> str:
    own = layer.name.rpartition(".")[2]
    times = f" ×{layer.calls}" if layer.calls > 1 else ""
    return (f"{own}: {layer.kind}" if own else layer.kind) + times


def _branches(depths: list[int]) -> list[str]:
    """The lines of a tree before each row."""
    found = []
    for i, depth in enumerate(depths):
        parts = []
        for level in range(1, depth + 1):
            after = next((d for d in depths[i + 1 :] if d <= level), 0)
            more = after == level
            own = level == depth
            parts.append(("├─ " if more else "└─ ") if own else ("│  " if more else "   "))
        found.append("".join(parts))
    return found


def _short(count: int) -> str:
    """A count as people read it: 96, 41.2 M."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"
