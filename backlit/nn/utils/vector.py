"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

import backlit as bl
from backlit.errors import ArgumentTypeError, ShapeError
from backlit.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Join parameters, flattened, into one vector.

    >>> nn.utils.parameters_to_vector(nn.Linear(2, 3).parameters()).shape == (9,)
    True
    """
    return bl.cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Refill parameters with consecutive parts of a vector.

    >>> layer = nn.Linear(1, 1)
    >>> nn.utils.vector_to_parameters(bl.tensor([5.0, 6.0]), layer.parameters())
    >>> layer.weight.item(), layer.bias.item()
    (5.0, 6.0)
    """
    if not isinstance(vec, Tensor):
        raise ArgumentTypeError(
            f"vector_to_parameters: expected a Tensor, got {type(vec).__name__}"
        )
    listed = list(parameters)
    total = sum(parameter.numel() for parameter in listed)
    if vec.numel() < total:
        raise ShapeError(f"vector_to_parameters: {vec.numel()} values for {total} parameters")
    with bl.no_grad():
        start = 0
        for parameter in listed:
            stop = start + parameter.numel()
            parameter.data = vec.detach()[start:stop].reshape(parameter.shape).clone()
            start = stop
