"""Clips of skeletons: the npz file, padding, and views of the same action."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.data.skeleton import BONES, JOINTS, MIRRORED
from backlit.errors import ArgumentError, DataError, ShapeError


def write(folder: Path, **changed: Any) -> dict[str, np.ndarray]:
    """A file of three clips to train and two to test."""
    draw = np.random.default_rng(0)
    arrays = {
        "train_pose": draw.normal(size=(9, 15, 2)).astype(np.float32),
        "train_length": np.array([2, 4, 3], np.int32),
        "train_label": np.array(["sit", "run", "run"]),
        "test_pose": draw.normal(size=(6, 15, 2)).astype(np.float32),
        "test_length": np.array([5, 1], np.int32),
        "test_label": np.array(["run", "sit"]),
    } | changed
    np.savez(folder / "jhmdb_split1.npz", **{k: v for k, v in arrays.items() if v is not None})
    return arrays


def test_clips_are_padded_to_the_longest_of_both_parts(tmp_path: Path) -> None:
    arrays = write(tmp_path)
    training, test = bl.data.JHMDB(tmp_path), bl.data.JHMDB(tmp_path, train=False)
    assert training.poses.shape == (3, 5, 15, 2) and test.poses.shape == (2, 5, 15, 2)
    assert training.classes == test.classes == ["run", "sit"]
    assert training.labels.tolist() == [1, 0, 0] and test.lengths.tolist() == [5, 1]
    pose, length, label = training[1]
    assert (length.item(), label.item()) == (4, 0)
    assert np.array_equal(pose.numpy()[:4], arrays["train_pose"][2:6])
    assert not pose.numpy()[4:].any()
    assert np.array_equal(test.poses.numpy()[0], arrays["test_pose"][:5])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"train_length": np.array([2, 4, 4])}, "3 lengths of 10 frames and 3 labels do not fit"),
        ({"train_length": np.array([9, 0, 0])}, "do not fit each other"),
        ({"train_label": np.array(["sit", "run"])}, "and 2 labels do not fit"),
        ({"train_pose": np.zeros((9, 14, 2), np.float32)}, r"poses \(9, 14, 2\)"),
        ({"test_label": np.array(["run", "fly"])}, "'fly' is none of the actions"),
        ({"test_pose": None}, "test_pose"),
        ({"train_label": np.array(["sit", "run", 3], object)}, "no npz of plain arrays"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    write(tmp_path, **changed)
    with pytest.raises(DataError, match=f"jhmdb_split1.npz: .*{said}"):
        bl.data.JHMDB(tmp_path, train="test_label" not in changed)
    (tmp_path / "jhmdb_split1.npz").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(DataError, match="damaged"):
        bl.data.JHMDB(tmp_path)


def test_left_and_right_change_places_in_a_mirror() -> None:
    for joint, other in enumerate(MIRRORED):
        name = JOINTS[joint]
        swapped = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert JOINTS[other] == swapped
    mirrored = {frozenset((MIRRORED[a], MIRRORED[b])) for a, b in BONES}
    assert mirrored == {frozenset(bone) for bone in BONES}


def test_views_mirror_turn_size_and_cut(tmp_path: Path) -> None:
    bl.manual_seed(0)
    poses = np.random.default_rng(1).normal(size=(1, 20, 15, 2)).astype(np.float32)
    poses[:, 16:] = 0
    clips = bl.data.SkeletonClips(bl.from_numpy(poses), bl.tensor([16]), bl.tensor([0]), ["wave"])
    views = bl.data.RandomClips(clips, turn=15.0, stretch=0.2, least=0.5)
    mirrors, lengths, firsts, sizes, angles = [], [], [], [], []
    for view, length, _ in views.__getitems__([0] * 300):
        kept = int(length)
        view = view.numpy()
        assert not view[kept:].any()
        # The one similarity and place that this view came from.
        found = [_similarity(poses[0, f : f + kept], view[:kept], m)
                 for m in (False, True) for f in range(17 - kept)]  # fmt: skip
        error, angle, size = min(found)
        assert error < 1e-4
        number = found.index((error, angle, size))
        mirrors.append(number >= 17 - kept)
        firsts.append(number % (17 - kept))
        lengths.append(kept), sizes.append(size), angles.append(angle)
    assert 100 < sum(mirrors) < 200
    assert set(lengths) == set(range(8, 17)) and set(firsts) == set(range(9))
    assert 0.8 <= min(sizes) < 0.82 and 1.18 < max(sizes) <= 1.2
    assert -15 <= min(angles) < -13.5 and 13.5 < max(angles) <= 15


def _similarity(before: np.ndarray, after: np.ndarray, mirror: bool) -> tuple[float, float, float]:
    """How far `after` is from a turned and sized `before`; the angle in degrees and the size."""
    if mirror:
        before = before[:, MIRRORED] * np.array([-1, 1], np.float32)
    old, new = (a[..., 0].ravel() + 1j * a[..., 1].ravel() for a in (before, after))
    factor = np.vdot(old, new) / np.vdot(old, old)
    return float(np.abs(new - factor * old).max()), float(np.angle(factor, deg=True)), abs(factor)


def test_what_is_no_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="takes poses"):
        bl.data.SkeletonClips(bl.zeros(1, 5, 30), bl.tensor([5]), bl.tensor([0]), ["a"])
    few = bl.data.SkeletonClips(bl.zeros(1, 5, 3, 2), bl.tensor([5]), bl.tensor([0]), ["a"])
    with pytest.raises(ShapeError, match="takes 15 joints, got 3"):
        bl.data.RandomClips(few)
    write(tmp_path)
    with pytest.raises(ArgumentError, match="least in"):
        bl.data.RandomClips(bl.data.JHMDB(tmp_path), least=0.0)
