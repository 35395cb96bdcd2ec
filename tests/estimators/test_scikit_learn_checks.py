"""scikit-learn's own checks of what an estimator is, all of them, for every estimator."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from backlit import estimators

ORDER_MATTERS = (
    "corrections are made sample by sample, so a sample of weight 2 is one larger correction, "
    "not two, and the order is another with repeated samples"
)
SCALE_IS_OF_THE_ROWS = (
    "gamma='scale' is, as in scikit-learn, the variance of the rows that were given, whatever "
    "their weights; SVC(kernel='linear') below passes"
)
ESTIMATORS = [
    estimators.LinearRegression(),
    estimators.LinearRegression(solver="gradient", tol=1e-12),
    estimators.Perceptron(max_iter=5),
    estimators.LinearSVC(),
    estimators.SVC(),
    estimators.SVC(kernel="linear", tol=1e-10),
    estimators.SVC(kernel="precomputed"),
    estimators.MLPClassifier((20,), learning_rate_init=0.05, max_iter=20),
    estimators.MLPRegressor(hidden_layer_sizes=(20,), learning_rate_init=0.05, max_iter=20),
    estimators.CNNClassifier((4,), (8,), learning_rate_init=0.05, max_iter=20),
]
WEIGHTS = "check_sample_weight_equivalence_on_dense_data"


def expected_failed_checks(estimator) -> dict[str, str]:
    """What can't apply to an estimator, and why."""
    if isinstance(estimator, estimators.Perceptron):
        return {WEIGHTS: ORDER_MATTERS}
    if isinstance(estimator, estimators.SVC) and estimator.kernel == "rbf":
        return {WEIGHTS: SCALE_IS_OF_THE_ROWS}
    return {}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_scikit_learn_s_check(estimator, check):
    check(estimator)
