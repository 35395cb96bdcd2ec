"""The Dice score, pictures of masks and of images given back, curves of any metric."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import backlit as bl
from backlit import nn
from backlit.errors import ShapeError
from backlit.train import Dice, History, plot_curves, plot_masks, plot_reconstructions
from backlit.train.metrics import named_metrics
from backlit.train.pictures import FOUND, TRUE
from backlit.train.plots import MORE_INK


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def has(picture, colour):
    """Whether some pixels are nearly of this colour."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)])
    return bool((np.abs(picture.astype(int) - rgb).max(-1) < 12).any())


class Threshold(nn.Module):
    """Logits that are positive where the image is above `at`."""

    def __init__(self, at):
        super().__init__()
        self.at = at

    def forward(self, x):
        return x - self.at


def squares(count):
    """Images with one bright square in the middle, which is the mask too."""
    images = np.zeros((count, 1, 16, 16), np.float32)
    images[:, :, 5:11, 5:11] = 1
    return [(bl.from_numpy(images), bl.from_numpy(images))]


def test_dice_is_the_mean_over_images_and_classes():
    dice = named_metrics(["dice"])["dice"]
    truth = bl.tensor([[[1.0, 1, 0, 0], [0, 0, 0, 0]], [[0, 0, 1, 1], [1, 1, 1, 1]]])
    output = bl.tensor([[[3.0, -1, 2, -1], [-1, -1, -1, -1]], [[1, -1, -1, -1], [1, 1, 1, -1]]])
    dice.update(output, truth)
    # one of two found and one wrong; nothing and nothing; all wrong; three of four
    assert dice.compute() == pytest.approx((2 / 4 + 1 + 0 + 6 / 7) / 4)
    dice.update(truth - 0.5, truth)
    assert dice.compute() == pytest.approx((2 / 4 + 1 + 0 + 6 / 7 + 4) / 8)
    kept = Dice()
    kept.load_state_dict(dice.state_dict())
    assert kept.compute() == dice.compute()
    dice.reset()
    assert np.isnan(dice.compute())


@pytest.mark.parametrize("shape", [(2, 1, 4), (2, 4)])
def test_dice_refuses_other_shapes(shape):
    with pytest.raises(ShapeError, match="Dice"):
        Dice().update(bl.zeros(*shape), bl.zeros(2, 4))


def test_masks_show_what_was_true_and_what_was_found(tmp_path):
    model = Threshold(0.5).train()
    plot_masks(model, squares(3), tmp_path / "right.png")
    plot_masks(Threshold(2.0), squares(3), tmp_path / "none.png")
    assert has(pixels(tmp_path / "right.png"), FOUND) and model.training
    assert has(pixels(tmp_path / "none.png"), TRUE)
    assert not has(pixels(tmp_path / "none.png"), FOUND)


def test_as_many_images_as_asked_for_are_drawn(tmp_path):
    for count in (1, 5):
        plot_masks(Threshold(0.5), squares(5), tmp_path / f"{count}.png", count=count)
    one, five = (pixels(tmp_path / f"{count}.png").shape for count in (1, 5))
    assert five[0] > 1.5 * one[0] and five[1] > 3 * one[1]


def test_images_stand_above_what_is_given_back(tmp_path):
    plot_reconstructions(nn.Identity(), squares(4), tmp_path / "same.png")
    plot_reconstructions(Threshold(1.0), squares(4), tmp_path / "blank.png")
    same, blank = (pixels(tmp_path / name) for name in ("same.png", "blank.png"))
    assert (same < 30).all(-1).sum() > 1.8 * (blank < 30).all(-1).sum()


def test_curves_of_every_metric_and_of_nothing_that_is_no_number(tmp_path):
    rows = [{"epoch": n, "train_loss": 1 / n, "val_dice": n / 3} for n in (1, 2)]
    plot_curves(History(rows), tmp_path / "dice.png")
    plot_curves(History([{**row, "val_counts": np.eye(2)} for row in rows]), tmp_path / "two.png")
    plot_curves(History([{"epoch": 1, "train_loss": 1.0}]), tmp_path / "loss.png")
    widths = {name: pixels(tmp_path / f"{name}.png").shape[1] for name in ("dice", "two", "loss")}
    assert widths["dice"] == widths["two"] == 2 * widths["loss"]


def test_a_third_curve_stands_beside_train_and_val(tmp_path):
    rows = [{"epoch": n, "train_loss": 1 / n, "val_accuracy": n / 3} for n in (1, 2)]
    plot_curves(History(rows), tmp_path / "two.png")
    plot_curves(History([{**row, "alone_accuracy": 0.2} for row in rows]), tmp_path / "three.png")
    two, three = (pixels(tmp_path / f"{name}.png") for name in ("two", "three"))
    assert two.shape == three.shape
    assert has(three, MORE_INK[0]) and not has(two, MORE_INK[0])
