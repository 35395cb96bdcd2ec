"""Handwritten digits with LeNet: the 12,000 that ship with Backlit, or MNIST with `--data`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backlit as bl
from backlit.data import LabelledImages
from backlit.models import LeNet
from backlit.train.plots import plot_mistakes
from backlit.train.recipe import Job, Recipe, Settings, classification, parts

VALIDATION_BATCH = 500


@dataclass
class DigitsSettings(Settings):
    """Four passes; Adam, the learning rate rising and falling once."""

    epochs: int = 4
    batch_size: int = 100
    lr: float = 0.004


def images(settings: DigitsSettings, train: bool) -> LabelledImages:
    """One of the two parts, shortened for a smoke test."""
    found = bl.data.digits("train" if train else "val", settings.data)
    return found.part(1000 if train else 500) if settings.smoke else found


def prepare(settings: DigitsSettings) -> Job:
    """Adam on cross-entropy."""
    training, held_out = parts(settings, images)
    batches: Any = bl.data.DataLoader(training, settings.batch_size, shuffle=True)
    val_batches: Any = bl.data.DataLoader(held_out, VALIDATION_BATCH)
    model = LeNet()
    optimizer = bl.optim.Adam(model.parameters(), lr=settings.lr)
    return classification(
        settings,
        model,
        optimizer,
        batches,
        val_batches,
        lambda path: plot_mistakes(model, val_batches, path, classes=held_out.classes),
    )


RECIPE = Recipe(
    name="digits",
    title="handwritten digits with LeNet",
    data="12,000 digits of MNIST that are in the package",
    expects="98 % of the held-out digits",
    minutes=0.3,
    settings=DigitsSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} digits are right",
    part="held-out",
)
