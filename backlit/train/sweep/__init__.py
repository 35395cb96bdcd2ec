"""Sweeps: hyper-parameters tried over seeds within a budget, with a report.

Owns what `backlit sweep` does. Read in this order: space.py (what may be tried), records.py (what
was tried, on disk), search.py (what is tried next, through Optuna), run.py (the loop), report.py.
"""

from backlit.train.sweep.records import (
    Plan as Plan,
    SeedRun as SeedRun,
    Sweep as Sweep,
    Trial as Trial,
)
from backlit.train.sweep.run import run_sweep as run_sweep
