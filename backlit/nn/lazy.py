"""What lazy modules share: sizes come from the first input, then the ordinary class takes over.

A lazy class names its ordinary class in `cls_to_become` and fills in sizes in
`initialize_parameters`. Next: the Lazy classes in linear.py, conv.py and normalization.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import backlit as bl
from backlit.nn.module import Module
from backlit.nn.parameter import is_lazy


class LazyModule(Module):
    """Base of the lazy classes.

    >>> layer = nn.LazyLinear(3)
    >>> layer.has_uninitialized_params()
    True
    >>> _ = layer(bl.zeros(1, 5)); layer
    Linear(in_features=5, out_features=3, bias=True)
    """

    cls_to_become: type[Module]
    inferred: str  # attribute that the first input tells; 0 until then
    initialize_parameters: Callable[..., None]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        with bl.no_grad():
            self.initialize_parameters(*args, **kwargs)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        return self(*args, **kwargs)

    def has_uninitialized_params(self) -> bool:
        """Whether some parameter or buffer still waits for its shape."""
        return any(is_lazy(t) for t in (*self._parameters.values(), *self._buffers.values()))

    def reset_parameters(self) -> None:
        """Draw initial values, once the shapes are known."""
        if getattr(self, self.inferred) != 0 and not self.has_uninitialized_params():
            super().reset_parameters()  # type: ignore[misc]
