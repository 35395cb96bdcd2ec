"""PyTorch's address for Intel's GPUs: there are none; see accelerator.py."""

from __future__ import annotations

from typing import Any

from backlit.cuda import device_count as device_count
from backlit.cuda import empty_cache as empty_cache
from backlit.cuda import is_available as is_available
from backlit.cuda import is_bf16_supported as is_bf16_supported
from backlit.cuda import is_initialized as is_initialized
from backlit.cuda import manual_seed as manual_seed
from backlit.cuda import manual_seed_all as manual_seed_all
from backlit.cuda import synchronize as synchronize


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("xpu", name)
