"""How fast is an eager training step beside PyTorch's, on the twelve workloads?

One interleaved run of `peers/run.py` (Backlit, PyTorch, Backlit, ...), every cell from the same
weights and minibatches. Prints steps per second, their ratio (above 1: Backlit is faster) and how
far the losses of 21 steps stray from float64. The goal of eager mode is a ratio of 1/3 or more.

    pip install torch==2.13.0 && python benchmarks/eager.py [--workload mlp,lenet] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CELLS = ("backlit_adapter-eager", "torch-eager")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", default="all")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", help="keep the raw results (jsonl) here")
    o = parser.parse_args()
    data = HERE / "data"
    environment = dict(os.environ, PEERBENCH_PATH=str(HERE), PEERBENCH_DATA=str(data))
    if not data.exists():
        subprocess.run([sys.executable, "-m", "pb.data"], cwd=HERE / "peers", env=environment,
                       check=True)  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        out = o.out or os.path.join(folder, "results.jsonl")
        command = [
            sys.executable,
            str(HERE / "peers" / "run.py"),
            "--workload",
            o.workload,
            "--frameworks",
            ",".join(CELLS),
            "--repeats",
            str(o.repeats),
            "--windows",
            "3",
            "--window-s",
            "0.5",
            "--budget-s",
            "8",
            "--max-wait",
            "10",
            "--out",
            out,
        ]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        table([json.loads(line) for line in Path(out).read_text().splitlines() if line])


def table(rows: list[dict]) -> None:
    """The ratios, as Markdown."""
    print("| workload | Backlit steps/s | PyTorch steps/s | ratio | strays: Backlit, PyTorch |")
    print("|---|---|---|---|---|")
    for name in dict.fromkeys(r["workload"] for r in rows):
        mine = [r for r in rows if r["workload"] == name and "error" not in r]
        exact = next((r["losses"] for r in mine if r["framework"] == "torch-ref64"), None)
        speeds, strays = [], []
        for cell in CELLS:
            runs = [r for r in mine if r["framework"] == cell]
            speeds.append(statistics.median(r["steps_per_s"] for r in runs) if runs else 0.0)
            strays.append(_stray(runs, exact))
        ratio = speeds[0] / speeds[1] if speeds[1] else float("nan")
        print(f"| {name} | {speeds[0]:.4g} | {speeds[1]:.4g} | {ratio:.2f} |"
              f" {strays[0]:.0e}, {strays[1]:.0e} |")  # fmt: skip


def _stray(runs: list[dict], exact: list[float] | None) -> float:
    """The largest relative deviation of the losses from the float64 run."""
    if not runs or exact is None:
        return float("nan")
    losses = runs[0]["losses"]
    return max(abs(a - b) / max(abs(b), 1e-3) for a, b in zip(losses, exact))


if __name__ == "__main__":
    main()
