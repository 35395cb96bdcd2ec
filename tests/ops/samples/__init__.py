"""All rows: every module of this folder has a list ROWS."""

from __future__ import annotations

import importlib
import pkgutil

from rows import Row

ROWS: list[Row] = []
for _module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
    ROWS.extend(importlib.import_module(f"samples.{_module}").ROWS)
