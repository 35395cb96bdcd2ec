"""DataLoader with worker processes: same batches, errors, deaths, Ctrl-C, exact positions.

Datasets are at module level: a worker imports this file, so it imports little.
"""

import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import backlit as bl
from backlit.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    get_worker_info,
    transforms,
)
from backlit.data.workers import WorkerPool
from backlit.errors import WorkerError


class Numbers(Dataset):
    def __init__(self, count):
        self.count = count

    def __getitem__(self, index):
        return index

    def __len__(self):
        return self.count


class Noisy(Numbers):
    """Draws from every generator that users draw from."""

    def __getitem__(self, index):
        draws = bl.rand(1).item(), random.random(), float(np.random.rand())
        return np.array([index, *draws])


class Mixed(Numbers):
    def __getitem__(self, index):
        return {"t": bl.full((3,), index), "name": f"n{index}", "empty": bl.zeros(0, 2),
                "pid": os.getpid(), "half": bl.ones(2).to(bl.bfloat16)}  # fmt: skip


class Broken(Numbers):
    def __getitem__(self, index):
        if index == 5:
            raise KeyError("no such row")
        return index


class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


class OddlyBroken(Numbers):
    def __getitem__(self, index):
        raise Odd(1, 2)


class Deadly(Numbers):
    def __getitem__(self, index):
        if index == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


class Quitting(Numbers):
    def __getitem__(self, index):
        os._exit(3)


class Slow(Numbers):
    def __getitem__(self, index):
        time.sleep(60)


class Stream(IterableDataset):
    """Worker w of n gives w, w + n, ..., each beside a random draw."""

    def __init__(self, count):
        self.count = count

    def __iter__(self):
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        for i in range(first, self.count, step):
            yield np.array([i, bl.rand(1).item()])


class Refilled(IterableDataset):
    """Yields the same array again and again, each time with other values."""

    def __iter__(self):
        buffer = np.empty(1_000_000)
        for i in range(6):
            buffer[:] = i
            yield buffer


class Unloadable:
    """A dataset that cannot be unpacked in another process."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return index

    def __reduce__(self):
        return _explode, ()


def _explode():
    raise OSError("the disk is not mounted here")


def unchanged(sample):
    return sample


def as_arrays(samples):
    return np.array(samples), os.getpid()


def announce(worker_id):
    global announced
    announced = worker_id


class Announced(Numbers):
    def __getitem__(self, index):
        info = get_worker_info()
        return announced, info.id, info.num_workers, len(info.dataset)


def lists(loader):
    return [batch.tolist() for batch in loader]


def workers_gone(pids):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not any(os.path.exists(f"/proc/{pid}") for pid in pids):
            return True
        time.sleep(0.05)
    return False


def test_same_batches_for_any_number_of_workers():
    def run(workers, **more):
        generator = bl.Generator().manual_seed(1)
        loader = DataLoader(
            Noisy(11), 2, shuffle=True, generator=generator, num_workers=workers, **more
        )
        return [lists(loader), lists(loader)]

    one, two = run(1), run(2, persistent_workers=True, prefetch_factor=3)
    assert one == two
    assert one[0] != one[1]
    draws = [row[1:] for batch in one[0] + one[1] for row in batch]
    assert len({tuple(draw) for draw in draws}) == 22
    plain = DataLoader(Numbers(11), 2, True, generator=bl.Generator().manual_seed(1))
    indices = [[int(row[0]) for row in batch] for batch in one[0]]
    assert indices == lists(plain) and [
        [int(row[0]) for row in batch] for batch in one[1]
    ] == lists(plain)


def test_all_kinds_of_values_travel():
    (batch,) = DataLoader(Mixed(4), 4, num_workers=1)
    assert batch["t"].tolist() == [[i] * 3 for i in range(4)]
    assert batch["name"] == ["n0", "n1", "n2", "n3"]
    assert tuple(batch["empty"].shape) == (4, 0, 2)
    assert batch["half"].dtype == bl.bfloat16 and batch["half"].tolist() == [[1, 1]] * 4
    assert os.getpid() not in batch["pid"].tolist()
    batch["t"].add_(1)
    assert batch["t"][0].tolist() == [1, 1, 1]


def test_large_arrays_and_own_collate():
    dataset = TensorDataset(bl.arange(600_000).reshape(3, 200_000))
    loader = DataLoader(dataset, 1, num_workers=1, prefetch_factor=3)
    for i, (rows,) in enumerate(loader):
        assert rows.sum().item() == sum(range(i * 200_000, (i + 1) * 200_000))
    batches = list(DataLoader(Numbers(4), 2, num_workers=1, collate_fn=as_arrays))
    assert [array.tolist() for array, _ in batches] == [[0, 1], [2, 3]]
    assert batches[0][1] != os.getpid()
    batches[0][0][0] = 9


def test_an_array_that_is_filled_again_arrives_as_it_was():
    loader = DataLoader(Refilled(), None, num_workers=1, collate_fn=unchanged, prefetch_factor=6)
    for i, array in enumerate(loader):
        assert array.min() == array.max() == i
        time.sleep(0.02)


def test_worker_info_and_init():
    loader = DataLoader(Announced(4), 1, num_workers=2, worker_init_fn=announce)
    assert [[int(v) for v in batch] for batch in loader] == [
        [0, 0, 2, 4], [1, 1, 2, 4], [0, 0, 2, 4], [1, 1, 2, 4],
    ]  # fmt: skip
    assert get_worker_info() is None


@pytest.mark.parametrize("persistent", [False, True])
def test_resuming_mid_epoch_with_workers(persistent):
    def make():
        return DataLoader(Noisy(13), 2, shuffle=True, num_workers=2, persistent_workers=persistent)

    bl.manual_seed(3)
    whole = make()
    first, second = lists(whole), lists(whole)
    bl.manual_seed(3)
    cut = make()
    running = iter(cut)
    head = [next(running).tolist() for _ in range(3)]
    saved, global_state = json.loads(json.dumps(cut.state_dict())), bl.get_rng_state()
    assert saved["delivered"] == 3
    del running
    bl.manual_seed(99)
    again = make()
    again.load_state_dict(saved)
    bl.set_rng_state(global_state)
    assert head + lists(again) == first
    assert lists(again) == second


class Cropped(Numbers):
    """A dataset whose transform has a generator of its own."""

    def __init__(self, count):
        super().__init__(count)
        generator = bl.Generator().manual_seed(5)
        self.transform = transforms.RandomCrop(1, generator=generator)

    def __getitem__(self, index):
        return self.transform(np.arange(10_000).reshape(100, 100))


def test_a_transforms_own_generator_resumes_in_any_number_of_workers():
    bl.manual_seed(2)
    whole = lists(DataLoader(Cropped(8), 2, num_workers=1))
    bl.manual_seed(2)
    cut = DataLoader(Cropped(8), 2, num_workers=2)
    running = iter(cut)
    head = [next(running).tolist()]
    again = DataLoader(Cropped(8), 2, num_workers=2)
    again.load_state_dict(cut.state_dict())
    assert head + lists(again) == whole
    assert len({str(crop) for batch in whole for crop in batch}) == 8


def test_an_abandoned_epoch_leaves_nothing_behind():
    bl.manual_seed(4)
    loader = DataLoader(Noisy(20), 2, True, num_workers=2, persistent_workers=True)
    next(iter(loader))
    second = lists(loader)
    bl.manual_seed(4)
    fresh = DataLoader(Noisy(20), 2, True, num_workers=1)
    next(iter(fresh))
    assert second == lists(fresh)


def test_an_iterator_whose_workers_a_newer_one_took_says_so():
    loader = DataLoader(Noisy(20), 2, num_workers=2, persistent_workers=True)
    old = iter(loader)
    next(old)
    new = iter(loader)
    next(new)
    with pytest.raises(WorkerError, match=r"newer iterator.*\n  hint: use one iterator at a time"):
        next(old)
    assert len(list(new)) == 9


@pytest.mark.parametrize("workers", [1, 2])
def test_streams_in_workers_resume(workers):
    def make():
        return DataLoader(Stream(9), 2, num_workers=workers)

    bl.manual_seed(6)
    whole = lists(make())
    numbers = sorted(int(row[0]) for batch in whole for row in batch)
    assert numbers == list(range(9))
    bl.manual_seed(6)
    cut = make()
    running = iter(cut)
    head = [next(running).tolist() for _ in range(2)]
    again = make()
    again.load_state_dict(cut.state_dict())
    assert head + lists(again) == whole


def test_a_workers_error_keeps_its_kind_and_says_where():
    loader = DataLoader(Broken(8), 2, num_workers=2)
    with pytest.raises(KeyError, match="no such row") as caught:
        lists(loader)
    notes = "\n".join(caught.value.__notes__)
    assert "while reading sample 5 of Broken" in notes
    assert "DataLoader worker 0" in notes
    assert "Traceback" in notes and "test_workers.py" in notes and "in __getitem__" in notes
    assert loader.state_dict()["delivered"] == 2


def test_an_error_that_cannot_travel_arrives_in_words():
    with pytest.raises(RuntimeError, match="Odd: 1 and 2"):
        lists(DataLoader(OddlyBroken(2), num_workers=1))


def test_a_dataset_that_cannot_be_unpacked_says_why():
    with pytest.raises(OSError, match="not mounted") as caught:
        lists(DataLoader(Unloadable(), num_workers=1))
    assert "_explode" in "\n".join(caught.value.__notes__)


def test_a_dataset_that_cannot_be_sent_says_so():
    class Local(Numbers):
        pass

    with pytest.raises(TypeError, match="cannot be sent to another process") as caught:
        lists(DataLoader(Local(3), num_workers=1))
    assert "top of a module" in str(caught.value)


def test_a_killed_worker_is_a_clear_error():
    loader = DataLoader(Deadly(20), 2, num_workers=2, persistent_workers=True)
    with pytest.raises(WorkerError, match=r"worker 0 \(pid \d+\) was killed by signal 9") as caught:
        lists(loader)
    assert isinstance(caught.value, RuntimeError)
    assert loader.state_dict()["delivered"] in (0, 1, 2)
    loader.dataset = Numbers(4)
    loader.sampler = loader.batch_sampler = [[0, 1], [2, 3]]
    assert lists(loader) == [[0, 1], [2, 3]]


def test_a_worker_that_ends_itself():
    with pytest.raises(WorkerError, match=r"ended with exit code 3\n.*sys\.exit"):
        lists(DataLoader(Quitting(2), num_workers=1))


def test_a_batch_that_takes_too_long():
    loader = DataLoader(Slow(2), num_workers=1, timeout=0.2, worker_init_fn=announce)
    with pytest.raises(WorkerError, match=r"worker 0 gave no batch within 0\.2 seconds"):
        lists(loader)


def test_forkserver_works_too():
    loader = DataLoader(Numbers(5), 2, num_workers=1, multiprocessing_context="forkserver")
    assert lists(loader) == [[0, 1], [2, 3], [4]]


def test_ctrl_c_while_workers_start_waits_until_they_have(monkeypatch):
    pids, start = [], WorkerPool._start

    def interrupted(pool, context, parcel):
        os.kill(os.getpid(), signal.SIGINT)
        start(pool, context, parcel)
        pids.append(pool.processes[-1].pid)

    monkeypatch.setattr(WorkerPool, "_start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lists(DataLoader(Numbers(5), num_workers=2))
    assert len(pids) == 2 and workers_gone(pids)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


SCRIPT = """
    import json, os, sys, time
    import backlit as bl
    from backlit.data import DataLoader, Dataset

    class Pids(Dataset):
        def __len__(self):
            return 100_000
        def __getitem__(self, index):
            time.sleep(0.005)
            return os.getpid()

    if __name__ == "__main__":
        loader = DataLoader(Pids(), 2, num_workers=2)
        pids = set()
        try:
            for batch in loader:
                pids |= set(batch.tolist())
                if len(pids) == 2:
                    print("ready", *pids, flush=True)
        except KeyboardInterrupt:
            print("saved", loader.state_dict()["delivered"], flush=True)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT))
    process = subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def _pids(process):
    line = process.stdout.readline().split()
    assert line and line[0] == "ready", process.stderr.read()
    return [int(pid) for pid in line[1:]]


def test_ctrl_c_ends_the_workers_and_keeps_the_position(script):
    pids = _pids(script)
    os.killpg(script.pid, signal.SIGINT)
    out, err = script.communicate(timeout=30)
    assert int(out.split()[-1]) > 0 and "saved" in out
    assert err == "" and script.returncode == 0
    assert workers_gone(pids)


def test_workers_end_with_a_killed_main_process(script):
    pids = _pids(script)
    os.kill(script.pid, signal.SIGKILL)
    assert workers_gone(pids)


def test_a_script_without_the_main_guard_is_told(tmp_path):
    path = tmp_path / "unguarded.py"
    path.write_text(
        "from backlit.data import DataLoader\nlist(DataLoader(range(4), num_workers=1))\n"
    )
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "before it had started" in done.stderr and "__name__" in done.stderr
