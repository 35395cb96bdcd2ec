"""Convolutions and transposed convolutions over one, two and three dimensions, with lazy forms.

Owns argument checks, padding modes and output padding; the mathematics is `functional.conv*`.
Weights: (out, in / groups, *kernel), transposed (in, out / groups, *kernel). Next: lazy.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.nn import init
from backlit.nn.lazy import LazyModule
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter, UninitializedParameter, empty, is_lazy
from backlit.tensor import Tensor

Size = int | Sequence[int]
_MODES = ("zeros", "reflect", "replicate", "circular")


def spread(value: Size, dims: int) -> tuple[int, ...]:
    """One number per spatial dimension."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * dims


class _ConvNd(Module):
    _dims: ClassVar[int]
    transposed = False
    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size,
        padding: Size | str,
        dilation: Size,
        output_padding: Size,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any,
        dtype: Any,
    ) -> None:
        super().__init__()
        n = self._dims
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = spread(kernel_size, n), spread(stride, n)
        self.padding = padding if isinstance(padding, str) else spread(padding, n)
        self.dilation, self.output_padding = spread(dilation, n), spread(output_padding, n)
        self.padding_mode = padding_mode
        self._check_arguments()
        self.weight = empty(*self._weight_shape(), device=device, dtype=dtype)
        bias_values = empty(out_channels, device=device, dtype=dtype) if bias else None
        self.register_parameter("bias", bias_values)
        self.reset_parameters()

    def _check_arguments(self) -> None:
        name, groups = type(self).__name__, self.groups
        if groups <= 0:
            raise ArgumentError(f"{name}: groups must be positive, got {groups}")
        for which in ("in_channels", "out_channels"):
            if getattr(self, which) % groups:
                raise ArgumentError(
                    f"{name}: {which} {getattr(self, which)} is not divisible by groups {groups}"
                )
        if isinstance(self.padding, str):
            if self.padding not in ("same", "valid"):
                raise ArgumentError(
                    f"{name}: padding must be 'same', 'valid' or numbers, got {self.padding!r}"
                )
            if self.padding == "same" and any(s != 1 for s in self.stride):
                raise ArgumentError(f"{name}: padding='same' needs stride 1, got {self.stride}")
        if self.padding_mode not in _MODES:
            raise ArgumentError(
                f"{name}: padding_mode must be one of {_MODES}, got {self.padding_mode!r}"
            )

    def _weight_shape(self) -> tuple[int, ...]:
        ins, outs = self.in_channels, self.out_channels
        first, second = (ins, outs) if self.transposed else (outs, ins)
        return (first, second // self.groups, *self.kernel_size)

    def reset_parameters(self) -> None:
        """Draw weight, then bias, uniform in +-1/sqrt(fan in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        init.uniform_fan_in_(self.bias, self.weight)

    def _pads(self) -> list[int]:
        """Padding as `functional.pad` takes it: (left, right) of the last dimension first."""
        pads: list[int] = []
        for i in reversed(range(self._dims)):
            if self.padding == "same":
                total = self.dilation[i] * (self.kernel_size[i] - 1)
                pads += [total // 2, total - total // 2]
            else:
                pads += [0 if isinstance(self.padding, str) else self.padding[i]] * 2
        return pads

    def forward(self, input: Tensor) -> Tensor:
        convolve = getattr(F, f"conv{self._dims}d")
        padding = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._pads(), mode=self.padding_mode), (0,) * self._dims
        return convolve(  # type: ignore[no-any-return]
            input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups
        )

    def extra_repr(self) -> str:
        parts = [
            f"{self.in_channels}, {self.out_channels}",
            f"kernel_size={self.kernel_size}, stride={self.stride}",
        ]
        for name, usual in (("padding", 0), ("dilation", 1), ("output_padding", 0)):
            value = getattr(self, name)
            if value != (usual,) * self._dims:
                parts.append(f"{name}={value}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Conv(_ConvNd):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip


class Conv1d(_Conv):
    """Cross-correlation over one dimension: (N, C_in, L) to (N, C_out, L_out); N may be absent.

    `padding` is numbers, 'same' or 'valid'; `padding_mode` zeros, reflect, replicate or circular.

    >>> nn.Conv1d(16, 33, 3, stride=2)(bl.zeros(20, 16, 50)).shape == (20, 33, 24)
    True
    """

    _dims = 1


class Conv2d(_Conv):
    """Cross-correlation over images: (N, C_in, H, W) to (N, C_out, H_out, W_out).

    `padding` is numbers, 'same' or 'valid'; `padding_mode` zeros, reflect, replicate or circular.

    >>> nn.Conv2d(3, 8, 3, padding="same")(bl.zeros(2, 3, 5, 7)).shape == (2, 8, 5, 7)
    True
    """

    _dims = 2


class Conv3d(_Conv):
    """Cross-correlation over volumes: (N, C_in, D, H, W) to (N, C_out, D_out, H_out, W_out).

    `padding` is numbers, 'same' or 'valid'; `padding_mode` zeros, reflect, replicate or circular.

    >>> nn.Conv3d(2, 3, (3, 1, 1))(bl.zeros(1, 2, 5, 4, 4)).shape == (1, 3, 3, 4, 4)
    True
    """

    _dims = 3


class _ConvTranspose(_ConvNd):
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros":
            name = type(self).__name__
            raise ArgumentError(
                f"{name}: only padding_mode 'zeros' is possible, got {padding_mode!r}"
            )
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding,
            groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self.output_padding
        if output_size is not None:
            extra = self._output_padding_for(input, list(output_size))
        convolve = getattr(F, f"conv_transpose{self._dims}d")
        return convolve(  # type: ignore[no-any-return]
            input, self.weight, self.bias, self.stride, self.padding, extra, self.groups,
            self.dilation,
        )  # fmt: skip

    def _output_padding_for(self, input: Tensor, wanted: list[int]) -> tuple[int, ...]:
        """The output padding that makes the output have the wanted sizes."""
        n, name = self._dims, type(self).__name__
        if len(wanted) == input.ndim:
            wanted = wanted[-n:]
        if len(wanted) != n:
            raise ArgumentError(
                f"{name}: output_size needs {n} or {input.ndim} numbers, got {len(wanted)}"
            )
        sizes = zip(
            input.shape[-n:], self.stride, self.padding, self.kernel_size, self.dilation,
            strict=True,
        )  # fmt: skip
        least = [(i - 1) * s - 2 * p + d * (k - 1) + 1 for i, s, p, k, d in sizes]  # type: ignore[operator]
        for size, low, s in zip(wanted, least, self.stride, strict=True):
            if not low <= size < low + s:
                most = [m + s - 1 for m, s in zip(least, self.stride, strict=True)]
                raise ArgumentError(
                    f"{name}: output_size {wanted} is impossible; sizes from {least} to {most} "
                    f"are possible for input {tuple(input.shape)}"
                )
        return tuple(size - low for size, low in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """The gradient of Conv1d with respect to its input, as a layer: it makes sequences longer.

    >>> nn.ConvTranspose1d(4, 2, 3, stride=2)(bl.zeros(1, 4, 5)).shape == (1, 2, 11)
    True
    """

    _dims = 1


class ConvTranspose2d(_ConvTranspose):
    """The gradient of Conv2d with respect to its input, as a layer: it makes images larger.

    >>> up = nn.ConvTranspose2d(16, 8, 2, stride=2)
    >>> up(bl.zeros(1, 16, 6, 6)).shape == (1, 8, 12, 12)
    True
    """

    _dims = 2


class ConvTranspose3d(_ConvTranspose):
    """The gradient of Conv3d with respect to its input, as a layer: it makes volumes larger.

    >>> up = nn.ConvTranspose3d(2, 1, 2, stride=2)
    >>> up(bl.zeros(1, 2, 2, 3, 3)).shape == (1, 1, 4, 6, 6)
    True
    """

    _dims = 3


class _LazyNd(LazyModule, _ConvNd):
    inferred = "in_channels"

    def _make_lazy(self, out_channels: int, bias: bool, device: Any, dtype: Any) -> None:
        self.out_channels = out_channels
        self._check_arguments()
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Take in_channels from the input: (N, C, ...) or (C, ...)."""
        without_batch = self._dims + 1
        if input.ndim not in (without_batch, without_batch + 1):
            raise ArgumentError(
                f"{type(self).__name__}: expected {without_batch} or {without_batch + 1} "
                f"dimensions, got shape {tuple(input.shape)}"
            )
        self.in_channels = input.shape[input.ndim - without_batch]
        if self.has_uninitialized_params():
            self._check_arguments()
            self.weight.materialize(self._weight_shape())
            if is_lazy(self.bias):
                self.bias.materialize((self.out_channels,))
            self.reset_parameters()


class _LazyConv(_LazyNd, _Conv):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode,
            device, dtype,
        )  # fmt: skip
        self._make_lazy(out_channels, bias, device, dtype)


class _LazyConvTranspose(_LazyNd, _ConvTranspose):
    def __init__(
        self,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        output_padding: Size = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Size = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            0, 0, kernel_size, stride, padding, output_padding, groups, False, dilation,
            padding_mode, device, dtype,
        )  # fmt: skip
        self._make_lazy(out_channels, bias, device, dtype)


class LazyConv1d(_LazyConv, Conv1d):
    """Conv1d that takes `in_channels` from its first input.

    >>> layer = nn.LazyConv1d(8, 3)
    >>> _ = layer(bl.zeros(2, 4, 9)); layer.in_channels
    4
    """

    cls_to_become = Conv1d


class LazyConv2d(_LazyConv, Conv2d):
    """Conv2d that takes `in_channels` from its first input.

    >>> layer = nn.LazyConv2d(8, 3)
    >>> _ = layer(bl.zeros(2, 4, 9, 9)); layer.in_channels
    4
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyConv, Conv3d):
    """Conv3d that takes `in_channels` from its first input.

    >>> layer = nn.LazyConv3d(8, 3)
    >>> _ = layer(bl.zeros(2, 4, 5, 5, 5)); layer.in_channels
    4
    """

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """ConvTranspose1d that takes `in_channels` from its first input.

    >>> layer = nn.LazyConvTranspose1d(8, 3)
    >>> _ = layer(bl.zeros(2, 4, 9)); layer.in_channels
    4
    """

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """ConvTranspose2d that takes `in_channels` from its first input.

    >>> layer = nn.LazyConvTranspose2d(8, 3)
    >>> _ = layer(bl.zeros(2, 4, 9, 9)); layer.in_channels
    4
    """

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """ConvTranspose3d that takes `in_channels` from its first input.

    >>> layer = nn.LazyConvTranspose3d(8, 3)
    >>> _ = layer(bl.zeros(2, 4, 5, 5, 5)); layer.in_channels
    4
    """

    cls_to_become = ConvTranspose3d
