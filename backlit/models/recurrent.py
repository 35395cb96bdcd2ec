"""A recurrent network that reads an image row by row and classifies its last state."""

from __future__ import annotations

from backlit import nn
from backlit.errors import ArgumentError
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
