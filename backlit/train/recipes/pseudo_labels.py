"""Digits with few labels and pseudo-labels: what the network is sure of becomes a label.

Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method", whose weight
grows from nothing; as in Sohn et al. 2020 (FixMatch) a sure answer for an image becomes the label
of the same image moved. Beside it the same network, from the same start and for as many steps,
learns from the labels alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn
from backlit.data import (
    DataLoader,
    Dataset,
    LabelledImages,
    RandomSampler,
    RandomViews,
    Subset,
    WeightedRandomSampler,
)
from backlit.errors import ArgumentError
from backlit.models import LeNet
from backlit.nn import functional as F
from backlit.train.callbacks import Callback
from backlit.train.metrics import Accuracy
from backlit.train.plots import plot_mistakes
from backlit.train.recipe import Job, Recipe, Settings

UNKNOWN = -100  # the target of an image without a label; metrics leave it out


@dataclass
class PseudoLabelSettings(Settings):
    """Adam; a quarter of each batch has labels."""

    epochs: int = 12
    batch_size: int = 100
    lr: float = 0.001
    labels: int = 100  # images with a label, equally many of each class
    share: float = 0.25  # of a batch that has labels
    weight: float = 1.0  # of the pseudo-labels at last
    ramp: int = 4  # epochs until then
    threshold: float = 0.95  # a surer answer is a label
    shift: int = 4  # pixels that the second view is moved by at most


class TwoViews(Dataset[tuple[Any, Any]]):
    """Each image as it is and moved (2, H, W), with its label, or UNKNOWN, for both (2,)."""

    def __init__(self, images: LabelledImages, shift: int):
        self.images = images
        self.moved = RandomViews(images, shift=shift, flip=False)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Any]]:
        views = zip(indices, self.moved.__getitems__(indices), strict=True)
        return [
            (bl.cat([self.images.images[index], moved]), bl.stack([label, label]))
            for index, (moved, label) in views
        ]


class EachView(nn.Module):
    """A network of images (N, 1, H, W) that also takes two views (N, 2, H, W), one by one.

    Logits (N, K) of images, (N, K, 2) of views.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        if x.shape[1] == 1:
            return self.network(x)
        return bl.stack([self.network(x[:, :1]), self.network(x[:, 1:])], -1)


class PseudoLabelLoss(nn.Module):
    """Cross-entropy where there are labels plus `weight` times that of the sure answers.

    Logits (N, K) and labels (N,), or (N, K, 2) and (N, 2) of two views: the first gives the
    answers, the second learns them.
    """

    def __init__(self, threshold: float):
        super().__init__()
        self.threshold = threshold
        self.register_buffer("weight", bl.tensor(0.0))

    def forward(self, output: Any, target: Any) -> Any:
        known = target != UNKNOWN
        labelled = F.cross_entropy(output, target, ignore_index=UNKNOWN, reduction="sum")
        loss = labelled / known.sum().clamp(min=1)
        if target.ndim == 1:
            return loss
        chance, answer = output[..., 0].detach().softmax(1).max(1)
        sure = ~known[:, 0] & (chance > self.threshold)
        learned = (F.cross_entropy(output[..., 1], answer, reduction="none") * sure).sum()
        # Over all without a label: few sure answers must not weigh as much as many.
        return loss + self.weight * learned / (~known[:, 0]).sum().clamp(min=1)


class Ramp(Callback):
    """Raises the weight of the pseudo-labels epoch by epoch."""

    def __init__(self, loss: PseudoLabelLoss, settings: PseudoLabelSettings):
        self.loss, self.settings = loss, settings

    def on_start(self, run: Any) -> None:
        self._set(run.position.epoch)

    def on_epoch(self, run: Any, row: dict[str, Any]) -> None:
        self._set(row["epoch"])

    def _set(self, epoch: int) -> None:
        part = min(1.0, epoch / max(self.settings.ramp, 1))
        self.loss.weight.data.fill_(self.settings.weight * part)


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


def partly_labelled(digits: LabelledImages, count: int) -> tuple[LabelledImages, np.ndarray]:
    """The images with all but `count` labels forgotten, and where those are that have one."""
    classes = len(digits.classes)
    if count < classes or count % classes:
        raise ArgumentError(f"pseudo-labels: --labels {count}: a multiple of {classes} is needed")
    true = digits.labels.numpy()
    order = bl.randperm(len(true)).numpy()
    kept = np.sort(
        np.concatenate([order[true[order] == k][: count // classes] for k in range(classes)])
    )
    labels = np.full_like(true, UNKNOWN)
    labels[kept] = true[kept]
    return LabelledImages(digits.images, bl.from_numpy(labels), digits.classes), kept


def prepare(settings: PseudoLabelSettings) -> Job:
    """Batches of both kinds of images, drawn with the share that was asked for."""
    if not 0 < settings.share < 1:
        raise ArgumentError(f"pseudo-labels: --share {settings.share}: expected between 0 and 1")
    training = bl.data.digits("train", settings.data)
    held_out = bl.data.digits("val", settings.data)
    if settings.smoke:
        training, held_out = training.part(1000), held_out.part(500)
    images, kept = partly_labelled(training, settings.labels)
    weights = np.full(len(images), (1 - settings.share) / (len(images) - len(kept)))
    weights[kept] = settings.share / len(kept)
    sampler = WeightedRandomSampler(weights.tolist(), len(images))
    views = TwoViews(images, settings.shift)
    batches: Any = DataLoader(views, settings.batch_size, sampler=sampler)
    val_batches: Any = DataLoader(held_out, 500)
    model, loss = EachView(LeNet()), PseudoLabelLoss(settings.threshold)
    alone = _labelled_batches(views, kept, settings, len(batches))
    return Job(
        model=model,
        train_data=batches,
        val_data=val_batches,
        loss=loss,
        optimizer=bl.optim.Adam(model.parameters(), lr=settings.lr),
        metrics=["accuracy"],
        callbacks=[Ramp(loss, settings), LabelsAlone(model, alone, val_batches, settings.lr)],
        pictures={
            "mistakes.png": lambda path: plot_mistakes(
                model, val_batches, path, classes=held_out.classes
            )
        },
    )


def _labelled_batches(
    views: TwoViews, kept: np.ndarray, settings: PseudoLabelSettings, steps: int
) -> Any:
    """As many steps an epoch on the labelled images alone, and as many of them in each."""
    size = max(1, round(settings.share * settings.batch_size))
    labelled: Any = Subset(views, kept.tolist())
    sampler = RandomSampler(labelled, replacement=True, num_samples=steps * size)
    return DataLoader(labelled, size, sampler=sampler)


RECIPE = Recipe(
    name="pseudo-labels",
    title="digits with 100 labels and 9,900 pseudo-labels",
    data="12,000 digits of MNIST that are in the package; 100 keep their labels",
    expects="87 % of the held-out digits, 5 % more than with the labels alone",
    minutes=0.5,
    settings=PseudoLabelSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the held-out digits are right, "
    "{alone_accuracy:.2%} with the labels alone,",
)
