"""The arithmetic of LSTM, GRU and plain recurrent cells on lanes, forward and backward.

A cell sees, for one row and one vector of units, the sums of the hidden weights for each gate and
the arrays of its walk by name; it knows neither addresses nor loops (kernels.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from backlit.backends.cpu.lanes.formulas import LaneMath
from backlit.backends.cpu.lanes.value import Lane


@dataclass(frozen=True)
class Cell:
    """One kind of cell; `name` tells it from the others.

    `forward(access, sums)` stores what a step leaves behind. `backward(access, dh, dc)` stores
    the gradients of the gates and returns what stays for the step before: of the cell state, or,
    if it `accumulates`, the part of the hidden state's that the product is added to.
    """

    name: str
    gates: int
    forward: Callable[[Any, Sequence[Lane]], None] = field(repr=False)
    backward: Callable[[Any, Lane, Lane], Lane] = field(repr=False)
    inner: str  # the array of gradients that the hidden weights multiply
    has_state: bool = False
    accumulates: bool = False


def sigmoid(m: LaneMath, x: Lane) -> Lane:
    """1 / (1 + e^-x); where e^-x leaves the range of the type, the end of the range."""
    limit = 87.0 if m.single else 708.0
    return 1.0 / (m.exp_bounded(m.at_least(m.at_most(-x, limit), -limit)) + 1.0)


def _lstm(a: Any, sums: Sequence[Lane]) -> None:
    m = LaneMath(sums[0])
    z = [a.load("gates", g, 4) + total for g, total in enumerate(sums)]
    i, f, g, o = sigmoid(m, z[0]), sigmoid(m, z[1]), m.tanh(z[2]), sigmoid(m, z[3])
    for part, gate in enumerate((i, f, g, o)):
        a.store("gates", gate, part, 4)
    c = m.fma(f, a.before("c"), i * g)
    s = m.tanh(c)
    a.store("cells", c)
    a.store("squashed", s)
    a.store("y", o * s)


def _lstm_back(a: Any, dh: Lane, dc: Lane) -> Lane:
    i, f, g, o = (a.load("gates", part, 4) for part in range(4))
    s = a.load("squashed")
    dc = dc + dh * o * (1.0 - s * s)
    a.store("d", dc * g * i * (1.0 - i), 0, 4)
    a.store("d", dc * a.before("c") * f * (1.0 - f), 1, 4)
    a.store("d", dc * i * (1.0 - g * g), 2, 4)
    a.store("d", dh * s * o * (1.0 - o), 3, 4)
    return dc * f


def _gru(a: Any, sums: Sequence[Lane]) -> None:
    m = LaneMath(sums[0])
    r, z, kept = (total + a.bias(g) for g, total in enumerate(sums))
    r, z = (sigmoid(m, x + a.load("entered", g, 3)) for g, x in enumerate((r, z)))
    n = m.tanh(m.fma(r, kept, a.load("entered", 2, 3)))
    for part, x in enumerate((r, z, n, kept)):
        a.store("gates", x, part, 4)
    a.store("y", m.fma(z, a.before("h") - n, n))


def _gru_back(a: Any, dh: Lane, dc: Lane) -> Lane:
    r, z, n, kept = (a.load("gates", part, 4) for part in range(4))
    dn = dh * (1.0 - z) * (1.0 - n * n)
    dr, dz = dn * kept * r * (1.0 - r), dh * (a.before("h") - n) * z * (1.0 - z)
    for part, (entered, inner) in enumerate(((dr, dr), (dz, dz), (dn, dn * r))):
        a.store("d", entered, part, 3)
        a.store("inner", inner, part, 3)
    return dh * z


def _tanh(a: Any, sums: Sequence[Lane]) -> None:
    a.store("y", LaneMath(sums[0]).tanh(a.load("entered") + sums[0]))


def _tanh_back(a: Any, dh: Lane, dc: Lane) -> Lane:
    y = a.load("y")
    a.store("d", dh * (1.0 - y * y))
    return dh


def _relu(a: Any, sums: Sequence[Lane]) -> None:
    a.store("y", LaneMath(sums[0]).maximum(a.load("entered") + sums[0], 0.0))


def _relu_back(a: Any, dh: Lane, dc: Lane) -> Lane:
    y = a.load("y")
    a.store("d", LaneMath(y).where(y > 0.0, dh, dh * 0.0))
    return dh


LSTM = Cell("lstm", 4, _lstm, _lstm_back, "d", has_state=True)
GRU = Cell("gru", 3, _gru, _gru_back, "inner", accumulates=True)
RNN_TANH = Cell("rnn_tanh", 1, _tanh, _tanh_back, "d")
RNN_RELU = Cell("rnn_relu", 1, _relu, _relu_back, "d")
