"""Samplers: which indices come, how often, and that generators repeat them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def seeded(seed):
    return bl.Generator().manual_seed(seed)


@given(st.integers(1, 60), st.integers(0, 2**31))
def test_random_sampler_gives_every_index_once(count, seed):
    sampler = RandomSampler(range(count), generator=seeded(seed))
    assert sorted(sampler) == list(range(count)) and len(sampler) == count
    assert list(RandomSampler(range(count), generator=seeded(seed))) == list(
        RandomSampler(range(count), generator=seeded(seed))
    )


@given(st.integers(1, 12), st.integers(1, 40))
def test_num_samples_beyond_the_length_repeats_permutations(count, wanted):
    drawn = list(RandomSampler(range(count), num_samples=wanted))
    assert len(drawn) == wanted
    for start in range(0, wanted - count + 1, count):
        assert sorted(drawn[start : start + count]) == list(range(count))
    assert len(set(drawn[wanted - wanted % count :])) == wanted % count


def test_replacement_draws_independently():
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=300, generator=seeded(0)))
    assert set(drawn) == {0, 1, 2}
    assert any(drawn[i] == drawn[i + 1] for i in range(299))


@pytest.mark.parametrize("replacement", [True, False])
def test_an_endless_order_is_never_whole(replacement):
    def start():
        return RandomSampler(range(7), replacement, 10**10, generator=seeded(4))

    begun = list(itertools.islice(start(), 70))
    assert begun == list(itertools.islice(start(), 70)) and set(begun) == set(range(7))
    assert replacement or sorted(begun[7:14]) == list(range(7))
    loader = bl.data.DataLoader(bl.arange(7), batch_size=10, sampler=start())
    assert len(loader) == 10**9
    assert bl.cat(list(itertools.islice(loader, 7))).tolist() == begun
    sampler = start()
    first = iter(sampler)  # draws nothing more from the generator afterwards
    assert next(iter(sampler)) is not None and [next(first) for _ in range(70)] == begun


def test_epochs_differ_and_follow_the_global_seed():
    sampler = RandomSampler(range(50))
    bl.manual_seed(5)
    first, second = list(sampler), list(sampler)
    assert first != second
    bl.manual_seed(5)
    assert [list(sampler), list(sampler)] == [first, second]


def test_subset_random_sampler_gives_its_indices():
    sampler = SubsetRandomSampler([4, 8, 15], generator=seeded(1))
    assert sorted(sampler) == [4, 8, 15] and len(sampler) == 3
    assert list(SubsetRandomSampler([])) == []


def test_weighted_sampler_follows_the_weights():
    drawn = list(WeightedRandomSampler([0.0, 3.0, 1.0], 4000, generator=seeded(2)))
    assert drawn.count(0) == 0
    assert 0.70 < drawn.count(1) / 4000 < 0.80
    once = WeightedRandomSampler([1.0, 0.0, 2.0], 2, replacement=False, generator=seeded(3))
    assert sorted(once) == [0, 2]


@given(st.integers(0, 30), st.integers(1, 8), st.booleans())
def test_batch_sampler_groups_any_sampler(count, size, drop):
    for sampler in (range(count), SequentialSampler(range(count)), iter(range(count))):
        batches = BatchSampler(sampler, size, drop)
        if not hasattr(sampler, "__next__"):
            assert len(batches) == (count // size if drop else -(-count // size))
        grouped = list(batches)
        assert all(len(batch) == size for batch in grouped[:-1])
        joined = [index for batch in grouped for index in batch]
        assert joined == list(range(count - count % size if drop else count))


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: RandomSampler([]), ValueError, "must be positive, got 0"),
        (lambda: RandomSampler([1], num_samples=0), ValueError, "num_samples"),
        (lambda: RandomSampler([1], num_samples=1.5), ValueError, "whole number"),
        (lambda: RandomSampler([1], replacement="yes"), TypeError, "replacement"),
        (lambda: BatchSampler([1], 0, False), ValueError, "batch_size"),
        (lambda: BatchSampler([1], True, False), ValueError, "batch_size"),
        (lambda: BatchSampler([1], 2, 1), TypeError, "drop_last"),
        (lambda: WeightedRandomSampler([1.0, -1.0], 2), ValueError, "not negative"),
        (lambda: WeightedRandomSampler([0.0], 2), ValueError, "all zero"),
        (lambda: WeightedRandomSampler([float("nan")], 2), ValueError, "finite"),
        (lambda: WeightedRandomSampler([[1.0]], 2), ValueError, "shape"),
        (lambda: WeightedRandomSampler([1.0, 0.0], 2, False), ValueError, "1 positive"),
        (lambda: WeightedRandomSampler([1.0], 0), ValueError, "num_samples"),
        (lambda: iter(Sampler()), NotImplementedError, "__iter__"),
    ],
)
def test_refusals(make, kind, words):
    with pytest.raises(kind, match=words):
        make()
