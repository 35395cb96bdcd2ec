"""What every distribution has: shapes, drawing, and the names of what follows from a few.

A batch of distributions has the shape of its parameters; one draw of it has that shape and then
the shape of one event. Next: continuous.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import backlit as bl
from backlit.errors import ArgumentError, NotAvailable
from backlit.tensor import Size, Tensor


class Distribution:
    """A batch of distributions; a subclass gives `log_prob` and `sample` or `rsample`.

    >>> normal = bl.distributions.Normal(bl.zeros(3), 1.0)
    >>> normal.batch_shape, normal.sample((2,)).shape
    (backlit.Size([3]), backlit.Size([2, 3]))
    """

    has_rsample: ClassVar[bool] = False

    def __init__(
        self, batch_shape: Sequence[int] = (), event_shape: Sequence[int] = (),
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)

    @property
    def batch_shape(self) -> Size:
        """The shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """The shape of one event."""
        return self._event_shape

    @property
    def mean(self) -> Tensor:
        """The expected value."""
        raise self._without("mean")

    @property
    def variance(self) -> Tensor:
        """The expected square of the distance from the mean."""
        raise self._without("variance")

    @property
    def stddev(self) -> Tensor:
        """The root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values drawn, without gradient."""
        with bl.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Values drawn as a function of the parameters, with its gradient."""
        raise self._without("rsample")

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the probability, or of its density."""
        raise self._without("log_prob")

    def entropy(self) -> Tensor:
        """The expected -log_prob, in nats."""
        raise self._without("entropy")

    def cdf(self, value: Tensor) -> Tensor:
        """The probability of at most this value."""
        raise self._without("cdf")

    def perplexity(self) -> Tensor:
        """e to the entropy."""
        return self.entropy().exp()

    def _without(self, name: str) -> Exception:
        return NotAvailable(f"{type(self).__name__} has no {name}")

    def _extended(self, sample_shape: Sequence[int]) -> tuple[int, ...]:
        return (*sample_shape, *self._batch_shape, *self._event_shape)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name}: {tuple(shape)}" for name, shape in (
            ("batch", self._batch_shape), ("event", self._event_shape)) if shape)  # fmt: skip
        return f"{type(self).__name__}({shapes})"


def broadcast(*values: Any) -> list[Tensor]:
    """Parameters as tensors of one shape; numbers take the dtype of the tensors."""
    dtype = next((v.dtype for v in values if isinstance(v, Tensor)), None)
    tensors = [v if isinstance(v, Tensor) else bl.tensor(v, dtype=dtype or bl.get_default_dtype())
               for v in values]  # fmt: skip
    return list(bl.broadcast_tensors(*tensors))


def require(kind: Any, name: str, holds: Tensor, what: str, checked: bool | None) -> None:
    """Refuse a parameter that makes no distribution."""
    if checked is not False and not bool(holds.all()):
        raise ArgumentError(f"{type(kind).__name__}: {name} must be {what}")
