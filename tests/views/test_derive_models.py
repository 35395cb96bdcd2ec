"""Every model's chain rule can be derived, and every line of it holds."""

from __future__ import annotations

import pytest
from families import FAMILIES

import backlit as bl
from backlit.nn import functional as F


@pytest.mark.parametrize("name", FAMILIES)
def test_every_line_holds(name: str) -> None:
    make, shape, classes = FAMILIES[name]
    bl.manual_seed(5)
    net = make().double()
    x = bl.randn(*shape, dtype=bl.float64)
    y = bl.randint(0, classes, (shape[0], *shape[2:]) if name == "unet" else (shape[0],))
    loss = F.cross_entropy(net(x), y)
    d = bl.see.derive(loss)
    assert [line.text for line in d.lines if not line.ok] == []
    assert d.error <= 1e-12
    derived = {line.sides[0] for line in d.lines if line.sides}
    for wire in d.graph.leaves:
        symbol = bl.views.names.tex(wire.name)
        assert rf"\frac{{\partial \mathrm{{loss}}}}{{\partial {symbol}}}" in derived
