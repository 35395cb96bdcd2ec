"""Pictures of a training as png files: learning curves, and a grid of mistakes.

How a figure is made and written is figures.py's.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError
from backlit.figures import new_figure, write_png
from backlit.train.history import History

INK = {"train": "#4878a8", "val": "#d1603d"}
MORE_INK = ("#6a994e", "#8d6cab", "#b08d57")  # for what else is compared, such as alone_accuracy


def plot_curves(history: History, path: str | os.PathLike[str]) -> None:
    """Draw the loss and whatever metrics were measured over the epochs.

    >>> import tempfile, os; path = os.path.join(tempfile.mkdtemp(), "curves.png")
    >>> history = bl.train.History([{"epoch": 1, "train_loss": 0.7, "val_loss": 0.8}])
    >>> bl.train.plot_curves(history, path); os.path.getsize(path) > 1000
    True
    """
    panels = [kind for kind in _kinds(history) if _series(history, kind)]
    if not panels:
        raise ArgumentError("plot_curves: the history has no rows yet")
    figure = new_figure(5.0 * len(panels), 3.6)
    for number, kind in enumerate(panels, 1):
        axes = figure.add_subplot(1, len(panels), number)
        more = itertools.cycle(MORE_INK)
        for name, points in _series(history, kind).items():
            epochs, values = zip(*points, strict=True)
            colour = INK.get(name) or next(more)
            axes.plot(epochs, values, marker="o", markersize=3, color=colour, label=name)
        axes.set_xlabel("epoch")
        axes.set_title(kind)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    write_png(figure, path)


def plot_mistakes(
    model: Any,
    data: Any,
    path: str | os.PathLike[str],
    *,
    count: int = 25,
    classes: Sequence[str] | None = None,
) -> int:
    """Draw the wrongly classified images the model is surest about; returns how many are wrong.

    `data` gives batches of images (N, C, H, W), C 1 or 3, and class indices (N,). Each image
    is titled `true > predicted`.

    >>> import tempfile, os; path = os.path.join(tempfile.mkdtemp(), "mistakes.png")
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    >>> batch = (bl.rand(6, 1, 2, 2), bl.tensor([0, 1] * 3))
    >>> 0 <= bl.train.plot_mistakes(model, [batch], path) <= 6
    True
    """
    wrong, total = _mistakes(model, data)
    shown = sorted(wrong, key=lambda mistake: -mistake[3])[:count]
    columns = max(1, math.ceil(math.sqrt(len(shown))))
    rows = max(1, math.ceil(len(shown) / columns))
    figure = new_figure(max(1.25 * columns, 4.0), 1.45 * rows + 0.5)
    figure.suptitle(f"{len(wrong)} of {total} wrong; true > predicted, surest first", fontsize=9)
    for number, (image, true, predicted, sure) in enumerate(shown, 1):
        axes = figure.add_subplot(rows, columns, number)
        grey = image.shape[-1] == 1
        axes.imshow(image[..., 0] if grey else image, cmap="gray_r" if grey else None)
        names = [str(k) if classes is None else classes[k] for k in (true, predicted)]
        axes.set_title(f"{names[0]} > {names[1]}  {sure:.0%}", fontsize=8)
        axes.axis("off")
    write_png(figure, path)
    return len(wrong)


def _mistakes(model: Any, data: Any) -> tuple[list[tuple[np.ndarray, int, int, float]], int]:
    """(image, true class, predicted class, probability) of each mistake, and the sample count."""
    mode, wrong, total = model.training, [], 0
    model.eval()
    with bl.no_grad():
        for images, target in data:
            chances = bl.softmax(model(images), 1).numpy()
            predicted, true = chances.argmax(1), target.numpy()
            total += len(true)
            for i in np.flatnonzero(predicted != true):
                picture = _picture(images.numpy()[i])
                p = predicted[i]
                wrong.append((picture, int(true[i]), int(p), float(chances[i, p])))
    model.train(mode)
    return wrong, total


def _picture(image: np.ndarray) -> np.ndarray:
    """(C, H, W) of any scale as (H, W, C) between 0 and 1."""
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ArgumentError(
            f"plot_mistakes: an image has shape {image.shape}, expected (1 or 3, H, W)"
        )
    low, high = float(image.min()), float(image.max())
    scaled = (image - low) / (high - low) if high > low else np.zeros_like(image)
    return scaled.transpose(1, 2, 0)


def _kinds(history: History) -> list[str]:
    """What the columns train_... and val_... measure, the loss first."""
    columns = [key.partition("_") for row in history for key in row]
    return list(dict.fromkeys(["loss", *(kind for part, _, kind in columns if part in INK)]))


def _series(history: History, kind: str) -> dict[str, list[tuple[int, float]]]:
    """The points of each column that ends in _kind, by what stands before it."""
    found: dict[str, list[tuple[int, float]]] = {name: [] for name in INK}
    for row in history:
        for key, value in row.items():
            name, _, measured = key.partition("_")
            if measured == kind and isinstance(value, int | float) and math.isfinite(value):
                found.setdefault(name, []).append((row["epoch"], value))
    return {name: points for name, points in found.items() if points}
