"""A plan of a whole step: where every Value lies, and the tasks that compute them, in order.

`Plan` is what lowerings write to (lower.py lists them): they ask where operands lie, get places
for results and add tasks. Memory is only named here; memory.py gives addresses afterwards and
executable.py runs the tasks. Knows no operator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.backends.cpu.native import features
from backlit.program.ir import Instr, Program, Value

ALIGNMENT = 64


@dataclass(eq=False)
class Buffer:
    """A piece of memory: planned in the arena, or lying elsewhere for good or for one call.

    `memory` is set for blocks and constants; `slot` for what a call brings or takes away.
    """

    size: int  # bytes
    memory: np.ndarray | None = None
    slot: int | None = None
    address: int = 0  # in the arena
    first: int = -1  # the tasks between which it is alive
    last: int = -1
    shared: Buffer | None = None  # the buffer whose memory this one uses

    @property
    def is_placed(self) -> bool:
        """Whether it lies outside the arena."""
        return self.memory is not None or self.slot is not None


@dataclass(frozen=True, eq=False)
class Place:
    """A strided array in a buffer: `offset` in bytes, `strides` in elements."""

    buffer: Buffer
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    def is_dense(self, order: Sequence[int] | None = None) -> bool:
        """Whether it lies without gaps, axes in `order` from the outermost (None: C order)."""
        expected = dense_strides(self.shape, order)
        return all(n <= 1 or s == e for n, s, e in zip(self.shape, self.strides, expected))

    def order(self) -> tuple[int, ...]:
        """The axes from the largest stride to the smallest."""
        return tuple(sorted(range(len(self.shape)), key=lambda i: (-self.strides[i], i)))


Word = int | float | Place  # a float is stored as the bits of a double, a Place as its address


@dataclass(eq=False)
class Task:
    """One kernel call of a step.

    `kernel` is the address of a `codegen.Kernel`, called with the words in the order of its
    fields and a range of `chunks`; or a Python function that gets the arrays of `reads` and then
    of `writes`. A chunk writes where no other chunk writes. `in_place` pairs (read, write) whose
    memory may be the same: the kernel reads an element before it writes the one at its place.
    """

    label: str
    kernel: int | Callable[..., None]  # of a loop: 0
    words: list[Word] = field(default_factory=list)
    chunks: int = 1
    reads: tuple[Place, ...] = ()
    writes: tuple[Place, ...] = ()
    in_place: tuple[tuple[Place, Place], ...] = ()
    flops: int = 0
    work: int = 0  # bytes moved plus flops / 4: decides whether threads share the task
    instr: Instr | None = None
    implementation: str = "generated"
    inner: Any = None  # an Executable to run as a loop; the words are the places of its slots


class Plan:
    """The tasks of a Program and the places of its Values, as lowerings make them."""

    def __init__(self, program: Program, machine: features.Machine, workers: int) -> None:
        self.program, self.machine, self.workers = program, machine, workers
        self.tasks: list[Task] = []
        self.buffers: list[Buffer] = []
        self.checks: list[Callable[[], Exception | None]] = []  # after every call: what is wrong
        self.places: dict[str, Place] = {}
        self._copies: dict[tuple[str, tuple[int, ...] | None], Place] = {}
        self.instr: Instr | None = None

    # ----- where values lie -----

    def place(self, value: Value) -> Place:
        """Where an operand lies, with any strides (0 where it is broadcast)."""
        return self.places[value.name]

    def dense(self, value: Value, order: Sequence[int] | None = None) -> Place:
        """The operand without gaps, axes in `order` (None: C order); copied if need be, once."""
        place = self.place(value)
        if place.is_dense(order):
            return place
        key = (value.name, None if order is None else tuple(order))
        if key not in self._copies:
            made = self.temporary(value.shape, value.dtype.numpy, order)
            self.copy(place, made)
            self._copies[key] = made
        return self._copies[key]

    def result(self, value: Value, order: Sequence[int] | None = None) -> Place:
        """New memory for an output, axes in `order` from the outermost (None: C order)."""
        place = self.places[value.name] = self.temporary(value.shape, value.dtype.numpy, order)
        return place

    def alias(self, value: Value, place: Place) -> None:
        """An output that lies where something else lies: a view."""
        assert tuple(place.shape) == tuple(value.shape), (place.shape, value)
        self.places[value.name] = place

    def temporary(
        self, shape: Sequence[int], dtype: Any, order: Sequence[int] | None = None
    ) -> Place:
        """Memory that lives as long as tasks use it (also scratch of one task)."""
        dtype = np.dtype(dtype)
        shape = tuple(int(n) for n in shape)
        buffer = Buffer(max(1, math.prod(shape)) * dtype.itemsize)
        self.buffers.append(buffer)
        return Place(buffer, 0, shape, dense_strides(shape, order), dtype)

    def constant(self, array: np.ndarray) -> Place:
        """An array that the plan keeps: a table of a kernel."""
        array = np.ascontiguousarray(array)
        buffer = Buffer(max(1, array.nbytes), memory=array)
        self.buffers.append(buffer)
        return Place(buffer, 0, array.shape, dense_strides(array.shape), array.dtype)

    # ----- tasks -----

    def add(self, task: Task) -> None:
        """Append a task; its reads and writes say how long memory lives."""
        task.instr = task.instr or self.instr
        if not task.work:
            task.work = sum(p.nbytes for p in (*task.reads, *task.writes)) + task.flops // 4
        self.tasks.append(task)

    def copy(self, source: Place, target: Place) -> None:
        """Copy elements between places of one shape and dtype, whatever their strides."""
        from .lower import lower_copy

        lower_copy(self, source, target)


def dense_strides(shape: Sequence[int], order: Sequence[int] | None = None) -> tuple[int, ...]:
    """Strides in elements of a dense array whose axes lie in `order`, the outermost first."""
    strides, step = [0] * len(shape), 1
    for axis in reversed(range(len(shape)) if order is None else tuple(order)):
        strides[axis] = step
        step *= max(1, shape[axis])
    return tuple(strides)


def channels_last(ndim: int) -> tuple[int, ...]:
    """The order of axes (N, *S, C) for the logical axes (N, C, *S)."""
    return (0, *range(2, ndim), 1)
