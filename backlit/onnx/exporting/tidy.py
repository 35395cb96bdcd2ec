"""The last look at a graph: equal constants become one, and what nobody reads goes."""

from __future__ import annotations

from collections.abc import Sequence

from backlit.onnx.exporting.graph import Graph, Node, Port, reads, renamed

SMALL = 64  # elements up to which equal constants are looked for


def tidied(graph: Graph) -> Graph:
    """The same computation with fewer constants and nodes."""
    names = _doubles(graph)
    for node in graph.nodes:
        renamed(node, names)
    nodes = _read(graph.nodes, graph.outputs)
    used = {name for node in nodes for name in reads(node)}
    order = (*graph.kept, *(n for n in graph.constants if n not in graph.kept))
    constants = {n: graph.constants[n] for n in order if n in used}
    return Graph(graph.name, graph.inputs, nodes, graph.outputs, constants, graph.kept)


def _doubles(graph: Graph) -> dict[str, str]:
    """Constants that equal an earlier one, and that one; parameters stay."""
    first: dict[tuple, str] = {}
    names: dict[str, str] = {}
    for name, array in graph.constants.items():
        if name not in graph.kept and array.size <= SMALL:
            key = (array.dtype.name, array.shape, array.tobytes())
            if first.setdefault(key, name) != name:
                names[name] = first[key]
    return names


def _read(nodes: Sequence[Node], outputs: Sequence[Port]) -> list[Node]:
    """The nodes that lead to the outputs."""
    wanted = {port.name for port in outputs}
    kept = []
    for node in reversed(nodes):
        if any(name in wanted for name in node.outputs):
            kept.append(node)
            wanted.update(reads(node))
    return kept[::-1]
