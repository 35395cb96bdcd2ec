"""Digits written with a pen, as sequences of eight points: RNN, LSTM, GRU or attention.

Alimoglu and Alpaydin 1996. The test rows are by writers whom the network has not seen; digits to
learn from are turned and stretched a little each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backlit as bl
from backlit import nn
from backlit.data import PenDigits, RandomTrajectories, Trajectories
from backlit.data.places import data_place
from backlit.errors import ArgumentError
from backlit.models import AttentionClassifier, SequenceClassifier
from backlit.train.recipe import Job, Recipe, Settings, classification, parts
from backlit.train.sequence_pictures import plot_trajectories

SOURCE = "pendigits.tra and pendigits.tes of archive.ics.uci.edu/dataset/81 (doi 10.24432/C5MG6K)"
SAMPLE = Path(bl.data.__file__).parent / "trajectories_sample"
KINDS = ("rnn", "lstm", "gru", "attention")


@dataclass
class PenDigitsSettings(Settings):
    """Adam, the learning rate rising and falling once."""

    epochs: int = 10
    batch_size: int = 64
    lr: float = 0.01
    model: str = "gru"  # or lstm; rnn and attention want a third of the rate
    hidden: int = 64
    turn: float = 15.0  # degrees a digit is turned by at most
    stretch: float = 0.2  # of its width and height, at most


def network(kind: str, features: int, hidden: int, classes: int) -> nn.Module:
    """A classifier of sequences (N, T, features), with or without their lengths."""
    if kind == "attention":
        return AttentionClassifier(features, hidden, classes=classes)
    if kind not in KINDS:
        raise ArgumentError(f"train: there is no model {kind!r}", hint=", ".join(KINDS))
    return SequenceClassifier(kind, features, hidden, classes=classes)


def digits(settings: PenDigitsSettings, train: bool) -> Trajectories:
    """One part of the digits, about from -1 to 1; in a smoke test of the few that are shipped."""
    place = SAMPLE if settings.smoke else data_place("uci_sequences", settings.data, source=SOURCE)
    return PenDigits(place, train).centred(1 / 50)


def prepare(settings: PenDigitsSettings) -> Job:
    """Turned and stretched digits to learn from, the test rows as they are."""
    training, held_out = parts(settings, digits)
    views = RandomTrajectories(training, settings.turn, settings.stretch)
    batches: Any = bl.data.DataLoader(views, settings.batch_size, shuffle=True)
    val_batches: Any = bl.data.DataLoader(held_out, 500)
    model = network(settings.model, 2, settings.hidden, 10)
    optimizer = bl.optim.Adam(model.parameters(), lr=settings.lr)
    return classification(
        settings,
        model,
        optimizer,
        batches,
        val_batches,
        lambda path: plot_trajectories(model, val_batches, path, classes=held_out.classes),
        clip_grad_norm=1.0,
    )


RECIPE = Recipe(
    name="pen-digits",
    title="digits written with a pen (--model gru, rnn, lstm or attention)",
    data="UCI pen digits (10,992 sequences of 8 points)",
    expects="98.5 % of the test digits with a GRU",
    minutes=0.2,
    settings=PenDigitsSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} digits are right",
)
