"""Fully connected networks: the ReLU classifier and the sigmoid networks of older textbooks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from backlit import nn
from backlit.errors import ArgumentError
from backlit.tensor import Tensor


class MLP(nn.Sequential):
    """Linear layers of the given sizes with an activation between them; input (N, sizes[0]).

    `last` is an activation after the last layer: none for a classifier on logits, Sigmoid for
    the network of Nielsen's "Neural Networks and Deep Learning", chapter 1.

    >>> from backlit import models
    >>> models.MLP([784, 256, 128, 10])(bl.zeros(2, 784)).shape == (2, 10)
    True
    >>> nielsen = models.MLP([784, 30, 10], nn.Sigmoid, last=nn.Sigmoid)
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Callable[[], nn.Module] = nn.ReLU,
        last: Callable[[], nn.Module] | None = None,
    ) -> None:
        if len(sizes) < 2:
            raise ArgumentError(
                f"MLP: needs at least an input and an output size, got {list(sizes)}"
            )
        layers: list[nn.Module] = []
        for inside, outside in pairwise(sizes):
            layers += [nn.Linear(inside, outside), activation()]
        layers.pop()
        super().__init__(*layers, *([] if last is None else [last()]))

    def weight_penalty(self) -> Tensor:
        """Half the sum of squared weights, biases left out: the L2 term of a loss.

        >>> from backlit import models
        >>> net = models.MLP([2, 1]); _ = nn.init.ones_(net[0].weight)
        >>> net.weight_penalty().item()
        1.0
        """
        weights = [layer.weight for layer in self if isinstance(layer, nn.Linear)]
        total = (weights[0] ** 2).sum()
        for weight in weights[1:]:
            total = total + (weight**2).sum()
        return 0.5 * total
