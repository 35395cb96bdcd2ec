"""The benchmark of the import runs; how long it takes is no test's business."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "import_time.py"


def test_the_benchmark_prints_both_sides_and_the_difference() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, "--repeats", "1", "--modules"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    numpy, backlit, more = (
        float(re.search(rf"{name} +(-?[\d.]+) ms", done.stdout)[1])
        for name in ("numpy", "backlit", "more")
    )
    assert numpy > 0 and backlit > 0 and abs(more - (backlit - numpy)) < 0.2
    assert re.search(r"ms  backlit\.tensor$", done.stdout, re.MULTILINE)
