"""Planted errors that the doctor detects but explains by another cause than the right one.

At most one in twenty; whoever makes the doctor better takes lines away. `benchmarks/doctor.py
--misses` prints what it says instead.
"""

MISNAMED: frozenset[str] = frozenset()
