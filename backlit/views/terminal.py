"""The circuit as text: a table of gates by module, and one of what the gradients reach.

Numbers are rounded to four digits; arrays show shape and norm. As wide as the terminal, and
plain where it is piped. Reads the same graph and groups as the page.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.views.derivatives import local
from backlit.views.graph import Gate, Graph, Wire
from backlit.views.groups import Group, Grouping
from backlit.views.sentences import pattern
from backlit.views.sentences.words import (
    called,
    factor,
    length,
    receivers,
    shape_text,
    short,
    upstream,
)
from backlit.views.symbols import plain

WORDS = {
    "en": ("gate", "value", "gradient", "upstream × local = downstream", "input", "contributions",
           "gates", "parameters"),
    "zh": ("门", "值", "梯度", "上游 × 局部 = 下游", "输入", "各份贡献", "个门", "个参数"),
}  # fmt: skip
PATTERNS = {
    "distributes": "分发", "swaps": "交换", "scales": "缩放", "routes": "路由", "blocks": "开关",
    "moves": "搬移", "adds up": "相加",
}  # fmt: skip
MORE = {"en": "... and {} in closed groups", "zh": "……另有 {} 个在未展开的组中"}
NARROWEST = 40


@dataclass(frozen=True)
class Style:
    """In which language, and with how many digits."""

    language: str = "en"
    digits: int = 4

    def number(self, value: Any) -> str:
        return short(value, self.digits)

    def factor(self, value: np.ndarray) -> str:
        return factor(value, self.digits)

    def shown(self, value: Any) -> str:
        """A number, or shape and norm of an array."""
        if not isinstance(value, np.ndarray) or value.ndim == 0:
            return self.number(value)
        return f"{shape_text(value.shape)} {length(value, self.digits)}"


def text(
    graph: Graph, grouping: Grouping, title: str, style: Style, width: int | None = None
) -> str:  # fmt: skip
    """The tables as plain text, as wide as the terminal if no width is given."""
    from rich.console import Console

    width = width or max(shutil.get_terminal_size((100, 24)).columns, NARROWEST)
    held = io.StringIO()
    console = Console(file=held, width=width, color_system=None, highlight=False)
    for table in tables(graph, grouping, title, style):
        console.print(table)
    return "\n".join(line.rstrip() for line in held.getvalue().strip().splitlines())


def tables(graph: Graph, grouping: Grouping, title: str, style: Style) -> Iterator[Any]:
    """What rich prints: title, gates, leaves."""
    from rich.text import Text

    result = f"{called(graph.loss)} = {style.shown(graph.loss.value)}"
    yield Text(result if title == graph.loss.name else f"{title}: {result}", style="bold")
    yield ""
    yield _gates(graph, grouping, style)
    yield ""
    yield _leaves(graph, grouping, style)


def _table(*columns: tuple[str, dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    for name, options in columns:
        table.add_column(name, **options)
    return table


def _gates(graph: Graph, grouping: Grouping, style: Style) -> Any:
    from rich.padding import Padding
    from rich.text import Text

    gate, value, gradient, product, *_ = WORDS[style.language]
    table = _table(
        (gate, {"overflow": "fold", "min_width": 12}),
        (value, {"style": "green", "no_wrap": True}),
        (gradient, {"style": "red", "no_wrap": True}),
        (product, {"overflow": "fold"}),
    )
    for depth, item in _rows(graph, grouping):
        row = _group_row(item, style) if isinstance(item, Group) else _gate_row(item, style)
        table.add_row(Padding(Text(row[0]), (0, 0, 0, 2 * depth)), *map(Text, row[1:]))
    return table


def _rows(graph: Graph, grouping: Grouping) -> Iterator[tuple[int, Gate | Group]]:
    """Gates and groups in the order in which they ran; closed groups are one row."""

    def first(item: Gate | Group) -> int:
        return item.id if isinstance(item, Gate) else item.all_gates[0].id

    def walk(items: list[Gate | Group], depth: int) -> Iterator[tuple[int, Gate | Group]]:
        for item in sorted(items, key=first):
            yield depth, item
            if isinstance(item, Group) and item.open:
                yield from walk([*item.gates, *item.groups], depth + 1)

    return walk([*grouping.loose, *grouping.outermost], 0)


def _gate_row(gate: Gate, style: Style) -> tuple[str, ...]:
    made = gate.output
    flow = pattern(gate)
    flow = PATTERNS[flow] if flow and style.language == "zh" else flow
    back = "\n".join(_steps(gate, style)) + (f"  ({flow})" if flow else "")
    gradient = "" if made.grad is None else style.shown(made.grad)
    return plain(gate), style.shown(made.value), gradient, back


def _steps(gate: Gate, style: Style) -> Iterator[str]:
    arrived = upstream(gate)
    for i, wire, down in receivers(gate):
        slope = local(gate, i)
        if arrived is None:
            continue
        if down.ndim == 0 and arrived.ndim == 0 and slope is not None and slope.ndim == 0:
            product = f"{style.number(arrived)} × {style.factor(slope)}"
            yield f"{called(wire)}: {product} = {style.number(down)}"
        else:
            yield f"{called(wire)}: {style.shown(down)}"


def _group_row(group: Group, style: Style) -> tuple[str, ...]:
    *_, gates, parameters = WORDS[style.language]
    inner = group.all_gates
    held = f"{group.parameters:,} {parameters}" if group.parameters else ""
    if group.open:
        return f"▾ {group.title}", "", "", held
    made = [w for g in inner for w in g.outputs if w is not None and _leaves_group(w, inner)]
    gradient = "" if not made or made[-1].grad is None else style.shown(made[-1].grad)
    value = style.shown(made[-1].value) if made else ""
    count = f"{len(inner)} {gates}"
    return f"▸ {group.title}", value, gradient, f"{count}, {held}" if held else count


def _leaves_group(wire: Wire, inner: list[Gate]) -> bool:
    held = {g.id for g in inner}
    ends = not wire.readers and not wire.output
    return ends or any(g.id not in held for g, _ in wire.readers)


def _leaves(graph: Graph, grouping: Grouping, style: Style) -> Any:
    """What gets a gradient; parameters of closed groups are only counted."""
    from rich.text import Text

    _, value, gradient, _, name, parts, *_ = WORDS[style.language]
    visible = {item.id for _, item in _rows(graph, grouping) if isinstance(item, Gate)}
    shown_here = [w for w in graph.leaves if any(g.id in visible for g, _ in w.readers)]
    forks = any(len(w.contributions) > 1 for w in shown_here)
    columns: list[tuple[str, dict[str, Any]]] = [
        (name, {"overflow": "fold"}),
        (value, {"style": "green", "no_wrap": True}),
        (gradient, {"style": "red", "no_wrap": True}),
    ]
    table = _table(*columns, *([(parts, {"overflow": "fold"})] if forks else []))
    for wire in shown_here:
        assert wire.grad is not None
        row = [called(wire), style.shown(wire.value), style.shown(wire.grad)]
        table.add_row(*map(Text, [*row, *([_sum(wire, style)] if forks else [])]))
    hidden = len(graph.leaves) - len(shown_here)
    if hidden:
        table.add_row(Text(MORE[style.language].format(hidden)))
    return table


def _sum(wire: Wire, style: Style) -> str:
    found = [part for _, _, part in wire.contributions]
    if len(found) < 2:
        return ""
    if any(part.ndim for part in found):
        return " + ".join(length(part, style.digits) for part in found)
    return " + ".join([style.number(found[0]), *map(style.factor, found[1:])])
