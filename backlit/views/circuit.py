"""The circuit of a computation: one object, its faces on demand.

Owns the options of `bl.see(...)` and what a notebook, a browser or a file gets. The drawing is
done elsewhere: page/ (HTML), still.py (SVG and PNG), terminal.py. Read next: snapshot.py.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from backlit.errors import ArgumentError
from backlit.views.graph import Graph
from backlit.views.groups import Grouping, grouping
from backlit.views.record import Recorded, record
from backlit.views.snapshot import FORMAT, VERSION, Writer

LANGUAGES = ("en", "zh")


def circuit(
    subject: Any,
    *inputs: Any,
    language: str = "en",
    title: str = "",
    open: str | int = "auto",
    gradient: Any = None,
    **values: Any,
) -> Circuit:
    """The circuit of a tensor, of a function with its inputs, or of a formula with its values.

    `open` says which groups start open: "auto", "all", "none" or how many levels; `language` is
    "en" or "zh"; `gradient` is where the walk back starts if the result is not a scalar.

    >>> circuit = bl.see("(x + y) * z", x=-2, y=5, z=-4)
    >>> circuit.graph.wire("x").grad
    array(-4.)
    """
    _language(language)
    recorded = record(subject, *inputs, gradient=gradient, **values)
    grouped = grouping(recorded.graph, open)
    return Circuit(recorded, grouped, title or _title(subject), language)


def _language(language: str) -> None:
    if language not in LANGUAGES:
        raise ArgumentError(f"language must be 'en' or 'zh', got {language!r}")


def _title(subject: Any) -> str:
    if isinstance(subject, str):
        return subject
    if callable(subject):
        return getattr(subject, "__name__", type(subject).__name__)
    return ""


class Circuit:
    """A recorded computation and its faces.

    >>> x = bl.tensor(3.0, requires_grad=True)
    >>> bl.see(x * x).snapshot()["format"]
    'backlit.snapshot'
    """

    def __init__(
        self, recorded: Recorded, grouped: Grouping, title: str = "", language: str = "en"
    ) -> None:
        self.recorded = recorded
        self.grouping = grouped
        self.language = language
        self.title = title or recorded.graph.loss.name

    @property
    def graph(self) -> Graph:
        """Gates and wires as plain data."""
        return self.recorded.graph

    @cached_property
    def _snapshot(self) -> dict[str, Any]:
        writer = Writer(loss=self.graph.loss)
        return {
            "format": FORMAT,
            "version": VERSION,
            "title": self.title,
            "circuit": writer.circuit(self.graph.gates, self.graph.wires, self.grouping),
            "loss": writer.wire_id(self.graph.loss),
        }

    def snapshot(self) -> dict[str, Any]:
        """The circuit as versioned data for JSON: docs/design/snapshot.md.

        >>> circuit = bl.see(bl.tensor(3.0, requires_grad=True) ** 2)
        >>> circuit.snapshot()["circuit"]["gates"][0]["op"]
        'pow'
        """
        return self._snapshot
