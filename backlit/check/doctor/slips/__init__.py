"""Slips of the pen in a backward, undone: each family lists edits of one kind, as trials.

A family is a function of the bench. What an edit changes is one call site (all calls made there),
a value that is read, or the gradient that is returned. repairs.py tries them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from backlit.check.doctor.repairs import Bench, Trial
from backlit.check.doctor.slips.axes import axes, sums
from backlit.check.doctor.slips.factors import factors, removals
from backlit.check.doctor.slips.indices import flips, indices
from backlit.check.doctor.slips.masks import masks, values
from backlit.check.doctor.slips.saved import saved_values
from backlit.check.doctor.slips.stores import accumulations, stores
from backlit.check.doctor.slips.turns import transposes

# In the order in which they are tried, with the earliest order that a family can find.
FAMILIES: tuple[tuple[float, Callable[[Bench], Iterator[Trial]]], ...] = (
    (1.2, accumulations),
    (1.27, factors),
    (1.35, stores),
    (1.4, transposes),
    (1.5, axes),
    (1.55, sums),
    (1.6, saved_values),
    (1.7, removals),
    (1.72, masks),
    (1.9, values),
    (2.1, indices),
    (2.1, flips),
)
