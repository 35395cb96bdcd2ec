"""PyTorch's address for processes that share tensors: they can be imported, not used.

Tensors here are not shared between processes; DataLoader's workers have their own channel. What
shares none can use Python's `multiprocessing`.
"""

from __future__ import annotations

from typing import Any

from backlit.absent import importable, refuse

globals().update(
    importable(
        "multiprocessing",
        "spawn Process Pool Queue SimpleQueue Pipe Manager Value Array Lock Event Barrier "
        "get_context set_start_method get_start_method set_sharing_strategy start_processes",
    )
)


def __getattr__(name: str) -> Any:
    raise refuse("multiprocessing", name)
