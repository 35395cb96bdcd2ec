"""A still picture of a circuit: the field's convention, as SVG or PNG, without a browser.

Gates are circles and boxes; the value stands above its wire in green, the gradient below it in
red; where several gates read a wire, their contributions stand under the sum. Closed groups are
one box. Reads graph and groups; layers.py places, scene.py draws.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from backlit.views.graph import Gate, Graph, Wire
from backlit.views.groups import Group, Grouping
from backlit.views.layers import Edge, Layout, Node, place
from backlit.views.numbers import exact, norm
from backlit.views.scene import Box, Line, Scene, Text, text_width, to_png, to_svg
from backlit.views.sentences.words import called, factor, length, shape_text, short
from backlit.views.symbols import symbol

GREEN, RED, INK, GREY = "#177a34", "#c01f1f", "#1d2430", "#6a7383"
GATE, EDGE, CLOSED, CLOSED_EDGE = "#eef3fb", "#4a6fa5", "#f6f1e4", "#a08643"
NUMBER, NAME = 13.0, 11.0
CIRCLE = 36.0
GAP, BETWEEN, MARGIN = 16.0, 46.0, 24.0
_ROW = 18.0  # from one line of text to the next


def svg(graph: Graph, grouping: Grouping, title: str) -> str:
    """The circuit as SVG text."""
    return to_svg(scene(graph, grouping, title))


def png(
    graph: Graph, grouping: Grouping, title: str, path: str | Path, scale: float = 2.0
) -> None:  # fmt: skip
    """The circuit as a PNG file."""
    to_png(scene(graph, grouping, title), path, scale)


@dataclass(eq=False)
class Stub:
    """A wire where it leaves its node: the texts above and below it."""

    wire: Wire
    above: list[tuple[str, str, float, str]]  # text, colour, size, exact number
    below: list[tuple[str, str, float, str]]

    @property
    def width(self) -> float:
        widths = [text_width(t, s) for t, _, s, _ in (*self.above, *self.below)]
        return max(widths, default=0.0) + (14 if widths else 10)

    @property
    def half(self) -> float:
        """Room above and below the wire."""
        return max(len(self.above), len(self.below), 0.5) * _ROW


@dataclass(eq=False)
class Place:
    """What stands at a node: a gate, a closed group, or a leaf; and the wires that leave it."""

    node: Node
    label: list[str]
    kind: str  # "gate", "group", "leaf"
    stubs: list[Stub] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0

    @property
    def is_circle(self) -> bool:
        return self.width == self.height == CIRCLE


def scene(graph: Graph, grouping: Grouping, title: str) -> Scene:
    """All shapes of the picture."""
    places, edges = _places(graph, grouping)
    layout = place(
        [p.node for p in places.values()], [e for e, _, _ in edges], GAP, BETWEEN
    )  # fmt: skip
    heading = f"{title} = {short(graph.loss.value)}" if not graph.loss.shape else title
    top = MARGIN + 44
    made = Scene(
        max(layout.width + 2 * MARGIN, text_width(heading, 16) + 2 * MARGIN, 330.0),
        layout.height + top + MARGIN,
        heading,
    )
    made.texts.append(Text(MARGIN, MARGIN + 8, heading, 15, INK, bold=True))
    made.texts.append(Text(MARGIN, MARGIN + 28, "value above the wire", NAME, GREEN))
    after = MARGIN + text_width("value above the wire", NAME) + 12
    made.texts.append(Text(after, MARGIN + 28, "gradient below it", NAME, RED))
    for p in places.values():
        _draw_place(made, p, layout, top)
    for edge, stub, port in edges:
        _draw_edge(made, edge, stub, port, layout, top, places)
    return made


# ----- what there is to place -----


def _places(
    graph: Graph, grouping: Grouping
) -> tuple[dict[str, Place], list[tuple[Edge, Stub, tuple[int, int]]]]:
    """Places by key, in computing order, and edges with the wire and the port they lead to."""
    stands = {g.id: _stand(grouping, g) for g in graph.gates}
    order: dict[str, Place] = {}
    for gate in graph.gates:
        for wire in gate.inputs:
            if wire is not None and wire.maker is None and _shown(wire, gate, stands):
                order.setdefault(f"w{wire.id}", _leaf_place(wire))
        key = _key(stands[gate.id])
        if key not in order:
            order[key] = _gate_place(stands[gate.id], key)
    _add_stubs(graph, stands, order)
    for p in order.values():
        if len(p.stubs) > 1:  # its wires leave the box, not the air beside it
            outer = p.stubs[0].half + p.stubs[-1].half
            p.height = max(p.height, 2 * sum(s.half for s in p.stubs) - outer + 20)
        p.node.width = p.width + max((s.width for s in p.stubs), default=0.0)
        p.node.height = max(p.height, 2 * sum(s.half for s in p.stubs))
    return order, _edges(graph, stands, order)


def _stand(grouping: Grouping, gate: Gate) -> Gate | Group:
    """What is drawn for a gate: itself, or the outermost closed group around it."""
    found: Gate | Group = gate
    group = grouping.of.get(gate.id)
    while group is not None:
        if not group.open:
            found = group
        group = group.parent
    return found


def _key(item: Gate | Group) -> str:
    return f"g{item.id}" if isinstance(item, Gate) else str(item.id)


def _shown(wire: Wire, gate: Gate, stands: dict[int, Gate | Group]) -> bool:
    """Parameters and numbers of a closed group stay inside it."""
    inside = isinstance(stands[gate.id], Group)
    bare = not isinstance(wire.value, np.ndarray) or wire.kind == "parameter"
    return not (inside and bare)


def _leaf_place(wire: Wire) -> Place:
    name = called(wire)
    width = text_width(name, NUMBER) + 8
    return Place(Node(f"w{wire.id}", 0, 0, late=True), [name], "leaf", [], width, 22.0)


def _gate_place(item: Gate | Group, key: str) -> Place:
    node = Node(key, 0, 0)
    if isinstance(item, Gate):
        label = [symbol(item)]
        width = text_width(label[0], NUMBER) + 16
        if width <= CIRCLE + 4:
            return Place(node, label, "gate", [], CIRCLE, CIRCLE)
        return Place(node, label, "gate", [], width, CIRCLE)
    label = [item.title, f"{len(item.all_gates)} gates"]
    width = max(text_width(label[0], NUMBER), text_width(label[1], NAME)) + 20
    return Place(node, label, "group", [], width, 46.0)


def _add_stubs(
    graph: Graph, stands: dict[int, Gate | Group], order: dict[str, Place]
) -> None:  # fmt: skip
    for wire in graph.wires:
        maker = wire.maker
        source = f"w{wire.id}" if maker is None else _key(stands[maker.id])
        away = [g for g, _ in wire.readers if _key(stands[g.id]) != source]
        if source in order and (away or wire is graph.loss):
            order[source].stubs.append(_stub(wire))


def _stub(wire: Wire) -> Stub:
    above, below = [], []
    if not isinstance(wire.value, np.ndarray) and wire.maker is None:
        return Stub(wire, [], [])  # the number is its own name
    if wire.array.ndim:
        name = f"{_last(wire)} " if wire.maker is not None else ""
        above.append((f"{name}{shape_text(wire.shape)}", GREY, NAME, ""))
        above.append((_numbers(wire.value), GREEN, NUMBER, _exact(wire.value)))
    else:
        if wire.given and wire.maker is not None:
            above.append((_last(wire), GREY, NAME, ""))
        above.append((_numbers(wire.value), GREEN, NUMBER, _exact(wire.value)))
    if wire.grad is not None:
        below.append((_numbers(wire.grad), RED, NUMBER, _exact(wire.grad)))
        parts = [part for _, _, part in wire.contributions]
        if len(parts) > 1:
            told = [_numbers(parts[0]), *map(_signed, parts[1:])]
            below.append((f"= {' + '.join(told)}", RED, NAME, ""))
    return Stub(wire, above, below)


def _last(wire: Wire) -> str:
    return wire.name.rsplit(".", 1)[-1]


def _numbers(value: Any) -> str:
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return short(value)
    return length(value)


def _signed(part: np.ndarray) -> str:
    return factor(part) if part.ndim == 0 else _numbers(part)


def _exact(value: Any) -> str:
    if not isinstance(value, np.ndarray) or value.ndim == 0:
        return str(exact(value))
    return str(exact(norm(value.reshape(-1).astype(np.float64))))


def _edges(
    graph: Graph, stands: dict[int, Gate | Group], order: dict[str, Place]
) -> list[tuple[Edge, Stub, tuple[int, int]]]:
    """One edge for every wire into every drawn item; ports in the order of the inputs."""
    into: dict[str, list[tuple[Stub, str]]] = {}
    for gate in graph.gates:
        target = _key(stands[gate.id])
        for wire in gate.inputs:
            if wire is None:
                continue
            source = f"w{wire.id}" if wire.maker is None else _key(stands[wire.maker.id])
            if source == target or source not in order:
                continue
            stub = next(s for s in order[source].stubs if s.wire is wire)
            coming = into.setdefault(target, [])
            again = isinstance(stands[gate.id], Group) and any(s is stub for s, _ in coming)
            if not again:
                coming.append((stub, source))
    found = []
    for target, coming in into.items():
        for port, (stub, source) in enumerate(coming):
            edge = Edge(order[source].node, order[target].node)
            edge.leaves = next(y for s, y in _stub_heights(order[source], 0) if s is stub)
            edge.enters = _port_height(order[target], (port, len(coming)))
            found.append((edge, stub, (port, len(coming))))
    return found


# ----- shapes -----


def _draw_place(made: Scene, p: Place, layout: Layout, top: float) -> None:
    left, middle = p.node.x + MARGIN, p.node.y + top
    if p.kind == "leaf":
        made.texts.append(Text(left + 2, middle + 4.5, p.label[0], NUMBER, INK))
    else:
        closed = p.kind == "group"
        corner = p.height / 2 if p.is_circle else 8.0
        made.boxes.append(
            Box(left, middle - p.height / 2, p.width, p.height, CLOSED if closed else GATE,
                CLOSED_EDGE if closed else EDGE, corner)
        )  # fmt: skip
        lines = [(p.label[0], NUMBER, INK)] + [(t, NAME, GREY) for t in p.label[1:]]
        base = middle + 4.5 - (len(lines) - 1) * 8
        for n, (text, points, colour) in enumerate(lines):
            made.texts.append(
                Text(left + p.width / 2, base + n * 17, text, points, colour, middle=True)
            )
    right = layout.columns[p.node.layer][1] + MARGIN
    for stub, y in _stub_heights(p, top):
        start = left + p.width
        if stub.above or stub.below:
            last = not stub.wire.readers
            made.lines.append(Line([(start, y), (right, y)], EDGE, arrow=last))
        _draw_texts(made, stub, start + 6, y)


def _stub_heights(p: Place, top: float) -> list[tuple[Stub, float]]:
    total = 2 * sum(s.half for s in p.stubs)
    y = p.node.y + top - total / 2
    found = []
    for stub in p.stubs:
        found.append((stub, y + stub.half))
        y += 2 * stub.half
    return found


def _draw_texts(made: Scene, stub: Stub, x: float, y: float) -> None:
    for n, (text, colour, points, number) in enumerate(reversed(stub.above)):
        made.texts.append(Text(x, y - 5 - n * _ROW, text, points, colour, exact=number))
    for n, (text, colour, points, number) in enumerate(stub.below):
        made.texts.append(Text(x, y + 14 + n * _ROW, text, points, colour, exact=number))


def _draw_edge(
    made: Scene, edge: Edge, stub: Stub, port: tuple[int, int], layout: Layout, top: float,
    places: dict[str, Place],
) -> None:  # fmt: skip
    source, target = places[edge.source.key], places[edge.target.key]
    y = next(at for s, at in _stub_heights(source, top) if s is stub)
    bare = not (stub.above or stub.below)
    start = edge.source.x + source.width if bare else layout.columns[edge.source.layer][1]
    points = [(start + MARGIN, y)]
    if bare:
        points.append((layout.columns[edge.source.layer][1] + MARGIN, y))
    for bend in edge.bends:
        left, right = layout.columns[bend.layer]
        points += [(left + MARGIN, bend.y + top), (right + MARGIN, bend.y + top)]
    points.append(_port(target, port, top))
    made.lines.append(Line(points, EDGE, arrow=True))


def _port_height(target: Place, port: tuple[int, int]) -> float:
    n, count = port
    reach = target.height / 2 - 6
    return 0.0 if count == 1 else -reach + 2 * reach * n / (count - 1)


def _port(target: Place, port: tuple[int, int], top: float) -> tuple[float, float]:
    """Where an edge meets a box: inputs one below the other, on the rim of a circle."""
    offset = _port_height(target, port)
    left = target.node.x + MARGIN
    if target.is_circle:
        radius = target.height / 2
        left += radius - (radius**2 - offset**2) ** 0.5
    return left, target.node.y + top + offset
