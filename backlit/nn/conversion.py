"""Changing the dtype of a module's values, and the words about devices.

Parameters keep their identity: their cells are refilled, so optimizers and ties stay valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

import backlit as bl
from backlit.dtypes import dtype as DType
from backlit.errors import ArgumentTypeError, NotAvailable
from backlit.nn.parameter import Parameter
from backlit.tensor import Tensor

if TYPE_CHECKING:
    from backlit.nn.module import Module


class ConversionMethods:
    """The converting methods of Module; the tables are made by Module.__init__."""

    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    children: Callable[[], Iterable[Module]]

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> Self:
        """Refill every parameter, gradient and buffer with `fn` of it; ties stay ties."""
        for module in self.children():
            module._apply(fn)
        with bl.no_grad():
            for tensor in (*self._parameters.values(), *self._buffers.values()):
                if tensor is None:
                    continue
                grad, values = tensor.grad, tensor.data
                converted = fn(values)
                if converted is not values:
                    tensor.grad = None
                    tensor.cell.put(converted.cell.array)  # the cell stays: so do ties
                    tensor.grad = None if grad is None else fn(grad)
        return self

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or cast in place: `to(dtype)`, `to(device)`, `to(tensor)`; only floats are cast.

        A memory format is accepted and has no effect: arrays keep their layout.

        >>> nn.Linear(2, 2).to(bl.float64).weight.dtype
        backlit.float64
        """
        kwargs.pop("memory_format", None)
        kwargs.pop("non_blocking", None)
        dtype, device = kwargs.pop("dtype", None), kwargs.pop("device", None)
        if kwargs:
            raise ArgumentTypeError(f"to() got an unexpected argument '{next(iter(kwargs))}'")
        for value in args:
            if isinstance(value, Tensor):
                dtype, device = value.dtype, value.device
            elif isinstance(value, DType):
                dtype = value
            elif not isinstance(value, bool) and value is not None:
                device = value
        if dtype is not None and not dtype.is_floating_point:
            raise ArgumentTypeError(f"to: modules take floating point dtypes only, got {dtype}")
        device = None if device is None else bl.device(device)

        def convert(tensor: Tensor) -> Tensor:
            cast = dtype if tensor.is_floating_point() else None
            return tensor.to(device=device or tensor.device, dtype=cast or tensor.dtype)

        return self._apply(convert)

    def type(self, dst_type: Any) -> Self:
        """Cast every parameter and buffer, integers included."""
        return self._apply(lambda tensor: tensor.type(dst_type))

    def float(self) -> Self:
        """Cast floating point values to float32."""
        return self.to(bl.float32)

    def double(self) -> Self:
        """Cast floating point values to float64."""
        return self.to(bl.float64)

    def half(self) -> Self:
        """Cast floating point values to float16."""
        return self.to(bl.float16)

    def bfloat16(self) -> Self:
        """Cast floating point values to bfloat16."""
        return self.to(bl.bfloat16)

    def cpu(self) -> Self:
        """Everything is on the CPU: returns the module."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Refused: there is no GPU backend."""
        raise NotAvailable("cuda: there is no GPU backend", hint="leave the module on the CPU")

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Move without keeping values: on the one device there is, nothing changes."""
        bl.device(device)
        return self
