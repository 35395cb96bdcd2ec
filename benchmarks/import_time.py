"""How much longer is `import backlit` than `import numpy`? Goal: at most 60 ms.

    python benchmarks/import_time.py [--repeats 20] [--modules]

Both imports run in fresh processes, in turns, so that a busy machine slows both alike; medians
are compared. Bytecode is compiled beforehand, as an installation does. `--modules` lists where
the time of Backlit's own modules goes.
"""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import os
import statistics
import subprocess
import sys
from pathlib import Path

GOAL_MS = 60.0
CODE = """
import time
start = time.perf_counter()
import {module}
print((time.perf_counter() - start) * 1000)
"""


def import_ms(module: str) -> float:
    """Milliseconds of one import in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(module=module)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def package_folder() -> Path:
    spec = importlib.util.find_spec("backlit")
    if spec is None or spec.origin is None:
        raise SystemExit("backlit is not installed")
    return Path(spec.origin).parent


def list_modules(count: int = 25) -> None:
    """The modules of Backlit that take longest, without what they import."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import numpy; import backlit"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines()]
    own = [(int(r[0]), r[2].strip()) for r in rows if len(r) == 3 and "backlit" in r[2]]
    for microseconds, name in sorted(own, reverse=True)[:count]:
        print(f"{microseconds / 1000:8.2f} ms  {name}")
    print(f"{sum(m for m, _ in own) / 1000:8.2f} ms  all {len(own)} modules of Backlit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--modules", action="store_true", help="list the slowest modules")
    arguments = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    compileall.compile_dir(package_folder(), quiet=1)
    times: dict[str, list[float]] = {"numpy": [], "backlit": []}
    for repeat in range(arguments.repeats + 1):
        for module, found in times.items():
            milliseconds = import_ms(module)
            if repeat:  # the first one of each fills the disk cache
                found.append(milliseconds)
    medians = {module: statistics.median(found) for module, found in times.items()}
    for module, found in times.items():
        print(f"{module:>8} {medians[module]:7.1f} ms  (from {min(found):.1f} to {max(found):.1f})")
    print(
        f"    more {medians['backlit'] - medians['numpy']:7.1f} ms  (goal: {GOAL_MS:.0f} at most)"
    )
    if arguments.modules:
        list_modules()


if __name__ == "__main__":
    main()
