"""A Program as something that runs: its plan with addresses, called as one native function.

`build` lowers a Program, steers its results to where they end, plans the arena and fills the
table that driver.py walks. State lies in blocks that belong to cells, so that several
executables share it. Knows no Tensor.
"""

from __future__ import annotations

import ctypes
import math
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from backlit.backends.cpu.native import features, handover, jit, threads
from backlit.errors import ProgramError
from backlit.program.ir import Program, Value

from . import driver, memory, schedule
from .lower import lower
from .plan import Buffer, Place, Task, dense_strides

PAGE = 4096
LARGE_ARENA = 1 << 24
# Results of so many bytes are copied out: cheaper than to give every call its own memory.
SMALL_RESULT = 4096
# References to a result of the call before that only the executable still holds: new memory would
# have to be mapped page by page, so it is written again.
UNSEEN = 3


def build(
    program: Program,
    blocks: Mapping[int, np.ndarray],
    writes: Mapping[int, np.ndarray],
    workers: int | None = None,
) -> Executable:
    """Lower a Program whose inputs `blocks` and outputs `writes` (by position) lie in memory that
    stays; the other inputs come with every call, the other outputs are new arrays."""
    with jit.deferred():
        return Executable(program, blocks, writes, workers or threads.get_num_threads())


class Executable:
    """A Program, ready to run; one call at a time."""

    def __init__(
        self,
        program: Program,
        blocks: Mapping[int, np.ndarray],
        writes: Mapping[int, np.ndarray],
        workers: int,
    ) -> None:
        self.program = program
        self._given = [i for i in range(len(program.inputs)) if i not in blocks]
        places = self._input_places(blocks)
        self.plan = lower(program, places, workers)
        self._results = self._steer(blocks, writes)
        self.tasks = self.plan.tasks
        self.arena_bytes = memory.arrange(self.plan.buffers)
        self.sum_bytes = sum(b.size for b in self.plan.buffers if b.first >= 0)
        if self.arena_bytes > LARGE_ARENA:
            memory.give_back()
        self._arena = _aligned(self.arena_bytes)
        self.error: BaseException | None = None
        self.bounds: Sequence[tuple[int, Callable[[np.ndarray], None]]] = ()  # before every call
        self.inner = [t.inner for t in self.tasks if t.inner is not None]
        self.workers = workers if any(map(schedule.is_shared, self.tasks)) else 1
        self._last: dict[int, np.ndarray] = {}
        self._trial = schedule.trial(self.tasks, self.workers)
        self._fill_table(schedule.schedule(self.tasks, self.workers), workers)

    # ----- making it -----

    def _input_places(self, blocks: Mapping[int, np.ndarray]) -> dict[str, Place]:
        places = {}
        self._block_buffers: dict[int, Buffer] = {}
        for i, v in enumerate(self.program.inputs):
            if i in blocks:
                found = self._block_buffer(blocks[i])
            else:
                found = Buffer(_bytes(v), slot=self._given.index(i))
            places[v.name] = Place(found, 0, v.shape, dense_strides(v.shape), v.dtype.numpy)
        return places

    def _block_buffer(self, block: np.ndarray) -> Buffer:
        assert block.flags.c_contiguous
        key = block.__array_interface__["data"][0]
        if key not in self._block_buffers:
            self._block_buffers[key] = Buffer(max(1, block.nbytes), memory=block)
        return self._block_buffers[key]

    def _steer(self, blocks: Mapping[int, np.ndarray], writes: Mapping[int, np.ndarray]) -> list:
        """Bring every output to its end; what a call returns, in order: places or numbers."""
        plan, outputs = self.plan, self.program.outputs
        memory.lifetimes(plan.tasks)
        forever = len(plan.tasks) + 2 * len(outputs)
        for x in outputs:  # nothing takes over what must be there at the end
            if isinstance(x, Value):
                plan.place(x).buffer.last = forever
        memory.share_in_place(plan.tasks)
        results: list[Any] = []
        late: list[tuple[Place, Place]] = []
        slots = len(self._given)
        for i, x in enumerate(outputs):
            if i in writes:
                end = self._block_buffer(writes[i])
                late += self._bring(x, end, end, writes[i].dtype)
            elif isinstance(x, Value):
                end = Buffer(_bytes(x), slot=slots + len([r for r in results if _is_place(r)]))
                place = self._bring_result(x, end)
                results.append(place)
            else:
                results.append(x)
        self._copy_late(late)
        for buffer in plan.buffers:
            buffer.first = buffer.last = -1
        memory.lifetimes([_rooted(t) for t in plan.tasks])
        return results

    def _bring(self, x: Any, end: Buffer, origin: Buffer | None, dtype: np.dtype) -> list:
        """Steer a value into a block; the copies that are left to do at the end."""
        if not isinstance(x, Value):
            place = self.plan.constant(np.asarray(x, dtype))
        else:
            place = self.plan.place(x)
        target = Place(end, 0, place.shape, dense_strides(place.shape), place.dtype)
        if place.buffer is end and place.strides == target.strides and not place.offset:
            return []
        if place.is_dense() and memory.steer(self.plan.tasks, place, end, origin):
            return []
        return [(place, target)]

    def _bring_result(self, x: Value, end: Buffer) -> Place:
        place = self.plan.place(x)
        order = place.order()
        target = Place(end, 0, x.shape, dense_strides(x.shape, order), place.dtype)
        if not (place.is_dense(order) and memory.steer(self.plan.tasks, place, end, None)):
            self.plan.copy(place, target)
        return target

    def _copy_late(self, copies: list[tuple[Place, Place]]) -> None:
        """Refill blocks at the end; first save what other copies are about to overwrite."""
        targets = {id(t.buffer) for _, t in copies}
        saved = []
        for source, target in copies:
            if id(memory.root(source.buffer)) in targets:
                kept = self.plan.temporary(source.shape, source.dtype)
                self.plan.copy(source, kept)
                source = kept
            saved.append((source, target))
        for source, target in saved:
            self.plan.copy(source, target)

    def _fill_table(self, turns: Sequence[schedule.Turn], rows: int) -> None:
        """The driver's table: an entry per task, words per worker, and what a call fills in."""
        words: list[int] = []
        patches: list[tuple[int, int, int]] = []
        entries = []
        self._keep: list[Any] = []
        for task, turn in zip(self.tasks, turns):
            kernel = task.kernel if isinstance(task.kernel, int) else self._callback(task)
            alone = turn.worker << driver.WORKER_SHIFT
            flags = driver.SHARED if turn.worker == schedule.SHARED else alone
            flags |= driver.MEET if turn.meet else 0
            entries.append((kernel, len(words), task.chunks, flags))
            if task.inner is not None:
                entries[-1] = (0, len(words), 0, flags | driver.TABLE)
                words.append(task.inner.header_address)
            for word in task.words:
                if isinstance(word, Place):
                    slot, address = self._address(word)
                    if slot is not None:
                        patches.append((len(words), slot, address))
                    words.append(address)
                else:
                    words.append(_bits(word))
        row = -(-max(1, len(words)) // 8) * 8 + 8
        self._words = np.zeros((rows, row), np.int64)  # as many as a table around may have
        self._words[:, : len(words)] = words
        self.table = np.array(entries, np.int64).reshape(-1, driver.ENTRY_WORDS)
        self._patches = np.array(patches, np.int64).reshape(-1, driver.PATCH_WORDS)
        count = max(1, len(self._given) + sum(map(_is_place, self._results)))
        self.slots, self.strides = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._barrier = np.zeros(driver.BARRIER_WORDS, np.int64)
        self._barrier[driver.YIELDS] = handover.yield_address()
        self.header = np.zeros(len(driver.HEADER), np.int64)
        values = {
            "entries": len(entries), "table": _at(self.table), "patches": len(patches),
            "patch_table": _at(self._patches), "slots": _at(self.slots),
            "strides": _at(self.strides), "steps": 1, "words": _at(self._words), "row": row,
            "barrier": _at(self._barrier),
        }  # fmt: skip
        for name, value in values.items():
            self.header[driver.FIELD[name]] = value
        self.drive = driver.address(features.machine())
        self._call = jit.KERNEL_TYPE(self.drive)
        self.header_address = _at(self.header)
        self._made = [_result(r) for r in self._results if _is_place(r)]
        self._settle()

    def _address(self, place: Place) -> tuple[int | None, int]:
        """The slot of a call that gives its buffer, if any, and the address or offset."""
        buffer = memory.root(place.buffer)
        if buffer.slot is not None:
            return buffer.slot, place.offset
        if buffer.memory is not None:
            return None, _at(buffer.memory) + place.offset
        return None, _at(self._arena) + buffer.address + place.offset

    def _callback(self, task: Task) -> int:
        """The address of a native function that calls Python, with arrays made from the words."""
        function: Callable[..., None] = task.kernel  # type: ignore[assignment]
        places = [w for w in task.words if isinstance(w, Place)]
        fixed = [self._view(p) for p in places]
        kinds = [(p.shape, tuple(s * p.dtype.itemsize for s in p.strides), p.dtype, _span(p))
                 for p in places]  # fmt: skip
        whole = all(v is not None for v in fixed)

        def run(words: int, counter: int, chunks: int, worker: int) -> None:
            if self.error is not None:
                return
            try:
                arrays = fixed if whole else [
                    v if v is not None else _array(words + 8 * i, *kinds[i])
                    for i, v in enumerate(fixed)
                ]  # fmt: skip
                with np.errstate(all="ignore"):
                    function(*arrays)
            except BaseException as error:
                self.error = error

        native = jit.KERNEL_TYPE(run)
        self._keep.append(native)
        return ctypes.cast(native, ctypes.c_void_p).value or 0

    def _view(self, place: Place) -> np.ndarray | None:
        """A fixed place as an array; None where a call decides."""
        buffer = memory.root(place.buffer)
        if buffer.slot is not None:
            return None
        base = self._arena if buffer.memory is None else buffer.memory.reshape(-1).view(np.uint8)
        start = (buffer.address if buffer.memory is None else 0) + place.offset
        strides = tuple(s * place.dtype.itemsize for s in place.strides)
        return np.ndarray(place.shape, place.dtype, base, start, strides) if place.size else (
            np.empty(place.shape, place.dtype))  # fmt: skip

    # ----- running it -----

    def run(self, arrays: Sequence[np.ndarray]) -> list[Any]:
        """One step: the outputs that no block takes, as new arrays."""
        if len(arrays) != len(self._given):
            raise ProgramError(f"{len(self._given)} arrays are needed, {len(arrays)} given")
        for i, check in self.bounds:
            check(arrays[i])
        slots = self.slots
        given = [a if a.flags.c_contiguous else np.ascontiguousarray(a) for a in arrays]
        for i, a in enumerate(given):
            slots[i] = _address(a)
        made: list[Any] = []
        for i, (shape, strides, dtype, kept) in enumerate(self._made, len(given)):
            if kept is None:
                array = self._last.get(i)
                if array is None or sys.getrefcount(array) > UNSEEN:
                    array = self._last[i] = _empty(shape, strides, dtype)
                slots[i] = _address(array)
                made.append(array)
            else:
                made.append(kept)
        self._go(1)
        made = [m if kept is None else m.copy() for m, (_, _, _, kept) in zip(made, self._made)]
        return self._returned(made)

    def loop(self, arrays: Sequence[np.ndarray], stacked: Sequence[bool], steps: int) -> list[Any]:
        """`steps` steps in one native call: stacked inputs have an axis of steps in front, and so
        have all outputs."""
        for i, check in self.bounds:
            check(arrays[i])
        given = [np.ascontiguousarray(a) for a in arrays]
        for i, (a, many) in enumerate(zip(given, stacked)):
            self.slots[i] = _address(a)
            self.strides[i] = a.nbytes // max(1, steps) if many else 0
        made = []
        for i, (shape, strides, dtype, _) in enumerate(self._made, len(given)):
            size = max(1, math.prod(shape)) * dtype.itemsize
            whole = np.empty(size * max(1, steps), np.uint8)
            made.append(np.ndarray((steps, *shape), dtype, whole, 0, (size, *strides)))
            self.slots[i], self.strides[i] = _address(whole), size
        try:
            self._go(steps)
        finally:
            self._settle()
        return self._returned(made)

    def _settle(self) -> None:
        """One step a call: nothing advances, small results have memory of their own."""
        self.strides[:] = 0
        for i, (_, _, _, kept) in enumerate(self._made, len(self._given)):
            if kept is not None:
                self.slots[i] = _at(kept)

    def _go(self, steps: int = 1) -> None:
        self.header[_STEPS] = steps
        began = 0.0
        if self._trial is not None:
            self.workers = self._trial.workers
            began = time.perf_counter()
        if self.workers == 1:
            self._call(self.header_address, None, 1, 0)
        else:
            threads.together(self.drive, self.header_address, self.workers)
        if self._trial is not None and self._trial.note((time.perf_counter() - began) / steps):
            self.workers, self._trial = self._trial.workers, None
        self.check()

    @property
    def given(self) -> list[Value]:
        """The inputs that come with every call."""
        return [self.program.inputs[i] for i in self._given]

    def state(self) -> list[np.ndarray]:
        """The blocks in which what stays from step to step lies."""
        return [b.memory for b in self._block_buffers.values() if b.memory is not None]

    def pretend(self) -> list[np.ndarray]:
        """Point the slots of a call at zeros, which are returned; for measurements."""
        given = [np.zeros(v.shape, v.dtype.numpy) for v in self.given]
        made = [np.zeros(max(1, math.prod(m[0])), m[2]) for m in self._made]
        self.slots[: len(given) + len(made)] = [_at(a) for a in (*given, *made)]
        return [*given, *made]

    def advance(self, strides: Sequence[int], steps: int) -> None:
        """As a loop within a step: how far each slot moves after each of its steps, in bytes."""
        self.strides[: len(strides)] = strides
        self.header[_STEPS] = steps

    @property
    def made(self) -> list[tuple[tuple, tuple, np.dtype]]:
        """Shape, strides in bytes and dtype of the results that no block takes."""
        return [m[:3] for m in self._made]

    def check(self) -> None:
        """Raise what went wrong in the last call."""
        found = [check() for check in self.plan.checks]  # all of them: each forgets what it found
        for problem in found:
            if problem is not None:
                raise problem
        for inner in self.inner:
            inner.check()
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def _returned(self, made: list[np.ndarray]) -> list[Any]:
        if len(made) == len(self._results):
            return made
        waiting = iter(made)
        return [next(waiting) if _is_place(r) else r for r in self._results]


_STEPS = driver.FIELD["steps"]


def _is_place(x: Any) -> bool:
    return isinstance(x, Place)


def _rooted(task: Task) -> Task:
    """The task with every place in the buffer whose memory it uses."""
    task.reads = tuple(_in_root(p) for p in task.reads)
    task.writes = tuple(_in_root(p) for p in task.writes)
    return task


def _in_root(place: Place) -> Place:
    buffer = memory.root(place.buffer)
    if buffer is place.buffer:
        return place
    return Place(buffer, place.offset, place.shape, place.strides, place.dtype)


def _bytes(value: Value) -> int:
    size = value.dtype.numpy.itemsize
    for n in value.shape:
        size *= n
    return max(1, size)


def _bits(word: int | float) -> int:
    return struct.unpack("<q", struct.pack("<d", word))[0] if isinstance(word, float) else int(word)


def _at(array: np.ndarray) -> int:
    return array.__array_interface__["data"][0]


def _aligned(size: int) -> np.ndarray:
    whole = np.empty(size + PAGE, np.uint8)
    start = -_at(whole) % PAGE
    return whole[start : start + max(1, size)]


def _span(place: Place) -> int:
    if not place.size:
        return 0
    return (sum((n - 1) * s for n, s in zip(place.shape, place.strides)) + 1) * place.dtype.itemsize


def _array(word: int, shape: tuple, strides: tuple, dtype: np.dtype, span: int) -> np.ndarray:
    """An array at the address that a word holds."""
    if not span:
        return np.empty(shape, dtype)
    address = ctypes.c_int64.from_address(word).value
    raw: Any = (ctypes.c_char * span).from_address(address)
    return np.ndarray(shape, dtype, raw, 0, strides)


def _result(place: Place) -> tuple[tuple, tuple, np.dtype, np.ndarray | None]:
    """Shape, strides in bytes, dtype; and for a small result the memory it is copied from."""
    strides = tuple(s * place.dtype.itemsize for s in place.strides)
    small = place.nbytes <= SMALL_RESULT
    kept = _empty(place.shape, strides, place.dtype) if small else None
    return place.shape, strides, place.dtype, kept


def _address(array: np.ndarray) -> int:
    """Where an array's memory starts; NumPy's own ways cost three times as much."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError):  # read-only, empty, or of a type without buffers
        return array.ctypes.data


def _empty(shape: tuple, strides: tuple, dtype: np.dtype) -> np.ndarray:
    """A new array with the memory order that the strides show."""
    made = np.empty(shape, dtype)
    if made.strides == strides or not made.size:
        return made
    return np.ndarray(shape, dtype, np.empty(made.nbytes, np.uint8), 0, strides)


__all__ = ["Executable", "build"]
