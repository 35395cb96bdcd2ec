"""Padding layers: constant, zero, reflection, replication and circular, in 1, 2 and 3 dimensions.

Paddings are (left, right) of the last dimension first, then of the one before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from backlit.errors import ArgumentError
from backlit.nn import functional as F
from backlit.nn.conv import Size, spread
from backlit.nn.module import Module
from backlit.tensor import Tensor


class _Pad(Module):
    _dims: ClassVar[int]
    _mode: ClassVar[str] = "constant"
    value: float | None = None

    def __init__(self, padding: Size) -> None:
        super().__init__()
        self.padding = spread(padding, 2 * self._dims)
        if isinstance(padding, Sequence) and len(padding) != 2 * self._dims:
            name = type(self).__name__
            raise ArgumentError(f"{name}: expected {2 * self._dims} numbers, got {padding}")

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Size, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Surrounds sequences with a value.

    >>> nn.ConstantPad1d(1, 9.0)(bl.zeros(1, 1, 3)).shape == (1, 1, 5)
    True
    """

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """Surrounds images with a value.

    >>> nn.ConstantPad2d(1, 9.0)(bl.zeros(1, 1, 3, 3)).shape == (1, 1, 5, 5)
    True
    """

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """Surrounds volumes with a value.

    >>> nn.ConstantPad3d(1, 9.0)(bl.zeros(1, 1, 3, 3, 3)).shape == (1, 1, 5, 5, 5)
    True
    """

    _dims = 3


class ZeroPad1d(_Pad):
    """Surrounds sequences with zeros.

    >>> nn.ZeroPad1d(1)(bl.zeros(1, 1, 3)).shape == (1, 1, 5)
    True
    """

    _dims = 1


class ZeroPad2d(_Pad):
    """Surrounds images with zeros.

    >>> nn.ZeroPad2d(1)(bl.zeros(1, 1, 3, 3)).shape == (1, 1, 5, 5)
    True
    """

    _dims = 2


class ZeroPad3d(_Pad):
    """Surrounds volumes with zeros.

    >>> nn.ZeroPad3d(1)(bl.zeros(1, 1, 3, 3, 3)).shape == (1, 1, 5, 5, 5)
    True
    """

    _dims = 3


class ReflectionPad1d(_Pad):
    """Surrounds sequences with their mirror image, edges not repeated.

    >>> nn.ReflectionPad1d(1)(bl.zeros(1, 1, 3)).shape == (1, 1, 5)
    True
    """

    _dims = 1
    _mode = "reflect"


class ReflectionPad2d(_Pad):
    """Surrounds images with their mirror image, edges not repeated.

    >>> nn.ReflectionPad2d(1)(bl.zeros(1, 1, 3, 3)).shape == (1, 1, 5, 5)
    True
    """

    _dims = 2
    _mode = "reflect"


class ReflectionPad3d(_Pad):
    """Surrounds volumes with their mirror image, edges not repeated.

    >>> nn.ReflectionPad3d(1)(bl.zeros(1, 1, 3, 3, 3)).shape == (1, 1, 5, 5, 5)
    True
    """

    _dims = 3
    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """Surrounds sequences with their edge values.

    >>> nn.ReplicationPad1d(1)(bl.zeros(1, 1, 3)).shape == (1, 1, 5)
    True
    """

    _dims = 1
    _mode = "replicate"


class ReplicationPad2d(_Pad):
    """Surrounds images with their edge values.

    >>> nn.ReplicationPad2d(1)(bl.zeros(1, 1, 3, 3)).shape == (1, 1, 5, 5)
    True
    """

    _dims = 2
    _mode = "replicate"


class ReplicationPad3d(_Pad):
    """Surrounds volumes with their edge values.

    >>> nn.ReplicationPad3d(1)(bl.zeros(1, 1, 3, 3, 3)).shape == (1, 1, 5, 5, 5)
    True
    """

    _dims = 3
    _mode = "replicate"


class CircularPad1d(_Pad):
    """Surrounds sequences with themselves, as on a ring.

    >>> nn.CircularPad1d(1)(bl.zeros(1, 1, 3)).shape == (1, 1, 5)
    True
    """

    _dims = 1
    _mode = "circular"


class CircularPad2d(_Pad):
    """Surrounds images with themselves, as on a ring.

    >>> nn.CircularPad2d(1)(bl.zeros(1, 1, 3, 3)).shape == (1, 1, 5, 5)
    True
    """

    _dims = 2
    _mode = "circular"


class CircularPad3d(_Pad):
    """Surrounds volumes with themselves, as on a ring.

    >>> nn.CircularPad3d(1)(bl.zeros(1, 1, 3, 3, 3)).shape == (1, 1, 5, 5, 5)
    True
    """

    _dims = 3
    _mode = "circular"
