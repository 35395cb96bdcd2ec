"""Switches that PyTorch programs set for NVIDIA's library: accepted, and without effect.

`deterministic` is true in any case: the same program on the same machine gives the same bits.
"""

from __future__ import annotations

enabled = False
benchmark = False
deterministic = True
allow_tf32 = False


def is_available() -> bool:
    """False: there is no GPU backend.

    >>> bl.backends.cudnn.is_available()
    False
    """
    return False


def version() -> None:
    """None: the library is not used."""
