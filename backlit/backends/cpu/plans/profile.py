"""How long each task of an executable takes: the driver runs its table one entry at a time.

State is put back afterwards; what a call would bring is zeros. Read by `bl.compile`'s
`explain()` and by BACKLIT_DEBUG=1.
"""

from __future__ import annotations

import time

from backlit.backends.cpu.native import jit, threads

from . import driver
from .executable import Executable


def seconds(executable: Executable, repeats: int = 5) -> list[float]:
    """The least time of each task, in order, with as many workers as the executable uses."""
    state, before = executable.state(), executable.slots.copy()
    saved = [block.copy() for block in state]
    pretended = executable.pretend()
    try:
        return _measure(executable, repeats)
    finally:
        for block, values in zip(state, saved):
            block[...] = values
        executable.slots[:] = before
        executable.error = None
        pretended.clear()


def _measure(executable: Executable, repeats: int) -> list[float]:
    table = executable.table
    header = executable.header.copy()
    header[driver.FIELD["steps"]] = 1
    header[driver.FIELD["entries"]] = 0
    at = header.ctypes.data
    empty = min(_run(executable, at) for _ in range(3 * repeats))
    header[driver.FIELD["entries"]] = 1
    best = [float("inf")] * len(table)
    for _ in range(repeats):
        for number in range(len(table)):
            header[driver.FIELD["table"]] = table[number : number + 1].ctypes.data
            best[number] = min(best[number], _run(executable, at))
    return [max(0.0, t - empty) for t in best]


def _run(executable: Executable, header: int) -> float:
    began = time.perf_counter()
    if executable.workers == 1:
        jit.KERNEL_TYPE(executable.drive)(header, None, 1, 0)
    else:
        threads.together(executable.drive, header, executable.workers)
    return time.perf_counter() - began
