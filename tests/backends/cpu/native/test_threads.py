"""The team of threads: every chunk once, from any thread, after a fork too."""

import os
import subprocess
import sys
import threading
import time
from contextlib import nullcontext as nothing

import numpy as np
import pytest

from backlit.backends.cpu.native import codegen, features, jit, threads


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


@pytest.fixture(scope="module")
def meet() -> int:
    """A function whose workers add one to a cell and wait until as many as they are have."""
    text = f"""
define void @meet(ptr %words, ptr %unused, i64 %workers, i64 %worker) {codegen.ATTRIBUTES} {{
entry:
  %before = atomicrmw add ptr %words, i64 1 seq_cst
  %mine.at = getelementptr i64, ptr %words, i64 %worker
  %cell = getelementptr i64, ptr %mine.at, i64 8
  store i64 %workers, ptr %cell, align 8
  br label %wait
wait:
  %now = load atomic i64, ptr %words seq_cst, align 8
  %all = icmp sge i64 %now, %workers
  br i1 %all, label %done, label %wait
done:
  ret void
}}
"""
    return jit.compile_function(text, "meet", features.machine())


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_all_workers_enter_together(meet: int, workers: int) -> None:
    for pause in (0.0, 0.0, 0.002, 0.0):  # awake helpers and sleeping ones
        cells = np.zeros(16, np.int64)
        threads.together(meet, cells.ctypes.data, workers)
        assert cells[0] == workers
        np.testing.assert_array_equal(cells[8:], [workers] * workers + [0] * (8 - workers))
        time.sleep(pause)


def test_a_busy_team_leaves_the_caller_alone(meet: int) -> None:
    with threads._team_lock:
        cells = np.zeros(16, np.int64)
        threads.together(meet, cells.ctypes.data, 2)
    assert cells[0] == 1


def test_an_interrupt_waits_for_the_helpers(
    meet: int, count_chunks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the helpers are told, after, and in the middle of a second attempt."""
    team = threads._current_team()
    cells = np.zeros(16, np.int64)
    threads.together(meet, cells.ctypes.data, 2)
    finish = team._finish
    for when in ("before", "after"):
        time.sleep(0.01)  # so that they sleep
        interrupts = [KeyboardInterrupt(), KeyboardInterrupt()]

        def interrupted(helpers: int, when: str = when, waiting: list = interrupts) -> None:
            if waiting and when == "before":
                raise waiting.pop()
            finish(helpers)
            if waiting:
                raise waiting.pop()

        monkeypatch.setattr(team, "_finish", interrupted)
        cells = np.zeros(16, np.int64)
        with pytest.raises(KeyboardInterrupt):
            threads.together(meet, cells.ctypes.data, 2)
        assert cells[0] == 2
        with pytest.raises(KeyboardInterrupt) if interrupts else nothing():
            assert np.all(run(count_chunks, 50) == 1)
    monkeypatch.setattr(team, "_finish", finish)
    np.testing.assert_array_equal(run(count_chunks, 50), np.ones(50))


def test_the_process_ends_while_helpers_are_awake() -> None:
    script = """
import numpy as np
import backlit as bl
bl.set_num_threads(2)
x = bl.randn(64, 16, 16, 16)
for _ in range(3):
    bl.nn.functional.batch_norm(x, None, None, training=True)
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", script], timeout=60, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")


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
from backlit.backends.cpu.native import threads
from backlit.backends.cpu.norm import eager as norm
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
