"""The debug ladder: what BACKLIT_DEBUG prints to standard error, each rung with those below.

1: kernels and their times, 2: the captured Program, 3: the Program after each pass, 4: the LLVM
IR of each kernel, 5: its assembly. Other modules say when; this one says what and how.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from backlit.config import flags
from backlit.program.ir import Program

KERNELS, PROGRAM, PASSES, IR, ASSEMBLY = range(1, 6)


def on(rung: int) -> bool:
    """Whether this rung is printed."""
    return flags.debug >= rung


def say(rung: int, title: str, text: Any) -> None:
    """Print a titled text if the rung is on."""
    if on(rung):
        print(f"--- {title} ---\n{text}\n", file=sys.stderr, flush=True)


def watch_passes() -> Callable[[str, Program], None] | None:
    """What `pipeline.optimize` is given to show every pass; None where nobody looks."""
    if not on(PASSES):
        return None
    return lambda name, program: say(PASSES, f"after {name}", program)


def watch_kernels() -> None:
    """Let the compiler of kernels show what it compiles, or no longer."""
    from backlit.backends.cpu.native import jit

    jit.set_watch(_show_kernel if on(IR) else None)


def _show_kernel(name: str, text: str, machine: Any) -> None:
    from backlit.backends.cpu.native import jit

    say(IR, f"LLVM IR of {name}", text)
    if on(ASSEMBLY):
        say(ASSEMBLY, f"assembly of {name}", jit.assembly(text, machine))
