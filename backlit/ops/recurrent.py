"""The public recurrent functions: layers upon layers, both directions, dropout between; cells.

Signatures are those of torch's `lstm`, `gru`, `rnn_tanh`, `rnn_relu`; `params` lists for each
layer and direction weight_ih, weight_hh, then bias_ih, bias_hh, then weight_hr where there are
projections. The mathematics of one layer is in lstm.py, gru.py and rnn.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops import steps as st
from backlit.ops.gru import Gru
from backlit.ops.lstm import Lstm
from backlit.ops.op import apply, export
from backlit.ops.random import Dropout
from backlit.ops.rnn import Rnn
from backlit.ops.shape import Permute

Layer = Callable[[Any, list, list, bool], tuple]


def _run_layers(layer: Layer, name: str, input: Any, states: tuple, params: Any, has_biases: bool,
                num_layers: int, dropout: float, train: bool, bidirectional: bool,
                batch_first: bool) -> tuple:  # fmt: skip
    """All layers and directions; `layer` gives (y, *final states) of one."""
    directions = 2 if bidirectional else 1
    groups = _grouped(params, num_layers * directions, has_biases, name)
    _check_input(input, states, num_layers * directions, name)
    x = _swapped(input) if batch_first else input
    finals: list[tuple] = []
    for number in range(num_layers):
        outputs = []
        for direction in range(directions):
            at = number * directions + direction
            y, *final = layer(x, [s[at] for s in states], groups[at], direction == 1)
            outputs.append(y)
            finals.append(tuple(final))
        x = outputs[0] if directions == 1 else st.cat(outputs, 2)
        if dropout and train and number < num_layers - 1:
            x = Dropout.call(x, dropout, True)
    x = _swapped(x) if batch_first else x
    return (x, *(st.stack(states) for states in zip(*finals)))


def _swapped(x: Any) -> Any:
    return apply(Permute, x, dims=(1, 0, 2))


def _check_input(input: Any, states: tuple, count: int, name: str) -> None:
    for x in (input, *states):
        if not hasattr(x, "cell"):
            raise ArgumentTypeError(f"{name}: expected a Tensor, got {type(x).__name__}")
        if x.ndim != 3:
            raise ShapeError(
                f"{name}: expected 3 axes, got shape {tuple(x.shape)}",
                hint="input is (T, N, features), a state (layers * directions, N, size)",
            )
    for s in states:
        if s.shape[0] != count:
            raise ShapeError(
                f"{name}: a state of shape {tuple(s.shape)} for {count} layers and directions"
            )


def _grouped(params: Any, count: int, has_biases: bool, name: str) -> list[list]:
    """The weights of each layer and direction: w_ih, w_hh, b_ih, b_hh, then what remains."""
    params = list(params)
    each, rest = divmod(len(params), max(count, 1))
    least = 4 if has_biases else 2
    if rest or not least <= each <= least + 1:
        raise ArgumentError(
            f"{name}: {len(params)} weights for {count} layers and directions; expected"
            f" {least} (or {least + 1} with projections) for each"
        )
    groups = [params[i * each : (i + 1) * each] for i in range(count)]
    return groups if has_biases else [[*g[:2], None, None, *g[2:]] for g in groups]


@export("bl")
def lstm(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first):
    """A stack of LSTM layers over a sequence: (output, h_n, c_n).

    input (T, N, features), or (N, T, features) with `batch_first`; hx = (h_0, c_0), each
    (layers * directions, N, size). Source: Hochreiter and Schmidhuber (1997).

    >>> h, w = bl.zeros(1, 1, 2), [bl.ones(8, 3), bl.ones(8, 2)]
    >>> y, h_n, c_n = bl.lstm(bl.ones(5, 1, 3), (h, h), w, False, 1, 0.0, False, False, False)
    >>> y.shape, c_n.shape
    (backlit.Size([5, 1, 2]), backlit.Size([1, 1, 2]))
    """
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise ArgumentTypeError("lstm: hx must be the pair (h_0, c_0)")

    def layer(x: Any, states: list, weights: list, reverse: bool) -> tuple:
        weights = weights if len(weights) == 5 else [*weights, None]
        return apply(Lstm, x, *states, *weights, reverse=reverse)[:3]

    return _run_layers(layer, "lstm", input, tuple(hx), params, has_biases, num_layers, dropout,
                       train, bidirectional, batch_first)  # fmt: skip


@export("bl")
def gru(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first):
    """A stack of GRU layers over a sequence: (output, h_n).

    input (T, N, features), or (N, T, features) with `batch_first`; hx is
    (layers * directions, N, size). Source: Cho et al. (2014).

    >>> h, w = bl.zeros(1, 1, 2), [bl.ones(6, 3), bl.ones(6, 2)]
    >>> bl.gru(bl.ones(5, 1, 3), h, w, False, 1, 0.0, False, False, False)[0].shape
    backlit.Size([5, 1, 2])
    """

    def layer(x: Any, states: list, weights: list, reverse: bool) -> tuple:
        return apply(Gru, x, *states, *weights, reverse=reverse)[:2]

    return _run_layers(layer, "gru", input, (hx,), params, has_biases, num_layers, dropout, train,
                       bidirectional, batch_first)  # fmt: skip


@export("bl")
def rnn_tanh(input, hx, params, has_biases, num_layers, dropout, train, bidirectional,
             batch_first):  # fmt: skip
    """A stack of Elman layers with tanh over a sequence: (output, h_n). Source: Elman (1990).

    >>> h, w = bl.zeros(1, 1, 2), [bl.ones(2, 3), bl.ones(2, 2)]
    >>> bl.rnn_tanh(bl.ones(5, 1, 3), h, w, False, 1, 0.0, False, False, False)[0].shape
    backlit.Size([5, 1, 2])
    """
    return _rnn("rnn_tanh", False, input, hx, params, has_biases, num_layers, dropout, train,
                bidirectional, batch_first)  # fmt: skip


@export("bl")
def rnn_relu(input, hx, params, has_biases, num_layers, dropout, train, bidirectional,
             batch_first):  # fmt: skip
    """A stack of Elman layers with ReLU over a sequence: (output, h_n).

    >>> h, w = bl.zeros(1, 1, 2), [bl.ones(2, 3), bl.zeros(2, 2)]
    >>> bl.rnn_relu(bl.ones(1, 1, 3), h, w, False, 1, 0.0, False, False, False)[0]
    tensor([[[3., 3.]]])
    """
    return _rnn("rnn_relu", True, input, hx, params, has_biases, num_layers, dropout, train,
                bidirectional, batch_first)  # fmt: skip


def _rnn(name: str, relu: bool, input: Any, hx: Any, params: Any, *rest: Any) -> tuple:
    def layer(x: Any, states: list, weights: list, reverse: bool) -> tuple:
        return apply(Rnn, x, *states, *weights, relu=relu, reverse=reverse)

    return _run_layers(layer, name, input, (hx,), params, *rest)


# ----- one step -----


def _one_step(op: Any, input: Any, states: tuple, weights: tuple, **params: Any) -> tuple:
    """A sequence of one step; the final states of (N, features) or of (features,)."""
    if not hasattr(input, "cell") or input.ndim not in (1, 2):
        shown = tuple(input.shape) if hasattr(input, "cell") else type(input).__name__
        raise ShapeError(f"a cell takes (N, features) or (features,), got {shown}")
    single = input.ndim == 1
    if single:
        input, states = input.unsqueeze(0), tuple(s.unsqueeze(0) for s in states)
    found = apply(op, input.unsqueeze(0), *states, *weights, reverse=False, **params)
    finals = found[1 : 1 + len(states)]
    return tuple(x.squeeze(0) for x in finals) if single else finals


@export("bl")
def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an LSTM: (N, features) and (h, c), each (N, size), to the next (h, c).

    >>> h, w = bl.zeros(1, 2), bl.ones(8, 2)
    >>> bl.lstm_cell(bl.zeros(1, 2), (h, h), w, w)[0]
    tensor([[0., 0.]])
    """
    if not isinstance(hx, (tuple, list)) or len(hx) != 2:
        raise ArgumentTypeError("lstm_cell: hx must be the pair (h, c)")
    return _one_step(Lstm, input, tuple(hx), (w_ih, w_hh, b_ih, b_hh, None))


@export("bl")
def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of a GRU: (N, features) and (N, size) to the next (N, size).

    >>> bl.gru_cell(bl.zeros(1, 2), bl.zeros(1, 2), bl.ones(6, 2), bl.ones(6, 2))
    tensor([[0., 0.]])
    """
    return _one_step(Gru, input, (hx,), (w_ih, w_hh, b_ih, b_hh))[0]


@export("bl")
def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an Elman network: tanh(W_ih x + b_ih + W_hh h + b_hh).

    >>> bl.rnn_tanh_cell(bl.zeros(1, 2), bl.zeros(1, 2), bl.ones(2, 2), bl.ones(2, 2))
    tensor([[0., 0.]])
    """
    return _one_step(Rnn, input, (hx,), (w_ih, w_hh, b_ih, b_hh), relu=False)[0]


@export("bl")
def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of an Elman network with ReLU.

    >>> bl.rnn_relu_cell(bl.ones(1, 2), bl.zeros(1, 2), bl.ones(2, 2), bl.ones(2, 2))
    tensor([[2., 2.]])
    """
    return _one_step(Rnn, input, (hx,), (w_ih, w_hh, b_ih, b_hh), relu=True)[0]
