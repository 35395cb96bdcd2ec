"""What a gate opens into: its expansion, or the scalar gates of one chosen element.

An expansion is a circuit of simpler gates between the same wires (expansion.py), and its gates
open again; where there is none, one element is spelled out in scalars (elements.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.views.elements import Index, element_circuit
from backlit.views.expansion import expansion
from backlit.views.graph import Gate
from backlit.views.snapshot import Writer

DEPTH = 3  # gates within gates within gates
MANY = 40  # in a larger graph the gates inside a gate stay closed


def inside(
    gate: Gate,
    outer: Writer,
    chosen: Mapping[int, list[Index]],
    depth: int = 0,
    deepest: int = DEPTH,
) -> dict[str, Any] | None:
    """The inner `Circuit` of a gate, or None where nothing is inside."""
    prefix = f"{outer.gate_id(gate)}."
    opened = expansion(gate) if depth < deepest else None
    if opened is None or len(opened.graph.gates) < 2:
        index = next((chosen[w.id][0] for w in gate.outputs if w and w.id in chosen), None)
        wanted = depth == 0 or not (gate.op.elementwise or gate.op.moves) or index is not None
        small = element_circuit(gate, prefix, index) if wanted or _adds(gate) else None
        if opened is None or small is not None:
            return small
    border = {inner: outer.wire_id(wire) or "" for inner, wire in opened.border.items()}
    writer = Writer(prefix, outer=border, brief=True)
    graph = opened.graph
    made = writer.circuit(graph.gates, [w for w in graph.wires if w.id not in border])
    if depth + 1 < deepest:
        at = {k: chosen[w.id] for k, w in opened.border.items() if w.id in chosen}
        for data, inner in zip(made["gates"], graph.gates):
            data["inside"] = inside(inner, writer, at, depth + 1, deepest)
    return made


def _adds(gate: Gate) -> bool:
    return gate.op.name in ("sum", "mean")


def deepest(gates: int) -> int:
    """How many levels of gates within gates a graph of that size gets."""
    return DEPTH if gates <= MANY else 1
