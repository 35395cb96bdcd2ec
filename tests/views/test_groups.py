"""Groups: every gate once, closed groups never form a cycle, what starts open."""

from __future__ import annotations

import pytest
from circuits import c1, two_layer
from families import FAMILIES

import backlit as bl
from backlit import models, nn
from backlit.nn import functional as F
from backlit.views.groups import VISIBLE, Group, grouping


def loss_of(model: nn.Module, *shape: int) -> bl.Tensor:
    return F.cross_entropy(model(bl.randn(*shape)), bl.arange(shape[0]))


class Cells(nn.Module):
    """One cell, called at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTMCell(3, 4), nn.Linear(4, 2)

    def forward(self, x: bl.Tensor) -> bl.Tensor:
        h = c = bl.zeros(x.shape[0], 4)
        for t in range(x.shape[1]):
            h, c = self.cell(x[:, t], (h, c))
        return self.out(h)


class Shared(nn.Module):
    """A layer that is used, left, and used again."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: bl.Tensor) -> bl.Tensor:
        return self.layer(self.layer(x).exp())


def edges(circuit, closed: set[str]) -> set[tuple[str, str]]:
    """Who reads whom, with closed groups as one."""
    of = circuit.grouping.of

    def stand(gate) -> str:
        name, group = f"g{gate.id}", of.get(gate.id)
        while group is not None:
            name = group.id if group.id in closed else name
            group = group.parent
        return name

    found = set()
    for gate in circuit.graph.gates:
        for wire in gate.inputs:
            if wire is not None and wire.maker is not None:
                pair = stand(wire.maker), stand(gate)
                if pair[0] != pair[1]:
                    found.add(pair)
    return found


def is_acyclic(pairs: set[tuple[str, str]]) -> bool:
    while pairs:
        sources = {a for a, _ in pairs} - {b for _, b in pairs}
        if not sources:
            return False
        pairs = {(a, b) for a, b in pairs if a not in sources}
    return True


MAKE = {
    "cells": lambda: loss_of(Cells(), 2, 4, 3),
    "shared": lambda: loss_of(Shared(), 2, 3),
    **{
        name: lambda make=make, shape=shape: make()(bl.randn(*shape)).sum()
        for name, (make, shape, _) in FAMILIES.items()
    },
}


@pytest.mark.parametrize("name", MAKE)
def test_every_gate_is_in_one_group_and_closing_makes_no_cycle(name: str) -> None:
    bl.manual_seed(0)
    circuit = bl.see(MAKE[name]())
    found = circuit.grouping
    own = [g.id for group in found.groups for g in group.gates] + [g.id for g in found.loose]
    assert sorted(own) == [g.id for g in circuit.graph.gates]
    for group in found.groups:
        assert all(found.of[g.id] is group for g in group.gates)
        assert group.parent is None or group in group.parent.groups
        assert is_acyclic(edges(circuit, {group.id}))
    assert is_acyclic(edges(circuit, {g.id for g in found.groups}))


def test_resnet_20_starts_as_its_blocks() -> None:
    bl.manual_seed(0)
    model = models.resnet20()  # titles are the classes of modules that are alive
    circuit = bl.see(loss_of(model, 2, 3, 32, 32))
    root = circuit.grouping.outermost[0]
    assert root.open and root.title == "ResNet"
    assert [g.name for g in root.groups] == ["conv1", "bn1", "layer1", "layer2", "layer3", "fc"]
    stage = root.groups[2]
    assert [g.title for g in stage.groups] == ["BasicBlock 0", "BasicBlock 1", "BasicBlock 2"]
    assert stage.open and not any(g.open for g in stage.groups)
    assert not root.groups[0].open, "single layers stay closed in an overview"
    assert stage.parameters == 3 * 2 * (16 * 16 * 9 + 32)
    assert visible(circuit) <= VISIBLE


def visible(circuit) -> int:
    def count(group: Group) -> int:
        return len(group.gates) + sum(map(count, group.groups)) if group.open else 1

    return len(circuit.grouping.loose) + sum(map(count, circuit.grouping.outermost))


def test_a_cell_called_at_every_step_is_a_group_each_time() -> None:
    found = bl.see(MAKE["cells"]()).grouping
    titles = [g.title for g in found.groups if g.name == "cell"]
    assert titles == ["cell (1)", "cell (2)", "cell (3)", "cell (4)"]
    sizes = {len(g.all_gates) for g in found.groups if g.name == "cell"}
    assert len(sizes) == 1


def test_a_layer_used_again_is_two_groups() -> None:
    found = bl.see(MAKE["shared"]()).grouping
    assert [g.title for g in found.groups if g.name == "layer"] == ["layer (1)", "layer (2)"]


def test_scalars_have_no_groups_and_composites_are_operators() -> None:
    assert c1()[0].grouping.groups == []
    groups = two_layer()[0].grouping.groups
    assert [(g.kind, g.title) for g in groups] == [
        ("module", "TwoLayer"), ("module", "fc1"), ("module", "fc2"),
        ("operator", "cross_entropy"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("opened", "expected"),
    [("all", 4), ("none", 0), (0, 0), (1, 2), (2, 4), ("auto", 4)],
)
def test_which_start_open(opened, expected: int) -> None:
    circuit = two_layer()[0]
    found = grouping(circuit.graph, opened)
    assert sum(g.open for g in found.groups) == expected


def test_loops_of_modules_do_not_nest_forever() -> None:
    model = nn.Sequential(*(nn.Sequential(nn.Linear(2, 2), nn.Tanh()) for _ in range(30)))
    circuit = bl.see(model(bl.randn(1, 2)).sum())
    assert visible(circuit) <= VISIBLE
    assert max(g.path.count(".") for g in circuit.grouping.groups) == 2
