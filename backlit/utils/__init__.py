"""The place where PyTorch programs look for helpers: `backlit.utils.data` is `backlit.data`."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "data":
        return import_module("backlit.utils.data")
    from backlit.absent import refuse

    raise refuse("utils", name)
