"""Normalization layers: batch, instance, layer, group, RMS and local response.

Batch and instance norm keep running statistics as buffers; `functional.batch_norm` refills
them, once per training call. Statistics use the biased variance, running ones the unbiased.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import backlit as bl
from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.nn import init
from backlit.nn.lazy import LazyModule
from backlit.nn.module import Module
from backlit.nn.parameter import (
    Parameter,
    UninitializedBuffer,
    UninitializedParameter,
    empty,
    is_lazy,
)
from backlit.tensor import Tensor


class _Affine(Module):
    """A module whose weight starts at one and whose bias starts at zero; both may be None."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_affine(
        self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any
    ) -> None:
        for name, wanted in (("weight", weight), ("bias", weight and bias)):
            values = empty(*shape, device=device, dtype=dtype) if wanted else None
            self.register_parameter(name, values)

    def reset_parameters(self) -> None:
        """Set weight to one and bias to zero."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _RunningNorm(_Affine):
    """Batch and instance norm: affine per channel, with or without running statistics."""

    _dims: ClassVar[tuple[int, ...]]  # allowed ranks of the input
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self._make_affine((num_features,), affine, bias, device, dtype)
        place = {"device": device, "dtype": dtype}
        track = track_running_stats
        self.register_buffer("running_mean", bl.zeros(num_features, **place) if track else None)
        self.register_buffer("running_var", bl.ones(num_features, **place) if track else None)
        self.register_buffer("num_batches_tracked", _counter(device) if track else None)
        self.reset_parameters()

    def reset_running_stats(self) -> None:
        """Set the running mean to zero, the running variance to one, the count to zero."""
        if self.track_running_stats:
            assert self.running_mean is not None and self.running_var is not None
            assert self.num_batches_tracked is not None
            self.running_mean.zero_()
            self.running_var.fill_(1)
            self.num_batches_tracked.zero_()

    def reset_parameters(self) -> None:
        """Reset running statistics, weight and bias."""
        self.reset_running_stats()
        super().reset_parameters()

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in self._dims:
            wanted = " or ".join(f"{d}D" for d in self._dims)
            raise ArgumentError(
                f"{type(self).__name__}: expected {wanted} input, got shape {tuple(input.shape)}"
            )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *report: Any) -> None:
        # Checkpoints from before the counter existed leave it as it is.
        if self.num_batches_tracked is not None:
            state_dict.setdefault(prefix + "num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, *report)

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_RunningNorm):
    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        update = self.training and self.track_running_stats
        factor = 0.0 if self.momentum is None else self.momentum
        if update and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the plain average over all batches
                factor = 1.0 / float(self.num_batches_tracked)
        stats = update or not self.training
        return F.batch_norm(
            input,
            self.running_mean if stats else None,
            self.running_var if stats else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            factor,
            self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """Normalizes each channel over the batch: (N, C) or (N, C, L); Ioffe and Szegedy 2015.

    In evaluation mode the running statistics are used. `momentum=None` averages all batches.

    >>> y = nn.BatchNorm1d(2)(bl.tensor([[1.0, 2.0], [3.0, 6.0]]))
    >>> [round(v) for v in y.flatten().tolist()]
    [-1, -1, 1, 1]
    """

    _dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalizes each channel over the batch and the image: (N, C, H, W); Ioffe, Szegedy 2015.

    In evaluation mode the running statistics are used. `momentum=None` averages all batches.

    >>> nn.BatchNorm2d(3)(bl.rand(4, 3, 2, 2)).shape == (4, 3, 2, 2)
    True
    """

    _dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Normalizes each channel over the batch and the volume: (N, C, D, H, W).

    In evaluation mode the running statistics are used. `momentum=None` averages all batches.

    >>> nn.BatchNorm3d(3)(bl.rand(4, 3, 2, 2, 2)).shape == (4, 3, 2, 2, 2)
    True
    """

    _dims = (5,)


class _InstanceNorm(_RunningNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(
            num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias
        )

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        batched = input.ndim == self._dims[-1]
        channels = input.shape[1 if batched else 0]
        if channels != self.num_features:
            text = f"{type(self).__name__}: expected {self.num_features} channels, got {channels}"
            if self.affine:
                raise ArgumentError(text)
            warnings.warn(text, stacklevel=2)
        output = F.instance_norm(
            input if batched else input.unsqueeze(0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return output if batched else output.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """Normalizes each channel of each sample: (N, C, L) or (C, L); Ulyanov et al. 2016.

    >>> nn.InstanceNorm1d(3)(bl.rand(2, 3, 5)).shape == (2, 3, 5)
    True
    """

    _dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalizes each channel of each image: (N, C, H, W) or (C, H, W); Ulyanov et al. 2016.

    >>> nn.InstanceNorm2d(3)(bl.rand(2, 3, 4, 4)).shape == (2, 3, 4, 4)
    True
    """

    _dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Normalizes each channel of each volume: (N, C, D, H, W) or (C, D, H, W).

    >>> nn.InstanceNorm3d(3)(bl.rand(2, 3, 2, 4, 4)).shape == (2, 3, 2, 4, 4)
    True
    """

    _dims = (4, 5)


class _LazyNorm(LazyModule, _RunningNorm):
    inferred = "num_features"

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, False, False)
        self.affine, self.track_running_stats = affine, track_running_stats
        if affine:
            self.weight = UninitializedParameter(device=device, dtype=dtype)
        if affine and bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)
        if track_running_stats:
            self.running_mean = UninitializedBuffer(device=device, dtype=dtype)
            self.running_var = UninitializedBuffer(device=device, dtype=dtype)
            self.num_batches_tracked = _counter(device)

    def initialize_parameters(self, input: Tensor) -> None:
        """Take num_features from the input's channels."""
        self._check_input_dim(input)
        self.num_features = input.shape[1]
        if self.has_uninitialized_params():
            for tensor in (self.weight, self.bias, self.running_mean, self.running_var):
                if is_lazy(tensor):
                    tensor.materialize((self.num_features,))
            self.reset_parameters()


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """BatchNorm1d that takes `num_features` from its first input.

    >>> layer = nn.LazyBatchNorm1d()
    >>> _ = layer(bl.rand(2, 4, 9)); layer.num_features
    4
    """

    cls_to_become = BatchNorm1d


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """BatchNorm2d that takes `num_features` from its first input.

    >>> layer = nn.LazyBatchNorm2d()
    >>> _ = layer(bl.rand(2, 4, 9, 9)); layer.num_features
    4
    """

    cls_to_become = BatchNorm2d


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """BatchNorm3d that takes `num_features` from its first input.

    >>> layer = nn.LazyBatchNorm3d()
    >>> _ = layer(bl.rand(2, 4, 5, 5, 5)); layer.num_features
    4
    """

    cls_to_become = BatchNorm3d


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """InstanceNorm1d that takes `num_features` from its first input.

    >>> layer = nn.LazyInstanceNorm1d()
    >>> _ = layer(bl.rand(2, 4, 9)); layer.num_features
    4
    """

    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """InstanceNorm2d that takes `num_features` from its first input.

    >>> layer = nn.LazyInstanceNorm2d()
    >>> _ = layer(bl.rand(2, 4, 9, 9)); layer.num_features
    4
    """

    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """InstanceNorm3d that takes `num_features` from its first input.

    >>> layer = nn.LazyInstanceNorm3d()
    >>> _ = layer(bl.rand(2, 4, 5, 5, 5)); layer.num_features
    4
    """

    cls_to_become = InstanceNorm3d


class LayerNorm(_Affine):
    """Normalizes over the last dimensions, `normalized_shape`; Ba, Kiros and Hinton 2016.

    >>> nn.LayerNorm(4)(bl.tensor([[1.0, 1.0, 3.0, 3.0]])).round().tolist()
    [[-1.0, -1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        self._make_affine(self.normalized_shape, elementwise_affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """Divides by the root mean square over the last dimensions; Zhang and Sennrich 2019.

    `eps=None` means the machine epsilon of the input's dtype.

    >>> nn.RMSNorm(2)(bl.tensor([[3.0, -3.0]])).tolist()
    [[1.0, -1.0]]
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        shape = self.normalized_shape
        values = empty(*shape, device=device, dtype=dtype) if elementwise_affine else None
        self.register_parameter("weight", values)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set weight to one."""
        if self.weight is not None:
            init.ones_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


class GroupNorm(_Affine):
    """Normalizes groups of channels of each sample: (N, C, ...); Wu and He 2018.

    >>> nn.GroupNorm(3, 6)(bl.rand(2, 6, 4, 4)).shape == (2, 6, 4, 4)
    True
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: num_channels {num_channels} is not divisible by {num_groups} groups"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        self._make_affine((num_channels,), affine, bias, device, dtype)
        self.reset_parameters()

    def forward(self, input: Tensor) -> Tensor:
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class LocalResponseNorm(Module):
    """Divides by a power of the mean square of neighbouring channels; Krizhevsky et al. 2012.

    >>> nn.LocalResponseNorm(2)(bl.rand(2, 4, 3)).shape == (2, 4, 3)
    True
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _shape(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    single = isinstance(normalized_shape, int)
    return (normalized_shape,) if single else tuple(normalized_shape)  # type: ignore


def _counter(device: Any) -> Tensor:
    return bl.tensor(0, dtype=bl.int64, device=device)
