"""PyTorch's address for mixed precision: `autocast`, and the loss scaling that float16 needs.

bfloat16 has the exponents of float32 and needs no scaling. Read next: autograd/autocast.py.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import backlit as bl
from backlit.autograd.autocast import autocast as autocast
from backlit.autograd.autocast import is_autocast_available as is_autocast_available
from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.tensor import Tensor


class GradScaler:
    """Scales a loss up, so that small gradients survive float16, and the gradients down again.

    A step whose gradients are not all finite is skipped and the scale is multiplied by
    `backoff_factor`; after `growth_interval` good steps in a row by `growth_factor`. For devices
    that are not there ("cuda", the default) it is off, with a warning, and every method passes
    through. After Micikevicius et al. (2018).

    >>> scaler = bl.amp.GradScaler("cpu", init_scale=8.0)
    >>> scaler.scale(bl.tensor(0.5))
    tensor(4.)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if growth_factor <= 1.0 or not 0.0 < backoff_factor < 1.0:
            raise ArgumentError(
                "GradScaler: growth_factor must be above 1 and backoff_factor between 0 and 1, "
                f"got {growth_factor} and {backoff_factor}"
            )
        if enabled and str(device) != "cpu":
            warnings.warn(f"GradScaler: no {device} here, so it is off", stacklevel=2)
            enabled = False
        self._enabled = enabled
        self._scale, self._good_steps = float(init_scale), 0
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval = growth_interval
        self._found: dict[int, bool] = {}  # by optimizer: were its gradients finite?

    def scale(self, outputs: Any) -> Any:
        """A tensor times the scale; of a list or tuple, each."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            kind = type(outputs) if isinstance(outputs, (list, tuple)) else list
            return kind(self.scale(v) for v in outputs)
        raise ArgumentTypeError(f"scale: expected tensors, got {type(outputs).__name__}")

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of the optimizer's parameters by the scale, to clip them say."""
        if not self._enabled:
            return
        if id(optimizer) in self._found:
            raise ArgumentError(
                "unscale_: this optimizer's gradients were already unscaled since update()"
            )
        finite = True
        with bl.no_grad():
            for group in optimizer.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.grad.mul_(1.0 / self._scale)
                        finite = finite and bool(p.grad.isfinite().all())
        self._found[id(optimizer)] = finite

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step()`, unless a gradient is infinite or NaN; unscales first if needed."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or args:
            raise ArgumentError("step: no closures while the scaler is enabled")
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        return optimizer.step() if self._found[id(optimizer)] else None

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Adapt the scale to what the steps since the last update found; once per iteration."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._found:
            raise ArgumentError("update: no gradients were checked", hint="call step() before")
        elif all(self._found.values()):
            self._good_steps += 1
            if self._good_steps == self._growth_interval:
                grown = self._scale * self._growth_factor
                self._scale = grown if math.isfinite(grown) else self._scale
                self._good_steps = 0
        else:
            self._scale, self._good_steps = self._scale * self._backoff_factor, 0
        self._found = {}

    def get_scale(self) -> float:
        """The factor, 1.0 if off."""
        return self._scale if self._enabled else 1.0

    def is_enabled(self) -> bool:
        """Whether it scales at all."""
        return self._enabled

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by after enough good steps."""
        return self._growth_factor

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a skipped step."""
        return self._backoff_factor

    def get_growth_interval(self) -> int:
        """How many good steps in a row let the scale grow."""
        return self._growth_interval

    def state_dict(self) -> dict[str, Any]:
        """What a later process needs to go on; empty if off."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._good_steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a saved state."""
        if not self._enabled:
            return
        if not state_dict:
            raise ArgumentError("load_state_dict: the state is of a scaler that was off")
        self._scale = float(state_dict["scale"])
        self._growth_factor = state_dict["growth_factor"]
        self._backoff_factor = state_dict["backoff_factor"]
        self._growth_interval = state_dict["growth_interval"]
        self._good_steps = state_dict["_growth_tracker"]


def custom_fwd(
    fwd: Callable[..., Any] | None = None,
    *,
    device_type: str = "cuda",
    cast_inputs: bl.dtype | None = None,
) -> Callable[..., Any]:
    """Marks the `forward` of a Function: on "cpu" it runs in `cast_inputs`, with autocast off.

    For other devices, and where autocast is off, the function is called as it is.

    >>> bl.amp.custom_fwd(abs, device_type="cpu")(-2)
    2
    """
    if fwd is None:
        return lambda f: custom_fwd(f, device_type=device_type, cast_inputs=cast_inputs)
    return _in_the_mode(fwd, device_type, cast_inputs)


def custom_bwd(
    bwd: Callable[..., Any] | None = None, *, device_type: str = "cuda"
) -> Callable[..., Any]:
    """Marks the `backward` of a Function whose `forward` is marked; the walk back never casts.

    >>> bl.amp.custom_bwd(abs)(-2)
    2
    """
    return (lambda f: f) if bwd is None else bwd


def _in_the_mode(function: Callable[..., Any], device: str, dtype: Any) -> Callable[..., Any]:
    import functools

    def cast(value: Any) -> Any:
        castable = isinstance(value, Tensor) and value.is_floating_point()
        return value.to(dtype) if castable and value.dtype is not bl.float64 else value

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if dtype is None or not bl.is_autocast_enabled(device):
            return function(*args, **kwargs)
        with autocast(device, enabled=False):
            return function(*map(cast, args), **{k: cast(v) for k, v in kwargs.items()})

    return wrapped


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("amp", name)
