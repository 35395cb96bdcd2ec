"""PyTorch's address for its compiled core, which is not here: Backlit's is Python.

Model files report to it which class is used. Everything else of it is private to PyTorch.
"""

from __future__ import annotations

from typing import Any


def _log_api_usage_once(event: str) -> None:
    """Nothing is counted."""


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("_C", name)
