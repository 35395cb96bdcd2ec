"""A recorded graph as a snapshot: versioned plain data that JSON can hold.

docs/design/snapshot.md is the contract; the page, the terminal and the still picture draw what
stands here. Owns the layout of the data; what the entries say is made by numbers.py,
pictures.py, symbols.py, sentences.py, groups.py and inside.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.views.derivatives import factored, local
from backlit.views.graph import Gate, Wire
from backlit.views.groups import Group, Grouping
from backlit.views.numbers import numbers
from backlit.views.pictures import picture
from backlit.views.sentences import backward_text, forward_text, pattern
from backlit.views.symbols import code_line, gate_tex, local_tex, settings, symbol, wire_tex

FORMAT, VERSION = "backlit.snapshot", 1
Index = tuple[int, ...]


@dataclass
class Writer:
    """Writes wires and gates; `prefix` keeps the ids of a nested circuit apart."""

    prefix: str = ""
    chosen: Mapping[int, list[Index]] = field(default_factory=dict)  # by the id of a wire
    outer: Mapping[int, str] = field(default_factory=dict)  # wires that cross the border
    loss: Wire | None = None
    brief: bool = False  # without pictures and histograms
    _known: dict[int, tuple[Any, dict[str, Any]]] = field(default_factory=dict)

    def numbers(self, value: Any, chosen: Iterable[Index] = ()) -> dict[str, Any]:
        """The `Numbers` of a value, computed once for each array."""
        held, found = self._known.get(id(value), (None, {}))
        if held is not value or chosen:
            found = numbers(value, chosen)
            if self.brief:
                found.pop("histogram", None)
            if not chosen:
                self._known[id(value)] = value, found
        return dict(found)

    def wire_id(self, wire: Wire | None) -> str | None:
        if wire is None or not wire.numeric:  # `params` has it
            return None
        return self.outer.get(wire.id) or f"{self.prefix}w{wire.id}"

    def gate_id(self, gate: Gate) -> str:
        return f"{self.prefix}g{gate.id}"

    def wire(self, wire: Wire) -> dict[str, Any]:
        """One `Wire`."""
        chosen = self.chosen.get(wire.id, ())
        value = self.numbers(wire.value, chosen)
        grad = None if wire.grad is None else self.numbers(wire.grad, chosen)
        if not self.brief:
            self._draw(wire, value, grad)
        return {
            "id": self.wire_id(wire),
            "name": wire.name,
            "tex": wire_tex(wire),
            "kind": wire.kind,
            "shape": [int(n) for n in wire.shape],
            "dtype": dt.of_array(wire.array).name,
            "maker": self.gate_id(wire.maker) if wire.maker is not None else None,
            "output": wire.output,
            "value": value,
            "grad": grad,
        }

    @staticmethod
    def _draw(wire: Wire, value: dict[str, Any], grad: dict[str, Any] | None) -> None:
        bank = any(g.op.name.startswith("conv") and i == 1 for g, i in wire.readers)
        role = "filters" if bank else "value"
        for made, array in ((value, wire.value), (grad, wire.grad)):
            if made is not None and array is not None:
                drawn = picture(np.asarray(array), role)
                if drawn is not None:
                    made["image"] = drawn

    def gate(self, gate: Gate, group: Group | None) -> dict[str, Any]:
        """One `Gate`, without what is inside."""
        line = gate.line
        return {
            "id": self.gate_id(gate),
            "op": gate.op.name,
            "symbol": symbol(gate),
            "tex": gate_tex(gate),
            "inputs": [self.wire_id(w) for w in gate.inputs],
            "outputs": [self.wire_id(w) for w in gate.outputs],
            "params": settings(gate),
            "group": None if group is None else f"{self.prefix}{group.id}",
            "module": str(gate.module),
            "scope": gate.scope,
            "line": line,
            "code": code_line(gate),
            "backward": self.backward(gate),
            "upstream": [None if u is None else self.numbers(u) for u in gate.upstream],
            "pattern": pattern(gate),
            "forward_text": forward_text(gate),
            "backward_text": backward_text(gate, self.loss),
            "inside": None,
        }

    def backward(self, gate: Gate) -> list[dict[str, Any]]:
        """One `Input` for each input that gets a gradient: upstream x local = downstream."""
        upstream = next((u for u in gate.upstream if u is not None), None)
        if upstream is None:
            return []
        arrived, made = self.numbers(upstream), []
        for i, downstream in enumerate(gate.downstream):
            if downstream is None:
                continue
            slope = local(gate, i)
            made.append({
                "input": i,
                "upstream": arrived,
                "downstream": self.numbers(downstream),
                "local": None if slope is None else self.numbers(slope),
                "local_tex": local_tex(gate, i),
                "factored": factored(upstream, slope, downstream),
            })  # fmt: skip
        return made

    def group(self, group: Group) -> dict[str, Any]:
        """One `Group`."""
        return {
            "id": f"{self.prefix}{group.id}",
            "title": group.title,
            "kind": group.kind,
            "path": group.path,
            "parent": None if group.parent is None else f"{self.prefix}{group.parent.id}",
            "gates": [self.gate_id(g) for g in group.gates],
            "tex": rf"\text{{{group.title}}}".replace("_", r"\_"),
            "parameters": group.parameters,
            "open": group.open,
        }

    def circuit(
        self, gates: list[Gate], wires: list[Wire], grouping: Grouping | None = None
    ) -> dict[str, Any]:
        """One `Circuit`, without what is inside its gates."""
        of = {} if grouping is None else grouping.of
        groups = [] if grouping is None else grouping.groups
        return {
            "wires": [self.wire(w) for w in wires if w.numeric],
            "gates": [self.gate(g, of.get(g.id)) for g in gates],
            "groups": [self.group(g) for g in groups],
        }
