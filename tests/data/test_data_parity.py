"""The same calls in PyTorch give the same batches, lengths, kinds and refusals."""

import collections

import numpy as np
import pytest

import backlit as bl
from backlit import data as ours

torch = pytest.importorskip("torch")
theirs = pytest.importorskip("torch.utils.data")
pytestmark = pytest.mark.torch

Point = collections.namedtuple("Point", "x y")
SAMPLES = [
    [1, 2, 3], [1.5, 2.5], [True, False], ["a", "b"], [b"a", b"b"],
    [np.float32(1), np.float32(2)], [np.int64(3)], [np.ones((2, 3)), np.zeros((2, 3))],
    [(1, 2.0), (3, 4.0)], [[1, 2], [3, 4]], [{"a": 1, "b": ("x", 2)}, {"a": 3, "b": ("y", 4)}],
    [Point(1, [2.0]), Point(3, [4.0])], [np.zeros(0), np.zeros(0)],
]  # fmt: skip


def described(value):
    """A batch as plain values, with the kinds of its parts."""
    if isinstance(value, bl.Tensor | torch.Tensor):
        return str(value.dtype).split(".")[1], tuple(value.shape), value.tolist()
    if isinstance(value, dict):
        return {key: described(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [described(part) for part in value]
    return value


@pytest.mark.parametrize("samples", SAMPLES, ids=repr)
def test_collate_and_convert(samples):
    assert described(ours.default_collate(samples)) == described(theirs.default_collate(samples))
    for sample in samples:
        mine, other = ours.default_convert(sample), theirs.default_convert(sample)
        assert described(mine) == described(other)


OPTIONS = [
    {}, {"batch_size": 3}, {"batch_size": 4, "drop_last": True}, {"batch_size": None},
    {"batch_size": 2, "sampler": [5, 3, 1]}, {"batch_sampler": [[1, 2], [0]]},
]  # fmt: skip


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
def test_loaders(options):
    values = np.arange(20.0).reshape(10, 2)
    mine = ours.TensorDataset(bl.from_numpy(values), bl.arange(10))
    other = theirs.TensorDataset(torch.from_numpy(values), torch.arange(10))
    a, b = ours.DataLoader(mine, **options), theirs.DataLoader(other, **options)
    assert len(a) == len(b)
    batches = [described(batch) for batch in a], [described(batch) for batch in b]
    assert batches[0] == batches[1]


@pytest.mark.parametrize("lengths", [[3, 7], [0.3, 0.7], [0.33, 0.33, 0.34], [0.5, 0.25, 0.25]])
def test_split_lengths(lengths):
    mine = [len(part) for part in ours.random_split(range(10), lengths)]
    assert mine == [len(part) for part in theirs.random_split(range(10), lengths)]


REFUSED = [
    lambda room, data: room.DataLoader(data, batch_size=0),
    lambda room, data: room.DataLoader(data, num_workers=-1),
    lambda room, data: room.DataLoader(data, timeout=-1),
    lambda room, data: room.DataLoader(data, shuffle=True, sampler=[0]),
    lambda room, data: room.DataLoader(data, batch_size=2, batch_sampler=[[0]]),
    lambda room, data: room.DataLoader(data, batch_size=None, drop_last=True),
    lambda room, data: room.DataLoader(data, prefetch_factor=2),
    lambda room, data: room.DataLoader(data, persistent_workers=True),
    lambda room, data: room.DataLoader([], shuffle=True),
    lambda room, data: room.BatchSampler([1], 0, False),
    lambda room, data: room.RandomSampler(data, num_samples=0),
    lambda room, data: room.RandomSampler(data, replacement=1),
    lambda room, data: room.WeightedRandomSampler([1.0], 0),
    lambda room, data: room.random_split(data, [2]),
    lambda room, data: room.ConcatDataset([data])[99],
    lambda room, data: room.default_collate([object()]),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refusals_are_of_the_same_kind(number):
    with pytest.raises(Exception) as theirs_raised:
        REFUSED[number](theirs, list(range(6)))
    with pytest.raises(Exception) as ours_raised:
        REFUSED[number](ours, list(range(6)))
    kind = theirs_raised.type if theirs_raised.type is not AssertionError else ValueError
    assert issubclass(ours_raised.type, kind)
