"""A recurrent classifier whose steps are written out, cell after cell.

The same mathematics as recurrent.py; here every hidden state is a tensor of its own, so that
its gradient can be read: how far backpropagation through time reaches (Werbos 1990).
"""

from __future__ import annotations

from backlit import nn
from backlit.errors import ArgumentError
from backlit.tensor import Tensor

_CELLS = {"rnn": nn.RNNCell, "lstm": nn.LSTMCell, "gru": nn.GRUCell}


class CellClassifier(nn.Module):
    """Sequences (N, T, features) to logits (N, classes), read by one cell; rnn, lstm or gru.

    `states` gives the hidden states of all steps: after `retain_grad` on each and a backward
    pass, their gradients' norms against time show whether the network remembers.

    >>> from backlit import models
    >>> net = models.CellClassifier("lstm", features=2, hidden=8, classes=3)
    >>> net(bl.zeros(4, 5, 2)).shape == (4, 3)
    True
    """

    def __init__(self, kind: str, features: int, hidden: int = 64, classes: int = 10) -> None:
        super().__init__()
        if kind not in _CELLS:
            raise ArgumentError(f"CellClassifier: kind must be one of {list(_CELLS)}, got {kind!r}")
        self.cell = _CELLS[kind](features, hidden)
        self.fc = nn.Linear(hidden, classes)

    def states(self, x: Tensor) -> list[Tensor]:
        """The hidden state (N, hidden) after each step, starting from zeros.

        >>> from backlit import models
        >>> len(models.CellClassifier("gru", 2, 8).states(bl.zeros(4, 5, 2)))
        5
        """
        state, found = None, []
        for step in x.unbind(1):
            state = self.cell(step, state)
            found.append(state[0] if isinstance(state, tuple) else state)
        return found

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.states(x)[-1])  # type: ignore[no-any-return]
