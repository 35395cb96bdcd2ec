"""Backlit trains neural networks by backpropagation and lets you see it happen.

>>> x = bl.tensor([1.0, 2.0], requires_grad=True)
>>> ((x * 3) ** 2).sum().backward()
>>> x.grad
tensor([18., 36.])
"""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING, Any as _Any

from backlit import config as config, errors as errors
from backlit.api import NAMESPACES as _NAMESPACES
from backlit.autograd.autocast import (
    autocast as autocast,
    clear_autocast_cache as clear_autocast_cache,
    get_autocast_cpu_dtype as get_autocast_cpu_dtype,
    get_autocast_dtype as get_autocast_dtype,
    is_autocast_available as is_autocast_available,
    is_autocast_cpu_enabled as is_autocast_cpu_enabled,
    is_autocast_enabled as is_autocast_enabled,
    set_autocast_dtype as set_autocast_dtype,
    set_autocast_enabled as set_autocast_enabled,
)
from backlit.autograd import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    is_inference_mode_enabled as is_inference_mode_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from backlit.autograd.recompute import recompute as recompute
from backlit.backends.eager import (
    get_num_threads as get_num_threads,
    set_num_threads as set_num_threads,
)
from backlit.control import cond as cond, scan as scan
from backlit.creation import (
    arange as arange,
    as_tensor as as_tensor,
    asarray as asarray,
    bernoulli as bernoulli,
    empty as empty,
    empty_like as empty_like,
    eye as eye,
    from_dlpack as from_dlpack,
    from_numpy as from_numpy,
    full as full,
    full_like as full_like,
    linspace as linspace,
    logspace as logspace,
    multinomial as multinomial,
    normal as normal,
    ones as ones,
    ones_like as ones_like,
    rand as rand,
    rand_like as rand_like,
    randint as randint,
    randint_like as randint_like,
    randn as randn,
    randn_like as randn_like,
    randperm as randperm,
    tensor as tensor,
    zeros as zeros,
    zeros_like as zeros_like,
)
from backlit.devices import device as device
from backlit.dtypes import (
    bfloat16 as bfloat16,
    dtype as dtype,
    finfo as finfo,
    float16 as float16,
    float32 as float32,
    float64 as float64,
    get_default_dtype as get_default_dtype,
    iinfo as iinfo,
    int8 as int8,
    int16 as int16,
    int32 as int32,
    int64 as int64,
    promote_types as promote_types,
    result_type as result_type,
    set_default_dtype as set_default_dtype,
    uint8 as uint8,
)
from backlit.printing import set_printoptions as set_printoptions
from backlit.random import (
    Generator as Generator,
    get_rng_state as get_rng_state,
    initial_seed as initial_seed,
    manual_seed as manual_seed,
    seed as seed,
    set_rng_state as set_rng_state,
)
from backlit.tensor import Size as Size, Tensor as Tensor
from backlit import dtypes as _formats

__version__ = "0.1.0"

if _TYPE_CHECKING:
    from backlit._stubs.functions import *
globals().update(_NAMESPACES["bl"])
double, half, long, short = float64, float16, int64, int16
float, int, bool = _formats.float32, _formats.int32, _formats.bool_
inf, nan, pi, e = (getattr(__import__("math"), n) for n in ("inf", "nan", "pi", "e"))

_ROOMS = (
    "amp", "autograd", "backends", "check", "compiler", "cuda", "data", "func", "linalg", "models",
    "nn", "optim", "program", "random", "serialization", "special", "train", "utils", "version",
    "errata", "expressions", "views", "onnx", "estimators", "jit", "distributed",
    "multiprocessing", "hub", "distributions", "fx", "accelerator", "xpu", "mps", "_C",
)  # fmt: skip
_LAZY = {
    **dict.fromkeys(("save", "load"), "serialization"),
    "compile": "compiler",
    "see": "views",
    "vmap": "func",
    **dict.fromkeys(
        ("is_tensor", "is_floating_point", "is_nonzero", "numel", "typename", "can_cast", "range",
         "get_default_device", "set_default_device", "set_default_tensor_type",
         "get_float32_matmul_precision", "set_float32_matmul_precision",
         "use_deterministic_algorithms", "are_deterministic_algorithms_enabled",
         "memory_format", "contiguous_format", "preserve_format", "channels_last",
         "channels_last_3d",
         *_formats.TYPE_NAMES), "legacy"),
}  # fmt: skip


def __getattr__(name: str) -> _Any:
    if name in _ROOMS:
        return _import_module(f"backlit.{name}")
    if name in _LAZY:
        return getattr(_import_module(f"backlit.{_LAZY[name]}"), name)
    from backlit.absent import refuse

    raise refuse("backlit", name)


def __dir__() -> list[str]:
    return sorted({n for n in globals() if not n.startswith("_")} | set(_ROOMS) | set(_LAZY))


errors.hide_internal_frames()
