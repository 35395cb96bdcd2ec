"""Rules of recurrent layers. ONNX orders the gates otherwise: rows of the weights are gathered."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.onnx.exporting.lowering import expanded_by, rule
from backlit.onnx.exporting.terms import Builder, Term
from backlit.ops.lstm import unrolled
from backlit.ops.steps import stack

# Our gates in ONNX's order.
_ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2), "RNN": (0,)}


def _layer(g: Builder, kind: str, x: Term, weights: tuple, states: tuple, reverse: bool,
           outputs: int, **attributes: Any) -> list[Term]:  # fmt: skip
    """The node: its outputs, without the axis of directions."""
    w_ih, w_hh, b_ih, b_hh = weights
    size = w_hh.shape[0] // len(_ORDERS[kind])
    if 0 in x.shape[:2]:  # runtimes abort on a batch of nothing
        return [g.filled((*x.shape[:2], size), 0.0, x.dtype), *states]
    rows = (np.array(_ORDERS[kind])[:, None] * size + np.arange(size)).reshape(-1)

    def placed(w: Term | None) -> Term:
        w = g.filled((len(rows),), 0.0, x.dtype) if w is None else w
        return w if kind == "RNN" else g("Gather", w, g.constant(rows, dt.int64), axis=0)

    def lead(w: Term) -> Term:
        return g("Unsqueeze", w, (0,))

    bias = None
    if b_ih is not None or b_hh is not None:
        bias = lead(g("Concat", placed(b_ih), placed(b_hh), axis=0))
    made = g(kind, x, lead(placed(w_ih)), lead(placed(w_hh)), bias, None, *map(lead, states),
             hidden_size=size, direction="reverse" if reverse else "forward", outputs=outputs,
             **attributes)  # fmt: skip
    return [g("Squeeze", y, (int(i == 0),)) for i, y in enumerate(made)]


@rule("rnn")
def _rnn(g: Builder, x: Term, h0: Term, *weights: Any, relu: bool, reverse: bool) -> Any:
    activation = ["Relu" if relu else "Tanh"]
    return tuple(_layer(g, "RNN", x, weights, (h0,), reverse, 2, activations=activation))


@rule("gru")
def _gru(g: Builder, x: Term, h0: Term, *weights: Any, reverse: bool) -> Any:
    return (*_layer(g, "GRU", x, weights, (h0,), reverse, 2, linear_before_reset=1), None)


@rule("lstm")
def _lstm(g: Builder, x: Term, h0: Term, c0: Term, *weights: Any, reverse: bool) -> Any:
    """With a projection, which ONNX has not, the steps are written out."""
    if weights[4] is not None:
        return expanded_by(g, _projected)
    return (*_layer(g, "LSTM", x, weights[:4], (h0, c0), reverse, 3), None, None, None)


def _projected(*tensors: Any, reverse: bool) -> tuple[Any, ...]:
    steps: Any = unrolled(*tensors, reverse=reverse)  # type: ignore[misc]
    last = steps[0 if reverse else -1]
    return stack([s[-1] for s in steps]), last[-1], last[-2], None, None, None
