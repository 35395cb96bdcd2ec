"""Support vector machines: conditions of the optimum, strong duality, scikit-learn's results."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.svm as reference
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler

import backlit as bl
from backlit import models
from backlit.errors import ArgumentError
from backlit.estimators import SVC, LinearSVC


def scaled(data):
    X, y = data(return_X_y=True)
    return StandardScaler().fit_transform(X), y


IRIS, CANCER, DIGITS = scaled(load_iris), scaled(load_breast_cancer), scaled(load_digits)
SETS = {"iris": IRIS, "cancer": CANCER, "digits": DIGITS}
KERNELS = [{"kernel": "linear"}, {}, {"kernel": "poly", "coef0": 1.0, "degree": 2}]


def kkt_violation(model, X, y):
    """By how much the worst sample misses the condition of its multiplier."""
    signs = np.where(y == model.classes_[1], 1.0, -1.0)
    alpha = np.zeros(len(X))
    alpha[model.support_] = np.abs(model.dual_coef_[0])
    margin = signs * model.decision_function(X)
    below, above = 1 - margin, margin - 1
    worst = [
        np.max(below, where=alpha < model.C, initial=0.0),  # may grow, so must be outside
        np.max(above, where=alpha > 0, initial=0.0),  # may shrink, so must not be outside
    ]
    assert abs(signs @ alpha) < 1e-10 * model.C and alpha.max() <= model.C
    return max(worst)


@pytest.mark.parametrize("C", [0.1, 1.0, 100.0])
@pytest.mark.parametrize("options", KERNELS, ids=str)
def test_every_sample_meets_its_condition(options, C):
    X, y = CANCER
    model = SVC(C=C, **options).fit(X, y)
    assert kkt_violation(model, X, y) <= 1e-4
    assert model.fit_status_ == 0


def test_the_problem_is_convex_primal_and_dual_meet():
    """min |w|^2/2 + C sum slack = max sum a - |w|^2/2: no local minimum could do that."""
    X, y = CANCER
    model = SVC(kernel="linear", C=2.0, tol=1e-8).fit(X, y)
    signs = np.where(y == 1, 1.0, -1.0)
    squared = float((model.coef_**2).sum())
    slack = np.maximum(0, 1 - signs * model.decision_function(X)).sum()
    primal = squared / 2 + 2.0 * slack
    dual = np.abs(model.dual_coef_).sum() - squared / 2
    assert primal == pytest.approx(dual, rel=1e-7)
    np.testing.assert_allclose(
        model.decision_function(X), X @ model.coef_[0] + model.intercept_, rtol=1e-9, atol=1e-9
    )


def test_the_machine_is_its_support_vectors():
    """f(x) = sum a_j t_j K(x_j, x) + b, written out; and the others can go."""
    X, y = CANCER
    model = SVC(gamma=0.05, tol=1e-8).fit(X, y)
    squares = ((X[:50, None, :] - model.support_vectors_) ** 2).sum(-1)
    scores = np.exp(-0.05 * squares) @ model.dual_coef_[0] + model.intercept_
    np.testing.assert_allclose(model.decision_function(X[:50]), scores, rtol=1e-9)
    again = SVC(gamma=0.05, tol=1e-8).fit(X[model.support_], y[model.support_])
    np.testing.assert_allclose(again.decision_function(X), model.decision_function(X), atol=1e-6)


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("options", KERNELS, ids=str)
def test_svc_gives_the_reference_s_result(name, options):
    X, y = (part[:900] for part in SETS[name])
    expected = reference.SVC(tol=1e-6, **options).fit(X, y)
    found = SVC(tol=1e-6, **options).fit(X, y)
    np.testing.assert_allclose(found.decision_function(X), expected.decision_function(X), atol=1e-4)
    assert (found.predict(X) == expected.predict(X)).all()
    assert (np.abs(found.n_support_ - expected.n_support_) <= 1).all()
    if name != "iris":  # which holds the same flower twice
        assert (found.support_ == expected.support_).all()
        np.testing.assert_allclose(found.dual_coef_, expected.dual_coef_, atol=1e-3)
        np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=1e-4)


def test_weights_of_classes_and_samples_and_scores_by_pair():
    X, y = IRIS
    weights = np.random.default_rng(0).random(len(y))
    options = {"class_weight": {0: 2.0, 2: 0.5}, "decision_function_shape": "ovo", "tol": 1e-7}
    expected = reference.SVC(**options).fit(X, y, sample_weight=weights)
    found = SVC(**options).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(found.decision_function(X), expected.decision_function(X), atol=1e-5)
    np.testing.assert_allclose(found.class_weight_, expected.class_weight_)


@pytest.mark.parametrize("small", [True, False])
def test_kernels_given_as_functions_and_matrices_and_rows_on_demand(small):
    X, y = CANCER
    expected = SVC(kernel="linear", tol=1e-7).fit(X, y).decision_function(X)
    product = SVC(kernel=lambda a, b: a @ b.T, cache_size=0.01 if small else 200, tol=1e-7).fit(
        X, y
    )
    np.testing.assert_allclose(product.decision_function(X), expected, atol=1e-5)
    if not small:
        matrix = SVC(kernel="precomputed", tol=1e-7).fit(X @ X.T, y)
        np.testing.assert_allclose(matrix.decision_function(X @ X.T), expected, atol=1e-5)


def test_ties_between_votes_are_broken_by_scores():
    X, y = IRIS
    points = np.random.default_rng(0).normal(size=(2000, 4)) * 2
    options = {"kernel": "linear", "C": 0.05, "break_ties": True}
    expected = reference.SVC(**options).fit(X, y).predict(points)
    found = SVC(**options).fit(X, y)
    assert (found.predict(points) == found.decision_function(points).argmax(1)).all()
    assert (found.predict(points) == expected).mean() > 0.999


def test_a_maximum_is_told_and_progress_shown(capsys):
    X, y = CANCER
    with pytest.warns(ConvergenceWarning, match="max_iter=3 leaves a violation of"):
        model = SVC(kernel="linear", max_iter=3, verbose=True).fit(X, y)
    assert model.fit_status_ == 1 and model.n_iter_.tolist() == [3]
    assert "0 against 1, iteration 3, violation" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": "cubic"}, "kernel='cubic'"),
        ({"C": -1}, "C=-1"),
        ({"gamma": "wide"}, "gamma='wide'.*\n.*'scale', 'auto'"),
        ({"kernel": lambda a, b: a}, r"the kernel gave shape \(4, 1\) for"),
        ({"kernel": "precomputed"}, "must be square"),
        ({"break_ties": True, "decision_function_shape": "ovo"}, "needs .*'ovr'"),
    ],
)
def test_what_svc_refuses(options, message):
    with pytest.raises(ArgumentError, match=message):
        SVC(**options).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])


def test_the_fixture_has_a_mean_hinge_of_five_thirds():
    X, t = bl.tensor([[2.0, 1.0], [1.0, 3.0], [-1.0, -2.0]]), bl.tensor([1.0, 1.0, -1.0])
    net = models.LinearSVM(2, C=1 / 3)
    with bl.no_grad():
        net.fc.weight.copy_(bl.tensor([[1.0, -1.0]]))
        net.fc.bias.zero_()
    hinge = net.objective(X, t) - 0.5 * (net.fc.weight**2).sum()
    assert hinge.item() == pytest.approx(5 / 3)
    for kernel in ("linear", "rbf"):
        model = SVC(kernel=kernel, C=10.0).fit(X.numpy(), t.numpy())
        assert kkt_violation(model, X.numpy(), t.numpy()) <= 1e-4
        assert (model.predict(X.numpy()) == t.numpy()).all()


LINEAR = [
    {},
    {"class_weight": "balanced", "intercept_scaling": 3.0, "C": 0.5},
    {"fit_intercept": False},
    {"loss": "hinge", "C": 0.1},
    {"penalty": "l1", "dual": False, "C": 0.1},
]


@pytest.mark.parametrize("name", ["iris", "cancer"])
@pytest.mark.parametrize("options", LINEAR, ids=str)
def test_linear_svc_gives_the_reference_s_weights(name, options):
    X, y = SETS[name]
    weights = np.random.default_rng(0).random(len(y)) + 0.5
    precise = {"tol": 1e-8, "max_iter": 100_000, "random_state": 0}
    expected = reference.LinearSVC(**precise, **options).fit(X, y, sample_weight=weights)
    found = LinearSVC(max_iter=20_000, random_state=0, **options)
    found.fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(found.coef_, expected.coef_, atol=2e-3)
    np.testing.assert_allclose(found.intercept_, expected.intercept_, atol=2e-3)
    assert (found.predict(X) == expected.predict(X)).mean() > 0.99


def test_many_classes_go_together():
    X, y = DIGITS
    model = LinearSVC().fit(X, y)
    expected = reference.LinearSVC(tol=1e-6).fit(X, y)
    assert model.n_iter_ < 60
    np.testing.assert_allclose(model.coef_, expected.coef_, atol=1e-3)
    assert model.score(X, y) == pytest.approx(expected.score(X, y), abs=1e-3)


def test_an_l1_penalty_leaves_features_out():
    X, y = CANCER
    model = LinearSVC(penalty="l1", dual=False, C=0.02).fit(X, y)
    assert 0 < (model.coef_ != 0).sum() < 15 and model.score(X, y) > 0.95


@pytest.mark.parametrize("options", [{}, {"loss": "hinge"}, {"penalty": "l1", "dual": False}])
def test_linear_svc_says_when_it_is_not_done(options, capsys):
    X, y = CANCER
    with pytest.warns(ConvergenceWarning, match="a slope of .* max_iter=2"):
        LinearSVC(max_iter=2, verbose=1, random_state=0, **options).fit(X, y)
    assert options.get("penalty") or "LinearSVC: iteration 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [{"penalty": "l1"} | {"loss": "hinge"}, {"loss": "hinge", "dual": False},
     {"penalty": "l1", "dual": True}],
)  # fmt: skip
def test_forms_that_nobody_solves_are_refused(options):
    with pytest.raises(ArgumentError, match="is not solved"):
        LinearSVC(**options).fit([[0.0], [1.0]], [0, 1])
