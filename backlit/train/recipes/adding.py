"""The adding problem: two marked numbers far apart in time are to be summed.

Hochreiter and Schmidhuber 1997. LSTM and GRU carry the first number over a hundred steps; a plain
RNN ends near 1/6, the error of always answering 1, since no gradient reaches the first mark.
gradient_by_step.png shows how much of it gets how far back.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import backlit as bl
from backlit.data import AddingProblem, DataLoader
from backlit.models import RowClassifier
from backlit.nn.functional import mse_loss
from backlit.train.recipe import Job, Recipe, Settings, parts
from backlit.train.sequence_pictures import plot_by_step


@dataclass
class AddingSettings(Settings):
    """Adam with a constant rate; sequences are drawn from the seed."""

    epochs: int = 10
    batch_size: int = 100
    lr: float = 0.005
    model: str = "gru"  # or rnn, lstm
    hidden: int = 32
    length: int = 100  # steps of a sequence
    count: int = 20_000  # sequences to learn from


def gradient_by_step(model: Any, sequences: Any) -> list[float]:
    """The norm of d answer / d input of each step, first to last, the mean over sequences."""
    inputs = sequences.detach().clone().requires_grad_()
    (gradient,) = bl.autograd.grad(model(inputs).sum(), inputs)
    found: list[float] = gradient.norm(dim=2).mean(0).tolist()
    return found


def problem(settings: AddingSettings, train: bool) -> AddingProblem:
    """Sequences from the seed: `count` to learn from, or 1,000 others; few for a smoke test."""
    count, length = settings.count if train else 1000, settings.length
    if settings.smoke:
        count, length = min(count, 1000 if train else 200), min(length, 20)
    return AddingProblem(count, length)


def prepare(settings: AddingSettings) -> Job:
    """Mean squared error on sequences that are the same in each pass."""
    training, held_out = parts(settings, problem)
    batches: Any = DataLoader(training, settings.batch_size, shuffle=True)
    model = RowClassifier(settings.model, features=2, hidden=settings.hidden, classes=1)
    untrained = copy.deepcopy(model)

    def picture(path: Any) -> None:
        sequences = held_out.tensors[0][:200]
        curves = {
            f"{settings.model}, trained": gradient_by_step(model, sequences),
            f"{settings.model}, before": gradient_by_step(untrained, sequences),
        }
        plot_by_step(curves, path, title="|d answer / d input| by step")

    return Job(
        model=model,
        train_data=batches,
        val_data=DataLoader(held_out, 1000),
        loss=mse_loss,
        optimizer=bl.optim.Adam(model.parameters(), lr=settings.lr),
        clip_grad_norm=1.0,
        pictures={"gradient_by_step.png": picture},
    )


RECIPE = Recipe(
    name="adding",
    title="the adding problem (--model gru, lstm or rnn; --length 100)",
    data="drawn from the seed",
    expects="mean squared error 0.001 with a GRU, 0.004 with an LSTM, 0.16 with an RNN",
    minutes=0.4,
    settings=AddingSettings,
    prepare=prepare,
    says="mean squared error {val_loss:.4f} on the {part} sequences (0.1667 is guessing)",
    part="held-out",
    score="val_loss",
    lower_is_better=True,
    pictures=("gradient_by_step.png",),
)
