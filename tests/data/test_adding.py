"""The adding problem: what is marked is summed, one mark in each half."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.errors import ArgumentError


@pytest.mark.parametrize("length", [2, 3, 10, 101])
def test_the_target_is_the_sum_of_the_marked_values(length: int) -> None:
    sequences, sums = (t.numpy() for t in bl.data.AddingProblem(200, length).tensors)
    values, marks = sequences[..., 0], sequences[..., 1]
    assert np.all((values >= 0) & (values < 1))
    assert np.isin(marks, (0, 1)).all()
    middle = length // 2
    assert np.all(marks[:, :middle].sum(1) == 1) and np.all(marks[:, middle:].sum(1) == 1)
    np.testing.assert_allclose(sums[:, 0], values[marks == 1].reshape(200, 2).sum(1), rtol=1e-6)


def test_every_step_is_marked_sometimes_and_guessing_costs_a_sixth() -> None:
    bl.manual_seed(0)
    sequences, sums = (t.numpy() for t in bl.data.AddingProblem(4000, 10).tensors)
    assert np.all(sequences[..., 1].sum(0) > 650)  # 800 expected at each of ten steps
    assert abs(((sums - 1) ** 2).mean() - 1 / 6) < 0.01


def test_a_generator_decides_everything() -> None:
    def drawn(seed: int) -> np.ndarray:
        generator = bl.Generator().manual_seed(seed)
        return bl.data.AddingProblem(5, 20, generator).tensors[0].numpy()

    assert np.array_equal(drawn(1), drawn(1)) and not np.array_equal(drawn(1), drawn(2))


@pytest.mark.parametrize(("count", "length"), [(0, 10), (3, 1)])
def test_too_little_is_refused(count: int, length: int) -> None:
    with pytest.raises(ArgumentError, match=f"got {count} of {length}"):
        bl.data.AddingProblem(count, length)
