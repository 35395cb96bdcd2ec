"""PyTorch programs ask `torch.cuda` whether there is a GPU; the honest answer is no.

What only reports (memory, seeds, caches) answers for no GPU; what needs one is refused by name.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from backlit.errors import NotAvailable


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


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False."""
    return False


def manual_seed(seed: int) -> None:
    """Nothing to seed."""


manual_seed_all = manual_seed


def empty_cache() -> None:
    """Nothing to empty."""


ipc_collect = empty_cache


def synchronize(device: Any = None) -> None:
    """Nothing to wait for: operators on the CPU have finished when they return."""


def memory_allocated(device: Any = None) -> int:
    """0: no GPU holds anything.

    >>> bl.cuda.max_memory_allocated()
    0
    """
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing to reset."""


reset_max_memory_allocated = reset_peak_memory_stats


class _TensorType(type):
    """The kind of `cuda.FloatTensor`: no tensor is one, and none can be made."""

    def __instancecheck__(cls, value: Any) -> bool:
        return False

    def __call__(cls, *args: Any) -> Any:
        raise NotAvailable(
            f"cuda.{cls.__name__} makes tensors on a GPU: Backlit runs on the CPU",
            hint=f"use bl.{cls.__name__}; bl.cuda.is_available() is False",
        )


def __getattr__(name: str) -> Any:
    from backlit.dtypes import TYPE_NAMES

    if name == "amp":
        return import_module("backlit.cuda.amp")
    if name in TYPE_NAMES:
        made = globals()[name] = _TensorType(name, (), {"__module__": "backlit.cuda"})
        return made
    from backlit.absent import refuse

    raise refuse("cuda", name)
