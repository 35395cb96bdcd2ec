"""PyTorch programs ask `torch.cuda` whether there is a GPU; the honest answer is no."""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """False: there is no GPU backend.

    >>> bl.cuda.is_available()
    False
    """
    return False


def device_count() -> int:
    """0."""
    return 0


def is_initialized() -> bool:
    """False."""
    return False


def manual_seed(seed: int) -> None:
    """Nothing to seed."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Nothing to empty."""


def synchronize(device: Any = None) -> None:
    """Nothing to wait for: operators on the CPU have finished when they return."""


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("cuda", name)
