"""The passes between capture and lowering, in order: each a function from Program to Program.

The whole of optimization that is not the backend's business is this list. Every pass is verified
after in tests, and the reference interpreter runs the Program before and after each.
"""

from __future__ import annotations

from collections.abc import Callable

from backlit.program.ir import Program

from .passes.bodies import bodies
from .passes.decompose import decompose
from .passes.fuse import fuse
from .passes.fuse_conv import fuse_conv
from .passes.precision import precision
from .passes.simplify import simplify

Pass = Callable[[Program], Program]
PIPELINE: tuple[Pass, ...] = (bodies, decompose, precision, simplify, fuse_conv, fuse)


def optimize(program: Program, watch: Callable[[str, Program], None] | None = None) -> Program:
    """Run every pass; `watch` sees each result with the pass's name."""
    for step in PIPELINE:
        program = step(program)
        if watch is not None:
            watch(step.__name__, program)
    return program
