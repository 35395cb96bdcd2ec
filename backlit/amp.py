"""PyTorch's address for mixed precision: `bl.amp.autocast` is `bl.autocast`."""

from __future__ import annotations

from typing import Any

from backlit.autograd.autocast import autocast as autocast
from backlit.autograd.autocast import is_autocast_available as is_autocast_available


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("amp", name)
