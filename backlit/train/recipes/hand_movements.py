"""Movements of a hand in Brazilian sign language (Libras), as sequences of 45 points.

Dias, Peres and Biscaro 2009: fifteen kinds of movement, 24 of each. There is no published split:
of each kind every third row is held out, so the signers are the same in both parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backlit as bl
from backlit.data import HandMovements, RandomTrajectories, Trajectories
from backlit.data.places import data_place
from backlit.train.recipe import Job, Recipe, Settings, classification, parts
from backlit.train.recipes.pen_digits import SAMPLE, network
from backlit.train.sequence_pictures import plot_trajectories

SOURCE = "movement_libras.data of archive.ics.uci.edu/dataset/181 (doi 10.24432/C5GC82)"


@dataclass
class HandMovementsSettings(Settings):
    """Adam, the learning rate rising and falling once."""

    epochs: int = 100
    batch_size: int = 24
    lr: float = 0.01
    model: str = "gru"  # or lstm; rnn and attention want a third of the rate
    hidden: int = 64
    turn: float = 10.0  # degrees a movement is turned by at most
    stretch: float = 0.2  # of its width and height, at most


def movements(settings: HandMovementsSettings, train: bool) -> Trajectories:
    """One part of the movements, about from -2 to 2."""
    place = SAMPLE if settings.smoke else data_place("uci_sequences", settings.data, source=SOURCE)
    return HandMovements(place, train).centred(4.0)


def prepare(settings: HandMovementsSettings) -> Job:
    """Turned and stretched movements to learn from."""
    training, held_out = parts(settings, movements)
    views = RandomTrajectories(training, settings.turn, settings.stretch)
    batches: Any = bl.data.DataLoader(views, settings.batch_size, shuffle=True)
    val_batches: Any = bl.data.DataLoader(held_out, 120)
    model = network(settings.model, 2, settings.hidden, len(held_out.classes))
    optimizer = bl.optim.Adam(model.parameters(), lr=settings.lr)
    return classification(
        settings,
        model,
        optimizer,
        batches,
        val_batches,
        lambda path: plot_trajectories(
            model, val_batches, path, classes=held_out.classes, y_down=True
        ),
        clip_grad_norm=1.0,
    )


RECIPE = Recipe(
    name="hand-movements",
    title="movements of a hand in sign language (--model gru, rnn, lstm or attention)",
    data="UCI Libras (360 sequences of 45 points, 15 kinds)",
    expects="92 % of the held-out movements with a GRU",
    minutes=0.2,
    settings=HandMovementsSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} movements are right",
    part="held-out",
)
