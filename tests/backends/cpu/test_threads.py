"""The team of threads: every chunk once, from any thread, after a fork too."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from backlit.backends.cpu import codegen, features, jit, threads


@pytest.fixture(scope="module")
def count_chunks() -> int:
    """A kernel that adds one to its own chunk's cell."""
    f = codegen.Kernel("count_chunks", ["cells"])

    def body(chunk: codegen.Value) -> None:
        cell = f.at(f.field("cells", "ptr"), chunk, "i64")
        f.store(f.load(cell, "i64") + 1, cell)

    f.each_chunk(body)
    return jit.compile_function(codegen.module([f]), f.name, features.machine())


def run(address: int, n: int, small: bool = False) -> np.ndarray:
    cells = np.zeros(n, np.int64)
    words = np.array([cells.ctypes.data], np.int64)
    threads.parallel_for(n, address, words, small=small)
    return cells


@pytest.mark.parametrize("n_threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 1000])
def test_every_chunk_runs_once(count_chunks: int, n: int, n_threads: int) -> None:
    threads.set_num_threads(n_threads)
    for small in (False, True):
        np.testing.assert_array_equal(run(count_chunks, n, small), np.ones(n))


def test_several_callers_at_once(count_chunks: int) -> None:
    results: list[bool] = []

    def caller() -> None:
        results.append(all(np.all(run(count_chunks, 50) == 1) for _ in range(100)))

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert results == [True] * 4


def test_an_interrupt_waits_for_the_helpers(
    count_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads.set_num_threads(3)
    wait, slow, jobs = threads.Job.wait, threads.Job.help, []

    def late(self: threads.Job, helper: int) -> None:
        time.sleep(0.05)
        slow(self, helper)

    def interrupted(self: threads.Job, helper: int) -> None:
        jobs.append(self)
        if len(jobs) == 1:
            raise KeyboardInterrupt
        wait(self, helper)

    monkeypatch.setattr(threads.Job, "help", late)
    monkeypatch.setattr(threads.Job, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(count_chunks, 50)
    assert all(jobs[0].finished)
    monkeypatch.setattr(threads.Job, "wait", wait)
    np.testing.assert_array_equal(run(count_chunks, 50), np.ones(50))


def test_the_number_of_threads_is_checked() -> None:
    threads.set_num_threads(3)
    assert threads.get_num_threads() == 3
    with pytest.raises(ValueError, match="0 threads"):
        threads.set_num_threads(0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_its_own_team() -> None:
    script = """
import os
import numpy as np
from backlit.backends.cpu import norm, threads
threads.set_num_threads(2)
x = np.random.default_rng(0).standard_normal((64, 16, 16, 16))
expected = norm.batch_norm(x, None, None, eps=1e-5)[0]
assert threads._team is not None
child = os.fork()
if child == 0:
    assert threads._team is None
    same = np.array_equal(norm.batch_norm(x, None, None, eps=1e-5)[0], expected)
    os._exit(0 if same and threads._team is not None else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", script], timeout=60)
    assert done.returncode == 0
