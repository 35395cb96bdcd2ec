"""Distributions over classes, by probabilities or by logits; draws have no gradient.

Policies learn through `log_prob` of what was drawn. Next: joint.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backlit as bl
from backlit.distributions.distribution import Distribution, broadcast, require
from backlit.errors import ArgumentError, ShapeError
from backlit.nn import functional as F
from backlit.tensor import Tensor


def _only_one(kind: Any, probs: Any, logits: Any) -> None:
    if (probs is None) == (logits is None):
        raise ArgumentError(f"{type(kind).__name__}: give either probs or logits")


class Bernoulli(Distribution):
    """1 with probability `probs`, or sigmoid(`logits`), else 0.

    >>> bl.distributions.Bernoulli(probs=0.25).log_prob(bl.tensor(1.0)).exp()
    tensor(0.2500)
    """

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        _only_one(self, probs, logits)
        if logits is None:
            (self.probs,) = broadcast(probs)
            inside = (self.probs >= 0) & (self.probs <= 1)
            require(self, "probs", inside, "between 0 and 1", validate_args)
            eps = bl.finfo(self.probs.dtype).eps
            clamped = self.probs.clamp(eps, 1 - eps)
            self.logits = clamped.log() - (-clamped).log1p()
        else:
            (self.logits,) = broadcast(logits)
            self.probs = self.logits.sigmoid()
        super().__init__(self.logits.shape)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with bl.no_grad():
            return bl.bernoulli(self.probs.expand(self._extended(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        logits, value = bl.broadcast_tensors(self.logits, value)
        return -F.binary_cross_entropy_with_logits(logits, value.to(logits.dtype), reduction="none")

    def entropy(self) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")


class Categorical(Distribution):
    """One of n classes; the last axis of `probs` or `logits` counts the classes.

    `probs` need not sum to 1.

    >>> classes = bl.distributions.Categorical(probs=bl.tensor([1.0, 3.0]))
    >>> classes.probs, classes.log_prob(bl.tensor(1)).exp()
    (tensor([0.2500, 0.7500]), tensor(0.7500))
    """

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        _only_one(self, probs, logits)
        given: Any = logits if probs is None else probs
        if given.ndim < 1:
            raise ShapeError(f"{type(self).__name__}: one class probability is no distribution")
        if probs is None:
            self.logits = given - given.logsumexp(-1, keepdim=True)
            require(self, "logits", self.logits == self.logits, "numbers", validate_args)
            self.probs = self.logits.softmax(-1)
        else:
            require(self, "probs", (given >= 0).all(-1) & (given.sum(-1) > 0),
                    "not negative, and not all 0", validate_args)  # fmt: skip
            self.probs = given / given.sum(-1, keepdim=True)
            eps = bl.finfo(self.probs.dtype).eps
            self.logits = self.probs.clamp(eps, 1 - eps).log()
        self._num_events = given.shape[-1]
        super().__init__(given.shape[:-1])

    @property
    def mode(self) -> Tensor:
        """The most probable class."""
        return self.probs.argmax(-1)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        with bl.no_grad():
            rows, shape = (
                self.probs.reshape(-1, self._num_events),
                (*sample_shape, *self.batch_shape),
            )
            count = 1
            for n in sample_shape:
                count *= n
            return bl.multinomial(rows, count, replacement=True).T.reshape(shape)

    def log_prob(self, value: Tensor) -> Tensor:
        picked = value.long()[..., None]
        shape = bl.broadcast_shapes(picked.shape[:-1], self.logits.shape[:-1])
        logits = self.logits.expand(*shape, self._num_events)
        return logits.gather(-1, picked.expand(*shape, 1)).squeeze(-1)

    def entropy(self) -> Tensor:
        smallest = bl.finfo(self.logits.dtype).min
        return -(self.logits.clamp(min=smallest) * self.probs).sum(-1)


class OneHotCategorical(Distribution):
    """`Categorical`, as vectors with a 1 at the class.

    >>> bl.distributions.OneHotCategorical(probs=bl.tensor([0.0, 1.0])).sample()
    tensor([0., 1.])
    """

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self._classes = Categorical(probs, logits, validate_args)
        self.probs, self.logits = self._classes.probs, self._classes.logits
        super().__init__(self.probs.shape[:-1], self.probs.shape[-1:])

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        drawn = self._classes.sample(sample_shape)
        return F.one_hot(drawn, self.event_shape[0]).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        return self._classes.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._classes.entropy()
