"""Pictures of sequences: strokes and skeletons that a model takes for others, and how far back
in time its gradient reaches.

Owns drawing them from a trained model and batches. Images are pictures.py's; curves and mistakes
in images plots.py's, whose figures are used here too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import backlit as bl
from backlit.figures import new_figure, write_png

TIME = "viridis"  # dark at the beginning


class Guess(NamedTuple):
    """What a model says of one sample: its inputs, the true class, the one it takes it for."""

    inputs: tuple[np.ndarray, ...]
    true: int
    predicted: int
    chance: float


def plot_trajectories(
    model: Any,
    data: Any,
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str],
    count: int = 25,
    y_down: bool = False,
) -> int:
    """Draw the wrongly classified curves that the model is surest about; returns how many are
    wrong.

    `data` gives batches of points (N, T, 2) and class indices (N,). A curve begins dark and ends
    bright, and is titled `true > predicted`.

    >>> import tempfile, os; path = os.path.join(tempfile.mkdtemp(), "mistakes.png")
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    >>> batch = (bl.rand(6, 8, 2), bl.tensor([0, 1] * 3))
    >>> 0 <= bl.train.plot_trajectories(model, [batch], path, classes=["a", "b"]) <= 6
    True
    """
    wrong, total = _mistakes(model, data)
    shown = wrong[:count]
    columns = max(1, math.ceil(math.sqrt(len(shown))))
    rows = max(1, math.ceil(len(shown) / columns))
    figure = new_figure(max(1.5 * columns, 4.0), 1.6 * rows + 0.5)
    figure.suptitle(_said(wrong, total), fontsize=9)
    for number, guess in enumerate(shown, 1):
        axes = figure.add_subplot(rows, columns, number)
        _draw_curve(axes, guess.inputs[0])
        _name(axes, guess, classes)
        if y_down:
            axes.invert_yaxis()
    write_png(figure, path)
    return len(wrong)


def plot_clips(
    model: Any,
    data: Any,
    path: str | os.PathLike[str],
    *,
    classes: Sequence[str],
    bones: Sequence[tuple[int, int]],
    count: int = 12,
    frames: int = 6,
) -> int:
    """Draw the wrongly classified clips that the model is surest about; returns how many are
    wrong.

    `data` gives batches of poses (N, T, joints, 2) with y down, lengths (N,) and class indices
    (N,). Of each clip `frames` skeletons stand side by side, `bones` between their joints.

    >>> import tempfile, os; path = os.path.join(tempfile.mkdtemp(), "mistakes.png")
    >>> class Two(nn.Module):
    ...     def forward(self, poses, lengths): return poses[:, 0, 0]
    >>> batch = (bl.rand(6, 9, 3, 2), bl.full((6,), 9), bl.tensor([0, 1] * 3))
    >>> 0 <= bl.train.plot_clips(Two(), [batch], path, classes="ab", bones=[(0, 1), (1, 2)]) <= 6
    True
    """
    wrong, total = _mistakes(model, data)
    shown = wrong[:count]
    rows = max(1, math.ceil(len(shown) / 2))
    figure = new_figure(8.0, 1.5 * rows + 0.5)
    figure.suptitle(_said(wrong, total), fontsize=9)
    for number, guess in enumerate(shown, 1):
        axes = figure.add_subplot(rows, 2, number)
        poses, length = guess.inputs
        _draw_skeletons(axes, poses[: int(length)], bones, frames)
        _name(axes, guess, classes)
        axes.invert_yaxis()
    write_png(figure, path)
    return len(wrong)


def plot_by_step(
    curves: Mapping[str, Sequence[float]],
    path: str | os.PathLike[str],
    *,
    title: str = "size of the gradient by the input of each step",
) -> None:
    """Draw positive numbers by the step of the sequence they belong to, on a logarithmic scale.

    >>> import tempfile, os; path = os.path.join(tempfile.mkdtemp(), "by_step.png")
    >>> bl.train.plot_by_step({"rnn": [0.01, 0.1, 1.0]}, path); os.path.getsize(path) > 1000
    True
    """
    figure = new_figure(6.0, 3.6)
    axes = figure.add_subplot()
    for name, values in curves.items():
        axes.semilogy(range(1, len(values) + 1), values, label=name)
    axes.set(xlabel="step of the sequence", title=title)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    write_png(figure, path)


def _mistakes(model: Any, data: Any) -> tuple[list[Guess], int]:
    """The mistakes in eval mode, surest first, and how many samples there are."""
    mode, wrong, total = model.training, [], 0
    model.eval()
    with bl.no_grad():
        for *inputs, target in data:
            chances = bl.softmax(model(*inputs), 1).numpy()
            predicted, true = chances.argmax(1), target.numpy()
            total += len(true)
            for i in np.flatnonzero(predicted != true):
                sample = tuple(part.numpy()[i] for part in inputs)
                p = int(predicted[i])
                wrong.append(Guess(sample, int(true[i]), p, float(chances[i, p])))
    model.train(mode)
    return sorted(wrong, key=lambda guess: -guess.chance), total


def _said(wrong: Sequence[Guess], total: int) -> str:
    return f"{len(wrong)} of {total} wrong; true > predicted, surest first"


def _name(axes: Any, guess: Guess, classes: Sequence[str]) -> None:
    true, predicted = classes[guess.true], f"{classes[guess.predicted]}  {guess.chance:.0%}"
    between = " > " if len(true + predicted) < 20 else "\n> "
    axes.set_title(true + between + predicted, fontsize=7)
    axes.set_aspect("equal", adjustable="datalim")
    axes.axis("off")


def _draw_curve(axes: Any, points: np.ndarray) -> None:
    """Lines from point to point in the colours of time, and a dot where the curve begins."""
    from matplotlib.collections import LineCollection

    pieces = LineCollection(
        list(np.stack([points[:-1], points[1:]], axis=1)),
        array=np.arange(len(points) - 1),
        cmap=TIME,
        linewidths=2,
        capstyle="round",
    )
    axes.add_collection(pieces)
    axes.plot(*points[0], "o", markersize=3, color="black")
    axes.autoscale_view()


def _draw_skeletons(
    axes: Any, clip: np.ndarray, bones: Sequence[tuple[int, int]], frames: int
) -> None:
    """Some of the clip's frames from left to right."""
    from matplotlib.collections import LineCollection

    chosen = np.unique(np.linspace(0, len(clip) - 1, frames).round().astype(int))
    width = 1.2 * float(np.ptp(clip[..., 0])) or 1.0
    for place, frame in enumerate(chosen):
        pose = clip[frame] + np.array([place * width, 0])
        lines = [(pose[a], pose[b]) for a, b in bones]
        axes.add_collection(LineCollection(lines, colors="#4878a8", linewidths=1.5))
        axes.plot(*pose.T, "o", markersize=1.5, color="black")
    axes.autoscale_view()
