"""DataLoader without workers: batches, order, the fast path, positions, refusals."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    batches,
    default_collate,
    transforms,
)
from backlit.errors import CheckpointError


class Squares(Dataset):
    def __init__(self, count):
        self.count = count

    def __getitem__(self, index):
        if not 0 <= index < self.count:
            raise IndexError(index)
        return index * index

    def __len__(self):
        return self.count


class Stream(IterableDataset):
    def __init__(self, count):
        self.count = count

    def __iter__(self):
        return iter(range(self.count))


class Shuffled(Sampler):
    """A user's sampler: a generator function that draws when first asked."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        yield from bl.randperm(self.count).tolist()

    def __len__(self):
        return self.count


def values(loader):
    return [batch.tolist() for batch in loader]


def test_sequential_batches_and_length():
    loader = DataLoader(Squares(5), batch_size=2)
    assert values(loader) == [[0, 1], [4, 9], [16]] and len(loader) == 3
    loader = DataLoader(Squares(5), batch_size=2, drop_last=True)
    assert values(loader) == [[0, 1], [4, 9]] and len(loader) == 2
    assert values(DataLoader(Squares(0), batch_size=2)) == []


def test_batch_size_none_gives_samples():
    loader = DataLoader(TensorDataset(bl.arange(3)), batch_size=None)
    assert [sample[0].item() for sample in loader] == [0, 1, 2] and len(loader) == 3
    assert list(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]


@given(st.integers(1, 40), st.integers(1, 9), st.booleans(), st.integers(0, 2**31))
def test_shuffled_epochs_hold_every_sample_once(count, size, drop, seed):
    generator = bl.Generator().manual_seed(seed)
    loader = DataLoader(Squares(count), size, shuffle=True, drop_last=drop, generator=generator)
    for _ in range(2):
        drawn = [value for batch in loader for value in batch.tolist()]
        assert len(drawn) == (count - count % size if drop else count)
        assert len(set(drawn)) == len(drawn) <= count
        assert set(drawn) <= {i * i for i in range(count)}


def test_order_follows_generator_or_global_seed():
    runs = []
    for _ in range(2):
        bl.manual_seed(7)
        loader = DataLoader(Squares(20), 4, shuffle=True)
        runs.append([values(loader), values(loader)])
    assert runs[0] == runs[1] and runs[0][0] != runs[0][1]
    own = [
        values(DataLoader(Squares(20), 4, True, generator=bl.Generator().manual_seed(1)))
        for _ in range(2)
    ]
    assert own[0] == own[1]


def test_an_own_generator_leaves_the_global_one_alone():
    before = bl.get_rng_state()
    values(DataLoader(Squares(9), 2, shuffle=True, generator=bl.Generator().manual_seed(1)))
    assert bl.get_rng_state() == before


def test_fast_path_equals_the_slow_one():
    x, y = bl.arange(24).reshape(12, 2), bl.arange(12) * 10
    pairs = TensorDataset(x, y)
    part = Subset(Subset(pairs, list(range(11, -1, -1))), [3, 1, 4, 0, 5])
    for dataset in (pairs, part):
        assert batches.rows_reader(dataset) is not None
        fast = DataLoader(dataset, 4, True, generator=bl.Generator().manual_seed(2))
        slow = DataLoader(
            dataset,
            4,
            True,
            collate_fn=lambda samples: default_collate(samples),
            generator=bl.Generator().manual_seed(2),
        )
        for one, other in zip(fast, slow, strict=True):
            assert isinstance(one, list) and isinstance(other, list)
            assert [t.tolist() for t in one] == [t.tolist() for t in other]
            assert [t.dtype for t in one] == [t.dtype for t in other]


def test_fast_path_never_asks_for_single_samples(monkeypatch):
    pairs = TensorDataset(bl.arange(8))
    loader = DataLoader(Subset(pairs, [7, 0, 2]), batch_size=2)
    monkeypatch.setattr(bl.Tensor, "__getitem__", None)
    monkeypatch.setattr(Subset, "__getitem__", None)
    assert [batch[0].tolist() for batch in loader] == [[7, 0], [2]]


def test_a_subclass_with_its_own_samples_is_not_bypassed():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return tuple(2 * row for row in super().__getitem__(index))

        __getitems__ = None

    loader = DataLoader(Doubled(bl.arange(3)), batch_size=3)
    assert [batch[0].tolist() for batch in loader] == [[0, 2, 4]]


def test_getitems_is_used_where_a_dataset_has_it():
    class AtOnce(Squares):
        asked = []

        def __getitems__(self, indices):
            self.asked.append(indices)
            return [-i for i in indices]

    assert values(DataLoader(AtOnce(3), 2)) == [[0, -1], [-2]]
    assert AtOnce.asked == [[0, 1], [2]]
    assert all(type(i) is int for i in AtOnce.asked[0])


def test_samplers_and_batch_samplers():
    assert values(DataLoader(Squares(5), 2, sampler=[4, 0, 1])) == [[16, 0], [1]]
    assert values(DataLoader(Squares(5), batch_sampler=[[1], [2, 3]])) == [[1], [4, 9]]
    weighted = WeightedRandomSampler([0.0, 1.0, 0.0], 4)
    assert values(DataLoader(Squares(3), 3, sampler=weighted)) == [[1, 1, 1], [1]]
    loader = DataLoader(Squares(5), batch_sampler=BatchSampler([3, 2, 1], 2, True))
    assert values(loader) == [[9, 4]] and len(loader) == 1 and loader.batch_size is None


def test_streams():
    assert values(DataLoader(Stream(5), 2)) == [[0, 1], [2, 3], [4]]
    assert values(DataLoader(Stream(5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    with pytest.raises(TypeError):
        len(DataLoader(Stream(5), 2))


def test_an_error_names_the_sample_and_keeps_its_kind():
    class Broken(Squares):
        def __getitem__(self, index):
            if index == 3:
                raise KeyError("no such row")
            return index

    with pytest.raises(KeyError) as caught:
        values(DataLoader(Broken(5), 2))
    assert "while reading sample 3 of Broken" in caught.value.__notes__


def test_a_bad_batch_names_the_sizes():
    class Ragged(Squares):
        def __getitem__(self, index):
            return np.zeros(index)

    with pytest.raises(ValueError, match=r"\(0,\) at position 0, \(1,\) at position 1"):
        values(DataLoader(Ragged(3), 2))


# ------------------------------------------------------------------------------- positions


def make(kind, count, size, drop=False):
    generator = bl.Generator().manual_seed(11)
    dataset = Squares(count)
    if kind == "own":
        return DataLoader(dataset, size, shuffle=True, drop_last=drop, generator=generator)
    if kind == "global":
        return DataLoader(dataset, size, shuffle=True, drop_last=drop)
    if kind == "tensors":
        return DataLoader(TensorDataset(bl.arange(count)), size, True, collate_fn=None)
    if kind == "sampler":
        sampler = SubsetRandomSampler(range(count), generator=generator)
        return DataLoader(dataset, size, sampler=sampler)
    if kind == "batch_sampler":
        sampler = RandomSampler(dataset, replacement=True, generator=generator)
        return DataLoader(dataset, batch_sampler=BatchSampler(sampler, size, drop))
    if kind == "user":
        return DataLoader(dataset, size, sampler=Shuffled(count))
    if kind == "single":
        return DataLoader(dataset, None, shuffle=True)
    return DataLoader(Stream(count), size)


def plain(batch):
    return (
        [plain(part) for part in batch] if isinstance(batch, list) else np.asarray(batch).tolist()
    )


KINDS = ["own", "global", "tensors", "sampler", "batch_sampler", "user", "single", "stream"]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 23), st.integers(1, 6), st.integers(0, 30), st.integers(0, 2**31))
def test_resuming_at_every_position_equals_the_uninterrupted_run(kind, count, size, stop, seed):
    bl.manual_seed(seed)
    whole = make(kind, count, size)
    first, second = [plain(b) for b in whole], [plain(b) for b in whole]
    stop = min(stop, len(first))

    bl.manual_seed(seed)
    cut = make(kind, count, size)
    running = iter(cut)
    head = [plain(next(running)) for _ in range(stop)]
    saved = json.loads(json.dumps(cut.state_dict()))
    global_state = bl.get_rng_state()

    bl.manual_seed(seed + 1)
    again = make(kind, count, size)
    again.load_state_dict(saved)
    bl.set_rng_state(global_state)
    assert again.state_dict() == saved
    assert head + [plain(b) for b in again] == first
    assert bl.get_rng_state() == global_state
    assert [plain(b) for b in again] == second


class Cropped(Squares):
    """A dataset whose transform has a generator of its own."""

    def __init__(self, count, generator):
        super().__init__(count)
        crop = transforms.RandomCrop(2, generator=generator)
        self.transform = transforms.Compose([crop, transforms.RandomVerticalFlip()])

    def __getitem__(self, index):
        return self.transform(np.arange(100).reshape(10, 10) + 1000 * index)


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("stop", [0, 1, 3, 5, 6])
def test_a_transforms_own_generator_resumes_too(shared, stop):
    def make():
        order = bl.Generator().manual_seed(1)
        own = order if shared else bl.Generator().manual_seed(2)
        return DataLoader(Subset(Cropped(9, own), range(9)), 2, shuffle=True, generator=order)

    bl.manual_seed(0)
    whole = make()
    expected = [values(whole), values(whole)]
    bl.manual_seed(0)
    cut = make()
    running = iter(cut)
    head = [next(running).tolist() for _ in range(min(stop, 5))]
    if stop == 6:
        assert next(running, None) is None
    saved, global_state = json.loads(json.dumps(cut.state_dict())), bl.get_rng_state()
    again = make()
    again.load_state_dict(saved)
    bl.set_rng_state(global_state)
    if stop < 6:
        assert head + values(again) == expected[0]
    assert values(again) == expected[1]


def test_resuming_twice_within_one_epoch():
    loader = make("own", 20, 3)
    whole = values(make("own", 20, 3))
    state, seen = None, []
    for _ in range(3):
        loader = make("own", 20, 3)
        if state is not None:
            loader.load_state_dict(state)
        running = iter(loader)
        seen += [next(running).tolist(), next(running).tolist()]
        state = loader.state_dict()
    assert state["delivered"] == 6 and state["epoch"] == 0
    assert seen == whole[:6]


def test_positions_between_and_after_epochs():
    loader = make("own", 6, 4)
    assert loader.state_dict()["epoch"] == 0
    whole = [values(loader) for _ in range(3)]
    fresh = make("own", 6, 4)
    values(fresh)
    state = fresh.state_dict()
    assert (state["epoch"], state["delivered"], state["global"]) == (1, 0, None)
    resumed = make("own", 6, 4)
    resumed.load_state_dict(state)
    assert [values(resumed), values(resumed)] == whole[1:]
    assert resumed.state_dict()["epoch"] == 3


def test_an_abandoned_epoch_counts_and_can_be_saved():
    loader = make("own", 10, 2)
    for i, _ in enumerate(loader):
        if i == 2:
            break
    assert loader.state_dict()["delivered"] == 3
    next(iter(loader))
    assert (loader.state_dict()["epoch"], loader.state_dict()["delivered"]) == (1, 1)


def test_an_interrupt_keeps_the_position():
    class Interrupted(Squares):
        def __getitem__(self, index):
            if index == 5:
                raise KeyboardInterrupt
            return index

    loader = DataLoader(Interrupted(8), 2)
    with pytest.raises(KeyboardInterrupt):
        values(loader)
    state = loader.state_dict()
    assert (state["epoch"], state["delivered"]) == (0, 2)
    resumed = DataLoader(Squares(8), 2)
    resumed.load_state_dict(state)
    assert values(resumed) == [[16, 25], [36, 49]]


@pytest.mark.parametrize(
    ("change", "words"),
    [({"version": 9}, "version 9"), ({"delivered": -1}, "delivered"), ({"epoch": "1"}, "epoch"),
     ({"samples": 99}, "samples=99"), ({"batch_size": 9}, "batch_size=9"), ({"extra": 1}, "keys"),
     ({"generators": []}, "0 states of generators"), ({"generators": ["x"]}, "states"),
     ({"global": "x"}, "state")],
)  # fmt: skip
def test_a_state_that_does_not_fit_is_refused(change, words):
    loader = make("own", 10, 2)
    next(iter(loader))
    with pytest.raises(CheckpointError, match=words):
        make("own", 10, 2).load_state_dict({**loader.state_dict(), **change})


# -------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": -2}, ValueError, "batch_size"),
        ({"batch_size": 1.5}, ValueError, "batch_size"),
        ({"batch_size": None, "drop_last": True}, ValueError, "drop_last"),
        ({"shuffle": True, "sampler": [0]}, ValueError, "not both"),
        ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "batch_sampler"),
        ({"batch_sampler": [[0]], "shuffle": True}, ValueError, "batch_sampler"),
        ({"num_workers": -1}, ValueError, "num_workers"),
        ({"num_workers": 1.0}, TypeError, "num_workers"),
        ({"timeout": -1}, ValueError, "timeout"),
        ({"prefetch_factor": 2}, ValueError, "num_workers > 0"),
        ({"persistent_workers": True}, ValueError, "num_workers > 0"),
        ({"num_workers": 1, "prefetch_factor": 0}, ValueError, "prefetch_factor"),
        ({"num_workers": 1, "multiprocessing_context": "fork"}, ValueError, "fork"),
    ],
)
def test_refused_options(options, kind, words):
    with pytest.raises(kind, match=words):
        DataLoader(Squares(4), **options)


def test_refused_datasets():
    with pytest.raises(ValueError, match="must be positive, got 0"):
        DataLoader(Squares(0), shuffle=True)
    for options in ({"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}):
        with pytest.raises(ValueError, match="IterableDataset"):
            DataLoader(Stream(3), **options)
    with pytest.raises(IndexError):
        values(DataLoader(Squares(3), sampler=[5]))
