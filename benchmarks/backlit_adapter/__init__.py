"""Backlit as a family of the peer benchmark: one module per workload, each with `build`.

    PEERBENCH_PATH=benchmarks python benchmarks/peers/run.py --workload mlp \
        --frameworks backlit_adapter-eager,torch-eager --repeats 3

Mode `eager`: operators one by one, as most people write it. `ref64`: the same in float64.
"""

from __future__ import annotations

import os


def prepare(mode: str, threads: int, dtype: str) -> None:
    """Set the environment before Backlit and NumPy are imported."""
    if mode not in ("eager", "ref64"):
        raise SystemExit(f"backlit_adapter has the modes eager and ref64, not {mode!r}")
    if dtype != "fp32":
        raise SystemExit("eager mode computes in float32; mixed precision comes with compilation")
    if threads:
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BACKLIT_THREADS"):
            os.environ[name] = str(threads)
