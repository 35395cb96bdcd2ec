"""PyTorch's wrappers for several devices, as they behave where there is one.

`DataParallel` calls its module, under the name that its checkpoints have (`module.`). What needs
other processes is refused when it is made, so that programs which ask first run unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backlit.errors import NotAvailable
from backlit.nn.module import Module


class DataParallel(Module):
    """Calls `module`: with one device there is nothing to split.

    Checkpoints have the prefix `module.`. Device numbers are ignored, as in PyTorch without a GPU.

    >>> net = nn.DataParallel(nn.Linear(2, 1))
    >>> list(net.state_dict()), net(bl.ones(3, 2)).shape
    (['module.weight', 'module.bias'], backlit.Size([3, 1]))
    """

    module: Module

    def __init__(
        self,
        module: Module,
        device_ids: Sequence[Any] | None = None,
        output_device: Any = None,
        dim: int = 0,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.device_ids: list[Any] = []
        self.module = module

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """`module(*inputs)`, as `DataParallel` would call it.

    >>> nn.parallel.data_parallel(nn.Identity(), bl.ones(2))
    tensor([1., 1.])
    """
    listed = inputs if isinstance(inputs, tuple) else (inputs,)
    return DataParallel(module, device_ids, output_device, dim)(*listed, **(module_kwargs or {}))


class DistributedDataParallel(Module):
    """Refused: one process trains.

    >>> nn.parallel.DistributedDataParallel(nn.Identity())
    Traceback (most recent call last):
        ...
    backlit.errors.NotAvailable: DistributedDataParallel does not exist in Backlit
      hint: one process trains: call the module itself
    """

    def __init__(self, module: Module, *args: Any, **kwargs: Any) -> None:
        raise NotAvailable(
            "DistributedDataParallel does not exist in Backlit",
            hint="one process trains: call the module itself",
        )
