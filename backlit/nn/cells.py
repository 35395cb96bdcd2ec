"""One step of a recurrent network: RNNCell, LSTMCell, GRUCell.

Weights are stacked by gate: i, f, g, o for LSTM and r, z, n for GRU. Next: recurrent.py.
"""

from __future__ import annotations

import math
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import functional as F
from backlit.nn import init
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter, empty
from backlit.tensor import Tensor


class RNNCellBase(Module):
    """What the cells share: one step's weights and checks.

    >>> nn.RNNCellBase(3, 4, bias=True, num_chunks=3).weight_ih.shape == (12, 3)
    True
    """

    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = num_chunks * hidden_size
        self.weight_ih = empty(rows, input_size, device=device, dtype=dtype)
        self.weight_hh = empty(rows, hidden_size, device=device, dtype=dtype)
        for name in ("bias_ih", "bias_hh"):
            values = empty(rows, device=device, dtype=dtype) if bias else None
            self.register_parameter(name, values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw every weight and bias uniform in +-1/sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _gates(self, input: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The two affine maps of a step."""
        name = type(self).__name__
        for which, value, size in (
            ("input", input, self.input_size),
            ("hidden state", hidden, self.hidden_size),
        ):
            if value.ndim not in (1, 2):
                raise ArgumentError(f"{name}: {which} must be 1D or 2D, got {tuple(value.shape)}")
            if value.shape[-1] != size:
                raise ShapeError(f"{name}: {which} has {value.shape[-1]} features, expected {size}")
        return (
            F.linear(input, self.weight_ih, self.bias_ih),
            F.linear(hidden, self.weight_hh, self.bias_hh),
        )

    def _zeros(self, input: Tensor) -> Tensor:
        return input.new_zeros((*input.shape[:-1], self.hidden_size))

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        usual = {"bias": True, "nonlinearity": "tanh"}
        parts += [f"{k}={v}" for k in usual if (v := getattr(self, k, usual[k])) != usual[k]]
        return ", ".join(parts)


class RNNCell(RNNCellBase):
    """One step of an RNN: (N, input_size) and (N, hidden_size) to (N, hidden_size).

    >>> nn.RNNCell(10, 20)(bl.zeros(3, 10)).shape == (3, 20)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNNCell: nonlinearity must be tanh or relu, got {nonlinearity!r}")
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        x, h = self._gates(input, self._zeros(input) if hx is None else hx)
        return bl.tanh(x + h) if self.nonlinearity == "tanh" else F.relu(x + h)


class LSTMCell(RNNCellBase):
    """One step of an LSTM: (N, input_size) and (h, c) to (h, c).

    >>> h, c = nn.LSTMCell(10, 20)(bl.zeros(3, 10))
    >>> h.shape == (3, 20)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        hidden, cell = (self._zeros(input), self._zeros(input)) if hx is None else hx
        x, h = self._gates(input, hidden)
        i, f, g, o = (x + h).chunk(4, -1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        return o.sigmoid() * cell.tanh(), cell


class GRUCell(RNNCellBase):
    """One step of a GRU: (N, input_size) and (N, hidden_size) to (N, hidden_size).

    >>> nn.GRUCell(10, 20)(bl.zeros(3, 10)).shape == (3, 20)
    True
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        hidden = self._zeros(input) if hx is None else hx
        x, h = self._gates(input, hidden)
        (xr, xz, xn), (hr, hz, hn) = x.chunk(3, -1), h.chunk(3, -1)
        new = (xn + (xr + hr).sigmoid() * hn).tanh()
        return new + (xz + hz).sigmoid() * (hidden - new)
