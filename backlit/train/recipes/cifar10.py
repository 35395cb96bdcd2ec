"""CIFAR-10 with ResNet-20 or DenseNet-BC: crops and mirrored images, SGD with momentum.

He et al. 2015 and Huang et al. 2016, with one cycle of the learning rate in place of the papers'
200 and 300 passes; pictures are scored together with their mirror images. `--model densenet` takes
the smaller DenseNet-BC(40, 12).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn
from backlit.data import CIFAR10, ImageFolder
from backlit.data.labelled import LabelledImages
from backlit.data.places import data_place
from backlit.errors import ArgumentError
from backlit.models import DenseNet, ResNet
from backlit.train.plots import plot_mistakes
from backlit.train.recipe import Job, Recipe, Settings, classification, parts

ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


@dataclass
class Cifar10Settings(Settings):
    """One cycle of SGD with Nesterov momentum."""

    epochs: int = 40
    batch_size: int = 64
    lr: float = 0.1
    model: str = "resnet20"  # or densenet
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1


def images(settings: Cifar10Settings, train: bool) -> LabelledImages:
    """Normalized images; a folder may hold the published records or JPEGs by class in a tar.gz."""
    if settings.smoke:
        return _small(train).normalized(MEAN, STD)
    place = data_place("cifar10", settings.data, ADDRESS)
    jpegs = Path(place) / ("train.tar.gz" if train else "test.tar.gz")
    if jpegs.is_file():
        folder = ImageFolder(jpegs)
        pixels = np.stack([np.asarray(folder[i][0]) for i in range(len(folder))])
        labels = np.array(folder.targets)
        found = LabelledImages.from_arrays(pixels, labels, folder.classes)
    else:
        data = CIFAR10(place, train)
        found = LabelledImages.from_arrays(data.data, np.array(data.targets), data.classes)
    return found.normalized(MEAN, STD)


def prepare(settings: Cifar10Settings) -> Job:
    """Random crops of the image padded by four, mirrored half of the time."""
    training, held_out = parts(settings, images)
    views = bl.data.RandomViews(training, shift=4)
    batches: Any = bl.data.DataLoader(views, settings.batch_size, shuffle=True, drop_last=True)
    val_batches: Any = bl.data.DataLoader(held_out, 500)
    model = network(settings.model)
    optimizer = bl.optim.SGD(
        model.parameters(),
        lr=settings.lr,
        momentum=0.9,
        nesterov=True,
        weight_decay=settings.weight_decay,
    )
    return classification(
        settings,
        model,
        optimizer,
        batches,
        val_batches,
        lambda path: plot_mistakes(model, val_batches, path, classes=held_out.classes),
        label_smoothing=settings.label_smoothing,
        cycle_momentum=False,
        pct_start=0.2,
    )


class WithMirror(nn.Module):
    """Images outside training: the mean of what is said of them and of their mirror images."""

    def forward(self, images: Any) -> Any:
        said = super().forward(images)
        return said if self.training else (said + super().forward(images.flip(-1))) / 2


class MirroredResNet(WithMirror, ResNet):
    """ResNet-20 and deeper, scored with mirror images."""


class MirroredDenseNet(WithMirror, DenseNet):
    """DenseNets, scored with mirror images."""


def network(name: str) -> nn.Module:
    """The model of this name; its weights are those of `models`."""
    if name == "resnet20":
        return MirroredResNet(3)
    if name == "densenet":
        return MirroredDenseNet(40, 12, bottleneck=True)
    raise ArgumentError(f"cifar10: there is no model {name!r}", hint="resnet20, densenet")


def _small(train: bool) -> LabelledImages:
    """Digits in the size and colours of CIFAR: enough to see that everything works."""
    digits = bl.data.digits("train" if train else "val").part(256 if train else 128)
    padded = nn.functional.pad(digits.images, (2, 2, 2, 2)).expand(-1, 3, -1, -1)
    return LabelledImages(padded.contiguous(), digits.labels, digits.classes)


RECIPE = Recipe(
    name="cifar10",
    title="CIFAR-10 with ResNet-20 or DenseNet-BC (--model densenet)",
    data="CIFAR-10 (60,000 colour pictures, 32 x 32)",
    expects="88.6 % of the test pictures with ResNet-20 (a JPEG copy)",
    minutes=60,
    settings=Cifar10Settings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} pictures are right",
)
