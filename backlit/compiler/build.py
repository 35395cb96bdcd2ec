"""From a captured Program to what runs: the passes, the backend, and what the flags ask to see.

With `flags.check` the executable is watched by checking.py; with `flags.debug` each stage is
printed (debug.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backlit.backends.eager import configure
from backlit.compiler import debug
from backlit.compiler.bounds import bounds_of
from backlit.compiler.pipeline import optimize
from backlit.config import flags
from backlit.program.ir import Program


def build(
    program: Program, blocks: Mapping[int, np.ndarray], writes: Mapping[int, np.ndarray]
) -> Any:
    """The executable of a Program; state lies in `blocks` and is refilled through `writes`."""
    from backlit.backends.cpu.plans import executable

    configure()
    debug.watch_kernels()
    debug.say(debug.PROGRAM, f"captured {program.name}", program)
    made = executable.build(optimize(program, debug.watch_passes()), blocks, writes)
    made.bounds = bounds_of(program, blocks)
    if flags.check:
        from backlit.compiler.checking import Checked

        return Checked(program, blocks, writes, made)
    return made


def passes_of(program: Program) -> list[tuple[str, Program]]:
    """(name, Program) after each pass."""
    found: list[tuple[str, Program]] = []
    optimize(program, lambda name, made: found.append((name, made)))
    return found
