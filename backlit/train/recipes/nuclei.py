"""Nuclei of cells found by a U-Net: which pixels of a microscope's image belong to one.

Ronneberger et al. 2015, on the 334 grey fluorescence images of the Data Science Bowl 2018. The
loss is binary cross-entropy plus the soft Dice loss (Milletari et al. 2016, V-Net); the score is
the mean Dice over the test images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import backlit as bl
from backlit.data import MaskedImages, MaskedViews, Nuclei
from backlit.data.places import data_place
from backlit.models import UNet
from backlit.nn.functional import binary_cross_entropy_with_logits
from backlit.train.pictures import plot_masks
from backlit.train.recipe import Job, Recipe, Settings, one_cycle, parts

SOURCE = (
    "the 256 x 256 grey images of stage1_train of github.com/lopuhin/kaggle-dsbowl-2018-dataset-"
    "fixes as images/NAME.png, labels/NAME.png (16-bit map of the nuclei), train.txt, test.txt"
)


@dataclass
class NucleiSettings(Settings):
    """Adam on crops, the learning rate rising and falling once."""

    epochs: int = 15
    batch_size: int = 8
    lr: float = 0.004
    width: int = 8  # maps of the first level; each level below has twice as many
    depth: int = 3
    crop: int = 128  # side of the squares to learn from


def segmentation_loss(output: Any, target: Any) -> Any:
    """Binary cross-entropy of each pixel plus 1 - soft Dice of the whole batch."""
    chance = output.sigmoid()
    overlap = 2 * (chance * target).sum() + 1
    dice = overlap / (chance.sum() + target.sum() + 1)
    return binary_cross_entropy_with_logits(output, target) + (1 - dice)


def images(settings: NucleiSettings, train: bool) -> MaskedImages:
    """One part of the images, or of the few that ship with Backlit."""
    if settings.smoke:
        root: str | Path = Path(bl.data.__file__).parent / "nuclei_sample"
    else:
        root = data_place("dsb2018_nuclei", settings.data, source=SOURCE)
    data = Nuclei(root, train)
    return MaskedImages.from_labels(data.images, data.labels).standardized()


def prepare(settings: NucleiSettings) -> Job:
    """Random squares to learn from, whole images to be judged by."""
    training, held_out = parts(settings, images)
    views = MaskedViews(training, settings.crop)
    batches: Any = bl.data.DataLoader(views, settings.batch_size, shuffle=True)
    val_batches: Any = bl.data.DataLoader(held_out, 4)
    model = UNet(classes=1, width=settings.width, depth=settings.depth)
    optimizer = bl.optim.Adam(model.parameters(), lr=settings.lr)
    return Job(
        model=model,
        train_data=batches,
        val_data=val_batches,
        loss=segmentation_loss,
        optimizer=optimizer,
        metrics=["dice"],
        scheduler=one_cycle(settings, optimizer, batches),
        scheduler_per_batch=True,
        pictures={"masks.png": lambda path: plot_masks(model, val_batches, path)},
    )


RECIPE = Recipe(
    name="nuclei",
    title="nuclei of cells with a U-Net",
    data="334 microscope images of the Data Science Bowl 2018",
    expects="mean Dice 0.9 on the 67 test images",
    minutes=3,
    settings=NucleiSettings,
    prepare=prepare,
    says="mean Dice {val_dice:.4f} on the {part} images",
    score="val_dice",
    pictures=("masks.png",),
)
