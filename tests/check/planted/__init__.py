"""Operators as people write them, each with the mistakes that people make in its gradient.

Every module has a list CASES. A case is right as it stands; a planted error is one change of its
source. Read next: case.py (the form), score.py (how a diagnosis is judged).
"""

from __future__ import annotations

import importlib

from planted.case import Case

PAIRS = ("circuits", "layers", "networks", "losses", "softmaxes", "norms", "convs", "pools",
         "recurrent", "attention", "gates", "indexing", "shapes", "products",
         "course", "positional", "fragile")  # fmt: skip
OURS = ("functions", "compositions")


def cases(*modules: str) -> list[Case]:
    """The cases of these modules, in order."""
    return [c for m in modules for c in importlib.import_module(f"planted.{m}").CASES]
