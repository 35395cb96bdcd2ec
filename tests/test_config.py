"""Flags: how many threads a process starts with."""

import os
import subprocess
import sys

import pytest

COUNT = "import backlit as bl; print(bl.get_num_threads())"


def threads(**environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("BACKLIT_THREADS", "OMP_NUM_THREADS")}
    shown = subprocess.run(
        [sys.executable, "-c", COUNT], env=kept | environment, capture_output=True, text=True
    )
    return int(shown.stdout)


def test_the_environment_decides():
    assert threads(BACKLIT_THREADS="3", OMP_NUM_THREADS="5") == 3
    assert threads(OMP_NUM_THREADS="5") == 5


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no pinning on this system")
def test_a_pinned_process_counts_its_own_cores():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert threads() == 1
    finally:
        os.sched_setaffinity(0, before)
    assert threads() == len(before)
