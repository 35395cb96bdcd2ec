"""The adding problem: a test of memory over many steps, drawn when it is asked for.

Owns `AddingProblem`. Hochreiter and Schmidhuber 1997, "Long short-term memory"; one mark in each
half, as Arjovsky, Shah and Bengio 2016. Read next: examples/adding.py, which compares networks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import backlit as bl
from backlit.data.dataset import TensorDataset
from backlit.errors import ArgumentError

if TYPE_CHECKING:
    from backlit import Generator


class AddingProblem(TensorDataset):
    """`count` sequences (length, 2) float32, and the sum (1,) of the two marked values of each.

    The first feature is uniform in [0, 1); the second is 1 at one step of each half, else 0.
    Always answering 1 has a mean squared error of 1/6. ArgumentError below a length of 2.

    >>> problem = bl.data.AddingProblem(3, length=8)
    >>> problem.sequences.shape, problem.sums.shape, problem.sequences[:, :, 1].sum(1).tolist()
    (backlit.Size([3, 8, 2]), backlit.Size([3, 1]), [2.0, 2.0, 2.0])
    """

    def __init__(self, count: int, length: int = 100, generator: Generator | None = None) -> None:
        if count < 1 or length < 2:
            raise ArgumentError(
                f"AddingProblem: needs at least 1 sequence of 2 steps, got {count} of {length}"
            )
        values = bl.rand(count, length, generator=generator)
        middle = length // 2
        first = bl.randint(0, middle, (count,), generator=generator)
        second = bl.randint(middle, length, (count,), generator=generator)
        marks = bl.zeros(count, length)
        rows = bl.arange(count)
        marks[rows, first] = 1.0
        marks[rows, second] = 1.0
        self.sequences = bl.stack([values, marks], dim=2)
        self.sums = (values * marks).sum(1, keepdim=True)
        super().__init__(self.sequences, self.sums)
