"""Autoencoders: a code narrower than the data, learned by giving the data back.

Hinton and Salakhutdinov 2006, "Reducing the dimensionality of data with neural networks":
a dense one, and a convolutional one for images. With a distribution of codes: vae.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from backlit import nn
from backlit.errors import ArgumentError
from backlit.tensor import Tensor


class Autoencoder(nn.Module):
    """Vectors (N, sizes[0]) to a code (N, sizes[-1]) and back, through mirrored linear layers.

    `last` maps what the decoder gives to the range of the data: Sigmoid for values in 0 to 1.

    >>> from backlit import models
    >>> net = models.Autoencoder([784, 64, 16])
    >>> net(bl.zeros(2, 784)).shape == (2, 784) and net.encoder(bl.zeros(2, 784)).shape == (2, 16)
    True
    """

    def __init__(
        self,
        sizes: Sequence[int] = (784, 128, 32),
        activation: Callable[[], nn.Module] = nn.ReLU,
        last: Callable[[], nn.Module] | None = nn.Sigmoid,
    ) -> None:
        super().__init__()
        if len(sizes) < 2:
            raise ArgumentError(
                f"Autoencoder: needs at least a data and a code size, got {list(sizes)}"
            )
        self.encoder = _stack(list(sizes), activation)
        self.decoder = _stack(list(sizes)[::-1], activation)
        if last is not None:
            self.decoder.append(last())

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))  # type: ignore[no-any-return]


def _stack(sizes: list[int], activation: Callable[[], nn.Module]) -> nn.Sequential:
    """Linear layers with an activation between them."""
    layers: list[nn.Module] = []
    for inside, outside in pairwise(sizes):
        layers += [nn.Linear(inside, outside), activation()]
    return nn.Sequential(*layers[:-1])


class ConvAutoencoder(nn.Module):
    """Images (N, channels, H, W) to a code (N, code) and back to values in 0 to 1.

    Two convolutions of stride 2 and a linear layer, mirrored by transposed convolutions; sides
    are multiples of 4.

    >>> from backlit import models
    >>> net = models.ConvAutoencoder(image=8, width=4, code=3)
    >>> net(bl.zeros(2, 1, 8, 8)).shape == (2, 1, 8, 8)
    True
    """

    def __init__(self, image: int = 28, channels: int = 1, width: int = 16, code: int = 32) -> None:
        super().__init__()
        if image % 4:
            raise ArgumentError(f"ConvAutoencoder: image must be a multiple of 4, got {image}")
        side, wide = image // 4, 2 * width
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, wide, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(wide * side * side, code),
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, wide * side * side),
            nn.ReLU(),
            nn.Unflatten(1, (wide, side, side)),
            nn.ConvTranspose2d(wide, width, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 3, stride=2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x))  # type: ignore[no-any-return]
