"""The gradients of a convolution by indices, tap by tap as they are written.

A convolution has no matrix form: each output element reads a window of the input, and each
gradient returns to the window that it came from. Read next: indices.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from backlit.views.derive.lines import Element, Line, equation
from backlit.views.derive.rules import Back
from backlit.views.derive.terms import PRODUCT, Shown, Symbol, wide


def conv_lines(back: Back, i: int, language: str) -> Iterator[Line]:
    """Correlation by indices: each output element reads a window, each gradient returns there."""
    count = len(back.shape(0)) - 2
    if count > 2 or back.params["groups"] != 1:
        return
    at, tap = "ij"[:count], "uv"[:count]
    window = ",".join(_place(back, k, at[k], tap[k]) for k in range(count))
    x, w = back.x(0), back.x(1)
    assert isinstance(x, Symbol) and isinstance(w, Symbol)
    target = back.notation.grad(back.wire(i), back.gate.downstream[i])
    outputs = ",".join(("n", *at))
    g = back.g.at(",".join(("n", "o", *at)))
    if i == 0:
        places = r",\ ".join(f"{_place(back, k, at[k], tap[k])} = {'pq'[k]}" for k in range(count))
        bound = ",".join(("o", *at, *tap))
        kernel = w.at(",".join(("o", "c", *tap)))
        text = rf"\sum_{{{bound}:\ {places}}} {g} \, {kernel}"
        left = Element(target, ",".join(("n", "c", *"pq"[:count])))
    elif i == 1:
        text = rf"\sum_{{{outputs}}} {g} \, {x.at(f'n,c,{window}')}"
        left = Element(target, ",".join(("o", "c", *tap)))
    else:
        text = rf"\sum_{{{outputs}}} {g}"
        left = Element(target, "o")
    value = conv_sums(back, i)
    yield equation(left, [Shown(lambda: text, lambda: value, rank=PRODUCT)], language)


def _place(back: Back, k: int, at: str, tap: str) -> str:
    """The row that output row `at` reads through tap `tap`: s i + d u - p."""
    stride, padding, dilation = (back.params[n][k] for n in ("stride", "padding", "dilation"))
    first = at if stride == 1 else f"{stride}{at}"
    second = tap if dilation == 1 else f"{dilation}{tap}"
    return f"{first} + {second}" + (f" - {padding}" if padding else "")


def conv_sums(back: Back, i: int) -> np.ndarray:
    """The sums as they are written, tap by tap; computed once."""
    if i not in back.kept:
        back.kept[i] = _conv_sums(back, i)
    found: np.ndarray = back.kept[i]
    return found


def _conv_sums(back: Back, i: int) -> np.ndarray:
    x, w, g = wide(back.wire(0).value), wide(back.wire(1).value), wide(back.g.array)
    if i == 2:
        return g.sum(axis=(0, *range(2, g.ndim)))
    padding = back.params["padding"]
    grown = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    made: Any = np.zeros(grown.shape if i == 0 else w.shape)
    flat = g.reshape(*g.shape[:2], -1)
    for tap in product(*(range(n) for n in w.shape[2:])):
        whole = (slice(None), slice(None))
        window: Any = whole + _window(back, tap, g.shape[2:])
        place: Any = whole + tap
        if i == 0:
            made[window] += np.einsum("no...,oc->nc...", g, w[place])
        else:
            seen = grown[window].reshape(*grown.shape[:2], -1)
            made[place] = np.einsum("nop,ncp->oc", flat, seen)
    if i == 1:
        return made
    inner = tuple(slice(p, p + n) for p, n in zip(padding, x.shape[2:]))
    return made[(slice(None), slice(None), *inner)]


def _window(back: Back, tap: tuple[int, ...], size: tuple[int, ...]) -> tuple[slice, ...]:
    """What all outputs read through one tap."""
    strides, dilations = back.params["stride"], back.params["dilation"]
    return tuple(
        slice(t * d, t * d + s * (n - 1) + 1, s)
        for t, d, s, n in zip(tap, dilations, strides, size)
    )
