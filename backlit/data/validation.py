"""A validation part: samples of the training part that settings are chosen on, so that the test
part is left for the end.

Owns which samples these are. `random_split` of dataset.py splits anything at random; here the same
samples are held out whatever the seed, of every class alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ArgumentError


def validation_split(data: Any, share: float, shuffle: bool = True) -> tuple[Any, Any]:
    """What is left to learn from, and the `share` of a TensorDataset's samples that is held out.

    Of each of the `labels`, where it has such, the same share: drawn in an order that never
    changes, or the last ones where their order means something (`shuffle=False`: people, time).
    Samples that are equal stay together. Raises ArgumentError where a part would be empty.

    >>> left, held_out = bl.data.validation_split(bl.data.digits("train"), 0.1)
    >>> len(left), len(held_out), held_out.labels.bincount().tolist()[:3]
    (9001, 999, [100, 113, 99])
    """
    count = len(data)
    labels = data.labels.numpy() if hasattr(data, "labels") else np.zeros(count, np.int64)
    chosen = np.zeros(count, bool)
    if 0 < share < 1:
        order = _order(count) if shuffle else np.arange(count)[::-1]
        for label in np.unique(labels):
            own = order[labels[order] == label]
            chosen[own[: min(round(share * len(own)), len(own) - 1)]] = True
        chosen = chosen[_first_equals(data.tensors[0].numpy())]
    if not 0 < chosen.sum() < count:
        raise ArgumentError(
            f"validation_split: a share of {share:g} of {count} samples leaves a part empty",
            hint="a share between 0 and 1, such as 0.1, that is a sample of some class at least",
        )
    return data.select(~chosen), data.select(chosen)


def _order(count: int) -> np.ndarray:
    """A permutation that depends on the count alone."""
    import backlit as bl

    found: np.ndarray = bl.randperm(count, generator=bl.Generator().manual_seed(0)).numpy()
    return found


def _first_equals(rows: np.ndarray) -> list[int]:
    """For each row the place of the first one that is equal to it."""
    first: dict[int, int] = {}
    return [first.setdefault(hash(row.tobytes()), place) for place, row in enumerate(rows)]
