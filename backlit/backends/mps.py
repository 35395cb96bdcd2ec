"""PyTorch programs ask for Apple's GPU; the honest answer is no."""

from __future__ import annotations


def is_available() -> bool:
    """False: there is no GPU backend.

    >>> bl.backends.mps.is_available()
    False
    """
    return False


def is_built() -> bool:
    """False."""
    return False
