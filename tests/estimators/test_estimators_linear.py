"""Linear regression and the perceptron: scikit-learn's results, the fixtures, and refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sklearn.linear_model as reference
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning

import backlit as bl
from backlit import models
from backlit.errors import ArgumentError
from backlit.estimators import LinearRegression, Perceptron

DIABETES = load_diabetes(return_X_y=True)


@pytest.mark.parametrize("solver", ["closed", "gradient"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_both_solvers_find_the_least_squares(solver, fit_intercept):
    X, y = DIABETES
    weights = np.random.default_rng(0).integers(0, 4, len(y))
    expected = reference.LinearRegression(fit_intercept=fit_intercept).fit(X, y, weights)
    found = LinearRegression(fit_intercept=fit_intercept, solver=solver, tol=1e-10)
    found.fit(X, y, weights)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-6)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, rtol=1e-6)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-6)


def test_several_outputs_and_the_attributes_of_the_decomposition():
    X, y = DIABETES
    Y = np.stack([y, -2 * y + X[:, 0]], axis=1)
    expected, found = reference.LinearRegression().fit(X, Y), LinearRegression().fit(X, Y)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-9)
    np.testing.assert_allclose(found.singular_, expected.singular_, rtol=1e-9)
    assert found.rank_ == expected.rank_ == 10
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-9)


def test_dependent_columns_get_the_shortest_solution():
    X, y = DIABETES
    X = np.hstack([X, X[:, :2]])
    expected, found = reference.LinearRegression().fit(X, y), LinearRegression().fit(X, y)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-7)


def test_positive_weights():
    X, y = DIABETES
    expected = reference.LinearRegression(positive=True).fit(X, y)
    found = LinearRegression(positive=True).fit(X, y)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=1e-8)
    with pytest.raises(ArgumentError, match="positive=True needs"):
        LinearRegression(positive=True, solver="gradient").fit(X, y)


def test_a_descent_that_is_cut_short_says_so():
    X, y = DIABETES
    with pytest.warns(ConvergenceWarning, match="steepest slope .* after 2 iterations"):
        LinearRegression(solver="gradient", max_iter=2, tol=1e-12).fit(X, y)


@pytest.mark.parametrize(
    "options", [{}, {"class_weight": "balanced"}, {"fit_intercept": False, "eta0": 0.5}]
)
@pytest.mark.parametrize("data", [load_iris, load_breast_cancer, load_digits])
def test_the_perceptron_makes_the_reference_s_corrections(data, options):
    X, y = data(return_X_y=True)
    expected = reference.Perceptron(shuffle=False, **options).fit(X, y)
    found = Perceptron(shuffle=False, **options).fit(X, y)
    assert found.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, rtol=1e-9, atol=1e-9)
    assert found.score(X, y) == expected.score(X, y)


def test_the_l2_penalty_and_sample_weights_are_the_reference_s():
    X, y = load_breast_cancer(return_X_y=True)
    weights = np.random.default_rng(0).random(len(y))
    expected = reference.Perceptron(shuffle=False, penalty="l2", alpha=0.01)
    found = Perceptron(shuffle=False, penalty="l2", alpha=0.01)
    expected.fit(X, y, sample_weight=weights)
    found.fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(found.coef_, expected.coef_, rtol=1e-9)


def test_an_l1_penalty_makes_weights_zero():
    X, y = load_digits(return_X_y=True)
    free = Perceptron(max_iter=5, tol=None).fit(X, y)
    shrunk = Perceptron(max_iter=5, tol=None, penalty="l1", alpha=0.02).fit(X, y)
    assert (shrunk.coef_ == 0).sum() > (free.coef_ == 0).sum() + 50
    assert shrunk.score(X, y) > 0.85


def test_one_correction_is_rosenblatt_s_rule():
    """The fixture of the perceptron: margins 1, -2, -1, loss 1, gradient (-2/3, -5/3)."""
    X, t = np.array([[2.0, 1.0], [1.0, 3.0], [-1.0, -2.0]]), np.array([1, 1, -1])
    net = models.Perceptron(2)
    with bl.no_grad():
        net.fc.weight.copy_(bl.tensor([[1.0, -1.0]]))
        net.fc.bias.zero_()
    scores, targets = net(bl.tensor(X, dtype=bl.float32)), bl.tensor([1.0, 1.0, -1.0])
    loss = models.perceptron_loss(scores, targets)
    loss.backward()
    assert (targets * scores).tolist() == [1.0, -2.0, -1.0] and loss.item() == 1.0
    np.testing.assert_allclose(net.fc.weight.grad.numpy(), [[-2 / 3, -5 / 3]], rtol=1e-6)
    # one pass of the estimator from there: the second and third sample, one after the other
    model = Perceptron(shuffle=False, max_iter=1, tol=None, fit_intercept=False)
    model.fit(X, t, coef_init=[[1.0, -1.0]])
    assert model.coef_.tolist() == [[2.0, 2.0]]  # (1, -1) + (1, 3); then the third is right
    assert model.predict(X).tolist() == [1, 1, -1]


def test_a_score_of_zero_is_a_mistake():
    model = Perceptron(shuffle=False, max_iter=1, tol=None).fit([[1.0], [-1.0]], [1, -1])
    assert model.coef_.tolist() == [[2.0]] and model.intercept_.tolist() == [0.0]


def test_partial_fit_goes_on_where_it_was_and_shows_its_progress(capsys):
    X, y = load_iris(return_X_y=True)
    whole = Perceptron(shuffle=False, max_iter=3, tol=None).fit(X, y)
    parts = Perceptron(verbose=1)
    for _ in range(3):
        parts.partial_fit(X, y, classes=[0, 1, 2])
    assert (parts.coef_ == whole.coef_).all() and parts.t_ == whole.t_
    assert capsys.readouterr().out.count("epoch 1, loss") == 3
    with pytest.raises(ArgumentError, match=r"holds \[7\], not among the classes \[0, 1, 2\]"):
        parts.partial_fit(X[:1], [7])
    with pytest.raises(ArgumentError, match="classes differ"):
        parts.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ArgumentError, match="first partial_fit needs classes"):
        Perceptron().partial_fit(X, y)


def test_early_stopping_and_warm_start():
    X, y = load_digits(return_X_y=True)
    stopped = Perceptron(early_stopping=True, random_state=1).fit(X, y)
    assert stopped.n_iter_ < 100 and stopped.score(X, y) > 0.9
    warm = Perceptron(warm_start=True, max_iter=2, tol=None, shuffle=False)
    twice = warm.fit(X, y).fit(X, y).coef_
    assert (twice == Perceptron(max_iter=4, tol=None, shuffle=False).fit(X, y).coef_).all()


def test_passes_that_end_too_early_are_told():
    X, y = load_digits(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="max_iter=3 passes"):
        Perceptron(max_iter=3).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Perceptron(max_iter=3, tol=None).fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"eta0": 0}, "eta0=0.*\n.*above 0"),
        ({"penalty": "l3"}, "penalty='l3'"),
        ({"max_iter": 1.5}, "max_iter=1.5.*\n.*whole number from 1"),
        ({"l1_ratio": 2}, "l1_ratio=2.*\n.*from 0 to 1"),
        ({"alpha": "small"}, "alpha='small'"),
    ],
)
def test_bad_parameters_are_refused_when_fitted(options, message):
    with pytest.raises(ArgumentError, match=message):
        Perceptron(**options).fit([[0.0], [1.0]], [0, 1])


@pytest.mark.parametrize(
    ("weights", "message"),
    [([1.0, -1.0], "below zero"), ([0.0, 0.0], "every sample_weight is zero"),
     ([1.0, 0.0], "2 classes, got 1 class"), ([[1.0, 1.0]], "must be 1D")],
)  # fmt: skip
def test_bad_weights_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        Perceptron().fit([[0.0], [1.0]], [0, 1], sample_weight=weights)
