"""A layered layout: nodes in columns from left to right, few crossings, no overlaps.

Sugiyama, Tagawa, Toda 1981: longest-path layers, an order within each layer by the means of the
neighbours, then heights that keep the order and the gaps. Edges over several layers bend at
places that are kept free for them. Knows sizes only, nothing of gates.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

SWEEPS = 16


@dataclass(eq=False)
class Node:
    """A rectangle; `x`, `y` (its left edge and its middle) are found by `place`."""

    key: str
    width: float
    height: float
    late: bool = False  # as near to its readers as possible
    layer: int = 0
    x: float = 0.0
    y: float = 0.0
    # Neighbours, with how far below their middle the edge meets them.
    before: list[tuple[Node, float]] = field(default_factory=list)
    after: list[tuple[Node, float]] = field(default_factory=list)


@dataclass(eq=False)
class Edge:
    """From one node to another; `bends` are the places kept free in the layers between.

    `leaves` and `enters` say how far below the middle the edge meets its ends.
    """

    source: Node
    target: Node
    leaves: float = 0.0
    enters: float = 0.0
    bends: list[Node] = field(default_factory=list)


@dataclass
class Layout:
    """Placed nodes; `columns` holds (left, right) of every layer."""

    columns: list[tuple[float, float]]
    width: float
    height: float


def place(
    nodes: Sequence[Node], edges: Sequence[Edge], gap: float, between: float, bend: float = 10.0
) -> Layout:
    """Give every node its place: `gap` between neighbours in a layer, `between` layers.

    >>> from backlit.views.layers import Edge, Node, place
    >>> a, b = Node("a", 20, 10), Node("b", 20, 10)
    >>> place([a, b], [Edge(a, b)], gap=5, between=30).width, b.x
    (70.0, 50.0)
    """
    _layers(nodes, edges)
    layers = _with_bends(nodes, edges, bend)
    _order(layers)
    columns, x = [], 0.0
    for layer in layers:
        width = max(n.width for n in layer)
        for node in layer:
            node.x = x
        columns.append((x, x + width))
        x += width + between
    _heights(layers, gap)
    top = min(n.y - n.height / 2 for layer in layers for n in layer)
    for layer in layers:
        for node in layer:
            node.y -= top
    height = max(n.y + n.height / 2 for layer in layers for n in layer)
    return Layout(columns, columns[-1][1], height)


def _layers(nodes: Sequence[Node], edges: Sequence[Edge]) -> None:
    """Longest paths; `nodes` come in an order in which edges lead forward."""
    readers: dict[int, list[Node]] = {}
    makers: dict[int, list[Node]] = {}
    for edge in edges:
        readers.setdefault(id(edge.source), []).append(edge.target)
        makers.setdefault(id(edge.target), []).append(edge.source)
    for node in nodes:
        node.layer = max((m.layer + 1 for m in makers.get(id(node), [])), default=0)
    for node in reversed(nodes):
        if node.late and id(node) in readers:
            node.layer = min(r.layer for r in readers[id(node)]) - 1
    lowest = min(n.layer for n in nodes)
    for node in nodes:
        node.layer -= lowest


def _with_bends(
    nodes: Sequence[Node], edges: Sequence[Edge], bend: float
) -> list[list[Node]]:  # fmt: skip
    layers: list[list[Node]] = [[] for _ in range(max(n.layer for n in nodes) + 1)]
    for node in nodes:
        layers[node.layer].append(node)
    for edge in edges:
        last, below = edge.source, edge.leaves
        for layer in range(edge.source.layer + 1, edge.target.layer):
            free = Node("", 0.0, bend, layer=layer)
            edge.bends.append(free)
            layers[layer].append(free)
            _join(last, free, below, 0.0)
            last, below = free, 0.0
        _join(last, edge.target, below, edge.enters)
    return [layer for layer in layers if layer]


def _join(a: Node, b: Node, leaves: float, enters: float) -> None:
    a.after.append((b, enters))
    b.before.append((a, leaves))


# ----- the order within layers -----


def _order(layers: list[list[Node]]) -> None:
    """Sweep to and fro, every layer by the mean place of its neighbours; keep the best."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            places = {
                id(n): i
                for beside in layers
                for i, n in enumerate(beside)
            }  # fmt: skip

            def mean(node: Node, forward: bool = forward, places: dict = places) -> float:
                near = node.before if forward else node.after
                near = near or node.after or node.before
                if not near:
                    return places[id(node)]
                # Within one neighbour, edges meet it from top to bottom.
                found = [places[id(n)] + d / (2 * n.height + 1) for n, d in near]
                return sum(found) / len(found)

            layer.sort(key=mean)
        count = _crossings(layers)
        if count < fewest:
            best, fewest = [list(layer) for layer in layers], count
        if not fewest:
            break
    for layer, kept in zip(layers, best):
        layer[:] = kept


def _crossings(layers: list[list[Node]]) -> int:
    """How many pairs of edges cross."""
    found = 0
    for layer, after in pairwise(layers):
        places = {id(n): i for i, n in enumerate(after)}
        ends = [
            sorted(places[id(t)] + d / (2 * t.height + 1) for t, d in n.after if id(t) in places)
            for n in layer
        ]
        seen: list[float] = []  # kept sorted: how many earlier edges end further down
        for targets in ends:
            found += sum(len(seen) - bisect_right(seen, t) for t in targets)
            for t in targets:
                insort(seen, t)
    return found


# ----- heights -----


def _heights(layers: list[list[Node]], gap: float) -> None:
    for layer in layers:
        _spread(layer, [0.0] * len(layer), gap)
    for sweep in range(SWEEPS):
        forward = sweep % 2 == 0
        for layer in layers if forward else reversed(layers):
            wanted = []
            for node in layer:
                near = (node.before if forward else node.after) or node.after or node.before
                wanted.append(sum(n.y + d for n, d in near) / len(near) if near else node.y)
            _spread(layer, wanted, gap)


def _spread(layer: list[Node], wanted: list[float], gap: float) -> None:
    """The heights nearest to the wanted ones that keep order and gaps (isotonic regression)."""
    offsets, offset = [], 0.0
    for i, node in enumerate(layer):
        if i:
            offset += layer[i - 1].height / 2 + gap + node.height / 2
        offsets.append(offset)
    blocks: list[list[float]] = []  # [sum of wanted, count]
    for want, offset in zip(wanted, offsets):
        blocks.append([want - offset, 1.0])
        while len(blocks) > 1 and _mean(blocks[-2]) > _mean(blocks[-1]):
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    flat = [_mean(block) for block in blocks for _ in range(int(block[1]))]
    for node, base, offset in zip(layer, flat, offsets):
        node.y = base + offset


def _mean(block: list[float]) -> float:
    return block[0] / block[1]
