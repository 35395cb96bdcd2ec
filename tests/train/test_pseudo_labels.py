"""Pseudo-labels: which labels are forgotten, the loss, its ramp, and the network beside it."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.data import LabelledImages
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.train import recipes
from backlit.train.recipe import fit_job, start
from backlit.train.recipes.pseudo_labels import (
    UNKNOWN,
    EachView,
    LabelsAlone,
    PseudoLabelLoss,
    PseudoLabelSettings,
    Ramp,
    TwoViews,
    partly_labelled,
)


def some_digits(count=200):
    labels = bl.from_numpy(np.arange(count) % 10)
    return LabelledImages(bl.rand(count, 1, 2, 2), labels, [str(k) for k in range(10)])


def test_labels_that_are_kept_are_true_and_even_over_the_classes():
    digits = some_digits()
    images, kept = partly_labelled(digits, 30)
    labels, true = images.labels.numpy(), digits.labels.numpy()
    assert len(kept) == 30 and np.bincount(true[kept]).tolist() == [3] * 10
    np.testing.assert_array_equal(labels[kept], true[kept])
    assert (np.delete(labels, kept) == UNKNOWN).all() and images.images is digits.images
    assert not np.array_equal(partly_labelled(digits, 30)[1], kept)
    for count in (0, 5, 15):
        with pytest.raises(ArgumentError, match=f"--labels {count}: a multiple of 10"):
            partly_labelled(digits, count)


def test_views_are_the_image_and_the_image_moved():
    bl.manual_seed(2)
    digits = LabelledImages(bl.rand(3, 1, 6, 6), bl.tensor([5, UNKNOWN, 7]), ["0"])
    views = TwoViews(digits, shift=1)
    moves = {tuple(np.subtract(*place)) for place in _places(digits, views)}
    assert len(moves) > 5 and all(abs(step) <= 1 for move in moves for step in move)
    x, label = views[1]
    assert x.shape == (2, 6, 6) and label.tolist() == [UNKNOWN, UNKNOWN]
    np.testing.assert_array_equal(x.numpy()[0], digits.images.numpy()[1, 0])


def _places(digits, views):
    """Where one pixel of image 0 is found in each of the two views, over many draws."""
    marker = digits.images.numpy()[0, 0, 3, 3]
    for x, _ in views.__getitems__([0] * 60):
        yield [np.argwhere(view == marker)[0] for view in x.numpy()]


def test_a_network_takes_one_view_or_two():
    model = EachView(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)))
    x = bl.rand(5, 2, 2, 2)
    both = model(x)
    assert both.shape == (5, 3, 2)
    for view in (0, 1):
        np.testing.assert_allclose(
            both[..., view].detach().numpy(), model(x[:, view : view + 1]).detach().numpy()
        )


def test_the_loss_counts_labels_and_what_sure_answers_teach():
    first = [[4.0, 0.0], [0.0, 1.0], [6.0, 0.0], [0.3, 0.0]]
    moved = [[1.0, 0.0], [0.0, 2.0], [0.5, 0.0], [9.0, 0.0]]
    output = bl.tensor([first, moved]).permute(1, 2, 0).detach().requires_grad_()
    target = bl.tensor([[1, 1], [0, 0], [UNKNOWN, UNKNOWN], [UNKNOWN, UNKNOWN]])
    loss = PseudoLabelLoss(threshold=0.9)
    labelled = F.cross_entropy(output[:2], target[:2])
    assert loss(output, target).item() == pytest.approx(labelled.item())
    loss.weight.data.fill_(0.5)
    learned = math.log(1 + math.exp(-0.5)) / 2  # the first of two; of the other it is not sure
    assert loss(output, target).item() == pytest.approx(labelled.item() + 0.5 * learned)
    loss(output, target).backward()
    grad = output.grad.numpy()
    assert not grad[2, :, 0].any() and grad[2, 0, 1] < 0 < grad[2, 1, 1]
    assert not grad[3].any()
    assert loss(output[..., 0], target[:, 0]).item() == pytest.approx(
        F.cross_entropy(output[:2, :, 0], target[:2, 0]).item()
    )


def test_batches_of_one_kind_are_no_trouble():
    loss = PseudoLabelLoss(threshold=0.5)
    loss.weight.data.fill_(1.0)
    output = bl.tensor([[[2.0, 2.0], [0.0, 0.0]]])
    expected = math.log(1 + math.exp(-2.0))
    for target in (0, UNKNOWN):
        found = loss(output, bl.tensor([[target, target]])).item()
        assert found == pytest.approx(expected)


def test_the_weight_rises_and_is_right_after_a_resume():
    loss = PseudoLabelLoss(0.9)
    ramp = Ramp(loss, PseudoLabelSettings(ramp=4, weight=2.0))
    weights = []
    ramp.on_start(SimpleNamespace(position=SimpleNamespace(epoch=0)))
    for epoch in range(1, 7):
        weights.append(loss.weight.item())
        ramp.on_epoch(None, {"epoch": epoch})
    assert weights == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    ramp.on_start(SimpleNamespace(position=SimpleNamespace(epoch=3)))
    assert loss.weight.item() == 1.5


def test_the_network_beside_starts_from_the_same_weights_and_comes_back():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 10))
    digits = some_digits(count=40)
    batches = [(digits.images, digits.labels)]
    alone = LabelsAlone(model, batches, batches, lr=0.01)
    before = model[1].weight.detach().numpy().copy()
    np.testing.assert_array_equal(alone.model[1].weight.detach().numpy(), before)
    row = {}
    alone.on_epoch(None, row)
    np.testing.assert_array_equal(model[1].weight.detach().numpy(), before)
    assert not np.array_equal(alone.model[1].weight.detach().numpy(), before)
    predicted = alone.model(digits.images).argmax(1)
    assert row["alone_accuracy"] == (predicted == digits.labels).float().mean().item()
    other = LabelsAlone(model, batches, batches, lr=0.01)
    other.load_state_dict(alone.state_dict())
    rows = {}, {}
    for each, found in zip((alone, other), rows):
        each.on_epoch(None, found)
    assert rows[0] == rows[1]
    np.testing.assert_array_equal(
        other.model[1].weight.detach().numpy(), alone.model[1].weight.detach().numpy()
    )


def test_the_compiled_step_sees_the_weight_that_the_ramp_sets():
    recipe = recipes.find("pseudo-labels")
    settings = PseudoLabelSettings(smoke=True, ramp=1, weight=3.0, threshold=0.05, labels=10)
    job = start(recipe, settings)
    history = fit_job(job, epochs=2, progress=False)
    # every answer is sure enough: with weight 3 the loss cannot stay where labels alone bring it
    job = start(recipe, PseudoLabelSettings(smoke=True, weight=0.0, threshold=0.05, labels=10))
    alone = fit_job(job, epochs=2, progress=False)
    assert history["train_loss"][0] == alone["train_loss"][0]
    assert history["train_loss"][1] != alone["train_loss"][1]
    with pytest.raises(ArgumentError, match=r"--share 1\.0"):
        start(recipe, PseudoLabelSettings(smoke=True, share=1.0))
