"""The validation part: which samples are held out, whole classes, equal samples, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit.data import (
    LabelledImages,
    MaskedImages,
    SkeletonClips,
    TensorDataset,
    TextWindows,
    Trajectories,
    validation_split,
)
from backlit.errors import ArgumentError


def numbered(labels):
    """Images whose only pixel is their number."""
    images = bl.arange(len(labels)).float().reshape(-1, 1, 1, 1)
    classes = [str(k) for k in range(max(labels) + 1)]
    return LabelledImages(images, bl.tensor(labels), classes)


def numbers(data):
    return data.tensors[0].flatten().int().tolist()


@given(st.lists(st.integers(0, 3), min_size=1, max_size=60), st.floats(0.01, 0.99), st.booleans())
def test_both_parts_together_are_all_and_every_class_is_shared_alike(labels, share, shuffle):
    data = numbered(labels)
    counts = np.bincount(labels)
    held = [min(round(share * n), n - 1) if n else 0 for n in counts]
    if not sum(held):
        with pytest.raises(ArgumentError, match=f"{len(labels)} samples leaves a part empty"):
            validation_split(data, share, shuffle)
        return
    left, held_out = validation_split(data, share, shuffle)
    assert sorted(numbers(left) + numbers(held_out)) == list(range(len(labels)))
    assert np.bincount(held_out.labels.numpy(), minlength=len(counts)).tolist() == held
    for part in (left, held_out):
        assert part.labels.tolist() == [labels[n] for n in numbers(part)]
        assert numbers(part) == sorted(numbers(part)) and part.classes == data.classes


def test_neither_the_seed_nor_a_draw_matters():
    data = numbered([0, 1] * 50)
    bl.manual_seed(1)
    first = numbers(validation_split(data, 0.3)[1])
    drawn = bl.rand(1).item()
    bl.manual_seed(1)
    assert bl.rand(1).item() == drawn  # nothing was taken from the global generator
    bl.manual_seed(2)
    assert numbers(validation_split(data, 0.3)[1]) == first
    assert first != numbers(validation_split(data, 0.3, shuffle=False)[1])


def test_in_order_the_last_of_each_class_are_held_out():
    left, held_out = validation_split(numbered([0, 0, 0, 0, 1, 1, 1, 1]), 0.5, shuffle=False)
    assert numbers(held_out) == [2, 3, 6, 7] and numbers(left) == [0, 1, 4, 5]
    windows = TextWindows(bl.arange(101), context=10)
    left, held_out = validation_split(windows, 0.2, shuffle=False)
    assert held_out.tensors[0][:, 0].tolist() == [80, 90] and len(left) == 8


def test_equal_samples_stay_together():
    images = (bl.arange(60) // 3).float().reshape(-1, 1, 1, 1)
    for shuffle in (True, False):
        left, held_out = validation_split(TensorDataset(images), 0.3, shuffle)
        assert len(held_out) % 3 == 0 and not set(numbers(left)) & set(numbers(held_out))


@pytest.mark.parametrize("share", [-0.1, 0.0, 0.001, 1.0, 2.0, float("nan")])
def test_a_share_that_leaves_nothing_is_refused(share):
    with pytest.raises(ArgumentError, match="leaves a part empty"):
        validation_split(numbered([0, 1, 0, 1]), share)


def test_each_kind_selects_its_own():
    labels = bl.tensor([2, 0, 1])
    poses = bl.arange(3).float().reshape(3, 1, 1, 1).expand(-1, 4, 15, 2).contiguous()
    kinds = [
        LabelledImages(bl.rand(3, 1, 2, 2), labels, "abc"),
        Trajectories(bl.rand(3, 4, 2), labels, "abc"),
        SkeletonClips(poses, bl.tensor([4, 3, 2]), labels, "abc"),
        MaskedImages(bl.rand(3, 1, 2, 2), bl.rand(3, 1, 2, 2)),
    ]
    for data in kinds:
        for chosen in ([2, 0], np.array([True, False, True])):
            part = data.select(chosen)
            order = [2, 0] if isinstance(chosen, list) else [0, 2]
            assert type(part) is type(data)
            for whole, some in zip(data.tensors, part.tensors, strict=True):
                np.testing.assert_array_equal(some.numpy(), whole.numpy()[order])
            assert getattr(part, "classes", None) == getattr(data, "classes", None)
