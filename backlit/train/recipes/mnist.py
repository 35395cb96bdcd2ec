"""LeNet on the whole of MNIST: ten passes, digits moved by up to two pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backlit as bl
from backlit.data import LabelledImages
from backlit.data.places import data_place
from backlit.models import LeNet
from backlit.train.plots import plot_mistakes
from backlit.train.recipe import Job, Recipe, Settings, classification, parts

ADDRESS = "https://ossci-datasets.s3.amazonaws.com/mnist"


@dataclass
class MnistSettings(Settings):
    """Adam, the learning rate rising and falling once."""

    epochs: int = 10
    batch_size: int = 100
    lr: float = 0.002
    shift: int = 2  # pixels a digit is moved by at most


def images(settings: Settings, train: bool) -> LabelledImages:
    """One of the two parts; for a smoke test a few of the digits that are in the package."""
    split = "train" if train else "val"
    if settings.smoke:
        return bl.data.digits(split).part(1000 if train else 500)
    return bl.data.digits(split, data_place("mnist", settings.data, ADDRESS))


def prepare(settings: MnistSettings) -> Job:
    """Moved digits to learn from, the test files as they are."""
    training, held_out = parts(settings, images)
    views = bl.data.RandomViews(training, settings.shift, flip=False)
    batches: Any = bl.data.DataLoader(views, settings.batch_size, shuffle=True)
    val_batches: Any = bl.data.DataLoader(held_out, 1000)
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
    name="mnist",
    title="the whole of MNIST with LeNet",
    data="MNIST (70,000 digits, 28 x 28)",
    expects="99.4 % of the test digits",
    minutes=3,
    settings=MnistSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} digits are right",
)
