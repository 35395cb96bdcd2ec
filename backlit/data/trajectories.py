"""Trajectories: where a pen or a hand was, point after point, and what it wrote or signed.

Owns UCI's text files of pen digits (Alimoglu and Alpaydin 1996) and of Libras hand movements
(Dias, Peres and Biscaro 2009), and the turned and stretched views that mean the same. Clips of
whole skeletons are skeleton.py's.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backlit.data.dataset import Dataset, TensorDataset
from backlit.errors import ArgumentError, DataError, ShapeError

if TYPE_CHECKING:
    from backlit import Tensor

PEN_TRAINING_ROWS = 7494
# As the curves of the file show: its tremble is the ninth, not the last as in its description.
MOVEMENTS = (
    "curved swing", "horizontal swing", "vertical swing", "anti-clockwise arc", "clockwise arc",
    "circle", "horizontal line", "vertical line", "tremble", "horizontal zigzag",
    "vertical zigzag", "horizontal wave", "vertical wave", "face-up curve", "face-down curve",
)  # fmt: skip


class Trajectories(TensorDataset):
    """Points (N, T, 2) float32 in the order of time and labels (N,) int64, with class names.

    >>> curves = bl.data.Trajectories(bl.zeros(2, 8, 2), bl.tensor([1, 0]), ["dot", "line"])
    >>> len(curves), len(curves.part(1)), curves.points.shape[1]
    (2, 1, 8)
    """

    def __init__(self, points: Tensor, labels: Tensor, classes: Sequence[str]):
        if points.ndim != 3 or points.shape[2] != 2:
            raise ShapeError(f"Trajectories: takes points (N, T, 2), got {tuple(points.shape)}")
        super().__init__(points, labels)
        self.points, self.labels, self.classes = points, labels, list(classes)

    def part(self, count: int) -> Trajectories:
        """The first `count` of them."""
        return Trajectories(self.points[:count], self.labels[:count], self.classes)

    def select(self, indices: Any) -> Trajectories:
        """Those at `indices`, or where a mask is true.

        >>> curves = bl.data.Trajectories(bl.zeros(2, 8, 2), bl.tensor([1, 0]), ["dot", "line"])
        >>> curves.select([1]).labels.tolist()
        [0]
        """
        points, labels = self._selected(indices)
        return Trajectories(points, labels, self.classes)

    def centred(self, scale: float = 1.0) -> Trajectories:
        """Each less the middle of the box that holds it, all times `scale`.

        >>> bl.data.Trajectories(bl.tensor([[[4.0, 0], [6, 1]]]), bl.tensor([0]), "-").centred(
        ...     2.0).points.tolist()
        [[[-2.0, -1.0], [2.0, 1.0]]]
        """
        middle = (self.points.amax(1, keepdim=True) + self.points.amin(1, keepdim=True)) / 2
        return Trajectories((self.points - middle) * scale, self.labels, self.classes)


class PenDigits(Trajectories):
    """Digits on a tablet: eight points, from 0 to 100, y up; 7,494 to train, 3,498 to test.

    `root` is a folder of pendigits.tra and pendigits.tes, or of both in this order in
    pendigits.data. The writers of the test are others. Raises DataError where a file is missing
    or damaged. Data: UCI, CC BY 4.0.

    >>> bl.data.PenDigits("/no/such/folder")
    Traceback (most recent call last):
    backlit.errors.DataError: /no/such/folder: PenDigits needs pendigits.tra and ...
    """

    def __init__(self, root: str | os.PathLike[str], train: bool = True):
        folder = Path(root)
        part, whole = folder / f"pendigits.{'tra' if train else 'tes'}", folder / "pendigits.data"
        if part.is_file():
            rows = _table(part, 17)
        elif whole.is_file():
            rows = _table(whole, 17)
            if len(rows) <= PEN_TRAINING_ROWS:
                raise DataError(f"{whole}: {len(rows):,} rows, expected 7,494 to train and a test")
            rows = rows[:PEN_TRAINING_ROWS] if train else rows[PEN_TRAINING_ROWS:]
        else:
            raise DataError(
                f"{folder}: PenDigits needs pendigits.tra and pendigits.tes, or pendigits.data here"
            )
        points, labels = _points_and_labels(part if part.is_file() else whole, rows, 10)
        super().__init__(points, labels, [str(digit) for digit in range(10)])


class HandMovements(Trajectories):
    """Signs of Libras: 45 points of a hand in a video, from 0 to 1, y down; 15 movements.

    `root` is a folder of movement_libras.data. It has no published split: of each movement's
    rows every third is held out, 120 of 360; the signers are the same in both parts.
    Raises DataError where the file is missing or damaged. Data: UCI, CC BY 4.0.

    >>> bl.data.HandMovements("/no/such/folder")
    Traceback (most recent call last):
    backlit.errors.DataError: /no/such/folder/movement_libras.data: no such file
    """

    def __init__(self, root: str | os.PathLike[str], train: bool = True):
        path = Path(root) / "movement_libras.data"
        rows = _table(path, 91)
        rows[:, -1] -= 1  # the file counts its classes from one
        points, labels = _points_and_labels(path, rows, len(MOVEMENTS))
        own = np.zeros(len(rows), int)  # the how-maniest of its movement
        for kind in range(len(MOVEMENTS)):
            found = labels.numpy() == kind
            own[found] = np.arange(found.sum())
        chosen = np.flatnonzero((own % 3 != 2) == train).tolist()
        super().__init__(points[chosen], labels[chosen], MOVEMENTS)


class RandomTrajectories(Dataset[tuple[Any, Any]]):
    """Each curve turned by up to `turn` degrees and stretched by up to `stretch` of its width and
    of its height, drawn anew whenever it is read.

    >>> curve = bl.data.Trajectories(bl.ones(1, 8, 2), bl.tensor([0]), ["dot"])
    >>> bl.data.RandomTrajectories(curve, turn=10.0, stretch=0.2)[0][0].shape
    backlit.Size([8, 2])
    """

    def __init__(self, curves: Trajectories, turn: float = 10.0, stretch: float = 0.2):
        if turn < 0 or not 0 <= stretch < 1:
            raise ArgumentError(
                f"RandomTrajectories: needs turn >= 0 and stretch in [0, 1), got {turn}, {stretch}"
            )
        self.points, self.labels, self.classes = curves.points, curves.labels, curves.classes
        self.turn, self.stretch = math.radians(turn), stretch

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Any]]:
        import backlit as bl

        chosen = list(indices)
        draws = 2 * bl.rand(len(chosen), 3) - 1
        angle = draws[:, 0] * self.turn
        cosine, sine = angle.cos(), angle.sin()
        turns = bl.stack([cosine, -sine, sine, cosine], 1).reshape(-1, 2, 2)
        sizes = 1 + self.stretch * draws[:, 1:]
        views = (self.points[chosen] * sizes.unsqueeze(1)) @ turns
        return list(zip(views, self.labels[chosen]))


def _points_and_labels(path: Path, rows: np.ndarray, classes: int) -> tuple[Tensor, Tensor]:
    """Rows x1, y1, x2, y2, ..., label as points (N, T, 2) and labels."""
    import backlit as bl

    labels = rows[:, -1].astype(np.int64)
    unfit = np.flatnonzero((labels != rows[:, -1]) | (labels < 0) | (labels >= classes))
    if len(unfit):
        raise DataError(f"{path}: row {unfit[0] + 1} is of none of the {classes} classes")
    points = rows[:, :-1].astype(np.float32).reshape(len(rows), -1, 2)
    return bl.from_numpy(points), bl.from_numpy(labels)


def _table(path: Path, columns: int) -> np.ndarray:
    """Numbers between commas, a row on each line."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not a text of numbers") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = [float(text) for text in line.split(",")]
        except ValueError:
            raise DataError(f"{path}: line {number} holds more than numbers") from None
        if len(row) != columns or not np.isfinite(row).all():
            raise DataError(
                f"{path}: line {number} has {len(row)} columns, expected {columns} finite numbers"
            )
        rows.append(row)
    if not rows:
        raise DataError(f"{path}: no rows in it")
    return np.array(rows)
