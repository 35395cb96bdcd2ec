"""Initial values of parameters, written in place and outside the graph.

The names, defaults and formulas of the field: Glorot and Bengio 2010 (xavier), He et al. 2015
(kaiming), Saxe et al. 2013 (orthogonal), Martens 2010 (sparse). Modules draw weight, then bias.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError
from backlit.tensor import Tensor

_LINEAR_LIKE = {
    "linear", "conv1d", "conv2d", "conv3d",
    "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
}  # fmt: skip


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a weight's deviation makes up for its nonlinearity.

    >>> nn.init.calculate_gain("leaky_relu", 0.2) == (2 / 1.04) ** 0.5
    True
    """
    if nonlinearity in _LINEAR_LIKE or nonlinearity == "sigmoid":
        return 1.0
    if nonlinearity == "leaky_relu":
        if isinstance(param, bool) or not isinstance(param, (int, float, type(None))):
            raise ArgumentError(f"calculate_gain: negative slope must be a number, got {param!r}")
        return math.sqrt(2.0 / (1 + (0.01 if param is None else param) ** 2))
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    if nonlinearity not in gains:
        known = sorted(_LINEAR_LIKE | {"sigmoid", "leaky_relu"} | set(gains))
        raise ArgumentError(
            f"calculate_gain: unknown nonlinearity {nonlinearity!r}; one of {known}"
        )
    return gains[nonlinearity]


def _without_grad(fill: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorator for the fillers: values are set, no Node is recorded."""
    import functools

    @functools.wraps(fill)
    def filler(tensor: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        with bl.no_grad():
            return fill(tensor, *args, **kwargs)

    return filler


@_without_grad
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in [a, b).

    >>> w = nn.init.uniform_(bl.empty(3, 5), -2, 2)
    >>> bool((w.abs() <= 2).all())
    True
    """
    return tensor.uniform_(a, b, generator=generator)


@_without_grad
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with a mean and a standard deviation.

    >>> nn.init.normal_(bl.empty(3, 5), std=0.0).sum().item()
    0.0
    """
    return tensor.normal_(mean, std, generator=generator)


@_without_grad
def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Tensor:
    """Normal within [a, b]: drawn again outside, or by the inverse where that would take long.

    >>> w = nn.init.trunc_normal_(bl.empty(100))
    >>> bool((w.abs() <= 2).all())
    True
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: mean {mean} is over 2 std outside [{a}, {b}]; "
            "the distribution may be off",
            stacklevel=3,
        )
    low, high = (math.erf((edge - mean) / (std * math.sqrt(2.0))) for edge in (a, b))
    wide = bl.float64 if tensor.dtype == bl.float64 else bl.float32  # half floats are too coarse
    drawn = bl.empty(*tensor.shape, dtype=wide)
    if high - low > 0.5:  # a quarter stays at least: drawing again is the fastest
        drawn.normal_(mean, std, generator=generator)
        while (outside := (drawn < a) | (drawn > b)).any():
            count = int(outside.sum())
            drawn[outside] = bl.empty(count, dtype=wide).normal_(mean, std, generator=generator)
        return tensor.copy_(drawn)
    drawn.uniform_(low, high, generator=generator)
    return tensor.copy_((drawn.erfinv() * (std * math.sqrt(2.0)) + mean).clamp(a, b))


@_without_grad
def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere.

    >>> nn.init.constant_(bl.empty(2), 0.3).tolist() == bl.tensor([0.3, 0.3]).tolist()
    True
    """
    return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Ones.

    >>> nn.init.ones_(bl.empty(2)).tolist()
    [1.0, 1.0]
    """
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Zeros.

    >>> nn.init.zeros_(bl.empty(2)).tolist()
    [0.0, 0.0]
    """
    return constant_(tensor, 0.0)


@_without_grad
def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix, so that a linear layer keeps as many inputs as it can.

    >>> nn.init.eye_(bl.empty(2, 3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    _check_dims("eye_", tensor, (2,))
    return _fill_from(tensor, np.eye(*tensor.shape))


@_without_grad
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """A convolution weight that passes as many channels through as it can.

    >>> nn.init.dirac_(bl.empty(1, 1, 3)).tolist()
    [[[0.0, 1.0, 0.0]]]
    """
    _check_dims("dirac_", tensor, (3, 4, 5))
    out, inside, *kernel = tensor.shape
    if out % groups:
        raise ArgumentError(f"dirac_: {out} output channels are not a multiple of {groups} groups")
    values = np.zeros(tensor.shape)
    per_group = out // groups
    for channel in range(min(per_group, inside)):
        for group in range(groups):
            values[(group * per_group + channel, channel, *(k // 2 for k in kernel))] = 1.0
    return _fill_from(tensor, values)


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Inputs and outputs that a weight connects; custom layers of PyTorch users call it so."""
    if tensor.ndim < 2:
        raise ArgumentError(
            f"fan in and fan out need at least 2 dimensions, got shape {tuple(tensor.shape)}"
        )
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def uniform_fan_in_(bias: Tensor | None, weight: Tensor) -> None:
    """A bias uniform in +-1/sqrt(fan in of its weight): the default of linear and conv."""
    if bias is not None:
        fan_in = _calculate_fan_in_and_fan_out(weight)[0]
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        uniform_(bias, -bound, bound)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform with deviation gain * sqrt(2 / (fan_in + fan_out)); Glorot and Bengio 2010.

    >>> w = nn.init.xavier_uniform_(bl.empty(3, 3))
    >>> bool((w.abs() <= 1).all())
    True
    """
    bound = gain * math.sqrt(6.0 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with deviation gain * sqrt(2 / (fan_in + fan_out)); Glorot and Bengio 2010.

    >>> nn.init.xavier_normal_(bl.empty(3, 5), gain=0.0).abs().sum().item()
    0.0
    """
    return normal_(
        tensor, 0.0, gain * math.sqrt(2.0 / sum(_calculate_fan_in_and_fan_out(tensor))), generator
    )


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    return calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode))


def _has_no_elements(tensor: Tensor) -> bool:
    if 0 in tensor.shape:
        warnings.warn("initializing a tensor without elements does nothing", stacklevel=3)
        return True
    return False


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Uniform with deviation gain / sqrt(fan); He et al. 2015.

    >>> w = nn.init.kaiming_uniform_(bl.empty(3, 6), nonlinearity="relu")
    >>> bool((w.abs() <= 1).all())
    True
    """
    if _has_no_elements(tensor):
        return tensor
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Normal with deviation gain / sqrt(fan); He et al. 2015.

    >>> w = nn.init.kaiming_normal_(bl.empty(3, 5), mode="fan_out", nonlinearity="relu")
    >>> w.shape == (3, 5)
    True
    """
    if _has_no_elements(tensor):
        return tensor
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


@_without_grad
def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Rows or columns orthonormal times `gain`, uniform over rotations; Saxe et al. 2013.

    >>> w = nn.init.orthogonal_(bl.empty(2, 4))
    >>> bool(((w @ w.T - bl.eye(2)).abs() < 1e-6).all())
    True
    """
    if tensor.ndim < 2:
        raise ArgumentError(f"orthogonal_: needs 2 dimensions or more, got {tuple(tensor.shape)}")
    if tensor.numel() == 0:
        return tensor
    rows, columns = tensor.shape[0], tensor.numel() // tensor.shape[0]
    drawn = bl.empty(rows, columns, dtype=bl.float64).normal_(generator=generator).numpy()
    q, r = np.linalg.qr(drawn.T if rows < columns else drawn)
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # makes the draw uniform over rotations
    return _fill_from(tensor, gain * (q.T if rows < columns else q).reshape(tensor.shape))


@_without_grad
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal with the given fraction of each column set to zero; Martens 2010.

    >>> int((nn.init.sparse_(bl.empty(10, 3), sparsity=0.2) == 0).sum())
    6
    """
    _check_dims("sparse_", tensor, (2,))
    rows, columns = tensor.shape
    zeros = math.ceil(sparsity * rows)
    values = np.array(tensor.normal_(0, std, generator=generator).numpy())
    for column in range(columns):
        values[bl.randperm(rows, generator=generator).numpy()[:zeros], column] = 0
    return _fill_from(tensor, values)


def _check_dims(name: str, tensor: Tensor, allowed: tuple[int, ...]) -> None:
    if tensor.ndim not in allowed:
        wanted = " or ".join(map(str, allowed))
        raise ArgumentError(f"{name}: needs {wanted} dimensions, got shape {tuple(tensor.shape)}")


def _fill_from(tensor: Tensor, values: np.ndarray[Any, Any]) -> Tensor:
    return tensor.copy_(bl.from_numpy(np.ascontiguousarray(values)))


def __getattr__(name: str) -> Any:
    """The older names, without the underscore."""
    current = globals().get(f"{name}_")
    if callable(current):
        warnings.warn(f"nn.init.{name} is outdated: write {name}_", FutureWarning, stacklevel=2)
        return current
    from backlit.absent import refuse

    raise refuse("nn.init", name)
