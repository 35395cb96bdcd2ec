"""What the generator knows of the machine: vector width, register count, CPU features.

Owns the one setting that the kernels are generated for. Knows no kernel; `codegen.py` turns it
into code, `jit.py` into an address.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

FLOAT_BYTES = 4
ELEMENT_BYTES = {"float": 4, "double": 8, "i32": 4, "i64": 8}


@dataclass(frozen=True)
class Machine:
    """The CPU as the generator sees it; equal machines run the same object code."""

    triple: str
    cpu: str
    features: str
    vector_bytes: int
    registers: int

    def width(self, element: str) -> int:
        """Return how many elements (float, double, i32, i64) one vector holds."""
        return max(1, self.vector_bytes // ELEMENT_BYTES[element])


_cap: int | None = None


def set_vector_width(cap: int | None) -> None:
    """Cap vectors at `cap` float32 lanes (16, 8, 4 or 1); None takes the widest there is."""
    global _cap
    if cap not in (None, 1, 4, 8, 16):
        raise ValueError(
            f"set_vector_width: no vectors of {cap} floats\nhint: use 16, 8, 4, 1 or None"
        )
    _cap = cap


def machine() -> Machine:
    """Return the machine that kernels are generated for now, the cap applied."""
    found = _host()
    if _cap is None or _cap * FLOAT_BYTES >= found.vector_bytes:
        return found
    return replace(found, vector_bytes=_cap * FLOAT_BYTES)


@functools.cache
def _host() -> Machine:
    import llvmlite.binding as llvm

    triple = llvm.get_process_triple()
    # Virtual machines misreport the CPU's name: the flags decide, the name only schedules.
    features = llvm.get_host_cpu_features()
    vector_bytes, registers = _vectors(triple.split("-")[0], features)
    return Machine(triple, llvm.get_host_cpu_name(), features.flatten(), vector_bytes, registers)


def _vectors(architecture: str, features: dict[str, bool]) -> tuple[int, int]:
    if architecture in ("aarch64", "arm64"):
        return 16, 32
    if features.get("avx512f") and features.get("avx512vl"):
        return 64, 32
    if features.get("avx2") and features.get("fma"):
        return 32, 16
    if architecture in ("x86_64", "amd64"):
        return 16, 16
    return FLOAT_BYTES, 16
