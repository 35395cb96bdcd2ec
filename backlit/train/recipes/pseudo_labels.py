"""Digits with few labels and pseudo-labels: what the network is surest of becomes a label.

Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method", in rounds: the
first learns from the labels; each of the others starts anew with the labels and, of every class,
a growing share of the answers that the round before was surest of. Beside it the same network,
from the same start and for as many steps, learns from the labels alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn
from backlit.data import (
    DataLoader,
    LabelledImages,
    RandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.train.callbacks import Callback
from backlit.train.metrics import Accuracy
from backlit.train.plots import plot_mistakes
from backlit.train.recipe import Job, Recipe, Settings, parts

UNKNOWN = -1
LAST_SHARE = 0.8  # of the images without a label that the last round learns from


@dataclass
class PseudoLabelSettings(Settings):
    """Adam, the learning rate falling in each round."""

    epochs: int = 20  # of all rounds together
    batch_size: int = 50
    lr: float = 0.002
    labels: int = 50  # images with a label, equally many of each class
    rounds: int = 5
    steps: int = 100  # in an epoch
    width: int = 8  # maps of the first convolution
    dropout: float = 0.5


def network(width: int, dropout: float) -> nn.Sequential:
    """Images (N, 1, 28, 28) to logits (N, 10); small and noisy, for there are few labels."""
    layers: list[nn.Module] = []
    for inside, outside in ((1, width), (width, 2 * width)):
        layers += [nn.Conv2d(inside, outside, 5), nn.BatchNorm2d(outside), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(dropout), nn.Linear(32 * width, 10))


class Rounds(Callback):
    """Names the images anew at the end of each round, and lets the network begin again.

    `names` holds a class for each image, or UNKNOWN; `truth` only tells how many are right.
    """

    def __init__(self, job: Job, images: Any, truth: np.ndarray, kept: np.ndarray, sampler: Any,
                 settings: PseudoLabelSettings):  # fmt: skip
        self.images, self.truth, self.kept, self.sampler = images, truth, kept, sampler
        self.names = bl.full((len(truth),), UNKNOWN, dtype=bl.int64)
        self.rounds, self.length = settings.rounds, max(1, settings.epochs // settings.rounds)
        self.model, self.optimizer = job.model, job.optimizer
        self.start = copy.deepcopy((job.model.state_dict(), job.optimizer.state_dict()))
        self.rename(np.full(len(truth), UNKNOWN))

    def on_epoch(self, run: Any, row: dict[str, Any]) -> None:
        number, rest = divmod(row["epoch"], self.length)
        pseudo = (self.names.numpy() != UNKNOWN) & ~self.is_kept()
        row["pseudo_labels"] = int(pseudo.sum())
        right = self.names.numpy()[pseudo] == self.truth[pseudo]
        row["pseudo_accuracy"] = float(right.mean()) if pseudo.any() else None
        if rest == 0 and number < self.rounds and row["epoch"] < run.limits.epochs:
            share = LAST_SHARE * number / max(self.rounds - 1, 1)
            self.rename(surest(self.scores(), share))
            self.model.load_state_dict(self.start[0])
            self.optimizer.load_state_dict(self.start[1])

    def is_kept(self) -> np.ndarray:
        """True where an image has its own label."""
        return np.isin(np.arange(len(self.truth)), self.kept)

    def rename(self, names: np.ndarray) -> None:
        """Take these classes, and the true ones of the labelled images."""
        names = np.where(self.is_kept(), self.truth, names)
        self.names.copy_(bl.from_numpy(names))
        self.sampler.weights.copy_(bl.from_numpy((names != UNKNOWN).astype(np.float64)))

    def scores(self) -> np.ndarray:
        """The network's chances (N, 10) for all images."""
        self.model.eval()
        with bl.no_grad():
            parts = [self.model(part).softmax(1).numpy() for part in self.images.split(500)]
        self.model.train()
        return np.concatenate(parts)

    def state_dict(self) -> dict[str, Any]:
        return {"names": self.names.numpy().copy()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rename(np.asarray(state["names"]))


class LabelsAlone(Callback):
    """The same network from the same start, which sees nothing but the labelled images."""

    def __init__(self, model: nn.Module, batches: Iterable[Any], val_data: Any, lr: float):
        self.model = copy.deepcopy(model)
        self.optimizer = bl.optim.Adam(self.model.parameters(), lr=lr)
        self.batches, self.val_data = batches, val_data
        self.step = bl.compile(self._step)

    def _step(self, images: Any, target: Any) -> None:
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(images), target).backward()
        self.optimizer.step()

    def on_epoch(self, run: Any, row: dict[str, Any]) -> None:
        self.model.train()
        for images, target in self.batches:
            self.step(images, target)
        self.model.eval()
        accuracy = Accuracy()
        with bl.no_grad():
            for images, target in self.val_data:
                accuracy.update(self.model(images), target)
        row["alone_accuracy"] = accuracy.compute()

    def state_dict(self) -> dict[str, Any]:
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def surest(scores: np.ndarray, share: float) -> np.ndarray:
    """Classes of the share of each class's answers with the highest chance, UNKNOWN elsewhere."""
    answers, chances = scores.argmax(1), scores.max(1)
    names = np.full(len(scores), UNKNOWN)
    for k in range(scores.shape[1]):
        of_class = np.flatnonzero(answers == k)
        best = of_class[np.argsort(-chances[of_class], kind="stable")]
        names[best[: round(share * len(of_class))]] = k
    return names


def with_labels(digits: LabelledImages, count: int) -> np.ndarray:
    """Where the images are that keep their labels: `count` of them, as many of each class."""
    classes = len(digits.classes)
    if count < classes or count % classes:
        raise ArgumentError(f"pseudo-labels: --labels {count}: a multiple of {classes} is needed")
    true = digits.labels.numpy()
    order = bl.randperm(len(true)).numpy()
    of_class = [order[true[order] == k][: count // classes] for k in range(classes)]
    return np.sort(np.concatenate(of_class))


def images(settings: PseudoLabelSettings, train: bool) -> LabelledImages:
    """One of the two parts, shortened for a smoke test."""
    found = bl.data.digits("train" if train else "val", settings.data)
    return found.part(1000 if train else 500) if settings.smoke else found


def prepare(settings: PseudoLabelSettings) -> Job:
    """Batches of the images that have a name at the moment."""
    training, held_out = parts(settings, images)
    steps = 10 if settings.smoke else settings.steps
    kept = with_labels(training, settings.labels)
    count = steps * settings.batch_size
    sampler = WeightedRandomSampler(np.ones(len(training)).tolist(), count)
    val_batches: Any = DataLoader(held_out, 500)
    model = network(settings.width, settings.dropout)
    job = Job(
        model=model,
        train_data=None,
        val_data=val_batches,
        loss=F.cross_entropy,
        optimizer=bl.optim.Adam(model.parameters(), lr=settings.lr),
        metrics=["accuracy"],
        pictures={
            "mistakes.png": lambda path: plot_mistakes(
                model, val_batches, path, classes=held_out.classes
            )
        },
    )
    truth = training.labels.numpy()
    rounds = Rounds(job, training.images, truth, kept, sampler, settings)
    named = TensorDataset(training.images, rounds.names)
    job.train_data = DataLoader(named, settings.batch_size, sampler=sampler)
    job.scheduler = bl.optim.lr_scheduler.CosineAnnealingWarmRestarts(job.optimizer, rounds.length)
    labelled: Any = TensorDataset(training.images[kept], training.labels[kept])
    draws = RandomSampler(labelled, replacement=True, num_samples=count)
    batches: Any = DataLoader(labelled, settings.batch_size, sampler=draws)
    job.callbacks = [rounds, LabelsAlone(model, batches, val_batches, settings.lr)]
    return job


RECIPE = Recipe(
    name="pseudo-labels",
    title="digits with 50 labels and up to 8,000 pseudo-labels",
    data="12,000 digits of MNIST that are in the package; 50 keep their labels",
    expects="85 % of the held-out digits, 80 % with the labels alone",
    minutes=1,
    settings=PseudoLabelSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} digits are right, "
    "{alone_accuracy:.2%} with the labels alone,",
    part="held-out",
)
