"""PyTorch's address for whichever accelerator there is: here there is none.

`xpu` and `mps` are the addresses of two that PyTorch knows; programs ask them whether they are
there before they choose the CPU. What needs one is refused by name, as in cuda/.
"""

from __future__ import annotations

from typing import Any

from backlit.cuda import device_count as device_count
from backlit.cuda import empty_cache as empty_cache
from backlit.cuda import is_available as is_available
from backlit.cuda import max_memory_allocated as max_memory_allocated
from backlit.cuda import max_memory_reserved as max_memory_reserved
from backlit.cuda import memory_allocated as memory_allocated
from backlit.cuda import memory_reserved as memory_reserved
from backlit.cuda import reset_peak_memory_stats as reset_peak_memory_stats
from backlit.cuda import synchronize as synchronize


def current_accelerator(check_available: bool = False) -> None:
    """None: there is none.

    >>> bl.accelerator.current_accelerator() or bl.device("cpu")
    device(type='cpu')
    """
    return None


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("accelerator", name)
