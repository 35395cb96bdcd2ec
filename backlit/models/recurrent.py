"""Recurrent classifiers: of an image read row by row, and of sequences that differ in length.

RNN (Elman 1990), LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014) from `nn`,
whose weights are laid out as in PyTorch. One step at a time, written out: cells.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, ShapeError
from backlit.tensor import Tensor

_KINDS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class RowClassifier(nn.Module):
    """Sequences (N, T, features) to logits (N, classes); `kind` is rnn, lstm or gru.

    >>> from backlit import models
    >>> models.RowClassifier("lstm")(bl.zeros(2, 28, 28)).shape == (2, 10)
    True
    """

    def __init__(
        self,
        kind: str = "lstm",
        features: int = 28,
        hidden: int = 128,
        layers: int = 1,
        classes: int = 10,
    ) -> None:
        super().__init__()
        if kind not in _KINDS:
            raise ArgumentError(f"RowClassifier: kind must be one of {list(_KINDS)}, got {kind!r}")
        self.rnn = _KINDS[kind](features, hidden, layers, batch_first=True)
        self.fc = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.rnn(x)
        return self.fc(output[:, -1])  # type: ignore[no-any-return]


class SequenceClassifier(nn.Module):
    """Sequences (N, T, features), with their `lengths` (N,) from 1 to T, to logits (N, classes).

    Each is judged by its state at its own end; with `bidirectional` also by the state of a second
    network that reads it backwards. What lies beyond a length has no influence; `lengths` may be
    a list.

    >>> from backlit import models
    >>> net = models.SequenceClassifier("gru", 2, classes=10, layers=2, bidirectional=True)
    >>> net(bl.zeros(3, 8, 2), lengths=bl.tensor([8, 5, 1])).shape == (3, 10)
    True
    """

    def __init__(
        self,
        kind: str,
        features: int,
        hidden: int = 64,
        layers: int = 1,
        classes: int = 10,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if kind not in _KINDS:
            raise ArgumentError(
                f"SequenceClassifier: kind must be one of {list(_KINDS)}, got {kind!r}"
            )
        self.rnn = _KINDS[kind](
            features, hidden, layers, batch_first=True, dropout=dropout, bidirectional=bidirectional
        )
        self.fc = nn.Linear(2 * hidden if bidirectional else hidden, classes)

    def forward(self, x: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        if lengths is not None:
            lengths = bl.as_tensor(lengths)
            if lengths.shape != x.shape[:1]:
                raise ShapeError(
                    f"SequenceClassifier: {len(x)} sequences need as many lengths, "
                    f"got shape {tuple(lengths.shape)}"
                )
        return self.fc(self._ends(x, lengths))  # type: ignore[no-any-return]

    def _ends(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """The last layer's state at each sequence's end, both directions side by side."""
        if lengths is not None and not self.rnn.bidirectional:
            output, _ = self.rnn(x)  # forwards, no step has seen the padding after it
            last = (lengths - 1).reshape(-1, 1, 1).expand(-1, 1, output.shape[-1])
            return output.gather(1, last).squeeze(1)  # type: ignore[no-any-return]
        if lengths is None:
            _, state = self.rnn(x)
        else:
            pack = nn.utils.rnn.pack_padded_sequence
            _, state = self.rnn(pack(x, lengths, batch_first=True, enforce_sorted=False))
        hidden = state[0] if isinstance(state, tuple) else state
        directions = 2 if self.rnn.bidirectional else 1
        return hidden[-directions:].transpose(0, 1).flatten(1)  # type: ignore[no-any-return]
