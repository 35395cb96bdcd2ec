"""Every flag of Backlit, read once from the environment.

Nothing else in the package reads the environment. A flag is an attribute of `flags`, so a
program may also set it: `backlit.config.flags.kernels = False`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields


@dataclass
class Flags:
    """The flags; the environment name of `x` is `BACKLIT_X`."""

    compile: bool = True  # 0: `bl.compile` runs functions as they are written
    check: bool = False  # 1: compare every compiled step with the eager one and the reference
    kernels: bool = True  # generated CPU kernels in eager mode; 0: NumPy only
    traceback: bool = False  # 1: show Backlit's own frames in tracebacks
    cache: str = ""  # folder of compiled kernels; empty: the user's cache folder
    vector: int = 0  # widest vector, in float32 lanes; 0: what the CPU has
    debug: int = 0  # 1: kernel times, 2: Programs, 3: each pass, 4: LLVM IR, 5: assembly
    isa: str = ""  # most of the CPU to use: avx2, sse or scalar; empty: all it has
    threads: int = 0  # 0: OMP_NUM_THREADS, else the cores this process may use
    data: str = ""  # where data sets are looked for before they are fetched


def cores() -> int:
    """How many cores this process may use: those it is pinned to, where the system tells."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _parse(kind: str, name: str, text: str) -> bool | int | str:
    if kind == "str":
        return text
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"{name}={text!r}: expected a whole number") from None
    return bool(number) if kind == "bool" else number


def _read() -> Flags:
    found = Flags()
    for field in fields(Flags):
        name = "BACKLIT_" + field.name.upper()
        if name in os.environ:
            setattr(found, field.name, _parse(str(field.type), name, os.environ[name]))
    if not found.threads:
        omp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
        found.threads = int(omp) if omp.isdigit() and int(omp) > 0 else cores()
    return found


flags = _read()
