"""What rows of losses can't say: warnings, older keywords, wrong targets that change nothing."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit.errors import ArgumentError, IndexOutOfRange


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
def test_target_of_another_size_warns_and_broadcasts(name: str) -> None:
    x, y = bl.ones(2, 3), bl.zeros(3)
    with pytest.warns(UserWarning, match=r"\(3,\) differs from the input's \(2, 3\)"):
        found = getattr(F, name)(x, y)
    assert found.item() == getattr(F, name)(x, y.expand(2, 3)).item()


@pytest.mark.parametrize(
    ("keywords", "reduction"),
    [
        ({"size_average": False}, "sum"),
        ({"size_average": True}, "mean"),
        ({"reduce": False}, "none"),
        ({"size_average": False, "reduce": True}, "sum"),
    ],
)
def test_older_keywords_mean_a_reduction(keywords: dict, reduction: str) -> None:
    x, y = bl.arange(4.0), bl.ones(4)
    with pytest.warns(UserWarning, match="outdated"):
        found = F.mse_loss(x, y, **keywords)
    assert found.tolist() == F.mse_loss(x, y, reduction=reduction).tolist()


def test_gradient_through_a_loss_with_a_strange_label_is_not_half_done() -> None:
    w = bl.zeros(2, 3, requires_grad=True)
    with pytest.raises(IndexOutOfRange, match=r"target 3 at \(1,\)"):
        F.cross_entropy(w, bl.tensor([0, 3])).backward()
    assert w.grad is None
    F.cross_entropy(w, bl.tensor([0, 2])).backward()
    assert w.grad is not None and w.grad.shape == (2, 3)


def test_all_targets_ignored_is_nan_as_in_pytorch() -> None:
    assert bl.isnan(F.cross_entropy(bl.ones(2, 3), bl.tensor([-100, -100]))).item()
    total = F.cross_entropy(bl.ones(2, 3), bl.tensor([-100, -100]), reduction="sum")
    assert total.item() == 0.0


def test_probabilities_are_checked_and_nan_is_none() -> None:
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        F.binary_cross_entropy(bl.tensor([0.5, float("nan")]), bl.tensor([0.0, 1.0]))


def test_variance_below_eps_keeps_its_gradient() -> None:
    var = bl.tensor([0.0, 1.0], requires_grad=True)
    F.gaussian_nll_loss(bl.zeros(2), bl.ones(2), var, eps=0.5).backward()
    assert var.grad is not None
    np.testing.assert_allclose(var.grad.numpy(), [0.25 * (2 - 4), 0.0], rtol=1e-6)
    assert var.tolist() == [0.0, 1.0]


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_far_logits_have_finite_losses(size: float) -> None:
    x = bl.tensor([size, -size], requires_grad=True)
    loss = F.binary_cross_entropy_with_logits(x, bl.tensor([0.0, 1.0]), reduction="sum")
    (slope,) = bl.autograd.grad(loss, x, create_graph=True)
    assert loss.item() == pytest.approx(2 * size)
    assert slope.tolist() == [1.0, -1.0]
    assert bl.autograd.grad(slope.sum(), x)[0].tolist() == [0.0, 0.0]
