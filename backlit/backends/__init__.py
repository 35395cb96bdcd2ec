"""Backends: what runs Programs and operators. `reference` is NumPy, `cpu` is generated code.

`cuda`, `cudnn` and `mps` are here because PyTorch programs ask for them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_ROOMS = ("cpu", "cuda", "cudnn", "eager", "mps", "reference")


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"backlit.backends.{name}")
    from backlit.absent import refuse

    raise refuse("backends", name)
