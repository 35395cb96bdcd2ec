"""All estimators among scikit-learn's own tools, and the room's door."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from backlit import estimators

CLASSIFIERS = [
    estimators.Perceptron(random_state=0, max_iter=30, tol=None),
    estimators.LinearSVC(C=0.1),
    estimators.SVC(),
    estimators.MLPClassifier((32,), max_iter=25, learning_rate_init=0.01, random_state=0, tol=0),
    estimators.CNNClassifier(
        (8,), (32,), image_shape=(8, 8), max_iter=15, learning_rate_init=0.01, random_state=0, tol=0
    ),
]
X, y = load_digits(return_X_y=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", CLASSIFIERS, ids=lambda model: type(model).__name__)
def test_four_families_have_one_interface(model):
    """Perceptron, support vectors, neural and deep network: fit, score, copies, pickles."""
    pipeline = make_pipeline(MinMaxScaler(), clone(model)).fit(X[:900], y[:900])
    assert pipeline.score(X[900:], y[900:]) > 0.87
    again = pickle.loads(pickle.dumps(pipeline))
    assert (again.predict(X[900:]) == pipeline.predict(X[900:])).all()
    assert (clone(pipeline).fit(X[:900], y[:900]).predict(X) == pipeline.predict(X)).all()


def test_grid_search_finds_the_width():
    pipeline = make_pipeline(StandardScaler(), estimators.SVC())
    grid = GridSearchCV(pipeline, {"svc__gamma": [1e-4, 0.02, 10.0]}, cv=3)
    grid.fit(X[:300], y[:300])
    assert grid.best_params_ == {"svc__gamma": 0.02} and grid.best_score_ > 0.85


def test_cross_validation_in_threads_gives_the_same():
    model = make_pipeline(MinMaxScaler(), estimators.LinearSVC())
    one = cross_val_score(model, X[:200], y[:200], cv=2)
    with parallel_config("threading", n_jobs=2):
        many = cross_val_score(model, X[:200], y[:200], cv=2)
    np.testing.assert_array_equal(one, many)


def run(code: str) -> str:
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.strip()


def test_scikit_learn_is_loaded_by_those_who_ask():
    code = "import sys, backlit; print('sklearn' in sys.modules, 'scipy' in sys.modules)"
    assert run(code) == "False False"


def test_without_scikit_learn_the_error_names_the_extra():
    code = (
        "import sys; sys.modules['sklearn'] = None\n"
        "import backlit as bl\n"
        "try: bl.estimators\n"
        "except bl.errors.NotAvailable as error: print(error)"
    )
    assert "needs scikit-learn" in run(code) and "pip install 'backlit[sklearn]'" in run(code)
