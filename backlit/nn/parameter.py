"""Parameter and Buffer under PyTorch's module name, and their uninitialized forms.

A lazy module holds uninitialized ones until its first input tells the sizes. Next: lazy.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeGuard

import backlit as bl
from backlit.errors import BacklitError
from backlit.tensor import Buffer as Buffer
from backlit.tensor import Parameter as Parameter
from backlit.tensor import Tensor


class UninitializedError(BacklitError, ValueError, RuntimeError):
    """A lazy module's value was used before its first input told the sizes."""


class _Uninitialized:
    """Refuses to tell a shape until `materialize` is called."""

    _becomes: type[Tensor]

    def materialize(self, shape: Sequence[int], device: Any = None, dtype: Any = None) -> None:
        """Take a shape (values undefined) and become an ordinary Parameter or Buffer."""
        self.__class__ = self._becomes  # type: ignore[assignment]
        tensor: Any = self
        tensor.data = bl.empty(*shape, device=device, dtype=dtype or tensor.dtype)

    @property
    def shape(self) -> Any:
        raise UninitializedError(
            f"{type(self).__name__} has no shape yet",
            hint="run the module once on a sample input, or load a state dict",
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape is not known yet.

    >>> p = nn.UninitializedParameter()
    >>> p.materialize((2, 3))
    >>> type(p).__name__, tuple(p.shape)
    ('Parameter', (2, 3))
    """

    _becomes = Parameter

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(bl.empty(0, device=device, dtype=dtype), requires_grad)


class UninitializedBuffer(_Uninitialized, Buffer):
    """A buffer whose shape is not known yet.

    >>> b = nn.UninitializedBuffer()
    >>> b.materialize((4,))
    >>> tuple(b.shape)
    (4,)
    """

    _becomes = Buffer

    def __init__(
        self,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = None,
        persistent: bool = True,
    ) -> None:
        super().__init__(bl.empty(0, device=device, dtype=dtype), persistent=persistent)


def is_lazy(value: Any) -> TypeGuard[Any]:
    """Whether a value is an uninitialized parameter or buffer.

    >>> nn.parameter.is_lazy(nn.Parameter(bl.zeros(2)))
    False
    """
    return isinstance(value, _Uninitialized)


def empty(*shape: int, device: Any = None, dtype: Any = None) -> Parameter:
    """A parameter with undefined values, to be filled by `reset_parameters`."""
    return Parameter(bl.empty(*shape, device=device, dtype=dtype))
