"""PyTorch's older address for mixed precision on GPUs; here both are off, with a warning.

`bl.autocast("cpu")` and `bl.amp.GradScaler("cpu")` are what works.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backlit import amp
from backlit import dtypes as dt
from backlit.amp import custom_bwd as custom_bwd
from backlit.amp import custom_fwd as custom_fwd


class autocast(amp.autocast):
    """`bl.autocast("cuda", ...)`, which is off.

    >>> with bl.cuda.amp.autocast(enabled=False):
    ...     (bl.ones(1, 1) @ bl.ones(1, 1)).dtype
    backlit.float32
    """

    def __init__(
        self, enabled: bool = True, dtype: Any = dt.float16, cache_enabled: bool = True
    ) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """`bl.amp.GradScaler("cuda", ...)`, which is off: losses and steps pass through.

    >>> bl.cuda.amp.GradScaler(enabled=False).scale(bl.tensor(2.0))
    tensor(2.)
    """

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        super().__init__(
            "cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled
        )


def __getattr__(name: str) -> Callable[..., Any]:
    from backlit.absent import refuse

    raise refuse("cuda.amp", name)
