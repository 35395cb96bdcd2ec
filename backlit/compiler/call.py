"""The arguments of a call: what a signature is, and the short check of calls like the last.

Tensors count by shape, dtype and flags, everything else by value or identity. Next: compile.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.compiler.cells import block_of
from backlit.compiler.entry import Entry
from backlit.compiler.guards import Walk
from backlit.dtypes import get_default_dtype
from backlit.errors import CaptureError
from backlit.state import changes, state
from backlit.tensor import Tensor
from backlit.tree import over

_IMMUTABLE = (int, float, bool, str, bytes, complex, type(None))
NotTaken = object()  # what Quick.run returns for a call that is not like the last one


class Call:
    """The arguments of a call, taken apart."""

    def __init__(self, args: tuple, kwargs: dict, pinned: dict[int, Any]):
        self.args, self.kwargs, self._pinned = args, kwargs, pinned
        self.tensors: list[Tensor] = []  # each once
        self.names: list[str] = []
        self.roots: list[tuple[str, Any]] = []
        self.repeated = False
        self._known: dict[int, int] = {}
        shape = [self._token(f"x{i}", a) for i, a in enumerate(args)]
        shape += [(k, self._token(k, v)) for k, v in sorted(kwargs.items())]
        self.key = (tuple(shape), modes())

    def _token(self, name: str, x: Any) -> Any:
        if isinstance(x, Tensor):
            return self._tensor(name, x)
        if isinstance(x, _IMMUTABLE):
            return (type(x), x)
        if type(x) is tuple or type(x) is list:
            return (type(x), *(self._token(f"{name}_{i}", v) for i, v in enumerate(x)))
        if isinstance(x, dict):
            return (type(x), *((k, self._token(f"{name}_{k}", v)) for k, v in x.items()))
        if isinstance(x, np.ndarray):
            raise CaptureError(
                f"argument {name} is a NumPy array, whose values a compiled step would keep",
                hint="pass a tensor: bl.from_numpy(x)",
            )
        self.roots.append((name, x))
        return (type(x), id(x))

    def _tensor(self, name: str, x: Tensor) -> Any:
        known = self._known.get(id(x))
        if known is not None:
            self.repeated = True
            return ("again", known)
        self._known[id(x)] = len(self._known)
        by_itself = type(x) is not Tensor or block_of(x.cell) is not None
        if by_itself or id(x.cell) in self._pinned or (x._requires_grad and x._grad is not None):
            self.roots.append((name, x))
            return ("state", id(x.cell))
        self.tensors.append(x)
        self.names.append(name if name.isidentifier() else f"x_{len(self.names)}")
        array = x.cell.array
        return ("tensor", array.shape, array.dtype, x._requires_grad or x.node is not None)

    def arrays(self) -> list[np.ndarray]:
        return [t.cell.array for t in self.tensors]

    def reached(self, walk: Walk, pinned: dict[int, Any]) -> bool:
        """Pin arguments that the code also reaches by itself: they count as state from now on."""
        found = [t for t in self.tensors if id(t.cell) in walk.cells]
        pinned.update((id(t.cell), t.cell) for t in found)
        return bool(found)

    def as_leaves(self) -> tuple[list[Tensor], tuple, dict]:
        """The arguments for a capture: tensors with a history stand there as leaves."""
        leaves = {id(t): _leaf(t) for t in self.tensors if t.node is not None}
        if not leaves:
            return self.tensors, self.args, self.kwargs

        def swapped(t: Tensor) -> Tensor:
            return leaves.get(id(t), t)

        args, kwargs = over(self.args, swapped), over(self.kwargs, swapped)
        return [swapped(t) for t in self.tensors], args, kwargs

    def fits(self, entry: Entry) -> bool:
        return not any(id(t.cell) in entry.states for t in self.tensors)


class Quick:
    """The check of a call like the last one: tensors and numbers, by position."""

    __slots__ = ("checks", "entry", "modes", "only_tensors")

    def __init__(self, entry: Entry, checks: list, now: tuple):
        self.entry, self.checks, self.modes = entry, checks, now
        self.only_tensors = all(type(check) is tuple for check in checks)

    @classmethod
    def of(cls, entry: Entry, call: Call) -> Quick | None:
        """The check of calls like this one; None where only the long way tells."""
        taken = {id(t) for t in call.tensors}
        plain = all(id(a) in taken or isinstance(a, _IMMUTABLE) for a in call.args)
        if call.kwargs or call.repeated or not plain:
            return None
        checks = [
            (a.cell.array.shape, a.cell.array.dtype, a._requires_grad) if id(a) in taken else [a]
            for a in call.args
        ]
        return cls(entry, checks, modes())

    def run(self, args: tuple) -> Any:
        """The result of the call, or NotTaken."""
        entry, checks = self.entry, self.checks
        if len(args) != len(checks) or entry.count != changes.count or self.modes != modes():
            return NotTaken
        arrays, states = [], entry.states
        for x, check in zip(args, checks):
            if type(check) is list:
                if type(x) is not type(check[0]) or x != check[0]:
                    return NotTaken
                continue
            shape, dtype, flag = check
            if type(x) is not Tensor or x._requires_grad is not flag or x.node is not None:
                return NotTaken
            cell = x.cell
            array = cell.array
            if array.shape != shape or id(cell) in states:
                return NotTaken
            if array.dtype is not dtype and array.dtype != dtype:
                return NotTaken
            if flag and x._grad is not None:
                return NotTaken
            arrays.append(array)
        tensors = args if self.only_tensors else [x for x in args if type(x) is Tensor]
        if len(tensors) > 1 and len(set(map(id, tensors))) != len(tensors):
            return NotTaken
        if not entry.watches_hold() or (entry.grads_read and not entry.grads_hold(tensors)):
            return NotTaken
        if entry.given and not entry.collect(arrays, tensors):
            return NotTaken
        return entry.run(arrays, tensors)


def modes() -> tuple:
    """Modes of this thread that decide what operators do."""
    now = state
    return (now.grad, now.inference, now.autocast, get_default_dtype())


def _leaf(t: Tensor) -> Tensor:
    made = t.detach()
    made._requires_grad = True
    return made
