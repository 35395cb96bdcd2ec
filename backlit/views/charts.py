"""Small charts for the lenses: heat pictures, lines and bars, as SVG text or PNG bytes.

How a figure is made and written is figures.py's. Knows no graph.
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

BLUE, RED, GREY = "#4878a8", "#d1603d", "#888888"


def axes(made: Any, position: tuple[int, int, int] = (1, 1, 1), title: str = "") -> Any:
    """One panel without the upper and right border."""
    panel = made.add_subplot(*position)
    panel.set_title(title, fontsize=9)
    panel.spines[["top", "right"]].set_visible(False)
    panel.tick_params(labelsize=8)
    return panel


def heat(panel: Any, values: np.ndarray, signed: bool = True) -> Any:
    """A matrix as colours: blue below zero, white at zero, red above; or white to red."""
    top = float(np.abs(values[np.isfinite(values)]).max(initial=0.0)) or 1.0
    low, colours = (-top, "RdBu_r") if signed else (0.0, "Reds")
    return panel.imshow(
        values, cmap=colours, vmin=low, vmax=top, interpolation="nearest", aspect="auto"
    )


def svg(made: Any) -> str:
    """The figure as an <svg> element; equal figures give equal text."""
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "backlit"}):
        made.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Lines of aligned text; the first `left` columns start at the left."""
    every = [list(head), *map(list, rows)]
    widths = [max(len(row[i]) for row in every) for i in range(len(head))]
    return [
        "  ".join(
            cell.ljust(w) if i < left else cell.rjust(w)
            for i, (cell, w) in enumerate(zip(row, widths))
        ).rstrip()
        for row in every
    ]


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same as an HTML table."""
    cells = "".join(f"<th>{html.escape(c)}</th>" for c in head)
    lines = "".join(
        "<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{cells}</tr></thead><tbody>{lines}</tbody></table>"
