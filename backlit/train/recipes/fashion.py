"""Fashion-MNIST with a small convolutional network: two pairs of convolutions with batch norm.

Zalando's pictures of clothing (Xiao et al. 2017), moved and mirrored while learning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backlit as bl
from backlit import nn
from backlit.data import FashionMNIST
from backlit.data.labelled import LabelledImages
from backlit.data.places import data_place
from backlit.train.plots import plot_mistakes
from backlit.train.recipe import Job, Recipe, Settings, classification, parts

ADDRESS = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"


@dataclass
class FashionSettings(Settings):
    """Adam, the learning rate rising and falling once."""

    epochs: int = 12
    batch_size: int = 100
    lr: float = 0.004
    width: int = 16  # maps of the first convolutions
    dropout: float = 0.0


def network(width: int, dropout: float) -> nn.Sequential:
    """Images (N, 1, 28, 28) to logits (N, 10)."""

    def convolution(inside: int, outside: int) -> list[nn.Module]:
        layer = nn.Conv2d(inside, outside, 3, padding=1, bias=False)
        return [layer, nn.BatchNorm2d(outside), nn.ReLU()]

    return nn.Sequential(
        *convolution(1, width),
        *convolution(width, width),
        nn.MaxPool2d(2),
        *convolution(width, 2 * width),
        *convolution(2 * width, 2 * width),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(2 * width * 49, 128),
        nn.ReLU(),
        nn.Linear(128, 10),
    )


def images(settings: FashionSettings, train: bool) -> LabelledImages:
    """One of the two parts; for a smoke test digits take the clothes' place."""
    if settings.smoke:
        return bl.data.digits("train" if train else "val").part(600 if train else 300)
    data = FashionMNIST(data_place("fashion_mnist", settings.data, ADDRESS), train)
    return LabelledImages.from_arrays(data.images, data.labels, data.classes)


def prepare(settings: FashionSettings) -> Job:
    """Moved and mirrored pictures to learn from, the test files as they are."""
    training, held_out = parts(settings, images)
    views = bl.data.RandomViews(training, shift=2)
    batches: Any = bl.data.DataLoader(views, settings.batch_size, shuffle=True)
    val_batches: Any = bl.data.DataLoader(held_out, 500)
    model = network(settings.width, settings.dropout)
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
    name="fashion",
    title="Fashion-MNIST with a small convolutional network",
    data="Fashion-MNIST (70,000 pictures of clothing, 28 x 28)",
    expects="93 % of the test pictures",
    minutes=6,
    settings=FashionSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} pictures are right",
)
