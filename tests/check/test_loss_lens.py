"""The two assumptions about a loss (N6): an average over samples, a function of the outputs."""

from __future__ import annotations

import pytest

import backlit as bl
from backlit import nn
from backlit.errors import BacklitError
from backlit.nn import functional as F


@pytest.fixture(autouse=True)
def _seed():
    bl.manual_seed(0)


def batch(dtype=bl.float64):
    return bl.randn(6, 3, dtype=dtype), bl.tensor([0, 2, 1, 1, 0, 2])


def weights():
    return bl.randn(4, 3, dtype=bl.float64, requires_grad=True)


RIGHT = {
    "cross_entropy": F.cross_entropy,
    "mse": lambda o, y: F.mse_loss(o, F.one_hot(y, 3).to(o.dtype)),
    "half_mse_of_nielsen": lambda o, y: 0.5 * ((o - F.one_hot(y, 3)) ** 2).sum(1).mean(),
    "multi_margin": F.multi_margin_loss,
    "nll": lambda o, y: F.nll_loss(o.log_softmax(1), y),
    "bce": lambda o, y: F.binary_cross_entropy_with_logits(o, F.one_hot(y, 3).to(o.dtype)),
    "smooth": lambda o, y: F.cross_entropy(o, y, label_smoothing=0.1),
    "an entropy, without targets": lambda o, y: -(o.softmax(1) * o.log_softmax(1)).sum(1).mean(),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("dtype", [bl.float32, bl.float64], ids=str)
def test_means_are_right(name, dtype):
    report = bl.check.loss(RIGHT[name], *batch(dtype))
    assert report.ok and not report.findings, str(report)
    assert report.twice == pytest.approx(report.value, rel=1e-5)
    assert report.mean_of_samples == pytest.approx(report.value, rel=1e-5)


def centred(o, y):
    return F.cross_entropy(o - o.mean(0), y)


layer = nn.Linear(3, 3).double()
outside = bl.randn(6, 3, dtype=bl.float64)

WRONG = {
    "sum_reduction": lambda o, y: F.cross_entropy(o, y, reduction="sum"),
    "not_reduced": lambda o, y: F.cross_entropy(o, y, reduction="none"),
    "weighted_average": lambda o, y: F.cross_entropy(
        o, y, weight=bl.tensor([1.0, 2.0, 3.0], dtype=bl.float64)
    ),
    "batch_dependent": centred,
    "random": lambda o, y: F.cross_entropy(F.dropout(o), y),
    "reads_batch_data": lambda o, y: ((o - outside) ** 2).mean(),
    "reads_parameters": lambda o, y: F.cross_entropy(layer(o), y),
    "detached": lambda o, y: F.cross_entropy(o.detach(), y),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_fails_is_named(name):
    report = bl.check.loss(WRONG[name], *batch())
    assert report.names == (name,) and not report.ok
    assert name in str(report)


def test_ignored_samples_have_no_weight():
    report = bl.check.loss(nn.CrossEntropyLoss(ignore_index=1), *batch())
    assert report.names == ("weighted_average",)
    assert "1, 1, 0, 0, 1, 1" in str(report)


def test_a_statistic_of_the_batch_that_one_sample_has_not():
    report = bl.check.loss(lambda o, y: F.cross_entropy(nn.BatchNorm1d(3).double()(o), y), *batch())
    assert "batch_dependent" in report.names


def test_regularization_is_told_apart():
    w = weights()
    report = bl.check.loss(lambda o, y: F.cross_entropy(o, y) + 0.1 * (w**2).sum(), *batch())
    assert report.ok and report.names == ("regularization",)
    assert "a term of w alone" in str(report)


def test_a_sum_with_regularization_is_still_a_sum():
    w = weights()
    report = bl.check.loss(
        lambda o, y: F.cross_entropy(o, y, reduction="sum") + 0.1 * (w**2).sum(), *batch()
    )
    assert report.names == ("sum_reduction", "regularization") and not report.ok


def test_parameters_are_named():
    with bl.no_grad():
        report = bl.check.loss(WRONG["reads_parameters"], *batch())
    assert "layer.weight" in str(report)


def test_nothing_is_changed():
    outputs, labels = batch()
    outputs.requires_grad_()
    before = bl.get_rng_state()
    bl.check.loss(WRONG["random"], outputs, labels)
    assert bl.get_rng_state() == before and outputs.grad is None


def test_bad_arguments_are_refused():
    outputs, labels = batch()
    with pytest.raises(BacklitError, match="not one batch size"):
        bl.check.loss(F.cross_entropy, outputs, labels[:4])
    with pytest.raises(BacklitError, match="no tensor"):
        bl.check.loss(lambda o, y: 1.0, outputs, labels)
    with pytest.raises(BacklitError, match="no tensor"):
        bl.check.loss(F.cross_entropy, [1.0], labels)


def test_a_loss_that_is_nan_is_not_compared():
    report = bl.check.loss(nn.MSELoss(), bl.ones(4, 1) * float("nan"), bl.ones(4, 1))
    assert report.names == ("not_finite",) and not report.ok


def test_a_loss_that_is_no_function_is_refused():
    with pytest.raises(BacklitError, match="expected a loss function, got str"):
        bl.check.loss("mse", bl.randn(4, 1), bl.randn(4, 1))
