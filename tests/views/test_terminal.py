"""Circuits as text: exact numbers, widths, colours only where there are some, collapsed modules."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from circuits import c1, c5, c8, c13, scalars, two_layer

import backlit as bl
from backlit import models
from backlit.nn import functional as F

NUMBER = r"-?(?:\d+\.?\d*(?:e-?\d+)?|inf|nan)"


def cells(text: str) -> dict[str, tuple[float, float]]:
    """Value and gradient by the name of the wire, of rows that have both."""
    found = {}
    for line in text.splitlines():
        row = re.match(rf"(\w+)(?: = .*?)?\s{{2,}}({NUMBER})\s{{2,}}({NUMBER})(?:\s|$)", line)
        if row:
            found[row[1]] = float(row[2]), float(row[3])
    return found


@pytest.mark.parametrize("make", [c1, c8, c13])
def test_every_number_is_the_engines(make) -> None:
    circuit, expected = make()
    found = cells(circuit.text(digits=17, width=200))
    assert found.keys() == expected.keys()
    for name, (value, grad) in expected.items():
        assert found[name] == pytest.approx((value, grad), abs=1e-12)


def test_the_neuron_to_four_digits() -> None:
    text = c5()[0].text(width=120)
    for shown in ("exp: -0.5344 × 1 = -0.5344", "0.3679", "neg: -0.5344 × 0.3679 = -0.1966"):
        assert shown in text


def test_upstream_times_local_is_printed_and_holds() -> None:
    text = c8()[0].text(digits=17, width=200)
    steps = re.findall(rf"\w+: ({NUMBER}) × \(?({NUMBER})\)? = ({NUMBER})", text)
    assert len(steps) == 12
    for upstream, local, downstream in steps:
        assert float(upstream) * float(local) == pytest.approx(float(downstream), abs=1e-15)


def test_contributions_add_up() -> None:
    text = c8()[0].text(digits=17, width=200)
    (row,) = [line for line in text.splitlines() if line.startswith("x  ")]
    _, _, gradient, *parts = re.split(r"\s{2,}", row)
    found = [float(p.strip("()")) for p in parts[0].split(" + ")]
    assert len(found) == 3 and sum(found) == pytest.approx(float(gradient), abs=1e-15)


@pytest.mark.parametrize("width", [40, 60, 100])
def test_no_line_is_wider_than_the_terminal(width: int, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    circuit = c8()[0]
    assert max(map(len, str(circuit).splitlines())) <= width
    assert str(circuit) == circuit.text(width=width)


def test_piped_text_is_plain_and_a_terminal_gets_colours() -> None:
    from rich.console import Console

    circuit = c1()[0]
    assert "\x1b" not in str(circuit)
    held = io.StringIO()
    Console(file=held, force_terminal=True, width=100, highlight=False).print(circuit)
    assert "\x1b[3" in held.getvalue()
    plain = re.sub(r"\x1b\[[\d;]*m", "", held.getvalue())
    assert cells(plain) == cells(circuit.text(width=100))


def test_modules_are_headings_and_closed_ones_a_row() -> None:
    bl.manual_seed(0)
    model = models.resnet20()
    loss = F.cross_entropy(model(bl.randn(2, 3, 32, 32)), bl.tensor([0, 1]))
    lines = bl.see(loss).text(width=160).splitlines()
    assert "▾ ResNet" in lines[4] and "272,474 parameters" in lines[4]
    blocks = [line for line in lines if "▸ BasicBlock" in line]
    assert sum("▸" in line for line in lines) == 9 + len(["conv1", "bn1", "fc", "cross_entropy"])
    assert len(blocks) == 9 and "7 gates, 4,672 parameters" in blocks[0]
    assert "2×16×32×32 ‖" in blocks[0]
    assert lines[-1].startswith("... and 65 in closed groups")
    opened = bl.see(loss, open="all").text(width=160)
    assert "▸" not in opened and "layer3.2.bn2.bias" in opened


def test_parameters_are_named_within_their_module() -> None:
    text = two_layer()[0].text(width=140)
    assert "linear = linear(x, weight, bias)" in text
    assert re.search(r"^fc1\.weight\s+4×3 ‖", text, re.M)


def test_chinese() -> None:
    text = c1(lambda f: bl.see(f, language="zh"))[0].text(width=100)
    assert "上游 × 局部 = 下游" in text and "(分发)" in text and "输入" in text


def test_what_is_not_finite_and_what_has_no_elements() -> None:
    (x,) = scalars(0.0)
    with np.errstate(all="ignore"):
        f = x.log() * x
        assert "-inf" in bl.see(f).text() and "nan" in bl.see(f).text()
    empty = bl.zeros(0, 3, requires_grad=True)
    assert "0×3 ‖0‖" in bl.see((empty * 2).sum()).text(width=100)
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    assert "(2) int64" in bl.see(lambda x: (x[bl.tensor([1, 0]) + 0]).sum(), x).text(width=120)
