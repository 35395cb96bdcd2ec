"""Pictures of what a model makes: masks around what it found, and images given back.

Owns drawing them from a trained model and batches. Curves and mistakes are plots.py's, whose
figures are used here too.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

import backlit as bl
from backlit.figures import new_figure, write_png

TRUE, FOUND = "#2fbf71", "#ff5a5f"


def plot_masks(model: Any, data: Any, path: str | os.PathLike[str], *, count: int = 8) -> None:
    """Draw images with the outlines of the true masks (green) and those found (red).

    `data` gives batches of images (N, 1, H, W) and masks (N, K, H, W), whose first is drawn; the
    model gives logits, positive inside. The images are spread over the whole of `data`, and each
    is titled with its Dice score.

    >>> import tempfile, os; path = os.path.join(tempfile.mkdtemp(), "masks.png")
    >>> batch = (bl.rand(2, 1, 8, 8), bl.ones(2, 1, 8, 8))
    >>> bl.train.plot_masks(nn.Conv2d(1, 1, 1), [batch], path); os.path.getsize(path) > 1000
    True
    """
    images, outputs, targets = (part[:, 0] for part in _answers(model, data))
    chosen = _spread(len(images), count)
    columns = min(4, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = new_figure(2.6 * columns, 2.75 * rows + 0.3)
    figure.suptitle("green: the true outline, red: the one found", fontsize=9)
    for place, number in enumerate(chosen, 1):
        axes = figure.add_subplot(rows, columns, place)
        axes.imshow(images[number], cmap="gray")
        found, true = outputs[number] > 0, targets[number] > 0.5
        for mask, colour in ((true, TRUE), (found, FOUND)):
            if mask.any() and not mask.all():
                axes.contour(mask, levels=[0.5], colors=colour, linewidths=0.9)
        overlap = 2 * (found & true).sum() / max(found.sum() + true.sum(), 1)
        axes.set_title(f"Dice {overlap:.3f}", fontsize=8)
        axes.axis("off")
    write_png(figure, path)


def plot_reconstructions(
    model: Any, data: Any, path: str | os.PathLike[str], *, count: int = 10
) -> None:
    """Draw images above what the model gives back for them.

    `data` gives batches whose first part is images (N, 1, H, W); the model's output has as many
    values.

    >>> import tempfile, os; path = os.path.join(tempfile.mkdtemp(), "back.png")
    >>> batch = (bl.rand(3, 1, 4, 4), bl.zeros(3))
    >>> bl.train.plot_reconstructions(nn.Identity(), [batch], path); os.path.getsize(path) > 1000
    True
    """
    images, outputs, _ = _answers(model, data)
    chosen = _spread(len(images), count)
    figure = new_figure(0.9 * len(chosen), 2.2)
    figure.suptitle("above: the image, below: given back", fontsize=9)
    pairs = (images, outputs.reshape(images.shape))
    for row, pictures in enumerate(pairs):
        for column, number in enumerate(chosen):
            axes = figure.add_subplot(2, len(chosen), row * len(chosen) + column + 1)
            axes.imshow(pictures[number, 0], cmap="gray_r", vmin=0, vmax=1)
            axes.axis("off")
    write_png(figure, path)


def _answers(model: Any, data: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All images, the model's outputs in eval mode, and all targets."""
    mode, parts = model.training, []
    model.eval()
    with bl.no_grad():
        for images, target in data:
            parts.append((images.numpy(), model(images).numpy(), target.numpy()))
    model.train(mode)
    images, outputs, targets = (np.concatenate(part) for part in zip(*parts, strict=True))
    return images, outputs, targets


def _spread(total: int, count: int) -> list[int]:
    """At most `count` numbers, evenly from 0 to total - 1."""
    return [int(n) for n in np.unique(np.linspace(0, total - 1, min(count, total)).round())]
