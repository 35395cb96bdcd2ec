"""How fast are compiled training steps beside PyTorch's and JAX's, on the twelve workloads?

One interleaved run of `peers/run.py`, every cell from the same weights and minibatches: Backlit
(one compiled step a call, and many), PyTorch (eager, tuned with 1 and 2 threads), torch.compile
(`compile`, and `full`: the step as one graph), JAX (jitted step, and scan). Prints and writes a
table: steps per second, the ratio to the fastest peer, how far the losses are apart, the share of
the machine's best matrix product, memory above the bare import, seconds of the first call.

    python benchmarks/compiled.py --workload mlp,lenet --repeats 3 --table table.md
    python benchmarks/compiled.py --frameworks backlit,jax     # families, or cells by name
    python benchmarks/compiled.py --frameworks backlit,fastest # the peers that may win
    python benchmarks/compiled.py --out rows.jsonl --resume    # go on; --only-table: print again
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = HERE / "peers"
sys.path.insert(0, str(PEERS))
from pb.spec import SPECS  # noqa: E402

OURS = "backlit_adapter"
FAMILIES = {
    "backlit": ["backlit_adapter-compile@1", "backlit_adapter-compile@2",
                "backlit_adapter-epoch@1", "backlit_adapter-epoch@2"],
    "torch": ["torch-eager", "torch-tuned@1", "torch-tuned@2"],
    "torchcompile": ["torch-compile@1", "torch-compile@2", "torch-full@1", "torch-full@2"],
    "jax": ["jax-jit", "jax-jit@1", "jax-scan", "jax-scan@1"],
}  # fmt: skip
# the peers that were fastest in peers/RESULTS.md: what a short run needs
FASTEST = {
    "seedmlp": ["jax-scan", "jax-scan@1"],
    "nielsen": ["jax-scan", "jax-scan@1"],
    "mlp": ["jax-scan", "torch-tuned@1"],
    "lenet": ["torch-tuned@2", "torch-tuned@1"],
    "resnet20": ["torch-tuned@2", "torch-compile@2"],
    "densenet": ["torch-tuned@2", "torch-tuned@1"],
    "lstm": ["torch-tuned@2", "jax-scan"],
    "gru": ["torch-tuned@2", "torch-full@2"],
    "vit": ["torch-tuned@2", "torch-full@2"],
    "unet": ["torch-tuned@2", "torch-full@2"],
    "scalar": ["jax-nofuse"],
    "hvp": ["jax-jit", "torch-tuned@2"],
}
WITHOUT = {  # cells that make no sense, or for which an adapter has no mode
    "scalar": {"torch-tuned@2", "torch-compile@2", "torch-full@2", "backlit_adapter-epoch@2",
               "backlit_adapter-compile@2", "jax-scan", "jax-scan@1"},
    "hvp": {"torch-full@1", "torch-full@2", "jax-scan", "jax-scan@1"},
}  # fmt: skip
EXTRA = {"scalar": ["jax-nofuse"], "hvp": ["torch-func@1"]}
BF16 = ("resnet20",)
LARGEST_RATIO = 5.0  # of one workload in the mean, so that tiny ones can't carry the rest


def main() -> None:
    o = arguments()
    out = Path(o.out)
    if not o.only_table:
        run(o, out)
    rows = [json.loads(line) for line in out.read_text().splitlines() if line]
    peak = best_product(out.with_suffix(".peak.json"), not o.only_table)
    text = report(rows, peak)
    print(text)
    if o.table:
        Path(o.table).write_text(text + "\n")


def arguments() -> argparse.Namespace:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=shape)
    parser.add_argument("--workload", default="all", help="comma-separated, or 'all'")
    parser.add_argument("--frameworks", default="backlit,torch,torchcompile,jax")
    parser.add_argument("--bf16", action="store_true", help=f"also {', '.join(BF16)} in bfloat16")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--windows", type=int, default=5)
    parser.add_argument("--window-s", type=float, default=0.7)
    parser.add_argument("--budget-s", type=float, default=15.0)
    parser.add_argument("--max-wait", type=float, default=60.0, help="longest wait for idle cores")
    parser.add_argument("--out", default=str(HERE / "compiled.jsonl"))
    parser.add_argument("--resume", action="store_true", help="count what --out holds already")
    parser.add_argument("--table", help="write the table here, as Markdown")
    parser.add_argument("--only-table", action="store_true", help="measure nothing")
    return parser.parse_args()


def cells(workload: str, frameworks: str, bf16: bool) -> list[str]:
    """The cells of a workload."""
    found = []
    for name in frameworks.split(","):
        found += FASTEST[workload] if name == "fastest" else FAMILIES.get(name, [name])
        if name in ("torch", "jax"):
            found += [c for c in EXTRA.get(workload, []) if c.startswith(name)]
    found = [c for c in found if c not in WITHOUT.get(workload, ())]
    if bf16 and workload in BF16:
        found += [f"{c}:bf16" for c in found if "jax-scan" not in c]
    return found


def run(o: argparse.Namespace, out: Path) -> None:
    """All cells in turns, each in a process of its own; one driver run per workload."""
    data = Path(os.environ.get("PEERBENCH_DATA") or HERE / "data")
    environment = dict(os.environ, PEERBENCH_PATH=str(HERE), PEERBENCH_DATA=str(data))
    if not data.exists():
        made = [sys.executable, "-m", "pb.data"]
        subprocess.run(made, cwd=PEERS, env=environment, check=True)
    if not o.resume:
        out.unlink(missing_ok=True)
    for workload in list(SPECS) if o.workload == "all" else o.workload.split(","):
        options = {
            "workload": workload,
            "frameworks": ",".join(cells(workload, o.frameworks, o.bf16)),
            "repeats": o.repeats,
            "windows": o.windows,
            "window-s": o.window_s,
            "budget-s": o.budget_s,
            "max-wait": o.max_wait,
            "out": out,
        }
        command = [sys.executable, str(PEERS / "run.py"), "--no-ref", "--resume"]
        command += [str(x) for k, v in options.items() for x in (f"--{k}", v)]
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def best_product(path: Path, measure: bool) -> dict[str, float]:
    """GFLOP/s of the best square product with 1 and with 2 threads, by dtype; kept in a file."""
    if path.exists() or not measure:
        return json.loads(path.read_text()) if path.exists() else {}
    found: dict[str, float] = {}
    for dtype, libraries in (("fp32", ("numpy", "torch")), ("bf16", ("torch",))):
        for threads in (1, 2):
            rates = [_product(lib, dtype, threads) for lib in libraries]
            found[f"{dtype}@{threads}"] = max(rates)
    path.write_text(json.dumps(found))
    return found


def _product(library: str, dtype: str, threads: int) -> float:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = dict(os.environ, **dict.fromkeys(names, str(threads)))
    command = [sys.executable, str(PEERS / "machine.py"), "gemm", library, dtype, str(threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        return 0.0
    rates = json.loads(done.stdout.splitlines()[-1])
    return max(best for _, best in rates.values())


# ----- the table -----


class Cell:
    """All repeats of one cell: medians over the undisturbed ones, or all where none was."""

    def __init__(self, name: str, rows: list[dict]):
        good = [r for r in rows if "error" not in r]
        clean = [r for r in good if r.get("clean_windows", 0) >= 3]
        used = clean or good
        self.name, self.ok, self.clean = name, bool(good), len(clean)
        self.error = "" if good else rows[0]["error"]
        if not good:
            return
        self.rate = statistics.median(r["steps_per_s"] for r in used)
        self.losses = used[0]["losses"]
        self.memory = max(r["rss_mb"] - r.get("import_rss_mb", 0.0) for r in good)
        self.cold = next((r["first_s"] for r in good if r["cold"]), math.nan)
        warm = [r["first_s"] for r in good if not r["cold"]]
        self.warm = statistics.median(warm) if warm else math.nan
        self.note = used[0].get("note", "")


def report(rows: list[dict], peak: dict[str, float]) -> str:
    """Two tables: speed, and what a start and the memory cost."""
    flops = json.loads((PEERS / "flops.json").read_text())
    keys = dict.fromkeys((r["workload"], r.get("dtype", "fp32")) for r in rows
                         if r["framework"] != "torch-ref64")  # fmt: skip
    speed = ["| workload | Backlit steps/s | mode | fastest peer | its steps/s | ratio |"
             " losses apart | of the best product | in Python |", "|" + "---|" * 9]  # fmt: skip
    start = ["| workload | first call, empty cache | full cache | MB above import | PyTorch's |"
             " share |", "|" + "---|" * 6]  # fmt: skip
    ratios: dict[str, list[float]] = {}
    for workload, dtype in keys:
        mine = [r for r in rows if r["workload"] == workload and r.get("dtype", "fp32") == dtype]
        found = [Cell(c, [r for r in mine if r["cell"] == c])
                 for c in dict.fromkeys(r["cell"] for r in mine)]  # fmt: skip
        ours = [c for c in found if c.ok and c.name.startswith(OURS)]
        peers = [c for c in found if c.ok and not c.name.startswith(OURS)]
        name = f"{SPECS[workload].tag} {workload}" + ("" if dtype == "fp32" else f", {dtype}")
        if not ours:
            errors = "; ".join(c.error for c in found if c.name.startswith(OURS))
            speed.append(f"| {name} | failed: {errors[:80]} |" + " |" * 7)
            continue
        best = max(ours, key=lambda c: c.rate)
        speed.append(_speed_line(name, best, peers, flops.get(workload), dtype, peak, ratios))
        start.append(_start_line(name, ours, peers))
    means = [f"Geometric mean of the ratios, none above {LARGEST_RATIO:g}: "
             f"**{statistics.geometric_mean(v):.2f}** ({len(v)} workloads, {dtype})"
             for dtype, v in ratios.items() if v]  # fmt: skip
    limit = ", ".join(f"{k} {v:.0f}" for k, v in peak.items())
    head = [f"Measured {time.strftime('%Y-%m-%d', time.gmtime())}; best matrix product in GFLOP/s"
            f" by dtype and threads: {limit or 'not measured'}."]  # fmt: skip
    disturbed = sum(1 for r in rows if r.get("clean_windows", 3) < 3 and "error" not in r)
    head += (
        [f"{disturbed} of {len(rows)} processes shared the cores with others."] if disturbed else []
    )
    return "\n\n".join("\n".join(part) for part in (head, speed, means, start) if part)


def _speed_line(name: str, best: Cell, peers: list[Cell], flops: float | None, dtype: str,
                peak: dict[str, float], ratios: dict[str, list[float]]) -> str:  # fmt: skip
    mode = best.name.removeprefix(OURS + "-").removesuffix(":bf16")
    most = peak.get(f"{dtype}@2")
    share = f"{100 * flops * best.rate / 1e9 / most:.0f} %" if flops and most else "-"
    note = best.note or "nothing"
    if not peers:
        return f"| {name} | {best.rate:.5g} | {mode} | - | - | - | - | {share} | {note} |"
    top = max(peers, key=lambda c: c.rate)
    ratio = best.rate / top.rate
    ratios.setdefault(dtype, []).append(min(ratio, LARGEST_RATIO))
    pairs = list(zip(best.losses, top.losses))
    apart = max(abs(a - b) / max(abs(b), 1e-3) for a, b in pairs)
    return (f"| {name} | {best.rate:.5g} | {mode} | {top.name.removesuffix(':bf16')} |"
            f" {top.rate:.5g} | **{ratio:.2f}** | {apart:.0e} | {share} | {note} |")  # fmt: skip


def _start_line(name: str, ours: list[Cell], peers: list[Cell]) -> str:
    first = min((c for c in ours if "compile" in c.name), key=lambda c: c.cold, default=ours[0])
    usual = [c for c in peers if c.name.startswith(("torch-eager", "torch-tuned"))]
    memory = min(c.memory for c in ours)
    theirs = min((c.memory for c in usual), default=math.nan)
    return (f"| {name} | {_number(first.cold)} s | {_number(first.warm)} s | {memory:.0f} |"
            f" {_number(theirs, 0)} | {_number(memory / theirs)} |")  # fmt: skip


def _number(value: float, digits: int = 2) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
