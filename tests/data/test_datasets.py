"""Datasets and random_split: every sample once, lengths and fractions, clear refusals."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Numbers(Dataset):
    def __init__(self, values):
        self.values = list(values)

    def __getitem__(self, index):
        return self.values[index]

    def __len__(self):
        return len(self.values)


class Stream(IterableDataset):
    def __init__(self, values):
        self.values = values

    def __iter__(self):
        return iter(self.values)

    def __len__(self):
        return len(self.values)


def test_tensor_dataset_gives_rows():
    x, y = bl.arange(6).reshape(3, 2), bl.arange(3)
    pairs = TensorDataset(x, y)
    assert len(pairs) == 3
    assert pairs[1][0].tolist() == [2, 3] and pairs[-1][1].item() == 2
    rows = pairs.__getitems__([2, 0])
    assert [(a.tolist(), b.item()) for a, b in rows] == [([4, 5], 2), ([0, 1], 0)]
    assert pairs.tensors == (x, y)


def test_tensor_dataset_refuses_other_sizes():
    with pytest.raises(ValueError, match="first sizes differ: 3, 2"):
        TensorDataset(bl.zeros(3), bl.zeros(2))
    with pytest.raises(ValueError, match="at least one"):
        TensorDataset()
    with pytest.raises(ValueError, match="first axis"):
        TensorDataset(bl.tensor(1.0))


def test_rows_of_a_tensor_that_requires_grad_reach_it():
    x = bl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (rows,) = TensorDataset(x).rows(np.array([0, 2]))
    rows.sum().backward()
    assert x.grad.tolist() == [1, 0, 1]


def test_rows_do_not_share_memory_with_the_dataset():
    x = bl.zeros(3)
    (rows,) = TensorDataset(x).rows(np.array([0, 1]))
    rows.fill_(7)
    assert x.tolist() == [0, 0, 0]


def test_missing_getitem_says_which_class():
    class Empty(Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Empty"):
        Empty()[0]
    with pytest.raises(NotImplementedError, match="__iter__"):
        iter(IterableDataset())


@given(st.lists(st.lists(st.integers(), max_size=4), min_size=1, max_size=5))
def test_concat_equals_the_lists_joined(parts):
    joined = [value for part in parts for value in part]
    both = ConcatDataset([Numbers(part) for part in parts])
    assert len(both) == len(joined)
    assert [both[i] for i in range(len(joined))] == joined
    assert [both[i - len(joined)] for i in range(len(joined))] == joined
    for outside in (len(joined), -len(joined) - 1):
        with pytest.raises(IndexError, match="out of range"):
            both[outside]


def test_adding_datasets():
    assert list(Numbers([1]) + Numbers([2])) == [1, 2]
    assert list(Stream([1]) + Stream([2, 3])) == [1, 2, 3]
    assert len(ChainDataset([Stream([1]), Stream([2, 3])])) == 3


def test_concat_and_chain_refuse_the_other_kind():
    with pytest.raises(ValueError, match="at least one"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="ChainDataset"):
        ConcatDataset([Stream([1])])
    with pytest.raises(TypeError, match="Numbers"):
        ChainDataset([Numbers([1])])


def test_stack_dataset():
    assert StackDataset(Numbers("ab"), Numbers([1, 2]))[1] == ("b", 2)
    assert StackDataset(x=Numbers("ab"), y=Numbers([1, 2]))[0] == {"x": "a", "y": 1}
    with pytest.raises(ValueError, match="lengths differ: 1, 2"):
        StackDataset(Numbers([1]), Numbers([1, 2]))
    with pytest.raises(ValueError, match="position or by keyword"):
        StackDataset()


def test_subset_of_a_subset():
    inner = Subset(Numbers(range(10, 20)), [1, 3, 5, 7])
    outer = Subset(inner, [3, 0])
    assert list(outer) == [17, 11] and outer.__getitems__([1, 0]) == [11, 17]
    assert len(outer) == 2 and outer[-1] == 11


@given(st.integers(0, 40), st.integers(1, 5), st.integers(0, 2**32))
def test_random_split_gives_every_sample_once(total, parts, seed):
    generator = bl.Generator().manual_seed(seed)
    cuts = sorted(np.random.default_rng(seed).integers(0, total + 1, parts - 1).tolist())
    lengths = np.diff([0, *cuts, total]).tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pieces = random_split(Numbers(range(total)), lengths, generator=generator)
    assert [len(piece) for piece in pieces] == lengths
    assert sorted(value for piece in pieces for value in piece) == list(range(total))


@given(st.integers(2, 50), st.integers(1, 6))
def test_fractions_share_what_rounding_leaves(total, parts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pieces = random_split(Numbers(range(total)), [1 / parts] * parts)
    sizes = [len(piece) for piece in pieces]
    assert sum(sizes) == total and max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes, reverse=True)


def test_random_split_repeats_with_a_generator():
    splits = [
        random_split(Numbers(range(9)), [0.5, 0.5], generator=bl.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert [list(p.indices) for p in splits[0]] == [list(p.indices) for p in splits[1]]


@pytest.mark.parametrize(
    ("lengths", "words"),
    [([3, 3], "adds up to 6"), ([0.5, 0.6], "adds up to 1.1"), ([-1, 11], "negative"),
     ([0.5], "adds up to 0.5"), ([float("nan"), 10], "negative")],
)  # fmt: skip
def test_random_split_refuses_lengths_that_do_not_fit(lengths, words):
    with pytest.raises(ValueError, match=words):
        random_split(Numbers(range(10)), lengths)


def test_random_split_warns_of_an_empty_part():
    with pytest.warns(UserWarning, match="part 1 is empty"):
        random_split(Numbers(range(3)), [3, 0])
    whole = random_split(Numbers(range(1)), [1])
    assert list(whole[0]) == [0]
