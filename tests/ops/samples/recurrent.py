"""Rows of backlit/ops/recurrent.py, lstm.py, gru.py and rnn.py."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from rows import Row, T

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError

STEPS, BATCH, FEATURES, SIZE = 3, 2, 3, 4
X = T((STEPS, BATCH, FEATURES))
GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def _weights(rows: int, layers: int, both: bool, bias: bool, proj: int) -> list[T]:
    made, out = [], proj or SIZE
    near = (-0.6, 0.6)
    for layer in range(layers):
        for _ in range(1 + both):
            inside = FEATURES if layer == 0 else out * (1 + both)
            made += [T((rows, inside), near), T((rows, out), near)]
            made += [T((rows,)), T((rows,))] if bias else []
            made += [T((proj, SIZE), near)] if proj else []
    return made


def _call(name: str, x: T = X, layers: int = 1, both: bool = False, first: bool = False,
          bias: bool = True, proj: int = 0, batch: int = BATCH,
          hx: Any = None) -> tuple:  # fmt: skip
    count = layers * (1 + both)
    x = x if batch == BATCH else T((STEPS, batch, FEATURES))
    h = T((count, batch, proj or SIZE))
    state = (h, T((count, batch, SIZE))) if name == "lstm" else h
    params = _weights(GATES[name] * SIZE, layers, both, bias, proj)
    return (x, state if hx is None else hx, params, bias, layers, 0.0, True, both, first)


SWAPPED = T((BATCH, STEPS, FEATURES))


def _refused(name: str) -> list[tuple]:
    return [
        (_call(name, T((STEPS, BATCH, 5))), ShapeError, "features"),
        (_call(name, T((STEPS, 3, FEATURES))), ShapeError, "h_0"),
        (_call(name, T((STEPS, FEATURES))), ShapeError, "3 axes"),
        (_call(name, T((0, BATCH, FEATURES))), ShapeError, "at least one step"),
        (_call(name, T((STEPS, BATCH, FEATURES), dtype="float32")), DTypeError, "convert"),
        ((*_call(name)[:2], [T((4, 4))] * 7, *_call(name)[3:]), ArgumentError, "7 weights"),
    ]


def _quiet(name: str) -> Callable[..., Any]:
    """PyTorch's function without its warning that projections take a slower way."""

    def call(*args: Any) -> Any:
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(torch, name)(*args)

    return call


def _layers(name: str, op: str) -> Row:
    args = [
        _call(name), _call(name, SWAPPED, layers=2, both=True, first=True),
        _call(name, both=True, bias=False),
        _call(name, batch=0), _call(name, T((1, BATCH, FEATURES)), layers=2),
    ]  # fmt: skip
    bad = _refused(name)
    if name == "lstm":
        args.append(_call(name, proj=2, both=True))
        bad.append((_call(name, hx=T((1, BATCH, SIZE))), ArgumentTypeError, "pair"))
    return Row(name, op=(op, f"{op}_grad"), args=args, bad=bad, grad=True, torch=_quiet(name))


X1, H1 = T((BATCH, FEATURES)), T((BATCH, SIZE))


def _cell(name: str, rows: int) -> Row:
    weights = (T((rows, FEATURES)), T((rows, SIZE)))
    biases = (T((rows,)), T((rows,)))
    if name == "lstm_cell":
        args = [(X1, (H1, T((BATCH, SIZE))), *weights, *biases),
                (X1, (H1, T((BATCH, SIZE))), *weights)]  # fmt: skip
        return Row(name, op=(), args=args, grad=True,
                   bad=[((X1, H1, *weights), ArgumentTypeError, "pair")])  # fmt: skip
    return Row(name, op=(), args=[(X1, H1, *weights, *biases), (X1, H1, *weights)], grad=True,
               bad=[((X, H1, *weights), ShapeError, "a cell takes")])  # fmt: skip


ROWS = [
    _layers("lstm", "lstm"),
    _layers("gru", "gru"),
    _layers("rnn_tanh", "rnn"),
    _layers("rnn_relu", "rnn"),
    *(_cell(f"{name}_cell", gates * SIZE) for name, gates in GATES.items()),
]
