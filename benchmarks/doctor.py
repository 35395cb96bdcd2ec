"""How good is the doctor? Planted errors detected, causes named, false alarms.

    python benchmarks/doctor.py                    # the table by kind of operator and by cause
    python benchmarks/doctor.py norms convs        # some modules of tests/check/planted
    python benchmarks/doctor.py --misses           # every miss, with the planted change
    python benchmarks/doctor.py --healthy 5        # right gradients with 5 seeds each

"named": the first cause is right, or gives the same numbers on every input. "as meant": the first
cause is the very one that was planted. The goals: all detected, 95 % named, false alarms 0.5 %.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "check"))
import planted
from planted.healthy import alarm, healthy
from planted.score import Score, Verdict, score


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help="of tests/check/planted; all without")
    parser.add_argument("--misses", action="store_true", help="print every miss")
    parser.add_argument("--healthy", type=int, default=1, help="seeds of right gradients")
    parser.add_argument("--torch", action="store_true", help="with PyTorch's functions")
    options = parser.parse_args()
    warnings.simplefilter("error")  # as in the tests
    chosen = options.modules or [*planted.PAIRS, *planted.OURS]
    modules = [*chosen, *(["torch_functions"] if options.torch else [])]
    everything = Score()
    print(f"{'':24}{'planted':>8}{'detected':>10}{'named':>8}{'as meant':>10}")
    for module in modules:
        found = Score([v for c in planted.cases(module) for v in score(c).verdicts])
        line(module, found)
        if options.misses:
            print_misses(found)
        everything.verdicts += found.verdicts
    print()
    by_cause: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in everything.verdicts:
        by_cause[verdict.planted.cause].append(verdict)
    for cause in sorted(by_cause):
        line(cause, Score(by_cause[cause]))
    line("all", everything)
    false_alarms(modules, options.healthy)


def line(name: str, found: Score) -> None:
    shares = [found.share(w) for w in ("detected", "named", "named_as_meant")]
    numbers = f"{shares[0]:>10.1%}{shares[1]:>8.1%}{shares[2]:>10.1%}"
    print(f"{name:24}{len(found.verdicts):>8}{numbers}", flush=True)


def print_misses(found: Score) -> None:
    missed = found.misses("detected")
    for verdict in missed:
        print(f"  not detected: {verdict}")
    for verdict in found.misses("named"):
        if verdict not in missed:
            print(f"  misnamed {verdict.id!r}: {verdict}")


def false_alarms(modules: list[str], seeds: int) -> None:
    instances = [h for m in modules for h in healthy(m, seeds)]
    alarms = [a for a in map(alarm, instances) if a]
    print(f"\n{len(instances)} right gradients, {len(alarms)} false alarms")
    for a in alarms:
        print(f"  {a}")


if __name__ == "__main__":
    main()
