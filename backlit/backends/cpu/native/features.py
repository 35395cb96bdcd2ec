"""What the generator knows of the machine: vector width, register count, CPU features.

Owns the settings that the kernels are generated for. Knows no kernel; `codegen.py` turns it
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
_isa: str | None = None
# What each level leaves out of an x86 CPU's features; vectors of so many bytes.
ISAS = {
    "avx2": (("avx512", "avx10", "amx", "avxvnni"), 32),
    "sse": (("avx", "amx", "fma", "f16c", "xop", "vaes", "vpclmulqdq"), 16),
    "scalar": (("avx", "amx", "fma", "f16c", "xop", "vaes", "vpclmulqdq"), 4),
}


def set_vector_width(cap: int | None) -> None:
    """Cap vectors at `cap` float32 lanes (16, 8, 4 or 1); None takes the widest there is."""
    global _cap
    if cap not in (None, 1, 4, 8, 16):
        raise ValueError(
            f"set_vector_width: no vectors of {cap} floats\nhint: use 16, 8, 4, 1 or None"
        )
    _cap = cap


def set_isa(level: str | None) -> None:
    """Generate as if the CPU had no more than `level` (avx2, sse, scalar); None: all it has."""
    global _isa
    if level is not None and level not in ISAS:
        raise ValueError(f"set_isa: unknown level {level!r}\nhint: use {', '.join(ISAS)} or None")
    _isa = level


def machine() -> Machine:
    """Return the machine that kernels are generated for now, the caps applied."""
    found = _host() if _isa is None else _capped(_isa)
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


@functools.cache
def _capped(level: str) -> Machine:
    found = _host()
    without, largest = ISAS[level]
    left = [
        "-" + flag[1:] if flag[1:].startswith(without) else flag
        for flag in found.features.split(",")
    ]
    registers = 32 if found.triple.startswith(("aarch64", "arm64")) else 16
    vector_bytes = min(largest, found.vector_bytes)
    return replace(found, features=",".join(left), vector_bytes=vector_bytes, registers=registers)


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
