"""RNN, GRU and LSTM: one layer, one or both directions.

What PyTorch's layers compute too runs as Backlit's own layer; other activations, peepholes,
clipping and lengths run cell by cell in `bl.scan`. ONNX orders the gates i o f c and z r h.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.api import NAMESPACES
from backlit.control import scan
from backlit.creation import as_tensor, zeros
from backlit.onnx.loading.operators.shapes import reverse_steps
from backlit.onnx.loading.table import Node, operator
from backlit.tensor import Tensor

bl, F = NAMESPACES["bl"], NAMESPACES["F"]
Activation = Callable[[Tensor], Tensor]
Cell = Callable[[Tensor, list[Tensor]], list[Tensor]]

# Our order of the gates by ONNX's: i f g o of i o f c, r z n of z r h.
ORDERS = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
DEFAULTS = {"Affine": (1.0, 0.0), "LeakyRelu": (0.01, 0.0), "ThresholdedRelu": (1.0, 0.0),
            "ScaledTanh": (1.0, 1.0), "HardSigmoid": (0.2, 0.5), "Elu": (1.0, 0.0)}  # fmt: skip


def _activation(name: str, alpha: float, beta: float) -> Activation:
    table: dict[str, Activation] = {
        "relu": F["relu"], "tanh": bl["tanh"], "sigmoid": bl["sigmoid"],
        "softsign": F["softsign"], "softplus": F["softplus"],
        "affine": lambda x: x * alpha + beta,
        "leakyrelu": lambda x: F["leaky_relu"](x, alpha),
        "thresholdedrelu": lambda x: F["threshold"](x, alpha, 0.0),
        "scaledtanh": lambda x: bl["tanh"](x * beta) * alpha,
        "hardsigmoid": lambda x: bl["clamp"](x * alpha + beta, 0.0, 1.0),
        "elu": lambda x: F["elu"](x, alpha),
    }  # fmt: skip
    return table[name.lower()]


def _activations(node: Node, directions: int) -> list[list[Activation]]:
    """The activations of each direction."""
    names = node.get("activations") or USUAL[node.op] * directions
    alphas, betas = list(node.get("activation_alpha", [])), list(node.get("activation_beta", []))
    made = []
    for name in names:
        plain = {k.lower(): v for k, v in DEFAULTS.items()}.get(name.lower())
        alpha, beta = plain or (0.0, 0.0)
        if plain and name.lower() not in ("softsign", "softplus"):
            alpha = alphas.pop(0) if alphas else alpha
            takes = name.lower() in ("affine", "scaledtanh", "hardsigmoid")
            beta = betas.pop(0) if takes and betas else beta
        made.append(_activation(name, alpha, beta))
    each = len(made) // directions
    return [made[i * each : (i + 1) * each] for i in range(directions)]


@operator("RNN", "GRU")
def gated(node: Node, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None,
          lengths: Tensor | None = None, h: Tensor | None = None) -> Any:  # fmt: skip
    return _layer(node, x, w, r, b, lengths, [h])


@operator("LSTM")
def lstm(node: Node, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None,
         lengths: Tensor | None = None, h: Tensor | None = None, c: Tensor | None = None,
         p: Tensor | None = None) -> Any:  # fmt: skip
    return _layer(node, x, w, r, b, lengths, [h, c], p)


def _layer(node: Node, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None,
           lengths: Tensor | None, states: list, p: Tensor | None = None) -> Any:  # fmt: skip
    """(Y, Y_h[, Y_c]) in the layout that the node asks for."""
    batch_first = node.get("layout", 0)
    x = bl["transpose"](x, 0, 1) if batch_first else x
    directions, size = w.shape[0], r.shape[2]
    for i, state in enumerate(states):
        if state is None:
            states[i] = zeros(directions, x.shape[1], size, dtype=x.dtype)
        elif batch_first:
            states[i] = bl["transpose"](state, 0, 1)
    if lengths is None and p is None and _is_usual(node, directions):
        y, *finals = _whole(node, x, w, r, b, states)
    else:
        y, *finals = _by_cells(node, x, (w, r, b, p), lengths, states)
    if batch_first:
        y = bl["permute"](y, (2, 0, 1, 3))
        finals = [bl["transpose"](f, 0, 1) for f in finals]
    return (y, *finals)


def _is_usual(node: Node, directions: int) -> bool:
    """Whether Backlit's own layer computes the same."""
    names = [n.lower() for n in node.get("activations") or USUAL[node.op] * directions]
    usual = [[n.lower() for n in USUAL[node.op]] * directions]
    if node.op == "RNN":
        usual.append(["relu"] * directions)
    plain = node.get("clip") is None and not node.get("input_forget", 0)
    resets = node.op != "GRU" or bool(node.get("linear_before_reset", 0))
    return names in usual and plain and resets


def _reordered(node: Node, weight: Tensor) -> Tensor:
    """The rows of the gates in Backlit's order."""
    order = ORDERS[node.op]
    parts = bl["chunk"](weight, len(order), 0)
    return bl["cat"]([parts[i] for i in order], 0) if len(order) > 1 else weight


def _whole(node: Node, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None, states: list) -> list:
    """By Backlit's layer; a lone reverse direction runs on the sequence turned round."""
    directions = w.shape[0]
    params = []
    for d in range(directions):
        params += [_reordered(node, w[d]), _reordered(node, r[d])]
        if b is not None:
            params += [_reordered(node, v) for v in bl["chunk"](b[d], 2, 0)]
    reverse = node.get("direction", "forward") == "reverse"
    x = bl["flip"](x, [0]) if reverse else x
    name = node.op.lower()
    if node.op == "RNN":
        kind = (node.get("activations") or ["Tanh"])[0].lower()
        name = f"rnn_{kind}"
    hx = tuple(states) if node.op == "LSTM" else states[0]
    y, *finals = bl[name](x, hx, params, b is not None, 1, 0.0, False, directions == 2, False)
    y = bl["flip"](y, [0]) if reverse else y
    steps, batch = y.shape[:2]
    y = bl["reshape"](y, (steps, batch, directions, -1))
    return [bl["transpose"](y, 1, 2), *finals]


def _by_cells(node: Node, x: Tensor, weights: tuple, lengths: Tensor | None, states: list) -> list:
    """Step by step; after its last step a row keeps its state and gives zeros."""
    w, r, b, p = weights
    directions = w.shape[0]
    activations = _activations(node, directions)
    outputs, finals = [], []
    for d in range(directions):
        backwards = d == 1 or node.get("direction", "forward") == "reverse"
        own = [None if v is None else v[d] for v in (w, r, b, p)]
        cell = CELLS[node.op](node, *own, activations[d])
        rows = _turned(x, lengths) if backwards else x
        y, last = _run(cell, rows, lengths, [s[d] for s in states])
        outputs.append(_turned(y, lengths) if backwards else y)
        finals.append(last)
    return [bl["stack"](outputs, 1), *(bl["stack"](list(f), 0) for f in zip(*finals))]


def _turned(x: Tensor, lengths: Tensor | None) -> Tensor:
    return bl["flip"](x, [0]) if lengths is None else reverse_steps(x, lengths)


def _run(cell: Cell, x: Tensor, lengths: Tensor | None, states: list) -> tuple[Tensor, list]:
    steps = as_tensor(np.arange(x.shape[0]))

    def step(carry: list[Tensor], row: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        now = cell(row[0], carry)
        if lengths is None:
            return now, now[0]
        alive = bl["unsqueeze"](row[1] < lengths.long(), 1)
        kept = [bl["where"](alive, new, old) for new, old in zip(now, carry)]
        return kept, bl["where"](alive, now[0], 0.0)

    last, y = scan(step, states, [x, steps])
    return y, last


def _clipped(node: Node, activation: Activation) -> Activation:
    """The activation, with what goes into it kept within the node's `clip`."""
    limit = node.get("clip")
    return activation if limit is None else lambda v: activation(bl["clamp"](v, -limit, limit))


def _biases(b: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
    return (None, None) if b is None else tuple(bl["chunk"](b, 2, 0))


def _rnn_cell(node: Node, w: Tensor, r: Tensor, b: Any, p: Any, functions: list) -> Cell:
    f = _clipped(node, functions[0])
    bw, br = _biases(b)
    return lambda x, carry: [f(F["linear"](x, w, bw) + F["linear"](carry[0], r, br))]


def _gru_cell(node: Node, w: Tensor, r: Tensor, b: Any, p: Any, functions: list) -> Cell:
    """The reset gate acts on the state, or on its product where `linear_before_reset`."""
    f, g = (_clipped(node, a) for a in functions)
    size = r.shape[1]
    bw, br = _biases(b)
    recurrent = r[2 * size :], None if br is None else br[2 * size :]

    def cell(x: Tensor, carry: list[Tensor]) -> list[Tensor]:
        (h,) = carry
        xz, xr, xh = bl["chunk"](F["linear"](x, w, bw), 3, 1)
        gates = F["linear"](h, r[: 2 * size], None if br is None else br[: 2 * size])
        hz, hr = bl["chunk"](gates, 2, 1)
        z, reset = f(xz + hz), f(xr + hr)
        if node.get("linear_before_reset", 0):
            n = g(xh + reset * F["linear"](h, *recurrent))
        else:
            n = g(xh + F["linear"](reset * h, *recurrent))
        return [(1 - z) * n + z * h]

    return cell


def _lstm_cell(node: Node, w: Tensor, r: Tensor, b: Any, p: Any, functions: list) -> Cell:
    """With peepholes p: the gates also see the cell state."""
    f, g, h_ = functions
    f, g = _clipped(node, f), _clipped(node, g)
    h_ = _clipped(node, h_)
    bw, br = _biases(b)
    pi, po, pf = bl["chunk"](p, 3, 0) if p is not None else (0.0, 0.0, 0.0)

    def cell(x: Tensor, carry: list[Tensor]) -> list[Tensor]:
        h, c = carry
        i, o, forget, new = bl["chunk"](F["linear"](x, w, bw) + F["linear"](h, r, br), 4, 1)
        i = f(i + pi * c)
        forget = 1 - i if node.get("input_forget", 0) else f(forget + pf * c)
        c = forget * c + i * g(new)
        return [f(o + po * c) * h_(c), c]

    return cell


CELLS: dict[str, Callable[..., Cell]] = {"RNN": _rnn_cell, "GRU": _gru_cell, "LSTM": _lstm_cell}
