"""Recurrent networks: RNN, LSTM, GRU with layers, directions and packed sequences.

Weight names and layouts are PyTorch's: `weight_ih_l0`, `weight_hh_l0`, `bias_ih_l0`,
`bias_hh_l0`, `_reverse` for the second direction, gates stacked i,f,g,o or r,z,n. The
mathematics is the operators `lstm`, `gru`, `rnn_tanh`, `rnn_relu`. Next: cells.py.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.nn import functional as F
from backlit.nn import init
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter, empty
from backlit.nn.utils.rnn import PackedSequence
from backlit.tensor import Tensor

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
State = Tensor | tuple[Tensor, Tensor]


class RNNBase(Module):
    """What RNN, LSTM and GRU share: weights by layer and direction, checks, packed input.

    >>> nn.RNNBase("GRU", 3, 4, num_layers=2).weight_hh_l1.shape == (12, 4)
    True
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode, self.input_size, self.hidden_size = mode, input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = float(dropout), bidirectional
        self.proj_size = proj_size
        self._check_arguments()
        self._weight_names: list[list[str]] = []  # by layer, then direction
        for layer in range(num_layers):
            for direction in range(self.directions):
                names = self._names(layer, direction)
                self._weight_names.append(list(names))
                for name, shape in names.items():
                    setattr(self, name, empty(*shape, device=device, dtype=dtype))
        self.reset_parameters()

    def _check_arguments(self) -> None:
        name = type(self).__name__
        if self.mode not in _GATES:
            raise ArgumentError(f"{name}: mode must be one of {list(_GATES)}, got {self.mode!r}")
        for which in ("input_size", "hidden_size", "num_layers"):
            value = getattr(self, which)
            if not isinstance(value, int):
                raise ArgumentTypeError(
                    f"{name}: {which} must be an int, got {type(value).__name__}"
                )
        for which in ("hidden_size", "num_layers"):
            if getattr(self, which) <= 0:
                raise ArgumentError(f"{name}: {which} must be positive, got {getattr(self, which)}")
        if not 0 <= self.dropout <= 1:
            raise ArgumentError(f"{name}: dropout must be between 0 and 1, got {self.dropout}")
        if self.dropout > 0 and self.num_layers == 1:
            warnings.warn(
                f"{name}: dropout acts between layers; with one layer it does nothing",
                stacklevel=4,
            )
        if not 0 <= self.proj_size < self.hidden_size:
            raise ArgumentError(
                f"{name}: proj_size must be less than hidden_size {self.hidden_size}, "
                f"got {self.proj_size}"
            )
        if self.proj_size and self.mode != "LSTM":
            raise ArgumentError(
                f"{name}: only LSTM has projections, got proj_size {self.proj_size}"
            )

    @property
    def directions(self) -> int:
        """1, or 2 when bidirectional."""
        return 2 if self.bidirectional else 1

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._weight_names]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [weight for group in self.all_weights for weight in group]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._weight_names for name in names]

    def flatten_parameters(self) -> None:
        """Accepted for compatibility: weights need no joint memory here."""

    def _names(self, layer: int, direction: int) -> dict[str, tuple[int, ...]]:
        """The weights of one layer in one direction, with their shapes."""
        rows, out = _GATES[self.mode] * self.hidden_size, self.proj_size or self.hidden_size
        inside = self.input_size if layer == 0 else out * self.directions
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inside), "weight_hh": (rows, out)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        suffix = f"_l{layer}_reverse" if direction else f"_l{layer}"
        return {kind + suffix: shape for kind, shape in shapes.items()}

    def reset_parameters(self) -> None:
        """Draw every weight and bias uniform in +-1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        hx = tuple(hx) if isinstance(hx, list) else hx
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        self._check_input(input)
        batched = input.ndim == 3
        if not batched:
            input = input.unsqueeze(0 if self.batch_first else 1)
            hx = _each(hx, lambda state: _expect_2d(type(self).__name__, state).unsqueeze(1))
        batch = input.shape[0 if self.batch_first else 1]
        state = self._initial_state(input, batch) if hx is None else hx
        self._check_state(state, batch)
        output, state = self._run(input, state)
        if not batched:
            output = output.squeeze(0 if self.batch_first else 1)
            state = _each(state, lambda value: value.squeeze(1))
        return output, state

    def _run(self, input: Tensor, state: State) -> tuple[Tensor, State]:
        output, *final = getattr(bl, self.mode.lower())(
            input,
            state,
            self._flat_weights,
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            self.batch_first,
        )
        return output, (tuple(final) if self.mode == "LSTM" else final[0])

    def _forward_packed(self, input: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        batch = int(input.batch_sizes[0])
        if hx is None:
            state = self._initial_state(input.data, batch)
        else:  # what the caller gives is in the caller's order
            order = input.sorted_indices
            state = _each(hx, lambda s: s if order is None else s.index_select(1, order))
        self._check_state(state, batch)
        data, sizes, finals = input.data, input.batch_sizes.tolist(), []
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(self.directions):
                which = layer * self.directions + direction
                start = _each(state, lambda s, i=which: s[i : i + 1])
                weights = self.all_weights[which]
                output, final = self._packed_layer(data, sizes, start, weights, direction == 1)
                outputs.append(output)
                finals.append(final)
            data = outputs[0] if len(outputs) == 1 else bl.cat(outputs, 1)
            if self.dropout and layer < self.num_layers - 1:
                data = F.dropout(data, self.dropout, self.training)
        order = input.unsorted_indices
        joined = _joined(finals, 0)
        back = _each(joined, lambda s: s if order is None else s.index_select(1, order))
        return input._replace(data=data), back

    def _packed_layer(
        self, data: Tensor, sizes: list[int], state: State, weights: list[Parameter], back: bool
    ) -> tuple[Tensor, State]:
        """One layer in one direction: runs of steps with equally many sequences, each dense.

        Forwards, sequences end from run to run; backwards, they join from their own starts.
        """
        runs = _runs(sizes)
        single = getattr(bl, self.mode.lower())
        outputs, finished, current = [], [], state
        for step, (start, steps, size) in enumerate(reversed(runs) if back else runs):
            rows = _rows(current)
            if back and step == 0:
                current = _each(state, lambda s, b=size: s[:, :b])
            elif back:
                joining = _each(state, lambda s, a=rows, b=size: s[:, a:b])
                current = _joined([current, joining], 1)
            elif rows > size:
                finished.append(_each(current, lambda s, a=size: s[:, a:]))
                current = _each(current, lambda s, b=size: s[:, :b])
            x = data[start : start + steps * size].reshape(steps, size, -1)
            x = x.flip(0) if back else x
            y, *final = single(x, current, weights, self.bias, 1, 0.0, self.training, False, False)
            current = tuple(final) if self.mode == "LSTM" else final[0]
            outputs.append((y.flip(0) if back else y).reshape(steps * size, -1))
        ordered = outputs[::-1] if back else outputs
        return bl.cat(ordered, 0), _joined([current, *reversed(finished)], 1)

    def _initial_state(self, input: Tensor, batch: int) -> State:
        shape = (self.num_layers * self.directions, batch)
        hidden = input.new_zeros((*shape, self.proj_size or self.hidden_size))
        return (hidden, input.new_zeros((*shape, self.hidden_size))) if self._two else hidden

    @property
    def _two(self) -> bool:
        return self.mode == "LSTM"

    def _check_input(self, input: Tensor) -> None:
        name = type(self).__name__
        if input.ndim not in (2, 3):
            raise ArgumentError(f"{name}: expected 2D or 3D input, got shape {tuple(input.shape)}")
        if input.shape[-1] != self.input_size:
            raise ShapeError(
                f"{name}: input has {input.shape[-1]} features, expected {self.input_size}",
                hint="input is (T, N, features), or (N, T, features) with batch_first",
            )

    def _check_state(self, state: State, batch: int) -> None:
        name, lead = type(self).__name__, (self.num_layers * self.directions, batch)
        if self._two != isinstance(state, tuple):
            wanted = "a pair (h_0, c_0)" if self._two else "one tensor h_0"
            raise ArgumentTypeError(f"{name}: the initial state must be {wanted}")
        hidden = (*lead, self.proj_size or self.hidden_size)
        expected = (hidden, (*lead, self.hidden_size)) if self._two else (hidden,)
        given = state if isinstance(state, tuple) else (state,)
        for which, value, shape in zip(("h_0", "c_0"), given, expected, strict=False):
            if tuple(value.shape) != shape:
                raise ShapeError(
                    f"{name}: {which} has shape {tuple(value.shape)}, expected {shape}",
                    hint="states are (layers * directions, N, size)",
                )

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        usual = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        parts += [f"{k}={getattr(self, k)}" for k, v in usual.items() if getattr(self, k) != v]
        return ", ".join(parts)


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), or ReLU of it; Elman 1990.

    Input (T, N, input_size), (N, T, ...) with `batch_first`, or (T, ...); gives (output, h_n).

    >>> output, h = nn.RNN(10, 20, 2)(bl.zeros(5, 3, 10))
    >>> output.shape == (5, 3, 20) and h.shape == (2, 3, 20)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias,
            batch_first, dropout, bidirectional, 0, device, dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory; Hochreiter and Schmidhuber 1997. Gates i, f, g, o.

    Input (T, N, input_size), (N, T, ...) with `batch_first`, or (T, ...); gives
    (output, (h_n, c_n)). `proj_size` projects h.

    >>> output, (h, c) = nn.LSTM(10, 20, 2)(bl.zeros(5, 3, 10))
    >>> output.shape == (5, 3, 20) and c.shape == (2, 3, 20)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, proj_size, device, dtype,
        )  # fmt: skip


class GRU(RNNBase):
    """Gated recurrent unit; Cho et al. 2014. Gates r, z, n.

    Input (T, N, input_size), (N, T, ...) with `batch_first`, or (T, ...); gives (output, h_n).

    >>> output, h = nn.GRU(10, 20, bidirectional=True)(bl.zeros(5, 3, 10))
    >>> output.shape == (5, 3, 40) and h.shape == (2, 3, 20)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout,
            bidirectional, 0, device, dtype,
        )  # fmt: skip


def _each(state: Any, change: Any) -> Any:
    """Apply a change to a state, which may be absent, one tensor or a pair."""
    if state is None:
        return None
    return tuple(map(change, state)) if isinstance(state, (tuple, list)) else change(state)


def _joined(states: list[Any], dim: int) -> Any:
    if len(states) == 1:
        return states[0]
    if isinstance(states[0], tuple):
        return tuple(bl.cat(parts, dim) for parts in zip(*states, strict=True))
    return bl.cat(states, dim)


def _rows(state: State) -> int:
    first = state[0] if isinstance(state, tuple) else state
    return int(first.shape[1])


def _runs(sizes: list[int]) -> list[tuple[int, int, int]]:
    """Maximal runs of equal batch sizes: (first row of data, steps, batch size)."""
    runs: list[tuple[int, int, int]] = []
    row = 0
    for size in sizes:
        if runs and runs[-1][2] == size:
            start, steps, _ = runs[-1]
            runs[-1] = (start, steps + 1, size)
        else:
            runs.append((row, 1, size))
        row += size
    return runs


def _expect_2d(name: str, state: Tensor) -> Tensor:
    if state.ndim != 2:
        raise ShapeError(f"{name}: without a batch the state must be 2D, got {tuple(state.shape)}")
    return state
