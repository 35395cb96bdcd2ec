"""How fast is an eager training step beside PyTorch's, on the twelve workloads?

One interleaved run of `peers/run.py` (Backlit, PyTorch, Backlit, ...), every cell from the same
weights and minibatches. Prints steps per second, their ratio (above 1: Backlit is faster) and the
largest relative difference of the losses of 21 steps. The goal of eager mode is a ratio of 1/3.

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
            "--no-ref",
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
    print("| workload | Backlit steps/s | PyTorch steps/s | ratio | losses differ by |")
    print("|---|---|---|---|---|")
    for name in dict.fromkeys(r["workload"] for r in rows):
        mine = [r for r in rows if r["workload"] == name and "error" not in r]
        runs = [[r for r in mine if r["framework"] == cell] for cell in CELLS]
        if not all(runs):
            print(f"| {name} | failed | | | |")
            continue
        ours, theirs = (statistics.median(r["steps_per_s"] for r in found) for found in runs)
        pairs = zip(runs[0][0]["losses"], runs[1][0]["losses"])
        apart = max(abs(a - b) / max(abs(b), 1e-3) for a, b in pairs)
        print(f"| {name} | {ours:.4g} | {theirs:.4g} | {ours / theirs:.2f} | {apart:.0e} |")


if __name__ == "__main__":
    main()
