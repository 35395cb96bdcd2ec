"""Adaptive softmax: many classes in clusters, rare ones through narrower layers.

Grave et al. 2016, "Efficient softmax approximation for GPUs". Which rows a cluster sees depends
on the targets, so this runs in eager mode only. Next: linear.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import backlit as bl
from backlit.errors import ArgumentError, IndexOutOfRange, ShapeError
from backlit.nn import functional as F
from backlit.nn.containers import ModuleList, Sequential
from backlit.nn.linear import Linear
from backlit.nn.module import Module
from backlit.tensor import Tensor


class AdaptiveOutput(NamedTuple):
    """Log-probability of each target, and minus their mean."""

    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Log-softmax over classes sorted by frequency: features (N, in_features), targets (N).

    The head holds classes below `cutoffs[0]` and one entry per later cluster; cluster i sees
    features through a layer `div_value ** i` times narrower.

    >>> layer = nn.AdaptiveLogSoftmaxWithLoss(16, 20, cutoffs=[5, 10])
    >>> x = bl.rand(4, 16)
    >>> layer(x, bl.tensor([0, 6, 12, 19])).output.shape == (4,)
    True
    >>> bool((layer.log_prob(x).exp().sum(1) - 1).abs().max() < 1e-5)
    True
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: float = 4.0,
        head_bias: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        edges = [0, *cutoffs, n_classes]
        if len(edges) < 3 or any(b <= a for a, b in pairwise(edges)):
            raise ArgumentError(
                "AdaptiveLogSoftmaxWithLoss: cutoffs must grow from above 0 to below "
                f"{n_classes} classes, got {list(cutoffs)}"
            )
        self.in_features, self.n_classes = in_features, n_classes
        self.cutoffs, self.div_value, self.head_bias = edges[1:], div_value, head_bias
        self.shortlist_size, self.n_clusters = edges[1], len(edges) - 2
        self.head_size = self.shortlist_size + self.n_clusters
        place = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, head_bias, **place)
        self.tail = ModuleList()
        for i, (low, high) in enumerate(pairwise(self.cutoffs), start=1):
            narrow = int(in_features // div_value**i)
            layers = (Linear(in_features, narrow, False, **place),
                      Linear(narrow, high - low, False, **place))  # fmt: skip
            self.tail.append(Sequential(*layers))

    def reset_parameters(self) -> None:
        """Draw every weight anew."""
        self.head.reset_parameters()
        for narrow, wide in self.tail:
            narrow.reset_parameters()
            wide.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> AdaptiveOutput:
        if target_.ndim > 1 or input_.ndim != target_.ndim + 1:
            raise ShapeError(
                "AdaptiveLogSoftmaxWithLoss: expected features (N, C) and targets (N), or (C,) "
                f"and a number; got {tuple(input_.shape)} and {tuple(target_.shape)}"
            )
        input, target = input_.reshape(-1, input_.shape[-1]), target_.reshape(-1)
        if len(input) != len(target):
            raise ShapeError(
                f"AdaptiveLogSoftmaxWithLoss: {len(input)} rows for {len(target)} targets"
            )
        if bool(((target < 0) | (target >= self.n_classes)).any()):
            raise IndexOutOfRange(
                f"AdaptiveLogSoftmaxWithLoss: targets must be from 0 to {self.n_classes - 1}, "
                f"got {int(target.min())} to {int(target.max())}"
            )
        entry, output = target, input.new_zeros((len(target),))
        for i, (low, high) in enumerate(pairwise(self.cutoffs)):
            inside = (target >= low) & (target < high)
            rows = inside.nonzero().squeeze(1)
            if not rows.numel():
                continue
            within = F.log_softmax(self.tail[i](input.index_select(0, rows)), dim=1)
            column = (target.index_select(0, rows) - low).unsqueeze(1)
            output = output.index_add(0, rows, within.gather(1, column).squeeze(1))
            entry = bl.where(inside, self.shortlist_size + i, entry)
        head = F.log_softmax(self.head(input), dim=1)
        output = output + head.gather(1, entry.unsqueeze(1)).squeeze(1)
        return AdaptiveOutput(output.reshape(target_.shape), -output.mean())

    def log_prob(self, input: Tensor) -> Tensor:
        """Log-probabilities of all classes: (N, in_features) to (N, n_classes)."""
        head = F.log_softmax(self.head(input), dim=1)
        parts = [head[:, : self.shortlist_size]]
        for i, cluster in enumerate(self.tail):
            within = F.log_softmax(cluster(input), dim=1)
            parts.append(within + head[:, self.shortlist_size + i].unsqueeze(1))
        return bl.cat(parts, 1)

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each row: (N, in_features) to (N)."""
        return bl.argmax(self.log_prob(input), dim=1)
