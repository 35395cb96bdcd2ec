"""The circuit of a computation: one object, its faces on demand.

Owns the options of `bl.see(...)` and what a notebook, a browser or a file gets. The drawing is
done elsewhere: page/ (HTML), still.py (SVG and PNG), terminal.py. Read next: snapshot.py.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from backlit.errors import ArgumentError, ArgumentTypeError, IndexOutOfRange
from backlit.views.chapters import chapters
from backlit.views.elements import Index
from backlit.views.graph import Graph
from backlit.views.groups import Grouping, grouping
from backlit.views.inside import deepest, inside
from backlit.views.numbers import in_range
from backlit.views.record import Recorded, record
from backlit.views.sentences import backward_text, forward_text
from backlit.views.snapshot import FORMAT, VERSION, Writer

LANGUAGES = ("en", "zh")
FRAME = 640  # pixels of height in a notebook


def circuit(
    subject: Any,
    *inputs: Any,
    language: str = "en",
    title: str = "",
    elements: Mapping[Any, Any] | None = None,
    open: str | int = "auto",
    gradient: Any = None,
    **values: Any,
) -> Circuit:
    """The circuit of a tensor, of a function with its inputs, or of a formula with its values.

    `open` says which groups start open: "auto", "all", "none" or how many levels; `language` is
    "en" or "zh"; `gradient` is where the walk back starts if the result is not a scalar;
    `elements` names one element for some values: `{"h": (0, 3)}`.

    >>> circuit = bl.see("(x + y) * z", x=-2, y=5, z=-4)
    >>> circuit.graph.wire("x").grad
    array(-4.)
    """
    _language(language)
    recorded = record(subject, *inputs, gradient=gradient, **values)
    grouped = grouping(recorded.graph, open)
    chosen = _chosen(recorded.graph, elements or {})
    return Circuit(recorded, grouped, title or _title(subject), language, chosen)


def _language(language: str) -> None:
    if language not in LANGUAGES:
        raise ArgumentError(f"language must be 'en' or 'zh', got {language!r}")


def _chosen(graph: Graph, elements: Mapping[Any, Any]) -> dict[int, list[Index]]:
    """The elements to show exactly, by the id of their wire."""
    if not isinstance(elements, Mapping):
        raise ArgumentTypeError(
            f"elements must be a dict, got {type(elements).__name__}",
            hint='name each value and one index: elements={"h": (0, 3)}',
        )
    found = {}
    for which, index in elements.items():
        wire = graph.wire(which)
        at = tuple(index) if isinstance(index, tuple | list) else (index,)
        if not all(isinstance(i, int) for i in at) or not in_range(at, wire.shape):
            raise IndexOutOfRange(
                f"elements: {wire.name} of shape {tuple(wire.shape)} has no element {index!r}",
                hint="one whole number for each axis",
            )
        found[wire.id] = [tuple(i % n for i, n in zip(at, wire.shape))]
    return found


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
        self, recorded: Recorded, grouped: Grouping, title: str = "", language: str = "en",
        chosen: dict[int, list[Index]] | None = None,
    ) -> None:  # fmt: skip
        self.recorded = recorded
        self.grouping = grouped
        self.language = language
        self.chosen = chosen or {}
        self.title = title or recorded.graph.loss.name

    @property
    def graph(self) -> Graph:
        """Gates and wires as plain data."""
        return self.recorded.graph

    @cached_property
    def _snapshot(self) -> dict[str, Any]:
        writer = Writer(chosen=self.chosen, loss=self.graph.loss)
        drawn = writer.circuit(self.graph.gates, self.graph.wires, self.grouping)
        levels = deepest(len(self.graph.gates))
        for data, gate in zip(drawn["gates"], self.graph.gates):
            data["inside"] = inside(gate, writer, self.chosen, 0, levels)
        return {
            "format": FORMAT,
            "version": VERSION,
            "title": self.title,
            "circuit": drawn,
            "loss": writer.wire_id(self.graph.loss),
            **chapters(self.recorded),
        }

    def snapshot(self) -> dict[str, Any]:
        """The circuit as versioned data for JSON: docs/design/snapshot.md.

        >>> circuit = bl.see(bl.tensor(3.0, requires_grad=True) ** 2)
        >>> circuit.snapshot()["circuit"]["gates"][0]["op"]
        'pow'
        """
        return self._snapshot

    def steps(self) -> list[str]:
        """One sentence for each step, forward and then backward, in the circuit's language.

        >>> print(bl.see("(x + y) * z", x=-2, y=5, z=-4).steps()[0])
        The add gate adds x = -2 and y = 5: add = 3.
        """
        forward = [forward_text(g)[self.language] for g in self.graph.gates]
        backward = [
            backward_text(g, self.graph.loss)[self.language] for g in reversed(self.graph.gates)
        ]
        return [*forward, *backward]

    def html(self, path: str | Path | None = None) -> str:
        """The page as one self-contained HTML text, also written to `path` if there is one.

        >>> page = bl.see("x * y", x=2, y=3).html()
        >>> page.startswith("<!doctype html>")
        True
        """
        from backlit.views.page import render

        return _written(render(self.snapshot(), self.language), path)

    def svg(self, path: str | Path | None = None) -> str:
        """A still picture as SVG text, also written to `path` if there is one.

        >>> bl.see("x * y", x=2, y=3).svg().startswith("<svg")
        True
        """
        from backlit.views.still import svg

        return _written(svg(self.graph, self.grouping, self.title), path)

    def png(self, path: str | Path, scale: float = 2.0) -> None:
        """A still picture as a PNG file; `scale` pixels for each unit of the SVG.

        >>> import tempfile, os
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     bl.see("x * y", x=2, y=3).png(os.path.join(folder, "f.png"))
        """
        from backlit.views.still import png

        png(self.graph, self.grouping, self.title, path, scale)

    def show(self) -> Path:
        """Write the page to a temporary file and open it in the browser; returns the file."""
        import tempfile
        import webbrowser

        with tempfile.NamedTemporaryFile(
            "w", prefix="backlit-", suffix=".html", delete=False, encoding="utf-8"
        ) as file:
            file.write(self.html())
        webbrowser.open(Path(file.name).as_uri())
        return Path(file.name)

    def text(self, digits: int = 4, width: int | None = None) -> str:
        """The circuit as plain text: what `print` shows, with more digits or another width.

        >>> bl.see("x * y", x=2, y=3).text(width=80).splitlines()[0]
        'x * y: f = 6'
        """
        from backlit.views.terminal import Style, text

        style = Style(self.language, digits)
        return text(self.graph, self.grouping, self.title, style, width)

    def __str__(self) -> str:
        return self.text()

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from backlit.views.terminal import Style, tables

        yield from tables(self.graph, self.grouping, self.title, Style(self.language))

    def __repr__(self) -> str:
        gates, wires = len(self.graph.gates), len(self.graph.wires)
        return f"<circuit {self.title!r}: {gates} gates, {wires} wires>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the page in a frame of its own."""
        page = html.escape(self.html(), quote=True)
        name = html.escape(self.title, quote=True)
        return (
            f'<iframe title="{name}" sandbox="allow-scripts" srcdoc="{page}" width="100%" '
            f'height="{FRAME}" style="border:1px solid #8884;border-radius:6px"></iframe>'
        )


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text
