"""Pooling over one, two and three dimensions; the mathematics is `functional.*_pool*`.

Inputs are (N, C, ...) or (C, ...). A stride of None is the kernel size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from backlit.nn import functional as F
from backlit.nn.conv import Size, spread
from backlit.nn.module import Module
from backlit.tensor import Tensor


class _MaxPool(Module):
    _dims: ClassVar[int]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, input: Tensor) -> Any:
        return getattr(F, f"max_pool{self._dims}d")(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class _MaxUnpool(Module):
    _dims: ClassVar[int]

    def __init__(self, kernel_size: Size, stride: Size | None = None, padding: Size = 0) -> None:
        super().__init__()
        self.kernel_size = spread(kernel_size, self._dims)
        self.stride = self.kernel_size if stride is None else spread(stride, self._dims)
        self.padding = spread(padding, self._dims)

    def forward(
        self, input: Tensor, indices: Tensor, output_size: Sequence[int] | None = None
    ) -> Tensor:
        unpool = getattr(F, f"max_unpool{self._dims}d")
        return unpool(  # type: ignore[no-any-return]
            input, indices, self.kernel_size, self.stride, self.padding, output_size
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    _dims: ClassVar[int]

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, f"avg_pool{self._dims}d")(  # type: ignore[no-any-return]
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _LPPool(Module):
    _dims: ClassVar[int]

    def __init__(
        self,
        norm_type: float,
        kernel_size: Size,
        stride: Size | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        return getattr(F, f"lp_pool{self._dims}d")(  # type: ignore[no-any-return]
            input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, ceil_mode={self.ceil_mode}"
        )


class _AdaptiveAvgPool(Module):
    _dims: ClassVar[int]

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        pool = getattr(F, f"adaptive_avg_pool{self._dims}d")
        return pool(input, self.output_size)  # type: ignore[no-any-return]

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveMaxPool(Module):
    _dims: ClassVar[int]

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, input: Tensor) -> Any:
        pool = getattr(F, f"adaptive_max_pool{self._dims}d")
        return pool(input, self.output_size, return_indices=self.return_indices)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class MaxPool1d(_MaxPool):
    """Maximum of each window of sequences; padding counts as minus infinity.

    >>> nn.MaxPool1d(2)(bl.zeros(1, 2, 8)).shape == (1, 2, 4)
    True
    """

    _dims = 1


class MaxPool2d(_MaxPool):
    """Maximum of each window of images; padding counts as minus infinity.

    >>> nn.MaxPool2d(2)(bl.zeros(1, 2, 8, 8)).shape == (1, 2, 4, 4)
    True
    """

    _dims = 2


class MaxPool3d(_MaxPool):
    """Maximum of each window of volumes; padding counts as minus infinity.

    >>> nn.MaxPool3d(2)(bl.zeros(1, 2, 8, 8, 8)).shape == (1, 2, 4, 4, 4)
    True
    """

    _dims = 3


class AvgPool1d(_AvgPool):
    """Mean of each window of sequences; padding counts as zeros unless told otherwise.

    >>> nn.AvgPool1d(2)(bl.zeros(1, 2, 8)).shape == (1, 2, 4)
    True
    """

    _dims = 1

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        kernel_size, padding = spread(kernel_size, 1), spread(padding, 1)
        stride = None if stride is None else spread(stride, 1)
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
        )


class AvgPool2d(_AvgPool):
    """Mean of each window of images; padding counts as zeros unless told otherwise.

    >>> nn.AvgPool2d(2)(bl.zeros(1, 2, 8, 8)).shape == (1, 2, 4, 4)
    True
    """

    _dims = 2


class AvgPool3d(_AvgPool):
    """Mean of each window of volumes; padding counts as zeros unless told otherwise.

    >>> nn.AvgPool3d(2)(bl.zeros(1, 2, 8, 8, 8)).shape == (1, 2, 4, 4, 4)
    True
    """

    _dims = 3


class LPPool1d(_LPPool):
    """(Sum of x^p over each window of sequences)^(1/p).

    >>> nn.LPPool1d(2, 2)(bl.zeros(1, 2, 8)).shape == (1, 2, 4)
    True
    """

    _dims = 1


class LPPool2d(_LPPool):
    """(Sum of x^p over each window of images)^(1/p).

    >>> nn.LPPool2d(2, 2)(bl.zeros(1, 2, 8, 8)).shape == (1, 2, 4, 4)
    True
    """

    _dims = 2


class LPPool3d(_LPPool):
    """(Sum of x^p over each window of volumes)^(1/p).

    >>> nn.LPPool3d(2, 2)(bl.zeros(1, 2, 8, 8, 8)).shape == (1, 2, 4, 4, 4)
    True
    """

    _dims = 3


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Mean over windows that give sequences of the wanted size; None keeps a size.

    >>> nn.AdaptiveAvgPool1d(4)(bl.zeros(1, 2, 8)).shape == (1, 2, 4)
    True
    """

    _dims = 1


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Mean over windows that give images of the wanted size; None keeps a size.

    >>> nn.AdaptiveAvgPool2d(4)(bl.zeros(1, 2, 8, 8)).shape == (1, 2, 4, 4)
    True
    """

    _dims = 2


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Mean over windows that give volumes of the wanted size; None keeps a size.

    >>> nn.AdaptiveAvgPool3d(4)(bl.zeros(1, 2, 8, 8, 8)).shape == (1, 2, 4, 4, 4)
    True
    """

    _dims = 3


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Maximum over windows that give sequences of the wanted size; None keeps a size.

    >>> nn.AdaptiveMaxPool1d(4)(bl.zeros(1, 2, 8)).shape == (1, 2, 4)
    True
    """

    _dims = 1


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Maximum over windows that give images of the wanted size; None keeps a size.

    >>> nn.AdaptiveMaxPool2d(4)(bl.zeros(1, 2, 8, 8)).shape == (1, 2, 4, 4)
    True
    """

    _dims = 2


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Maximum over windows that give volumes of the wanted size; None keeps a size.

    >>> nn.AdaptiveMaxPool3d(4)(bl.zeros(1, 2, 8, 8, 8)).shape == (1, 2, 4, 4, 4)
    True
    """

    _dims = 3


class MaxUnpool1d(_MaxUnpool):
    """Puts pooled values of sequences back where MaxPool1d found them, zeros elsewhere.

    >>> x = bl.rand(1, 2, 8)
    >>> y, where = nn.MaxPool1d(2, return_indices=True)(x)
    >>> nn.MaxUnpool1d(2)(y, where).shape == x.shape
    True
    """

    _dims = 1


class MaxUnpool2d(_MaxUnpool):
    """Puts pooled values of images back where MaxPool2d found them, zeros elsewhere.

    >>> x = bl.rand(1, 2, 8, 8)
    >>> y, where = nn.MaxPool2d(2, return_indices=True)(x)
    >>> nn.MaxUnpool2d(2)(y, where).shape == x.shape
    True
    """

    _dims = 2


class MaxUnpool3d(_MaxUnpool):
    """Puts pooled values of volumes back where MaxPool3d found them, zeros elsewhere.

    >>> x = bl.rand(1, 2, 8, 8, 8)
    >>> y, where = nn.MaxPool3d(2, return_indices=True)(x)
    >>> nn.MaxUnpool3d(2)(y, where).shape == x.shape
    True
    """

    _dims = 3
