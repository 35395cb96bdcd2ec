"""An autoencoder on handwritten digits: what is left of an image after a code of few numbers.

Learned without labels (Hinton and Salakhutdinov 2006); the loss is the mean squared difference
of the pixels. `--code 2` shows how much two numbers can hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import backlit as bl
from backlit.data import DataLoader, TensorDataset
from backlit.models import ConvAutoencoder
from backlit.nn.functional import mse_loss
from backlit.train.pictures import plot_reconstructions
from backlit.train.recipe import Job, Recipe, Settings, one_cycle, parts


@dataclass
class AutoencoderSettings(Settings):
    """Adam, the learning rate rising and falling once."""

    epochs: int = 8
    batch_size: int = 100
    lr: float = 0.004
    code: int = 32  # numbers between encoder and decoder
    width: int = 16  # maps of the first convolution


def pairs(settings: AutoencoderSettings, train: bool) -> TensorDataset:
    """One part of the images, twice each; few for a smoke test."""
    images = bl.data.digits("train" if train else "val", settings.data).images
    if settings.smoke:
        images = images[: 600 if train else 200]
    return TensorDataset(images, images)


def prepare(settings: AutoencoderSettings) -> Job:
    """The images are what goes in and what should come out; their labels are not read."""
    training, held_out = parts(settings, pairs)
    train_batches: Any = DataLoader(training, settings.batch_size, shuffle=True)
    val_batches: Any = DataLoader(held_out, 500)
    model = ConvAutoencoder(width=settings.width, code=settings.code)
    optimizer = bl.optim.Adam(model.parameters(), lr=settings.lr)
    return Job(
        model=model,
        train_data=train_batches,
        val_data=val_batches,
        loss=mse_loss,
        optimizer=optimizer,
        scheduler=one_cycle(settings, optimizer, train_batches),
        scheduler_per_batch=True,
        pictures={
            "reconstructions.png": lambda path: plot_reconstructions(model, val_batches, path)
        },
    )


RECIPE = Recipe(
    name="autoencoder",
    title="digits through a code of 32 numbers and back",
    data="12,000 digits of MNIST that are in the package, without their labels",
    expects="a mean squared difference of 0.008 on held-out digits",
    minutes=0.5,
    settings=AutoencoderSettings,
    prepare=prepare,
    says="mean squared difference {val_loss:.4f} on the {part} digits",
    part="held-out",
    score="val_loss",
    lower_is_better=True,
    pictures=("reconstructions.png",),
)
