"""Affine maps and the modules that only reshape: Linear, Bilinear, Identity, Flatten, Unflatten.

The mathematics is `functional.linear` and `functional.bilinear`. Next: init.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.nn import functional as F
from backlit.nn import init
from backlit.nn.lazy import LazyModule
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter, UninitializedParameter, empty, is_lazy
from backlit.tensor import Tensor


class Identity(Module):
    """Returns its input; whatever arguments it is made with are ignored.

    >>> nn.Identity(54, unused=True)(bl.ones(2)).tolist()
    [1.0, 1.0]
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input


class Linear(Module):
    """y = x W^T + b. Input (..., in_features), output (..., out_features).

    `weight` is (out_features, in_features); both start uniform in +-1/sqrt(in_features).

    >>> nn.Linear(20, 30)(bl.zeros(128, 20)).shape == (128, 30)
    True
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.weight = empty(out_features, in_features, device=device, dtype=dtype)
        bias_values = empty(out_features, device=device, dtype=dtype) if bias else None
        self.register_parameter("bias", bias_values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight, then bias."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        init.uniform_fan_in_(self.bias, self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class LazyLinear(LazyModule, Linear):
    """Linear that takes `in_features` from its first input.

    >>> layer = nn.LazyLinear(30)
    >>> layer(bl.zeros(128, 20)).shape == (128, 30)
    True
    """

    cls_to_become = Linear
    inferred = "in_features"

    def __init__(
        self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_features = out_features
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def initialize_parameters(self, input: Tensor) -> None:
        if self.has_uninitialized_params():
            self.in_features = input.shape[-1]
            self.weight.materialize((self.out_features, self.in_features))
            if is_lazy(self.bias):
                self.bias.materialize((self.out_features,))
            self.reset_parameters()
        self.in_features = self.in_features or self.weight.shape[-1]


class Bilinear(Module):
    """y = x1^T A x2 + b for each output. Inputs (..., in1), (..., in2), output (..., out).

    >>> nn.Bilinear(20, 30, 40)(bl.zeros(8, 20), bl.zeros(8, 30)).shape == (8, 40)
    True
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        if in1_features <= 0:
            raise ArgumentError(f"Bilinear: in1_features must be positive, got {in1_features}")
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        self.weight = empty(out_features, in1_features, in2_features, device=device, dtype=dtype)
        bias_values = empty(out_features, device=device, dtype=dtype) if bias else None
        self.register_parameter("bias", bias_values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight, then bias, uniform in +-1/sqrt(in1_features)."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


class Flatten(Module):
    """Joins the dimensions from start_dim to end_dim into one.

    >>> nn.Flatten()(bl.zeros(32, 1, 5, 5)).shape == (32, 25)
    True
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits one dimension into several.

    >>> nn.Unflatten(1, (2, 5, 5))(bl.zeros(2, 50)).shape == (2, 2, 5, 5)
    True
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        if not isinstance(dim, int):
            raise ArgumentTypeError(f"Unflatten: dim must be an int, got {type(dim).__name__}")
        if not isinstance(unflattened_size, Sequence) or not all(
            isinstance(n, int) for n in unflattened_size
        ):
            raise ArgumentTypeError(
                f"Unflatten: sizes must be a tuple of ints, got {unflattened_size!r}"
            )
        self.dim, self.unflattened_size = dim, unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
