"""Computations that several tests of circuits look at, with the numbers they must show.

The scalar ones are those of the field's courses; expected values are closed forms in double
precision. Each takes what is to be done with the result while its variables are there: by default
`bl.see`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import backlit as bl
from backlit import nn
from backlit.nn import functional as F


def scalars(*values: float) -> list[bl.Tensor]:
    return [bl.tensor(v, dtype=bl.float64, requires_grad=True) for v in values]


See = Callable[[bl.Tensor], Any]
Named = dict[str, tuple[float, float]]


def c1(see: See = bl.see) -> tuple[Any, Named]:
    """f = (x + y) z; (value, gradient) by name."""
    x, y, z = scalars(-2, 5, -4)
    q = x + y
    f = q * z
    return see(f), {"x": (-2, -4), "y": (5, -4), "z": (-4, 3), "q": (3, -4), "f": (-12, 1)}


def c5(see: See = bl.see) -> tuple[Any, list[float], list[float]]:
    """The sigmoid neuron gate by gate: values and gradients of its gates, in order."""
    w0, w1, w2, x0, x1 = scalars(2, -3, -3, -1, -2)
    f = 1 / (1 + (-(w0 * x0 + w1 * x1 + w2)).exp())
    e, s = math.exp(-1), 1 / (1 + math.exp(-1))
    slope = s * (1 - s)
    values = [-2, 6, 4, 1, -1, e, 1 + e, s]
    grads = [slope, slope, slope, slope, -slope, -s * s, -s * s, 1]
    return see(f), values, grads


def c7(see: See = bl.see) -> tuple[Any]:
    """One sigmoid gate at 1."""
    (z,) = scalars(1.0)
    f = z.sigmoid()
    return (see(f),)


def c8(see: See = bl.see) -> tuple[Any, Named]:
    """f = (x + sigma(y)) / (sigma(x) + (x + y)^2) in stages, with forks at x and y."""
    x, y = scalars(3, -4)
    sigy = y.sigmoid()
    num = x + sigy
    sigx = x.sigmoid()
    xpy = x + y
    xpysqr = xpy**2
    den = sigx + xpysqr
    invden = 1 / den
    f = num * invden
    s, t = 1 / (1 + math.exp(-3)), 1 / (1 + math.exp(4))
    up, down = 3 + t, s + 1
    slope = -up / down**2
    return see(f), {
        "x": (3, 2.0595697955721652), "y": (-4, 1.5922327514838093), "sigy": (t, 1 / down),
        "num": (up, 1 / down), "sigx": (s, slope), "xpy": (-1, -2 * slope),
        "xpysqr": (1, slope), "den": (down, slope), "invden": (1 / down, up),
        "f": (1.5456448841066441, 1),
    }  # fmt: skip


def c13(see: See = bl.see) -> tuple[Any, Named]:
    """f = 2 (x y + max(z, w))."""
    x, y, z, w = scalars(3, -4, 2, -1)
    xy = x * y
    largest = bl.maximum(z, w)
    total = xy + largest
    f = 2 * total
    return see(f), {
        "x": (3, -8), "y": (-4, 6), "z": (2, 2), "w": (-1, 0), "xy": (-12, 2),
        "largest": (2, 2), "total": (-10, 2), "f": (-20, 1),
    }  # fmt: skip


class TwoLayer(nn.Module):
    """3 -> 4 -> 2 with ReLU."""

    def __init__(self, dtype: bl.dtype = bl.float64) -> None:
        super().__init__()
        self.fc1 = nn.Linear(3, 4, dtype=dtype)
        self.fc2 = nn.Linear(4, 2, dtype=dtype)

    def forward(self, x: bl.Tensor) -> bl.Tensor:
        return self.fc2(F.relu(self.fc1(x)))


def two_layer(see: See = bl.see, dtype: bl.dtype = bl.float64) -> tuple[Any, nn.Module, bl.Tensor]:
    """The loss of a two-layer network on five samples, the network and the loss."""
    bl.manual_seed(0)
    model = TwoLayer(dtype)
    x = bl.randn(5, 3, dtype=dtype)
    labels = bl.tensor([0, 1, 0, 1, 0])
    loss = F.cross_entropy(model(x), labels)
    return see(loss), model, loss
