"""scikit-learn estimators on the engine. Public names only; see docs/design/estimators.md."""

from importlib.util import find_spec as _find_spec

if _find_spec("sklearn") is None:
    from backlit.errors import NotAvailable

    raise NotAvailable(
        "backlit.estimators needs scikit-learn", hint="pip install 'backlit[sklearn]'"
    )

from backlit.estimators.cnn import CNNClassifier as CNNClassifier
from backlit.estimators.linear import LinearRegression as LinearRegression
from backlit.estimators.linear_svc import LinearSVC as LinearSVC
from backlit.estimators.mlp import MLPClassifier as MLPClassifier
from backlit.estimators.mlp import MLPRegressor as MLPRegressor
from backlit.estimators.perceptron import Perceptron as Perceptron
from backlit.estimators.svc import SVC as SVC
