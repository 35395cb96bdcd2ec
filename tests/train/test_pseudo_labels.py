"""Pseudo-labels: who keeps a label, the surest answers, the rounds, the network beside them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.data import LabelledImages
from backlit.errors import ArgumentError
from backlit.train import recipes
from backlit.train.recipe import fit_job, start
from backlit.train.recipes.pseudo_labels import (
    LAST_SHARE,
    UNKNOWN,
    LabelsAlone,
    PseudoLabelSettings,
    surest,
    with_labels,
)


def some_digits(count=200):
    labels = bl.from_numpy(np.arange(count) % 10)
    return LabelledImages(bl.rand(count, 1, 2, 2), labels, [str(k) for k in range(10)])


def test_labels_that_are_kept_are_even_over_the_classes():
    digits = some_digits()
    kept = with_labels(digits, 30)
    assert len(set(kept.tolist())) == 30
    assert np.bincount(digits.labels.numpy()[kept]).tolist() == [3] * 10
    assert not np.array_equal(with_labels(digits, 30), kept)
    for count in (0, 5, 15):
        with pytest.raises(ArgumentError, match=f"--labels {count}: a multiple of 10"):
            with_labels(digits, count)


def test_the_surest_answers_of_every_class_are_taken():
    scores = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3], [0.45, 0.55], [0.2, 0.8]])
    assert surest(scores, 0.5).tolist() == [0, UNKNOWN, 0, UNKNOWN, UNKNOWN, 1]
    assert surest(scores, 1.0).tolist() == [0, 0, 0, 0, 1, 1]
    assert (surest(scores, 0.0) == UNKNOWN).all()


def smoke(**given):
    settings = PseudoLabelSettings(smoke=True, **given)
    return start(recipes.find("pseudo-labels"), settings), settings


def test_a_batch_holds_nothing_but_named_images():
    job, _ = smoke()
    rounds = job.callbacks[0]
    truth = bl.data.digits("train").part(1000).labels.numpy()
    assert (rounds.names.numpy() != UNKNOWN).sum() == 50
    for _, target in job.train_data:
        assert (target.numpy() != UNKNOWN).all()
    names = np.full(1000, UNKNOWN)
    names[:3] = (truth[:3] + 1) % 10
    rounds.rename(names)
    kept = set(rounds.kept.tolist())
    right = [int(truth[n]) if n in kept else int((truth[n] + 1) % 10) for n in range(3)]
    assert rounds.names[:3].tolist() == right
    assert (rounds.names.numpy()[rounds.kept] == truth[rounds.kept]).all()


def test_each_round_begins_anew_with_more_names():
    job, settings = smoke(epochs=6, rounds=3)
    rounds = job.callbacks[0]
    first = {name: value.numpy().copy() for name, value in job.model.state_dict().items()}
    counts, begun_anew = [], []
    run = SimpleNamespace(limits=SimpleNamespace(epochs=6))
    for epoch in range(1, 7):
        for parameter in job.model.parameters():
            parameter.data.add_(0.01)
        row = {"epoch": epoch}
        rounds.on_epoch(run, row)
        counts.append(row["pseudo_labels"])
        state = job.model.state_dict()
        begun_anew.append(all(np.array_equal(state[n].numpy(), v) for n, v in first.items()))
        assert (row["pseudo_accuracy"] is None) == (row["pseudo_labels"] == 0)
    assert begun_anew == [False, True, False, True, False, False]
    assert counts[:2] == [0, 0] and 300 < counts[2] == counts[3] < 410 < counts[4]
    assert counts[4] == counts[5] <= LAST_SHARE * 1000 and settings.rounds == 3


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
    after = (each.model[1].weight.detach().numpy() for each in (alone, other))
    np.testing.assert_array_equal(*after)


def test_a_run_that_is_resumed_in_a_later_round_ends_as_an_uninterrupted_one(tmp_path):
    whole = fit_job(smoke(epochs=3, rounds=3)[0], epochs=3, progress=False)
    fit_job(smoke(epochs=3, rounds=3)[0], epochs=3, max_steps=20, run_dir=tmp_path, progress=False)
    job = smoke(epochs=3, rounds=3)[0]
    resumed = fit_job(job, epochs=3, run_dir=tmp_path, resume=True, progress=False)
    for key in ("train_loss", "val_loss", "alone_accuracy", "pseudo_accuracy"):
        assert resumed[key] == whole[key]
    assert len(whole) == 3 and whole["pseudo_labels"][2] > 500
