"""Digits of sign language, shown by hands: a small convolutional network on colour pictures.

Four stages of convolution, batch norm and pooling; the mean over what is left of the image goes
into one linear layer. The held-out pictures are of other people, one at the boundary aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backlit as bl
from backlit import nn
from backlit.data import DataLoader, LabelledImages, RandomViews, sign_digits
from backlit.data.places import data_place
from backlit.train.plots import plot_mistakes
from backlit.train.recipe import Job, Recipe, Settings, classification, parts

SOURCE = "github.com/ardamavi/Sign-Language-Digits-Dataset (Dataset/ as images.tar.gz or folders)"
SIZE = 48  # side of the images that are learned from; the files have 100


@dataclass
class SignDigitsSettings(Settings):
    """Adam, the learning rate rising and falling once."""

    epochs: int = 20
    batch_size: int = 50
    lr: float = 0.005
    width: int = 16  # maps of the first stage; each of the others has twice as many


def network(width: int) -> nn.Sequential:
    """Images (N, 3, H, W) to logits (N, 10)."""
    layers: list[nn.Module] = []
    inside = 3
    for outside in (width, 2 * width, 4 * width, 8 * width):
        layers.append(nn.Conv2d(inside, outside, 3, padding=1, bias=False))
        layers += [nn.BatchNorm2d(outside), nn.ReLU(), nn.MaxPool2d(2)]
        inside = outside
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 10))


def images(settings: SignDigitsSettings, train: bool) -> LabelledImages:
    """One part of the pictures, or of the few that ship with Backlit."""
    if settings.smoke:
        root: str | Path = Path(bl.data.__file__).parent / "sign_digits_sample"
    else:
        root = data_place("sign_digits", settings.data, source=SOURCE)
    return sign_digits(root, train, SIZE).normalized((0.5,) * 3, (0.25,) * 3)


def prepare(settings: SignDigitsSettings) -> Job:
    """Moved and mirrored pictures: a left hand shows the same digit as a right one."""
    training, held_out = parts(settings, images, shuffle=False)  # in the order of people
    views = RandomViews(training, shift=4)
    batches: Any = DataLoader(views, settings.batch_size, shuffle=True)
    val_batches: Any = DataLoader(held_out, 100)
    model = network(settings.width)
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
    name="sign-digits",
    title="digits of sign language with a small convolutional network",
    data="2,062 pictures of hands (Sign Language Digits Dataset)",
    expects="98 % of the held-out pictures",
    minutes=0.5,
    settings=SignDigitsSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} pictures are right",
    part="held-out",
)
