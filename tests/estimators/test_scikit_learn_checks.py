"""scikit-learn's own checks of what an estimator is, all of them, for every estimator."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from backlit import estimators

ORDER_MATTERS = (
    "corrections are made sample by sample, so a sample of weight 2 is one larger correction, "
    "not two, and the order is another with repeated samples"
)
ESTIMATORS = [
    estimators.LinearRegression(),
    estimators.LinearRegression(solver="gradient", tol=1e-12),
    estimators.Perceptron(max_iter=5),
]
EXPECTED = {
    "Perceptron": {"check_sample_weight_equivalence_on_dense_data": ORDER_MATTERS},
}


def expected_failed_checks(estimator) -> dict[str, str]:
    return EXPECTED.get(type(estimator).__name__, {})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected_failed_checks)
def test_scikit_learn_s_check(estimator, check):
    check(estimator)
