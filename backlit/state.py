"""What the current thread is doing: recording or not, in which module, under which observers.

One object, read by `autograd.record` at every operator and set by context managers, modules and
the engine. Must not know Tensor or any operator.
"""

from __future__ import annotations

import threading
from typing import Any


class State(threading.local):
    """Per thread; the defaults are those of a fresh thread."""

    def __init__(self) -> None:
        self.grad: bool = True  # record Nodes for tensors that require grad
        self.inference: bool = False
        self.module: str = ""  # path of the running module: "model.layer1.conv"
        self.scope: str = ""  # open composite operators: "normalize/norm"
        self.backward_of: Any = None  # the forward Node whose rule is running
        self.observers: tuple[Any, ...] = ()
        self.autocast: Any = None  # the dtype in which products run; see autograd/autocast.py
        self.casts: dict | None = None  # the parameters that an autocast block has cast


state = State()


def tell(moment: str, *what: Any) -> None:
    """Call the method `moment` of every observer that has it."""
    for observer in state.observers:
        told = getattr(observer, moment, None)
        if told is not None:
            told(*what)


class Changes:
    """Counts what may change what a captured step would do: attributes of modules, options of
    optimizers, hooks, flags and storage of tensors. Whoever sees the same count need not look."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


changes = Changes()
