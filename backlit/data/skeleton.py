"""Clips of skeletons: joints of a person, frame by frame, who does something.

Owns the npz layout of JHMDB's 2-D poses (Jhuang et al. 2013) as arrays without objects, padding
to one length, and the mirrored, turned and shortened views that show the same action. Single
curves are trajectories.py's.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from backlit.data.dataset import Dataset, TensorDataset
from backlit.errors import ArgumentError, DataError, ShapeError

if TYPE_CHECKING:
    from backlit import Tensor

FILE = "jhmdb_split1.npz"
JOINTS = (
    "neck", "belly", "face", "right shoulder", "left shoulder", "right hip", "left hip",
    "right elbow", "left elbow", "right knee", "left knee", "right wrist", "left wrist",
    "right ankle", "left ankle",
)  # fmt: skip
BONES = (
    (2, 0), (0, 1), (0, 3), (0, 4), (1, 5), (1, 6), (3, 7), (4, 8), (5, 9), (6, 10), (7, 11),
    (8, 12), (9, 13), (10, 14),
)  # fmt: skip
# Which joint a joint becomes in a mirror.
MIRRORED = (0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13)


class SkeletonClips(TensorDataset):
    """Poses (N, frames, joints, 2) float32, zero beyond each of the `lengths` (N,), and labels.

    A sample is (pose, length, label), as classifiers of sequences with lengths take them.

    >>> clips = bl.data.SkeletonClips(
    ...     bl.zeros(2, 9, 15, 2), bl.tensor([9, 4]), bl.tensor([0, 1]), ["sit", "run"])
    >>> len(clips), clips[1][1].item()
    (2, 4)
    """

    def __init__(self, poses: Tensor, lengths: Tensor, labels: Tensor, classes: Sequence[str]):
        if poses.ndim != 4 or poses.shape[3] != 2:
            raise ShapeError(
                f"SkeletonClips: takes poses (N, frames, joints, 2), got {tuple(poses.shape)}"
            )
        super().__init__(poses, lengths, labels)
        self.poses, self.lengths, self.labels = poses, lengths, labels
        self.classes = list(classes)

    def select(self, indices: Any) -> SkeletonClips:
        """Those at `indices`, or where a mask is true.

        >>> clips = bl.data.SkeletonClips(
        ...     bl.zeros(2, 9, 15, 2), bl.tensor([9, 4]), bl.tensor([0, 1]), ["sit", "run"])
        >>> clips.select([1]).lengths.tolist()
        [4]
        """
        poses, lengths, labels = self._selected(indices)
        return SkeletonClips(poses, lengths, labels, self.classes)


class JHMDB(SkeletonClips):
    """People who catch, clap, golf, ...: 433 clips to train and 176 to test, 15 to 40 frames.

    `root` is a folder of jhmdb_split1.npz or the file: {train,test}_pose (sum of frames, 15, 2),
    _length and _label. Coordinates are relative to the person. Raises DataError where the file
    is missing or damaged. Data: Jhuang et al. 2013, from HMDB51; CC BY 4.0.

    >>> bl.data.JHMDB("/no/such/folder")
    Traceback (most recent call last):
    backlit.errors.DataError: /no/such/folder/jhmdb_split1.npz: no such file
    """

    def __init__(self, root: str | os.PathLike[str], train: bool = True):
        import backlit as bl

        path = Path(root) / FILE if Path(root).suffix != ".npz" else Path(root)
        arrays = _arrays(path)
        split = "train" if train else "test"
        frames, counts, names = (arrays[f"{split}_{part}"] for part in ("pose", "length", "label"))
        joints = len(JOINTS)
        fits = frames.ndim == 3 and frames.shape[1:] == (joints, 2) and len(counts) == len(names)
        if not fits or not len(counts) or counts.min() < 1 or counts.sum() != len(frames):
            raise DataError(
                f"{path}: {split}: poses {frames.shape}, {len(counts)} lengths of "
                f"{int(counts.sum())} frames and {len(names)} labels do not fit each other"
            )
        classes = sorted({str(name) for name in arrays["train_label"]})
        unknown = {str(name) for name in names} - set(classes)
        if unknown:
            raise DataError(f"{path}: {split}: {unknown.pop()!r} is none of the actions of train")
        longest = int(max(arrays["train_length"].max(), arrays["test_length"].max()))
        poses = np.zeros((len(counts), longest, joints, 2), np.float32)
        for pose, clip in zip(poses, np.split(frames, np.cumsum(counts)[:-1])):
            pose[: len(clip)] = clip
        labels = np.array([classes.index(str(name)) for name in names], np.int64)
        lengths = bl.from_numpy(counts.astype(np.int64))
        super().__init__(bl.from_numpy(poses), lengths, bl.from_numpy(labels), classes)


class RandomClips(Dataset[tuple[Any, Any, Any]]):
    """Each clip half of the time mirrored, turned by up to `turn` degrees, sized by up to
    `stretch` more or less, and cut to a part of at least `least` of its frames.

    >>> clip = bl.data.SkeletonClips(
    ...     bl.ones(1, 10, 15, 2), bl.tensor([10]), bl.tensor([0]), ["sit"])
    >>> pose, length, label = bl.data.RandomClips(clip)[0]
    >>> pose.shape, 8 <= length.item() <= 10
    (backlit.Size([10, 15, 2]), True)
    """

    def __init__(
        self, clips: SkeletonClips, turn: float = 10.0, stretch: float = 0.1, least: float = 0.8
    ):
        if clips.poses.shape[2] != len(MIRRORED):
            raise ShapeError(f"RandomClips: takes 15 joints, got {clips.poses.shape[2]}")
        if turn < 0 or not 0 <= stretch < 1 or not 0 < least <= 1:
            raise ArgumentError(
                "RandomClips: needs turn >= 0, stretch in [0, 1) and least in (0, 1], "
                f"got {turn}, {stretch}, {least}"
            )
        self.poses, self.classes = clips.poses.numpy(), clips.classes
        self.lengths, self.labels = clips.lengths.tolist(), clips.labels
        self.turn, self.stretch, self.least = math.radians(turn), stretch, least

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, index: int) -> tuple[Any, Any, Any]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Any, Any, Any]]:
        import backlit as bl

        draws = bl.rand(len(indices), 5).tolist()
        return [self._view(index, *draw) for index, draw in zip(indices, draws, strict=True)]

    def _view(
        self, index: int, mirror: float, turn: float, size: float, part: float, start: float
    ) -> tuple[Any, Any, Any]:
        """The clip changed by five numbers in [0, 1)."""
        import backlit as bl

        whole = self.lengths[index]
        kept = whole - int(part * (whole - math.ceil(self.least * whole) + 1))
        first = int(start * (whole - kept + 1))
        clip = self.poses[index, first : first + kept]
        if mirror < 0.5:
            clip = clip[:, MIRRORED] * np.array([-1, 1], np.float32)
        angle = (2 * turn - 1) * self.turn
        scale = 1 + (2 * size - 1) * self.stretch
        sine, cosine = math.sin(angle) * scale, math.cos(angle) * scale
        view = np.zeros_like(self.poses[index])
        view[:kept] = clip @ np.array([[cosine, sine], [-sine, cosine]], np.float32)
        return bl.from_numpy(view), bl.tensor(kept), self.labels[index]


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """All six arrays of the file; what holds objects is refused."""
    names = [
        f"{split}_{part}" for split in ("train", "test") for part in ("pose", "length", "label")
    ]
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except KeyError as error:
        raise DataError(f"{path}: {error.args[0]}", hint=f"it needs {', '.join(names)}") from None
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: damaged, or no npz of plain arrays: {error}") from None
