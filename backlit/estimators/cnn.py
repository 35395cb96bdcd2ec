"""A convolutional network as an estimator: images that lie flattened in the rows of a table.

Convolutions with the same size out as in, each followed by pooling, then linear layers, in the
manner of LeCun et al. 1998. A table that holds no images is convolved along its features. The
training is that of network.py; networks for more than a table are in backlit.models.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from backlit import nn
from backlit.errors import ArgumentError
from backlit.estimators.network import ACTIVATIONS, hidden_sizes
from backlit.estimators.network_classifier import NetworkClassifier
from backlit.estimators.validation import one_of, whole


class CNNClassifier(NetworkClassifier):
    """Log-loss classifier of images (H, W) or (C, H, W), given flattened as X (N, features).

    For each of `channels` a convolution of `kernel_size`, the activation and max pooling by 2;
    then linear layers. Without `image_shape` it convolves along the features. Training parameters
    and attributes are those of MLPClassifier; the weights are `weights_`, arrays by name.

    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> model = bl.estimators.CNNClassifier(image_shape=(8, 8), max_iter=5, tol=0, random_state=0)
    >>> for part in range(5):
    ...     _ = model.partial_fit(X[:1000] / 16, y[:1000], classes=range(10))
    >>> bool(model.score(X[1000:] / 16, y[1000:]) > 0.5)
    True
    """

    weights_: dict[str, np.ndarray]

    def __init__(
        self,
        channels: Any = (16, 32),
        hidden_layer_sizes: Any = (64,),
        activation: str = "relu",
        *,
        image_shape: Any = None,
        kernel_size: int = 3,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int = 10,
    ) -> None:
        self._take(locals())

    def _check_parameters(self) -> None:
        super()._check_parameters()
        one_of(self, "solver", ("sgd", "adam"))
        whole(self, 1, "kernel_size")
        sizes = {"channels": self.channels, "image_shape": self.image_shape}
        for name, given in sizes.items():
            if given is not None and min(hidden_sizes(given), default=0) < 1:
                raise ArgumentError(
                    f"CNNClassifier: {name}={given!r}", hint="expected whole numbers from 1 on"
                )

    def _fit(self, X: Any, *others: Any, **options: Any) -> Any:
        _refuse_pictures(X)
        return super()._fit(X, *others, **options)

    def _outputs(self, X: Any) -> np.ndarray:
        _refuse_pictures(X)
        return super()._outputs(X)

    def _image(self, features: int) -> list[int]:
        """Channels and sizes of a sample: (C, H, W), or (1, features) without image_shape."""
        if self.image_shape is None:
            return [1, features]
        shape = hidden_sizes(self.image_shape)
        shape = [1, *shape] if len(shape) == 2 else shape
        if len(shape) != 3 or prod(shape) != features:
            raise ArgumentError(
                f"CNNClassifier: image_shape={self.image_shape} does not fit {features} features",
                hint="(H, W) or (C, H, W), whose product is the number of features",
            )
        return shape

    def _network(self, features: int, outputs: int) -> nn.Module:
        inside, *sizes = image = self._image(features)
        layers: list[nn.Module] = [nn.Unflatten(1, tuple(image))]
        flat = len(sizes) == 1
        conv: Any = nn.Conv1d if flat else nn.Conv2d
        pool: Any = nn.MaxPool1d if flat else nn.MaxPool2d
        for outside in hidden_sizes(self.channels):
            window = tuple(min(2, size) for size in sizes)
            layers += [
                conv(inside, outside, self.kernel_size, padding="same"),
                ACTIVATIONS[self.activation](),
                pool(window[0] if flat else window),
            ]
            inside, sizes = outside, [size // w for size, w in zip(sizes, window)]
        layers.append(nn.Flatten())
        inside *= prod(sizes)
        for outside in hidden_sizes(self.hidden_layer_sizes):
            layers += [nn.Linear(inside, outside), ACTIVATIONS[self.activation]()]
            inside = outside
        return nn.Sequential(*layers, nn.Linear(inside, outputs))

    def _set_weights(self, values: dict[str, np.ndarray]) -> None:
        self.weights_ = values

    def _get_weights(self) -> dict[str, np.ndarray]:
        return self.weights_


def _refuse_pictures(X: Any) -> None:
    """scikit-learn's own error would not tell where the shape of an image belongs."""
    shape = tuple(getattr(X, "shape", ()))
    if len(shape) > 2:
        raise ArgumentError(
            f"CNNClassifier: X has shape {shape}, expected (samples, features)",
            hint=f"X.reshape(len(X), -1), and image_shape={shape[1:]} for the estimator",
        )
