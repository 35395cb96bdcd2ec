"""Multi-layer perceptrons and convolutional networks as estimators, beside scikit-learn's."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import sklearn.neural_network as reference
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import StandardScaler, scale

import backlit as bl
from backlit.errors import ArgumentError, DivergedError
from backlit.estimators import CNNClassifier, MLPClassifier, MLPRegressor
from backlit.estimators.training import Training

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def scaled(data):
    X, y = data(return_X_y=True)
    return StandardScaler().fit_transform(X), y


IRIS, CANCER, DIGITS = scaled(load_iris), scaled(load_breast_cancer), scaled(load_digits)
DIABETES = scaled(load_diabetes)
IMAGES = load_digits(return_X_y=True)[0].astype(np.float32) / 16


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (IRIS, {"solver": "sgd", "learning_rate_init": 0.05}),
        (IRIS, {"solver": "sgd", "activation": "tanh", "learning_rate": "adaptive", "tol": 0.01,
                "n_iter_no_change": 2, "learning_rate_init": 0.1}),
        (CANCER, {"solver": "sgd", "activation": "logistic", "batch_size": 33,
                  "learning_rate": "invscaling", "momentum": 0.5, "learning_rate_init": 0.1}),
        (CANCER, {"solver": "sgd", "early_stopping": True, "learning_rate_init": 0.1,
                  "nesterovs_momentum": False, "hidden_layer_sizes": (20, 10)}),
        (DIGITS, {"solver": "sgd", "max_iter": 10, "alpha": 0.1}),
    ],
)  # fmt: skip
def test_the_curve_is_the_reference_s(data, options):
    """Same seed, same weights, same batches, same rates: equal to the last digits."""
    options = {"random_state": 0, "max_iter": 40} | options
    expected = reference.MLPClassifier(**options).fit(*data)
    found = MLPClassifier(**options).fit(*data)
    assert found.n_iter_ == expected.n_iter_
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-9)
    assert found.validation_scores_ == expected.validation_scores_
    for ours, theirs in zip(found.coefs_, expected.coefs_):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(
        found.predict_proba(data[0]), expected.predict_proba(data[0]), atol=1e-8
    )


def test_adam_follows_the_reference():
    """Adam's epsilon stands at another place there, so only nearly."""
    options = {"random_state": 0, "max_iter": 30, "learning_rate_init": 0.01}
    expected = reference.MLPClassifier(**options).fit(*CANCER)
    found = MLPClassifier(**options).fit(*CANCER)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=0.02)
    # schedules of the rate are for sgd alone
    scheduled = MLPClassifier(learning_rate="invscaling", **options).fit(*CANCER)
    assert scheduled.loss_curve_ == found.loss_curve_


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_the_regressor_s_curve_is_the_reference_s(loss):
    X, y = DIABETES
    y = y / 100
    weights = np.random.default_rng(0).random(len(y))
    options = {"loss": loss, "solver": "sgd", "random_state": 0, "max_iter": 20,
               "learning_rate_init": 0.01}  # fmt: skip
    expected = reference.MLPRegressor(**options).fit(X, y, sample_weight=weights)
    found = MLPRegressor(**options).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(found.loss_curve_, expected.loss_curve_, rtol=1e-9)
    np.testing.assert_allclose(found.predict(X), expected.predict(X), rtol=1e-6)


def test_lbfgs_comes_to_an_optimum():
    X, y = DIABETES[0][:150], scale(DIABETES[1][:150])
    options = {"solver": "lbfgs", "alpha": 1.0, "random_state": 0, "max_iter": 2000}
    model = MLPRegressor("squared_error", (5,), "tanh", **options).fit(X, y)
    expected = reference.MLPRegressor("squared_error", (5,), "tanh", **options).fit(X, y)
    assert model.loss_ <= expected.loss_ * 1.05 and model.n_iter_ < 2000
    assert model.score(X, y) > 0.5


def test_outliers_pull_less_with_a_huber_loss():
    X = np.linspace(-1, 1, 60)[:, None]
    clean = 2 * X[:, 0]
    y = clean.copy()
    y[::10] += 30
    options = {"hidden_layer_sizes": (), "solver": "lbfgs", "random_state": 0, "max_iter": 500}
    square = MLPRegressor("squared_error", **options).fit(X, y).predict(X)
    huber = MLPRegressor("huber", delta=0.1, **options).fit(X, y).predict(X)
    assert np.abs(huber - clean).max() < 0.1 < 1 < np.abs(square - clean).max()


def test_several_outputs_and_several_labels():
    X, y = DIABETES
    both = MLPRegressor(solver="lbfgs", random_state=0, max_iter=60).fit(X, np.c_[y, -y] / 100)
    assert both.predict(X).shape == (len(X), 2) and both.score(X, np.c_[y, -y] / 100) > 0.5
    X, y = IRIS
    labels = np.c_[y == 0, y != 1].astype(int)
    many = MLPClassifier(solver="lbfgs", random_state=0).fit(X, labels)
    assert many.score(X, labels) > 0.9 and many.predict_proba(X).shape == (150, 2)
    assert many.out_activation_ == "logistic" and many.n_outputs_ == 2


@pytest.mark.parametrize("image_shape", [(8, 8), (1, 8, 8), None])
def test_a_cnn_learns_digits(image_shape):
    y = DIGITS[1]
    model = CNNClassifier(
        (8,), (32,), image_shape=image_shape, solver="sgd", learning_rate_init=0.1,
        max_iter=12, random_state=0,
    ).fit(IMAGES[:1200], y[:1200])  # fmt: skip
    assert model.score(IMAGES[1200:], y[1200:]) > 0.85
    kind = {None: 3}.get(image_shape, 4)
    assert model.weights_["1.weight"].ndim == kind and model.weights_["1.weight"].dtype == "f4"
    np.testing.assert_allclose(model.predict_proba(IMAGES[:9]).sum(1), 1, rtol=1e-5)


def test_a_cnn_sees_where_a_pixel_s_neighbours_are():
    """The same pixels in another order are another task for convolutions."""
    y, shuffled = DIGITS[1], np.random.default_rng(0).permutation(64)
    scores = []
    for X in (IMAGES, IMAGES[:, shuffled]):
        model = CNNClassifier(
            (8, 8), (), image_shape=(8, 8), max_iter=10, learning_rate_init=0.01, random_state=0
        ).fit(X[:1000], y[:1000])
        scores.append(model.score(X[1000:], y[1000:]))
    assert scores[0] > scores[1] + 0.03


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_partial_fit_survives_pickle_and_copy(solver, capsys):
    """Optimizer moments too: three ways to make the same four epochs."""
    X, y = IRIS
    make = lambda: MLPClassifier((8,), solver=solver, random_state=0, verbose=True)
    whole = make()
    for _ in range(4):
        whole.partial_fit(X, y, classes=[0, 1, 2])
    assert "MLPClassifier: epoch 1, loss" in capsys.readouterr().out
    for twin in (lambda m: pickle.loads(pickle.dumps(m)), copy.deepcopy):
        parts = make().partial_fit(X, y, classes=[0, 1, 2]).partial_fit(X, y)
        parts = twin(parts).partial_fit(X, y).partial_fit(X, y)
        np.testing.assert_allclose(parts.loss_curve_, whole.loss_curve_, rtol=1e-12)
        np.testing.assert_allclose(parts.coefs_[0], whole.coefs_[0], rtol=1e-9)
    expected = reference.MLPClassifier((8,), solver=solver, random_state=0)
    for _ in range(4):
        expected.partial_fit(X, y, classes=[0, 1, 2])
    np.testing.assert_allclose(whole.loss_curve_, expected.loss_curve_, rtol=1e-4)


def test_compiled_steps_are_the_eager_ones(monkeypatch):
    X, y = CANCER
    options = {"solver": "sgd", "max_iter": 30, "random_state": 0, "batch_size": 100}
    compiled = MLPClassifier((10,), **options).fit(X, y)
    monkeypatch.setattr(bl.config.flags, "compile", False)
    eager = MLPClassifier((10,), **options).fit(X, y)
    np.testing.assert_allclose(compiled.loss_curve_, eager.loss_curve_, rtol=1e-10)


def test_fitting_and_predicting_draw_none_of_the_user_s_numbers():
    bl.manual_seed(3)
    before = bl.get_rng_state()
    CNNClassifier((2,), (4,), max_iter=2, random_state=0).fit(*IRIS).predict(IRIS[0])
    assert bl.get_rng_state() == before


def test_a_sample_of_no_weight_does_not_count():
    X, y = CANCER
    strange = np.vstack([X, X[:40] + 5])
    labels = np.r_[y, 1 - y[:40]]
    weights = np.r_[np.ones(len(y)), np.zeros(40)]
    options = {"solver": "lbfgs", "random_state": 0, "alpha": 10.0, "max_iter": 30}
    without = MLPClassifier((4,), "tanh", **options).fit(X, y)
    weighted = MLPClassifier((4,), "tanh", **options).fit(strange, labels, sample_weight=weights)
    np.testing.assert_allclose(weighted.coefs_[0], without.coefs_[0], rtol=1e-6, atol=1e-9)
    # a batch of such samples alone is left out
    sgd = MLPClassifier((4,), solver="sgd", batch_size=20, shuffle=False, max_iter=3)
    sgd.fit(strange, labels, sample_weight=weights)
    assert np.isfinite(sgd.loss_curve_).all()


def test_warm_start_goes_on():
    X, y = IRIS
    model = MLPClassifier((8,), warm_start=True, max_iter=3, random_state=0).fit(X, y)
    first = model.loss_
    model.fit(X, y)
    assert len(model.loss_curve_) == 6 and model.loss_ < first
    with pytest.raises(ArgumentError, match=r"holds \[3\], not among the classes"):
        model.fit(X, y + 1)


def test_an_interrupted_fit_keeps_what_it_has(monkeypatch):
    X, y = IRIS
    epoch, done = Training._epoch, []

    def interrupted(self, data, order):
        done.append(1)
        if len(done) == 4:
            raise KeyboardInterrupt
        return epoch(self, data, order)

    monkeypatch.setattr(Training, "_epoch", interrupted)
    with pytest.warns(UserWarning, match="interrupted after 3 epochs"):
        model = MLPClassifier((4,), random_state=0).fit(X, y)
    monkeypatch.undo()
    whole = MLPClassifier((4,), random_state=0, max_iter=3).fit(X, y)
    assert (model.coefs_[0] == whole.coefs_[0]).all() and model.n_iter_ == 3


def test_what_goes_wrong_is_told():
    X, y = IRIS
    with pytest.warns(ConvergenceWarning, match="max_iter=2 epochs are done"):
        MLPClassifier(max_iter=2).fit(X, y)
    with pytest.raises(DivergedError, match="weights have become NaN"), np.errstate(all="ignore"):
        MLPRegressor(solver="sgd", learning_rate_init=1e6, max_iter=60).fit(*DIABETES)
    with pytest.raises(ArgumentError, match=r"\(5, 5\) does not fit 64 features"):
        CNNClassifier(image_shape=(5, 5)).fit(IMAGES, DIGITS[1])
    with pytest.raises(ArgumentError, match=r"X has shape \(\d+, 8, 8\)") as info:
        CNNClassifier().fit(IMAGES.reshape(-1, 8, 8), DIGITS[1])
    assert "image_shape=(8, 8)" in str(info.value)
    with pytest.raises(ArgumentError, match="channels="):
        CNNClassifier(channels=(0,)).fit(X, y)
    with pytest.raises(ArgumentError, match="hidden_layer_sizes="):
        MLPClassifier((3, 0)).fit(X, y)
    with pytest.raises(ArgumentError, match="first partial_fit needs classes"):
        MLPClassifier().partial_fit(X, y)
    with pytest.raises(ArgumentError, match="early_stopping"):
        MLPClassifier(early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(ArgumentError, match="counts can't be -1"):
        MLPRegressor("poisson").fit(X, y - 1.0)
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")
