"""A parameter group: the options that some parameters share, and their numbers as cells.

A recorded step must read the learning rate, not hold a copy of it: `group.number("lr")` is then
a 0-dim float64 Tensor that follows `group["lr"]`. Knows nothing of any optimizer.
Next: optimizer.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import backlit as bl
from backlit.state import changes, state
from backlit.tensor import Tensor


class ParamGroup(dict[str, Any]):
    """Options by name, as PyTorch's plain dict, which also keep cells of their numbers.

    >>> group = bl.optim.group.ParamGroup(params=[], lr=0.1, betas=(0.9, 0.999))
    >>> group.number("betas")
    (0.9, 0.999)
    >>> lr, = group.cells("lr")
    >>> group["lr"] = 0.5
    >>> lr.item()
    0.5
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._cells: dict[str, tuple[Tensor, ...]] = {}

    def number(self, name: str) -> Any:
        """A number (or a tuple of them) to compute with: floats, or cells under observers."""
        value = self[name]
        if state.observers:
            cells = self.cells(name)
            return cells if isinstance(value, (tuple, list)) else cells[0]
        # float(): a NumPy scalar would turn float32 arrays into float64.
        return tuple(map(float, value)) if isinstance(value, (tuple, list)) else float(value)

    def cells(self, name: str) -> tuple[Tensor, ...]:
        """The numbers of `group[name]` as 0-dim Tensors that follow it."""
        cells = self._cells.get(name)
        if cells is None:
            cells = self._cells[name] = tuple(_cell(number) for number in _numbers(self[name]))
        return cells

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        if name in self._cells:
            self._refill(name, _numbers(value))
        else:
            changes.count += 1

    def _refill(self, name: str, numbers: tuple[Any, ...]) -> None:
        cells = self._cells[name]
        if len(cells) != len(numbers) or any(isinstance(n, Tensor) for n in numbers):
            del self._cells[name]
            changes.count += 1
            return
        for cell, number in zip(cells, numbers):
            cell.fill_(number)

    def update(self, *args: Any, **options: Any) -> None:
        """As dict.update; the cells follow."""
        for name, value in dict(*args, **options).items():
            self[name] = value

    def __ior__(self, other: Any) -> ParamGroup:  # type: ignore[misc,override]
        self.update(other)
        return self

    def __reduce__(self) -> Any:
        """A copy has cells of its own."""
        return type(self), (dict(self),)

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._cells.pop(name, None)
        changes.count += 1


def scalar(value: float) -> Tensor:
    """A 0-dim float64 Tensor: exact for step numbers, accurate for bias corrections."""
    return bl.tensor(float(value), dtype=bl.float64)


def _cell(number: Any) -> Tensor:
    """A user's one-element Tensor is its own cell."""
    if isinstance(number, Tensor):
        return number.detach().reshape(())
    cell = scalar(number)
    cell.cell.era = 0  # the number is older than the step that is the first to read it as a cell
    return cell


def _numbers(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def named_or_plain(params: Iterable[Any]) -> tuple[list[Any], list[str]]:
    """Split `named_parameters()` pairs into tensors and names; plain ones have no names."""
    tensors: list[Any] = []
    names: list[str] = []
    for entry in params:
        if isinstance(entry, tuple):
            names.append(entry[0])
            tensors.append(entry[1])
        else:
            tensors.append(entry)
    return tensors, names


def options_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """Everything of a group but its tensors."""
    return {name: value for name, value in group.items() if name != "params"}
