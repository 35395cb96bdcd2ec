"""Cells whose array lies in memory that compiled steps read and write: blocks.

Several executables share a block, and the state lives in the cell: whoever looks at it from
outside gets a snapshot, which is an ordinary array that nobody writes to. Knows no Program.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ArgumentError
from backlit.state import changes, state, tell
from backlit.tensor import Cell, Tensor, ViewCell

ALIGNMENT = 64


class _Runs:
    """Counts the runs that wrote blocks: a snapshot is good until the next."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


runs = _Runs()


class Block:
    """The memory of a resident cell and the latest snapshot of it."""

    __slots__ = ("memory", "seen", "snapshot")

    def __init__(self, array: np.ndarray):
        self.memory = aligned(array.shape, array.dtype)
        self.memory[...] = array
        self.snapshot: np.ndarray | None = None
        self.seen = -1

    def look(self) -> np.ndarray:
        """The values as they are now, in an array that stays as it is."""
        if self.snapshot is None or self.seen != runs.count:
            self.snapshot, self.seen = self.memory.copy(), runs.count
        return self.snapshot


def aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """C-contiguous memory that begins at a cache line."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return np.ndarray(shape, dtype, raw, start)


_array: Any = vars(Cell)["array"]
_version: Any = vars(Cell)["version"]


class ResidentCell(Cell):
    """A cell whose slot `array` holds a Block."""

    __slots__ = ()

    @property
    def array(self) -> np.ndarray:  # type: ignore[override]
        return _array.__get__(self).look()  # type: ignore[no-any-return]

    @property
    def version(self) -> int:  # type: ignore[override]
        return _version.__get__(self) + runs.count  # type: ignore[no-any-return]

    def put(self, array: np.ndarray) -> None:
        """Refill the block; another shape or dtype makes the cell an ordinary one again."""
        if state.observers:
            tell("put", self)
        restore(self, array)


def restore(cell: Any, array: np.ndarray) -> None:
    """Refill a cell, unobserved."""
    if type(cell) is ResidentCell:
        block = _array.__get__(cell)
        if block.memory.shape == array.shape and block.memory.dtype == array.dtype:
            block.memory[...] = array
            block.snapshot, block.seen = array, runs.count
            _version.__set__(cell, _version.__get__(cell) + 1)
            return
        release(cell)
    cell.array = array
    cell.version += 1


def block_of(cell: Any) -> Block | None:
    """The block of a resident cell; None of another."""
    return _array.__get__(cell) if type(cell) is ResidentCell else None


def settle(cell: Cell) -> Block:
    """The block of a cell, which becomes resident if it is not."""
    if type(cell) is not ResidentCell:
        move_in(cell, Block(cell.array))
    return _array.__get__(cell)  # type: ignore[no-any-return]


def move_in(cell: Cell, block: Block) -> None:
    """Let a cell live in a block."""
    _array.__set__(cell, block)
    _version.__set__(cell, cell.version - runs.count + 1)
    cell.__class__ = ResidentCell
    changes.count += 1


def release(cell: Any) -> Block:
    """Make a resident cell an ordinary one, with the values of now; its block is free."""
    block: Block = _array.__get__(cell)
    version = cell.version
    cell.__class__ = Cell
    cell.array, cell.version = block.look(), version + 1
    changes.count += 1
    return block


def spec_of_cell(cell: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype, without a snapshot of what may be large."""
    block = block_of(cell)
    array = cell.array if block is None else block.memory
    return array.shape, array.dtype


def hand_over(tensor: Tensor) -> Tensor:
    """A new tensor in the block of another, which keeps the values of now for whoever holds it."""
    cell = tensor.cell
    block: Block = _array.__get__(cell)
    version = cell.version
    cell.__class__ = Cell
    cell.array, cell.version = block.look(), version + 1
    fresh = Cell(cell.array)
    _array.__set__(fresh, block)
    fresh.__class__ = ResidentCell
    return holding(fresh)


def keep(tensor: Tensor, array: np.ndarray) -> None:
    """Give a tensor that a step made a block of its own."""
    tensor.cell = Cell(array)
    move_in(tensor.cell, Block(array))


class _Lost(Cell):
    """Of a tensor that was made in a compiled step, which does not refill it."""

    __slots__ = ()

    @property
    def array(self) -> np.ndarray:  # type: ignore[override]
        raise ArgumentError(
            "this tensor was made inside a compiled step, which does not compute it for outside",
            hint="return it from the step, or keep it as an attribute of a module",
        )


class _LostView(ViewCell):
    __slots__ = ()

    array = vars(_Lost)["array"]


def lose(cell: Any) -> None:
    """Make every use of the cell an error: what it holds would be stale."""
    cell.__class__ = _LostView if isinstance(cell, ViewCell) else _Lost


def holding(cell: Any) -> Tensor:
    """A tensor of that cell, without a history."""
    made = Tensor.__new__(Tensor)
    made.cell = cell
    return made
