"""The place where PyTorch programs look for helpers: `backlit.utils.data` is `backlit.data`.

`checkpoint` is recomputation, `dlpack` arrays of other libraries, `tensorboard` event files.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("data", "checkpoint", "dlpack", "tensorboard", "_pytree"):
        return import_module(f"backlit.utils.{name}")
    from backlit.absent import refuse

    raise refuse("utils", name)
