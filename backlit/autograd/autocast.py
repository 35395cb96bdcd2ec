"""Autocast: products in 16 bits, everything delicate in float32, by casts that are recorded.

The casts are ordinary Nodes, made where an operator is applied, in eager mode and in captures
alike. Parameters stay what they are, and so do their gradients; a parameter is cast once and the
result used again until the block ends or the parameter changes. The walk back adds no casts of
its own: it runs in the dtypes that the forward chose. The lists are in ops/precision.py.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.ops.op import slot
from backlit.state import state
from backlit.tensor import Tensor

DTYPES = (dt.bfloat16, dt.float16)
DEVICES = ("cpu", "cuda", "xpu", "mps", "hpu", "mtia")
_standard: list[dt.dtype] = [dt.bfloat16]


class autocast:
    """Run products (matmul, linear, convolutions, attention, recurrent layers) in bfloat16.

    Softmax, losses and norms run in float32, other operators in what they are given. A context
    manager and a decorator; inside, `autocast("cpu", enabled=False)` turns it off. Parameters and
    their gradients stay float32. After Micikevicius et al. (2018).

    >>> with bl.autocast("cpu"):
    ...     y = bl.ones(2, 2) @ bl.ones(2, 2)
    ...     z = y.softmax(-1)
    >>> y.dtype, z.dtype
    (backlit.bfloat16, backlit.float32)
    """

    def __init__(self, device_type: str = "cpu", dtype: dt.dtype | None = None,
                 enabled: bool = True, cache_enabled: bool | None = None):  # fmt: skip
        _check_device(device_type)
        self.device = device_type
        self.fast_dtype = _standard[0] if dtype is None else dtype
        self.cache = cache_enabled is not False
        if enabled and device_type != "cpu":
            warnings.warn(f"autocast: no {device_type} here, so it is off", stacklevel=2)
            enabled = False
        if enabled and self.fast_dtype not in DTYPES:
            warnings.warn(f"autocast: {_named(dtype)} is not of 16 bits, so it is off",
                          stacklevel=2)  # fmt: skip
            enabled = False
        self._enabled = bool(enabled)
        self._outer: list[tuple[Any, Any]] = []

    def __enter__(self) -> autocast:
        self._outer.append((state.autocast, state.casts))
        state.autocast = self.fast_dtype if self._enabled else None
        if not self.cache:
            state.casts = None
        elif state.casts is None:
            state.casts = {}
        return self

    def __exit__(self, *error: Any) -> None:
        state.autocast, state.casts = self._outer.pop()

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return wrapped


def cast_inputs(op: Any, inputs: tuple) -> tuple:
    """The inputs in the dtype that the operator runs in now; float64 stays what it is."""
    target = state.autocast if op.precision == "low" else dt.float32
    return tuple(_cast(x, target) for x in inputs)


def _cast(x: Any, target: dt.dtype) -> Any:
    if isinstance(x, (list, tuple)):
        return type(x)(_cast(v, target) for v in x) if _plain(x) else x
    if not isinstance(x, Tensor):
        return x
    dtype = x.dtype
    if dtype is target or not dtype.is_floating_point or dtype is dt.float64:
        return x
    casts = state.casts
    if casts is None or x.node is not None or not x._requires_grad or x._base is not None:
        return x.to(target)  # type: ignore[attr-defined]
    return _kept(x, target, casts)


def _plain(x: Any) -> bool:
    return type(x) in (list, tuple) and any(isinstance(v, Tensor) for v in x)


class _Kept(NamedTuple):
    """A leaf's cast, and what must be the same for it to serve again."""

    cell: Any
    version: int
    array: Any
    observers: tuple  # a capture must see the cast that it uses
    made: Tensor

    def serves(self, cell: Any) -> bool:
        same = self.cell is cell and self.version == cell.version and self.array is cell.array
        return same and self.observers is state.observers


def _kept(leaf: Tensor, target: dt.dtype, casts: dict) -> Tensor:
    """A leaf's cast, made once."""
    cell, key = leaf.cell, (id(leaf.cell), target, state.grad)
    found = casts.get(key)
    if found is None or not found.serves(cell):
        made = leaf.to(target)  # type: ignore[attr-defined]
        found = casts[key] = _Kept(cell, cell.version, cell.array, state.observers, made)
    return found.made


# ----- PyTorch's questions and switches -----


def _check_device(device_type: Any) -> None:
    if not isinstance(device_type, str):
        shown = type(device_type).__name__
        raise ArgumentTypeError(f"autocast: device_type must be a string, got {shown}")
    if device_type not in DEVICES:
        raise ArgumentError(f"autocast: unknown device_type {device_type!r}", hint='use "cpu"')


def _named(dtype: Any) -> str:
    return dtype.name if isinstance(dtype, dt.dtype) else repr(dtype)


def is_autocast_enabled(device_type: str = "cpu") -> bool:
    """Whether an `autocast` block is open.

    >>> bl.is_autocast_enabled()
    False
    """
    _check_device(device_type)
    return device_type == "cpu" and state.autocast is not None


def is_autocast_cpu_enabled() -> bool:
    """`is_autocast_enabled("cpu")`.

    >>> bl.is_autocast_cpu_enabled()
    False
    """
    return state.autocast is not None


def get_autocast_dtype(device_type: str) -> dt.dtype:
    """The dtype of products in the open `autocast` block, else that of the next one.

    >>> bl.get_autocast_dtype("cpu")
    backlit.bfloat16
    """
    _check_device(device_type)
    if device_type != "cpu":
        return dt.float16
    return _standard[0] if state.autocast is None else state.autocast


def get_autocast_cpu_dtype() -> dt.dtype:
    """`get_autocast_dtype("cpu")`.

    >>> bl.get_autocast_cpu_dtype()
    backlit.bfloat16
    """
    return get_autocast_dtype("cpu")


def set_autocast_dtype(device_type: str, dtype: dt.dtype) -> None:
    """The dtype of `autocast` blocks that name none.

    >>> bl.set_autocast_dtype("cpu", bl.bfloat16)
    """
    _check_device(device_type)
    if dtype not in DTYPES:
        raise ArgumentError(f"set_autocast_dtype: {_named(dtype)} is not a float of 16 bits")
    if device_type == "cpu":
        _standard[0] = dtype


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Turn autocast on or off from here on; a `with bl.autocast(...)` block is safer.

    >>> bl.set_autocast_enabled("cpu", False)
    """
    _check_device(device_type)
    if device_type == "cpu":
        state.autocast = _standard[0] if enabled else None
        state.casts = None


def is_autocast_available(device_type: str) -> bool:
    """True for the CPU.

    >>> bl.is_autocast_available("cpu"), bl.is_autocast_available("cuda")
    (True, False)
    """
    _check_device(device_type)
    return device_type == "cpu"


def clear_autocast_cache() -> None:
    """Forget the casts of parameters that the open block keeps.

    >>> bl.clear_autocast_cache()
    """
    if state.casts is not None:
        state.casts.clear()


slot.autocast = cast_inputs
