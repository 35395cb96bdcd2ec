"""Unfold cuts images into columns of sliding blocks; Fold sums such columns into an image."""

from __future__ import annotations

from backlit.nn import functional as F
from backlit.nn.conv import Size
from backlit.nn.module import Module
from backlit.tensor import Tensor


class Unfold(Module):
    """(N, C, H, W) to (N, C * kernel, blocks): every sliding block as a column.

    >>> nn.Unfold((2, 3))(bl.zeros(2, 5, 3, 4)).shape == (2, 30, 4)
    True
    """

    def __init__(
        self, kernel_size: Size, dilation: Size = 1, padding: Size = 0, stride: Size = 1
    ) -> None:
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class Fold(Module):
    """(N, C * kernel, blocks) to (N, C, *output_size): sums overlapping blocks.

    >>> nn.Fold(output_size=(4, 5), kernel_size=(2, 2))(bl.zeros(1, 12, 12)).shape == (1, 3, 4, 5)
    True
    """

    def __init__(
        self,
        output_size: Size,
        kernel_size: Size,
        dilation: Size = 1,
        padding: Size = 0,
        stride: Size = 1,
    ) -> None:
        super().__init__()
        self.output_size, self.kernel_size, self.dilation = output_size, kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(
            input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride
        )

    def extra_repr(self) -> str:
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )
