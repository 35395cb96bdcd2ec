"""Distributions: beside PyTorch's, by the moments of their draws, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import distributions as D

A, B = [[0.3, 1.2, 0.7]], [[0.9], [0.4]]
ROOT = [[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-0.3, 0.2, 0.7]]
OTHER = [[0.6, 0.0, 0.0], [0.1, 1.0, 0.0], [0.2, -0.4, 1.1]]
WITHIN = [[0.35, 0.9, 0.75], [0.6, 0.55, 0.45]]
# name, parameters, other parameters for the divergence, values
CASES = {
    "Normal": ((A, B), (B, A), WITHIN), "LogNormal": ((A, B), None, WITHIN),
    "Laplace": ((A, B), (B, A), WITHIN), "Gumbel": ((A, B), None, WITHIN),
    "Uniform": (([[0.1, 0.2, 0.3]], [[1.0], [2.0]]), (0.0, [[2.0], [0.5]]), WITHIN),
    "Exponential": ((A,), (B,), WITHIN),
    "Bernoulli": ((WITHIN,), ([[0.5, 0.9, 0.1], [0.2, 0.3, 0.4]],), [[1.0, 0.0, 1.0]]),
    "Categorical": ((WITHIN,), ([[0.5, 0.9, 0.1]],), [0, 2]),
    "OneHotCategorical": ((WITHIN,), ([[0.5, 0.9, 0.1]],), [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),
    "MultivariateNormal": ((A, None, None, ROOT), (WITHIN, None, None, OTHER), WITHIN),
}  # fmt: skip


def made(library, name, parameters):
    rooms = {bl: D} if library is bl else {library: library.distributions}
    given = [library.tensor(p, dtype=library.float64) if isinstance(p, list) else p
             for p in parameters]  # fmt: skip
    return getattr(rooms[library], name)(*given)


def answers(library, name):
    parameters, other, values = CASES[name]
    p = made(library, name, parameters)
    value = library.tensor(values)
    value = value.double() if value.is_floating_point() else value
    found = {"log_prob": p.log_prob(value), "entropy": p.entropy()}
    if name != "Categorical":
        found.update(mean=p.mean, variance=p.variance, stddev=p.stddev)
    if (hasattr(p, "loc") and name != "MultivariateNormal") or name in ("Uniform", "Exponential"):
        found["cdf"] = p.cdf(value)
    if other is not None:
        kl = D.kl_divergence if library is bl else library.distributions.kl_divergence
        found["kl"] = kl(p, made(library, name, other))
    return found, (tuple(p.batch_shape), tuple(p.event_shape), tuple(p.sample((2, 4)).shape))


@pytest.mark.torch
@pytest.mark.parametrize("name", CASES)
def test_as_with_pytorch(name):
    torch = pytest.importorskip("torch")
    (ours, shapes), (theirs, their_shapes) = answers(bl, name), answers(torch, name)
    assert shapes == their_shapes and set(ours) == set(theirs)
    for what, value in ours.items():
        np.testing.assert_allclose(value.numpy(), theirs[what].numpy(), rtol=1e-9, err_msg=what)


@pytest.mark.parametrize("name", [n for n in CASES if n != "Categorical"])
def test_draws_have_the_moments_that_the_formulas_say(name):
    bl.manual_seed(3)
    p = made(bl, name, CASES[name][0])
    drawn = p.sample((40_000,)).numpy()
    spread = p.stddev.numpy()
    assert (np.abs(drawn.mean(0) - p.mean.numpy()) < 0.035 * spread).all()
    np.testing.assert_allclose(drawn.std(0), spread, rtol=0.12)


def test_draws_of_classes_have_their_frequencies():
    bl.manual_seed(0)
    p = D.Categorical(logits=bl.tensor([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0]]))
    drawn = p.sample((20_000,))
    assert drawn.shape == (20_000, 2) and p.mode.tolist() == [2, 0]
    for row in range(2):
        share = bl.bincount(drawn[:, row], minlength=3).numpy() / 20_000
        np.testing.assert_allclose(share, p.probs[row].numpy(), atol=0.015)


@pytest.mark.parametrize("name", ["Normal", "LogNormal", "Laplace", "Gumbel", "Uniform"])
def test_draws_have_gradients_by_the_parameters(name):
    first = bl.tensor([0.5], requires_grad=True)
    second = bl.tensor([0.9], requires_grad=True)
    p = getattr(D, name)(first, second)
    assert p.has_rsample and not p.sample().requires_grad
    p.rsample((5,)).sum().backward()
    assert first.grad.abs().item() > 0 and second.grad.isfinite().all()


def test_a_policy_learns_through_log_prob():
    bl.manual_seed(0)
    logits = bl.zeros(4, requires_grad=True)
    optimizer = bl.optim.SGD([logits], lr=0.5)
    for _ in range(60):
        policy = D.Categorical(logits=logits)
        actions = policy.sample((16,))
        loss = -(policy.log_prob(actions) * ((actions == 2).float() - 0.25)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert logits.softmax(0)[2] > 0.8


def test_independent_elements_are_one_event():
    p = D.Independent(D.Normal(bl.zeros(2, 3), 1.0), 1)
    q = D.Independent(D.Normal(bl.ones(2, 3), 2.0), 1)
    assert (p.batch_shape, p.event_shape) == ((2,), (3,)) and p.rsample((5,)).shape == (5, 2, 3)
    x = bl.randn(2, 3)
    assert bl.allclose(p.log_prob(x), p.base_dist.log_prob(x).sum(-1))
    assert bl.allclose(D.kl_divergence(p, q), D.kl_divergence(p.base_dist, q.base_dist).sum(-1))
    assert repr(p) == "Independent(batch: (2,), event: (3,))"
    three = D.MultivariateNormal(bl.zeros(3), precision_matrix=bl.eye(3))
    assert bl.allclose(three.log_prob(x), p.log_prob(x))


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda: D.Normal(0.0, -1.0), ValueError, "Normal: scale must be positive"),
        (lambda: D.Uniform(1.0, 0.0), ValueError, "high must be above low"),
        (lambda: D.Bernoulli(probs=1.5), ValueError, "between 0 and 1"),
        (lambda: D.Bernoulli(0.5, 0.1), ValueError, "either probs or logits"),
        (lambda: D.Categorical(bl.tensor([-1.0, 2.0])), ValueError, "not negative"),
        (lambda: D.Categorical(), ValueError, "either probs or logits"),
        (lambda: D.Categorical(bl.tensor(1.0)), RuntimeError, "no distribution"),
        (lambda: D.MultivariateNormal(bl.zeros(2)), ValueError, "give one of"),
        (lambda: D.Independent(D.Normal(0.0, 1.0), 1), ValueError, "1 axes of a batch"),
        (lambda: D.Bernoulli(0.5).rsample(), NotImplementedError, "Bernoulli has no rsample"),
        (lambda: D.kl_divergence(D.Normal(0.0, 1.0), D.Bernoulli(0.5)), NotImplementedError,
         "no formula for Normal and Bernoulli"),
        (lambda: D.Wishart, AttributeError, "Wishart does not exist"),
    ],
)  # fmt: skip
def test_mistakes_are_refused(act, error, words):
    with pytest.raises(error, match=words):
        act()
