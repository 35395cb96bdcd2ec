"""Pruning beside PyTorch's: masks, names, iterated pruning, removal, errors."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import ArgumentError, ShapeError
from backlit.nn.utils import prune

STEPS = {
    "l1": [("l1_unstructured", {"amount": 0.3})],
    "count": [("l1_unstructured", {"amount": 7})],
    "nothing": [("l1_unstructured", {"amount": 0})],
    "everything": [("l1_unstructured", {"amount": 1.0})],
    "identity then l1": [("identity", {}), ("l1_unstructured", {"amount": 0.5})],
    "l1 twice": [("l1_unstructured", {"amount": 0.5}), ("l1_unstructured", {"amount": 0.5})],
    "l2 of rows": [("ln_structured", {"amount": 0.5, "n": 2, "dim": 0})],
    "l1 of columns": [("ln_structured", {"amount": 1, "n": 1, "dim": -1})],
    "numbers, then rows, then rows": [
        ("l1_unstructured", {"amount": 0.2}), ("ln_structured", {"amount": 1, "n": 2, "dim": 0}),
        ("ln_structured", {"amount": 0.5, "n": float("inf"), "dim": 0}),
    ],
}  # fmt: skip


def pair(torch):
    """The same layer in both libraries, of shape (4, 5)."""
    values = np.random.default_rng(3).standard_normal((4, 5)).astype(np.float32)
    ours, theirs = nn.Linear(5, 4), torch.nn.Linear(5, 4)
    ours.weight.data = bl.tensor(values)
    theirs.weight.data = torch.tensor(values)
    return ours, theirs


@pytest.mark.torch
@pytest.mark.parametrize("steps", STEPS)
def test_masks_are_pytorchs(steps):
    torch = pytest.importorskip("torch")
    from torch.nn.utils import prune as their_prune

    ours, theirs = pair(torch)
    for function, arguments in STEPS[steps]:
        assert getattr(prune, function)(ours, "weight", **arguments) is ours
        getattr(their_prune, function)(theirs, "weight", **arguments)
        np.testing.assert_array_equal(ours.weight_mask, theirs.weight_mask)
        np.testing.assert_array_equal(ours.weight.detach(), theirs.weight.detach())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert prune.is_pruned(ours)
    x = np.ones((2, 5), np.float32)
    ours(bl.tensor(x)).sum().backward()
    theirs(torch.tensor(x)).sum().backward()
    np.testing.assert_allclose(ours.weight_orig.grad, theirs.weight_orig.grad, rtol=1e-6)
    prune.remove(ours, "weight")
    their_prune.remove(theirs, "weight")
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert type(ours.weight) is nn.Parameter and not prune.is_pruned(ours)
    np.testing.assert_array_equal(ours.weight.detach(), theirs.weight.detach())


@pytest.mark.torch
def test_global_pruning_and_importance_are_pytorchs():
    torch = pytest.importorskip("torch")
    from torch.nn.utils import prune as their_prune

    ours, theirs = pair(torch)
    second, their_second = pair(torch)
    with bl.no_grad(), torch.no_grad():
        second.weight.mul_(0.5)
        their_second.weight.mul_(0.5)
    prune.l1_unstructured(second, "weight", 3)
    their_prune.l1_unstructured(their_second, "weight", 3)
    scores = np.arange(20, dtype=np.float32).reshape(4, 5)
    both = [(ours, "weight"), (second, "weight")]
    given = {both[0]: bl.tensor(scores)}
    prune.global_unstructured(both, prune.L1Unstructured, given, amount=0.4)
    both = [(theirs, "weight"), (their_second, "weight")]
    given = {both[0]: torch.tensor(scores)}
    their_prune.global_unstructured(both, their_prune.L1Unstructured, given, amount=0.4)
    for a, b in ((ours, theirs), (second, their_second)):
        np.testing.assert_array_equal(a.weight_mask, b.weight_mask)


def test_random_choices_zero_what_was_asked():
    layer = prune.random_unstructured(nn.Conv2d(4, 6, 3), "weight", 0.25)
    assert (layer.weight_mask == 0).sum() == 54
    prune.random_structured(layer, "weight", 2, dim=0)
    assert (layer.weight_mask.sum((1, 2, 3)) == 0).sum() == 2
    prune.random_structured(layer, "weight", 2, dim=0)  # among the four that are left
    assert (layer.weight_mask.sum((1, 2, 3)) == 0).sum() == 4


def test_pruned_numbers_stay_zero_through_training():
    net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    prune.l1_unstructured(net[0], "weight", 0.5)
    zeros = net[0].weight_mask == 0
    optimizer = bl.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    x = bl.randn(16, 4)
    for _ in range(5):
        optimizer.zero_grad()
        (net(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
    net(x)
    assert (net[0].weight[zeros] == 0).all() and (net[0].weight[~zeros] != 0).any()
    assert (net[0].weight_orig.grad[zeros] == 0).all()


def test_a_method_of_ones_own():
    class EveryOther(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    layer = nn.Linear(3, 4)
    hook = EveryOther.apply(layer, "bias")
    assert layer.bias_mask.tolist() == [0, 1, 0, 1] and hook._tensor_name == "bias"
    container = EveryOther.apply(layer, "bias")
    assert isinstance(container, prune.PruningContainer) and len(list(container)) == 2
    assert list(layer._forward_pre_hooks.values()) == [container]
    assert layer.bias_mask.tolist() == [0, 0, 0, 1]
    assert prune.L1Unstructured(1).prune(bl.tensor([3.0, -1.0])).tolist() == [3, 0]


def test_mistakes_lose_nothing():
    layer = nn.Linear(3, 2)
    with pytest.raises(ArgumentError, match="a share from"):
        prune.l1_unstructured(layer, "weight", 1.5)
    with pytest.raises(TypeError, match="must be a number"):
        prune.l1_unstructured(layer, "weight", "much")
    with pytest.raises(ArgumentError, match="at most the number to choose from, 6"):
        prune.l1_unstructured(layer, "weight", 7)
    with pytest.raises(ArgumentError, match="two axes"):
        prune.ln_structured(layer, "bias", 1, 2, 0)
    with pytest.raises(ArgumentError, match="has no dim 2"):
        prune.ln_structured(layer, "weight", 1, 2, 2)
    with pytest.raises(ArgumentError, match="has no parameter 'scale'"):
        prune.identity(layer, "scale")
    with pytest.raises(ShapeError, match="importance_scores of"):
        prune.l1_unstructured(layer, "weight", 1, bl.ones(3))
    with pytest.raises(ArgumentError, match="has to be pruned before"):
        prune.remove(layer, "weight")
    with pytest.raises(TypeError, match="globally"):
        prune.global_unstructured([(layer, "weight")], prune.RandomStructured, amount=1)
    assert [n for n, _ in layer.named_parameters()] == ["weight", "bias"]
    assert not prune.is_pruned(layer)
