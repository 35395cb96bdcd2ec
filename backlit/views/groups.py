"""Which gates belong together: modules, and operators made of others, as a tree of groups.

A group is a run of neighbouring gates under one module path or scope. Neighbours only, so that
a closed group never reads what depends on itself: a module that is called again later, or a cell
that is called at every step, is a group each time. Must not know how groups are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from backlit.errors import ArgumentError
from backlit.views.graph import Gate, Graph

VISIBLE = 40  # so many gates and closed groups a circuit may start with


@dataclass(eq=False)
class Group:
    """Gates of one module call or of one composite operator."""

    id: str
    name: str  # the last part of its path
    kind: str  # "module" or "operator"
    path: str
    parent: Group | None
    gates: list[Gate] = field(default_factory=list)  # its own, not those of inner groups
    groups: list[Group] = field(default_factory=list)
    title: str = ""
    open: bool = False

    @property
    def all_gates(self) -> list[Gate]:
        """Its own gates and those of the groups inside."""
        inner = (g for group in self.groups for g in group.all_gates)
        return sorted([*self.gates, *inner], key=lambda g: g.id)

    @property
    def parameters(self) -> int:
        """How many parameter elements its gates read."""
        read = {id(w): w for g in self.all_gates for w in g.inputs if w is not None}
        return sum(w.array.size for w in read.values() if w.kind == "parameter")


@dataclass
class Grouping:
    """The tree of groups over a graph; `outermost` have no parent."""

    groups: list[Group]  # outer ones before the groups that they hold
    of: dict[int, Group]  # by the id of a gate: its innermost group
    loose: list[Gate]  # gates in no group

    @property
    def outermost(self) -> list[Group]:
        return [g for g in self.groups if g.parent is None]


def grouping(graph: Graph, opened: str | int | None = "auto") -> Grouping:
    """The groups of a graph; `opened` says which start open: see `choose_open`.

    >>> from backlit.views.groups import grouping
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    >>> [g.title for g in grouping(bl.views.record(model(bl.ones(1, 2)).sum()).graph).groups]
    ['sequential', 'Linear 0', 'Tanh 1']
    """
    made = Grouping([], {}, [])
    _runs(made, graph.gates, [_path(g) for g in graph.gates], 0, None)
    _name(made)
    choose_open(made, opened)
    return made


def _path(gate: Gate) -> list[tuple[str, str]]:
    """(kind, name) of every group around a gate, outermost first."""
    modules = [("module", part) for part in str(gate.module).split(".") if part]
    return modules + [("operator", part) for part in gate.scope.split("/") if part]


def _runs(
    made: Grouping, gates: list[Gate], paths: list[list[tuple[str, str]]], depth: int,
    parent: Group | None,
) -> None:  # fmt: skip
    """One group for each run of neighbours whose paths agree down to `depth`."""
    start = 0
    while start < len(gates):
        if len(paths[start]) <= depth:
            if parent is None:
                made.loose.append(gates[start])
            else:
                parent.gates.append(gates[start])
                made.of[gates[start].id] = parent
            start += 1
            continue
        end = _run_end(gates, paths, start, depth)
        kind, name = paths[start][depth]
        path = ".".join(part for _, part in paths[start][: depth + 1])
        group = Group(f"m{len(made.groups)}", name, kind, path, parent)
        made.groups.append(group)
        if parent is not None:
            parent.groups.append(group)
        _runs(made, gates[start:end], paths[start:end], depth + 1, group)
        start = end


def _run_end(gates: list[Gate], paths: list[list[tuple[str, str]]], start: int, depth: int) -> int:
    """Where the run ends: at another path, or where the module begins again."""
    first = _call_key(gates[start]) if len(paths[start]) == depth + 1 else None
    for i in range(start + 1, len(gates)):
        if paths[i][: depth + 1] != paths[start][: depth + 1]:
            return i
        if first is not None and len(paths[i]) == depth + 1 and _call_key(gates[i]) == first:
            return i
    return len(gates)


def _call_key(gate: Gate) -> tuple[Any, ...] | None:
    """What tells one call of a module from the next: its first gate reads the same weights."""
    weights = tuple(w.id for w in gate.inputs if w is not None and w.kind == "parameter")
    return (gate.op.name, *weights) if weights else None


# ----- titles -----


def _name(made: Grouping) -> None:
    calls: dict[str, list[Group]] = {}
    for group in made.groups:
        if group.kind == "module":
            calls.setdefault(group.path, []).append(group)
        group.title = _title(group)
    for same in calls.values():
        if len(same) > 1:
            for n, group in enumerate(same, 1):
                group.title = f"{group.title} ({n})"


def _title(group: Group) -> str:
    if group.kind == "operator":
        return group.name
    kind = next((c for g in group.gates for c in _class_names(g)), "")
    if group.parent is None:
        return kind or group.name
    return f"{kind} {group.name}" if group.name.isdigit() and kind else group.name


def _class_names(gate: Gate) -> Iterator[str]:
    owner = getattr(gate.module, "owner", None)
    module = owner() if owner is not None else None
    if module is not None and not gate.scope:
        yield type(module).__name__


# ----- which start open -----


def choose_open(made: Grouping, opened: str | int | None = "auto") -> None:
    """Open groups: "all", "none", those above a depth, or "auto".

    "auto" opens level by level as long as at most VISIBLE gates and closed groups show; where
    not all can be open, single layers stay closed, which gives an overview of the model.
    """
    if isinstance(opened, bool) or not (
        opened in ("auto", "all", "none", None) or isinstance(opened, int)
    ):
        raise ArgumentError(
            f"open must be 'auto', 'all', 'none' or how many levels, got {opened!r}"
        )
    level, depth = made.outermost, 0
    while level:
        if isinstance(opened, int):
            wanted = depth < opened
        elif opened == "all":
            wanted = True
        else:
            wanted = opened != "none" and _shown(made, level) <= VISIBLE
        if not wanted:
            if opened not in ("all", "none") and not isinstance(opened, int):
                _close_layers(made)
            return
        for group in level:
            group.open = True
        level, depth = [inner for group in level for inner in group.groups], depth + 1


def _close_layers(made: Grouping) -> None:
    for group in made.groups:
        group.open = group.open and bool(group.groups)


def _shown(made: Grouping, level: list[Group]) -> int:
    """How many items would show if this level were open too."""
    opened = {id(g) for g in made.groups if g.open} | {id(g) for g in level}
    count, waiting = len(made.loose), list(made.outermost)
    while waiting:
        group = waiting.pop()
        if id(group) in opened:
            count += len(group.gates)
            waiting.extend(group.groups)
        else:
            count += 1
    return count
