"""Storages and windows into them: PyTorch's tensors as cells and views of cells.

A window that nobody else looks into is a cell of its own, and equal windows are one cell. Windows
that overlap are views of one flat tensor, so that a write through one shows in the others.
Nothing is copied, so no file makes arrays that are larger than itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

import numpy as np

from backlit.autograd import no_grad
from backlit.dtypes import bool_, dtype
from backlit.serialization.opcodes import Refusal
from backlit.tensor import Cell, Tensor, ViewCell, wrap

MOST_AXES = 64  # NumPy's limit
MOST_ELEMENTS = 1 << 48  # of an expanded tensor; more is no model


class Window(NamedTuple):
    """Where a tensor's elements lie in a flat storage, in elements."""

    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    @classmethod
    def checked(cls, offset: Any, size: Any, stride: Any, storage: Storage) -> Self:
        """A window that lies within its storage; Refusal otherwise."""
        size, stride = tuple(size), tuple(stride)
        numbers = (offset, *size, *stride)
        if len(size) != len(stride) or any(type(n) is not int or n < 0 for n in numbers):
            raise Refusal(f"a tensor of shape {size} with strides {stride} at {offset}")
        made = cls(offset, size, stride)
        total = 1
        for n in size:
            total *= n
        if len(size) > MOST_AXES or total > MOST_ELEMENTS:
            raise Refusal(f"a tensor of {len(size)} axes and {total} elements")
        if total and made.end > storage.count:
            reach = f"a tensor that reaches element {made.end} of {storage.count}"
            raise Refusal(f"{reach} in storage {storage.name!r}")
        return made

    @property
    def end(self) -> int:
        """One behind the last element."""
        if 0 in self.size:
            return self.offset
        return self.offset + 1 + sum((n - 1) * s for n, s in zip(self.size, self.stride))


@dataclass
class Storage:
    """One piece of memory of a file, and the tensors that look into it."""

    name: str
    dtype: dtype
    count: int
    flat: Tensor  # the whole of it, for who keeps the storage itself
    windows: list[tuple[Tensor, Window]] = field(default_factory=list)

    @property
    def nbytes(self) -> int:
        return self.count * self.dtype.itemsize

    def fill(self, raw: bytes | memoryview, order: str) -> None:
        """Give every tensor its cell, now that the bytes (`order` is < or >) are known."""
        if len(raw) != self.nbytes:
            raise Refusal(f"storage {self.name!r} of {len(raw)} bytes, not {self.nbytes}")
        array = self._array(raw, order)
        self.flat.cell = Cell(array)
        with no_grad():
            for group in _overlapping(self.windows):
                _give_cells(array, group)

    def _array(self, raw: bytes | memoryview, order: str) -> np.ndarray:
        size = self.dtype.itemsize
        if order == ">" and size > 1:
            raw = np.frombuffer(raw, f">u{size}").astype(f"<u{size}").tobytes()
        if self.dtype is bool_:  # any other byte than 0 and 1 would be an undefined bool
            return np.frombuffer(raw, np.uint8) != 0
        return np.frombuffer(raw, self.dtype.numpy)


def _overlapping(windows: list[tuple[Tensor, Window]]) -> Iterator[list[tuple[Tensor, Window]]]:
    """Groups of windows whose extents touch the same elements."""
    group: list[tuple[Tensor, Window]] = []
    reach = 0
    for pair in sorted(windows, key=lambda pair: (pair[1].offset, pair[1].end)):
        if group and pair[1].offset >= reach:
            yield group
            group = []
        group.append(pair)
        reach = max(reach, pair[1].end)
    if group:
        yield group


def _give_cells(array: np.ndarray, group: list[tuple[Tensor, Window]]) -> None:
    cells: dict[Window, Cell | ViewCell] = {}
    alone = len({window for _, window in group}) == 1
    root = None if alone else wrap(array)
    for tensor, window in group:
        if window not in cells:
            view = None if root is None or 0 in window.size else _look(root, window)
            cells[window] = Cell(_strided(array, window)) if view is None else view.cell
        tensor.cell = cells[window]


def _strided(array: np.ndarray, window: Window) -> np.ndarray:
    """The window as an array; of the storage's own memory."""
    if 0 in window.size:
        return np.zeros(window.size, array.dtype)
    strides = [s * array.itemsize for s in window.stride]
    return np.lib.stride_tricks.as_strided(
        array[window.offset :], window.size, strides, writeable=False
    )


def _look(root: Any, window: Window) -> Any:
    """The window as views of the flat tensor; None where views can't say it.

    From the largest stride to the smallest, the last axis is cut into rows.
    """
    axes = [i for i, (n, s) in enumerate(zip(window.size, window.stride)) if n > 1 and s]
    axes.sort(key=lambda i: -window.stride[i])
    view, room, offset = root, root.numel(), window.offset
    for i in axes:
        count, step = window.size[i], window.stride[i]
        first, offset = divmod(offset, step)
        if (first + count) * step > room:
            return None  # the last row is cut short, or rows overlap
        view = view.narrow(-1, first * step, count * step).unflatten(-1, (count, step))
        room = step
    if offset >= room:
        return None
    view = view.select(-1, offset)
    view = view.permute(*(axes.index(i) for i in sorted(axes))) if axes else view
    for i in range(len(window.size)):
        if i not in axes:
            view = view.unsqueeze(i)
    return view if tuple(view.shape) == window.size else view.expand(*window.size)
