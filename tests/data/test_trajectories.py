"""Pen digits and hand movements: UCI's files, their splits, and views of the same curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentError, DataError, ShapeError

SAMPLE = Path(bl.data.__file__).parent / "trajectories_sample"
PEN_ROW = "47,100, 27,81, 57,37, 26,0, 0,23, 56,53, 100,90, 40,98, 8"


def pen_rows(count: int) -> str:
    return "\n".join([PEN_ROW] * count) + "\n"


def test_a_row_is_points_in_the_order_of_time_and_a_label(tmp_path: Path) -> None:
    (tmp_path / "pendigits.tra").write_text(pen_rows(2))
    digits = bl.data.PenDigits(tmp_path)
    points = [[47, 100], [27, 81], [57, 37], [26, 0], [0, 23], [56, 53], [100, 90], [40, 98]]
    assert digits.points.tolist() == [points, points]
    assert digits.points.dtype == bl.float32 and digits.labels.tolist() == [8, 8]
    assert digits.classes == list("0123456789")


def test_one_file_of_both_parts_is_split_as_published(tmp_path: Path) -> None:
    (tmp_path / "pendigits.data").write_text(pen_rows(7494) + pen_rows(3).replace(" 8", " 5"))
    training, test = bl.data.PenDigits(tmp_path), bl.data.PenDigits(tmp_path, train=False)
    assert len(training) == 7494 and set(training.labels.tolist()) == {8}
    assert test.labels.tolist() == [5, 5, 5]
    (tmp_path / "pendigits.data").write_text(pen_rows(7494))
    with pytest.raises(DataError, match="7,494 rows, expected 7,494 to train and a test"):
        bl.data.PenDigits(tmp_path)


def test_every_third_of_each_movement_is_held_out() -> None:
    training, held_out = (bl.data.HandMovements(SAMPLE, train=part) for part in (True, False))
    assert training.points.shape == (60, 45, 2) and held_out.points.shape == (30, 45, 2)
    for curves, each in ((training, 4), (held_out, 2)):
        assert np.bincount(curves.labels.numpy()).tolist() == [each] * 15
    every = {tuple(c.ravel()) for part in (training, held_out) for c in part.points.numpy()}
    assert len(every) == 90


def test_movements_are_what_their_names_say() -> None:
    curves = bl.data.HandMovements(SAMPLE)
    points = {
        name: curves.points.numpy()[curves.labels.numpy() == kind]
        for kind, name in enumerate(curves.classes)
    }

    def turning(name: str) -> np.ndarray:
        """How much each curve turns to the right, for somebody who looks at the picture."""
        steps = np.diff(points[name][:, ::6], axis=1)
        before, after = steps[:, :-1], steps[:, 1:]
        return (before[..., 0] * after[..., 1] - before[..., 1] * after[..., 0]).sum(1)

    for what in ("line", "swing"):
        for name, long in ((f"horizontal {what}", 0), (f"vertical {what}", 1)):
            size = np.ptp(points[name], axis=1)
            assert (size[:, long] > 3 * size[:, 1 - long]).all(), name
    for what in ("zigzag", "wave"):  # go one way, and to and fro in the other
        for name, along in ((f"horizontal {what}", 0), (f"vertical {what}", 1)):
            way = np.abs(np.diff(points[name], axis=1)).sum(1)
            gone = np.abs(points[name][:, -1] - points[name][:, 0])
            assert (gone[:, along] > 0.8 * way[:, along]).all(), name
            assert (gone[:, 1 - along] < 0.6 * way[:, 1 - along]).all(), name
    assert (turning("clockwise arc") > 0).all() and (turning("anti-clockwise arc") < 0).all()
    for name, sign in (("face-up curve", 1), ("face-down curve", -1)):
        y = points[name][..., 1]
        middle, ends = y[:, 15:30].mean(1), (y[:, 0] + y[:, -1]) / 2
        assert sign * np.median(middle - ends) > 0.05, name
    gaps = np.linalg.norm(points["circle"][:, -1] - points["circle"][:, 0], axis=1)
    assert (gaps < 0.7 * np.ptp(points["circle"], axis=1).max(1)).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PEN_ROW.replace("8", "x"), "line 1 holds more than numbers"),
        (pen_rows(1) + "1,2,3", "line 2 has 3 columns, expected 17"),
        (PEN_ROW.replace("47", "nan"), "expected 17 finite numbers"),
        (PEN_ROW[:-1] + "10", "row 1 is of none of the 10 classes"),
        (PEN_ROW[:-1] + "1.5", "row 1 is of none of the 10 classes"),
        ("\n \n", "no rows in it"),
        ("é", "not a text of numbers"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "pendigits.tra").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=f"pendigits.tra: .*{said}"):
        bl.data.PenDigits(tmp_path)


def test_centred_curves_differ_by_a_shift_and_a_scale() -> None:
    curves = bl.data.PenDigits(SAMPLE)
    centred = curves.centred(0.02).points.numpy()
    np.testing.assert_allclose(centred.max(1), -centred.min(1), atol=1e-6)
    steps = np.diff(curves.points.numpy(), axis=1)
    np.testing.assert_allclose(np.diff(centred, axis=1), 0.02 * steps, atol=1e-6)


def test_views_are_turned_and_stretched_within_their_bounds() -> None:
    bl.manual_seed(0)
    arrow = bl.tensor([[[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]]).expand(500, -1, -1)
    curves = bl.data.Trajectories(arrow, bl.zeros(500, dtype=bl.int64), ["arrow"])
    views = bl.data.RandomTrajectories(curves, turn=20.0, stretch=0.3)
    points = np.stack([view.numpy() for view, _ in views.__getitems__(range(500))])
    right, up = points[:, 1], points[:, 2]
    assert np.abs(points[:, 0]).max() == 0
    np.testing.assert_allclose((right * up).sum(1), 0, atol=1e-6)  # still at right angles
    angles = np.degrees(np.arctan2(right[:, 1], right[:, 0]))
    for found, low, high in (
        (angles, -20, 20),
        (np.linalg.norm(right, axis=1), 0.7, 1.3),
        (np.linalg.norm(up, axis=1) / 2, 0.7, 1.3),
    ):
        spread = (high - low) / 20
        assert low <= found.min() < low + spread and high - spread < found.max() <= high + 1e-6


def test_the_seed_decides_the_views() -> None:
    views = bl.data.RandomTrajectories(bl.data.PenDigits(SAMPLE))

    def drawn(seed: int) -> np.ndarray:
        bl.manual_seed(seed)
        loader = bl.data.DataLoader(views, batch_size=7, shuffle=True)
        return next(iter(loader))[0].numpy()

    assert np.array_equal(drawn(1), drawn(1)) and not np.array_equal(drawn(1), drawn(2))


def test_what_is_no_curve_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"points \(N, T, 2\), got \(2, 16\)"):
        bl.data.Trajectories(bl.zeros(2, 16), bl.zeros(2), [])
    curves = bl.data.PenDigits(SAMPLE)
    for turn, stretch in ((-1.0, 0.1), (1.0, 1.0)):
        with pytest.raises(ArgumentError, match="RandomTrajectories: needs turn"):
            bl.data.RandomTrajectories(curves, turn, stretch)
