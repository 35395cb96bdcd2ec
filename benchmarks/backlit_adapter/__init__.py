"""Backlit as a family of the peer benchmark: one module per workload, each with `build`.

    PEERBENCH_PATH=benchmarks python benchmarks/peers/run.py --workload mlp \
        --frameworks backlit_adapter-compile@1,backlit_adapter-epoch@1,torch-eager --repeats 3

Modes: `eager`, operators one by one; `compile`, one compiled step a call; `epoch`, many steps a
call; `ref64`, eager in float64. With `:bf16` the forward pass runs under `bl.autocast`.
"""

from __future__ import annotations

import os

MODES = ("eager", "compile", "epoch", "ref64")


def prepare(mode: str, threads: int, dtype: str) -> None:
    """Set the environment before Backlit and NumPy are imported."""
    if mode not in MODES:
        raise SystemExit(f"backlit_adapter has the modes {', '.join(MODES)}, not {mode!r}")
    if dtype == "bf16" and mode == "ref64":
        raise SystemExit("ref64 computes in float64")
    if threads:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BACKLIT_THREADS"):
            os.environ[name] = str(threads)
