"""The operators that declare the namespace `special`, under PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backlit.api import NAMESPACES

if TYPE_CHECKING:
    from backlit._stubs.special import *
globals().update(NAMESPACES["special"])


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("special", name)
