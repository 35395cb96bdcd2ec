"""The operators that declare the namespace `linalg`, under PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backlit.api import NAMESPACES
from backlit.errors import LinAlgError as LinAlgError

if TYPE_CHECKING:
    from backlit._stubs.linalg import *
globals().update(NAMESPACES["linalg"])


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("linalg", name)
