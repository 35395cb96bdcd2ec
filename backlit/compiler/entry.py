"""A compiled step that runs: its executable, what it needs to hold, and what a run leaves behind.

An Entry belongs to one signature and one set of guards. Cells that the step refills are resident
(cells.py): the executable works on their blocks. Next: compile.py, which chooses the Entry.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import is_
from typing import Any

import numpy as np

from backlit.autograd.node import FREED, Node
from backlit.compiler.cells import (
    Block,
    aligned,
    block_of,
    hand_over,
    holding,
    keep,
    runs,
    settle,
    spec_of_cell,
)
from backlit.compiler.guards import Walk
from backlit.compiler.step import Kept, Result, Step
from backlit.compiler.vjp import RunningVjp
from backlit.ops.op import Operator
from backlit.state import changes
from backlit.tensor import Cell, Tensor

_new = object.__new__
_count = sys.getrefcount
Build = Callable[..., Any]


class Stale(Exception):
    """A tensor that lies in a block has another shape or dtype now."""


class Entry:
    """One executable with its guards."""

    captured: Any  # its Step, to be compared with later captures, where a flag asks for it
    walk: Walk  # what the guards compare, as it was when the step had been compiled

    def __init__(self, step: Step, build: Build):
        self._build = build
        self.program = step.program
        self.passes: list[tuple[str, Any]] = []
        self.loose: set[str] = set()  # labels of tensors that the step replaces
        self.count = -1  # of `changes` when the guards held last
        self.origins, self.result = step.origins, step.result
        self.grads, self.flags, self.draws = step.grads, step.flags, step.generators
        self.callbacks = step.callbacks
        self.vjp = None if step.vjp is None else RunningVjp(step.vjp, build)
        self._settle(step)
        self.make()

    # ----- making -----

    def _settle(self, step: Step) -> None:
        """Make resident what the step refills and keeps. Gradients that were there before are
        known by their block, or read from their leaf at every call; nothing here holds them."""
        before = {id(g.cell): (leaf, g) for leaf, g in step.grads_read if g is not None}
        places = {c: _place_of_grad(leaf, g) for c, (leaf, g) in before.items()}
        self.tensors = [(t, c) for t, c in step.tensors if id(c) not in places]
        self.origins = [
            ("grad", places[id(what)]) if kind == "cell" and id(what) in places else (kind, what)
            for kind, what in step.origins
        ]
        self.targets: list[tuple[Any, int]] = []  # argument or (leaf,), output: refilled after
        self.blocks: list[tuple[Any, int]] = []  # cell or block, output: written while it runs
        for target, output in step.refills:
            place = target if isinstance(target, int) else places.get(id(target), target)
            by_call = isinstance(place, (int, tuple))
            (self.targets if by_call else self.blocks).append((place, output))
        self.grads_read = [
            (leaf, None if g is None else _expected(places[id(g.cell)]))
            for leaf, g in step.grads_read
        ]
        self.fresh = [k for k in step.kept if isinstance(k.owner, int)]
        self.kept = [_settled(k) for k in step.kept if not isinstance(k.owner, int)]

    def make(self) -> None:
        """Build the executable on the blocks that there are now. Raises Stale where one does not
        fit."""
        self.whole = False
        blocks: dict[int, np.ndarray] = {}
        writes: dict[int, np.ndarray] = {}
        self.given: list[Any] = []  # cells, or (leaf,) for its gradient: read at every call
        self.bound: list[tuple[Any, Block]] = []
        self.seeds: list[tuple[Any, str, np.ndarray]] = []
        for place, output in self.blocks:
            block = place if isinstance(place, Block) else settle(place)
            writes[output] = self._fitting(block.memory, self.program.outputs[output])
            if block is not place:
                self.bound.append((place, block))
        self.places = []
        for i, kept in enumerate(self.kept):
            self.kept[i], block = self._place(kept)
            self.places.append(block)
            writes[kept.output] = block.memory
        for i, (kind, what) in enumerate(self.origins):
            memory = self._memory(kind, what)
            if memory is not None:
                blocks[i] = self._fitting(memory, self.program.inputs[i])
        self.generators: list[tuple[Any, Any, Any]] = []
        for generator, at_end, last in self.draws:
            offset = next((m for g, kind, m in self.seeds if g is generator and kind == "offset"),
                          None)  # fmt: skip
            if at_end is not None and offset is not None:
                writes[at_end] = offset
            self.generators.append((generator, offset, last))
        outputs = range(len(self.program.outputs))
        self.order = {o: i for i, o in enumerate(o for o in outputs if o not in writes)}
        self.kinds = [self._kind(c) for c in self.given]
        self.executable = self._build(self.program, blocks, writes)
        self._results = _Results(self.result, self.order)
        self.writes_blocks = bool(writes)
        self.plain = not (self.kept or self.fresh or self.targets or self.grads or self.draws
                          or self.flags)  # fmt: skip
        self.states = {id(c) for c, _ in self.bound} | {id(c) for c in self.given}
        self.count = changes.count
        self.whole = True

    def _place(self, kept: Kept) -> tuple[Kept, Block]:
        """The block that a kept tensor is written to; another one where it is of another kind."""
        value: Any = self.program.outputs[kept.output]
        spec = value.shape, value.dtype.numpy
        tensor = _tensor_of(kept)
        if spec_of_cell(tensor.cell) != spec:
            tensor = holding(Cell(np.zeros(*spec)))
            keep(tensor, tensor.cell.array)
            if kept.name is None:
                kept.owner.__dict__["_kept"] = tensor
            else:
                kept = replace(kept, tensor=tensor)
        return kept, settle(tensor.cell)

    def _fitting(self, memory: np.ndarray, value: Any) -> np.ndarray:
        """The memory, if a value has its shape and dtype."""
        if memory.shape != value.shape or memory.dtype != value.dtype.numpy:
            raise Stale
        return memory

    def _memory(self, kind: str, what: Any) -> np.ndarray | None:
        """Where an input lies for good; None where every call brings it."""
        if kind == "argument":
            return None
        if kind in ("seed", "offset"):
            memory = aligned((), np.dtype(np.int64))
            self.seeds.append((what, kind, memory))
            return memory
        if kind == "constant":
            memory = aligned(what.shape, what.dtype)
            memory[...] = what
            return memory
        block = what if isinstance(what, Block) else None if type(what) is tuple else block_of(what)
        if block is None:
            self.given.append(what)
            return None
        if block is not what:
            self.bound.append((what, block))
        return block.memory

    def _kind(self, place: Any) -> Any:
        return None if type(place) is tuple else (place.array.shape, place.array.dtype)

    def is_sound(self) -> bool:
        """Whether state lies where the executable looks for it."""
        return (
            self.whole
            and all(block_of(cell) is block for cell, block in self.bound)
            and all(tensor.cell is cell for tensor, cell in self.tensors)
            and all(block_of(_tensor_of(k).cell) is b for k, b in zip(self.kept, self.places))
            and all(type(c) is tuple or block_of(c) is None for c in self.given)
        )

    # ----- guards -----

    def watches_hold(self) -> bool:
        """Whether nothing that a call compares by identity has changed."""
        for get, keys, values in self.walk.watches:
            if len(keys) == 1:
                if get(keys[0]) is not values[0]:
                    return False
            elif not all(map(is_, map(get, keys), values)):
                return False
        return True

    def grads_hold(self, arguments: Sequence[Tensor]) -> bool:
        """Whether gradients that the step looks at are there, or not, as they were."""
        for leaf, expected in self.grads_read:
            grad = (arguments[leaf] if type(leaf) is int else leaf)._grad
            if expected is None or grad is None:
                if grad is not expected:
                    return False
            elif expected is not True and block_of(grad.cell) is not expected:
                return False
        return True

    # ----- running -----

    def collect(self, arrays: list[np.ndarray], arguments: Sequence[Tensor]) -> bool:
        """Append the arrays of cells that lie nowhere for good; False where a kind changed."""
        for place, kind in zip(self.given, self.kinds):
            if type(place) is tuple:
                leaf = place[0]
                grad: Any = (arguments[leaf] if type(leaf) is int else leaf)._grad
                arrays.append(grad.cell.array)
                continue
            array = place.array
            shape, dtype = kind
            if array.shape != shape or (array.dtype is not dtype and array.dtype != dtype):
                return False
            if not array.flags.c_contiguous:
                array = np.ascontiguousarray(array)
                if type(place) is Cell:  # for good: the next call need not copy
                    place.array = array
            arrays.append(array)
        return True

    def run(self, arrays: list[np.ndarray], arguments: Sequence[Tensor]) -> Any:
        """One step on the arrays of the arguments and of `collect`."""
        if self.plain:
            outputs = self.executable.run(arrays)
            if self.writes_blocks:
                runs.count += 1
        else:
            self._before()
            try:
                outputs = self.executable.run(arrays)
            finally:
                runs.count += 1
            self._after(outputs, arguments)
        if self.vjp is not None:
            node = self.vjp.node(outputs, self.order, arrays, arguments)
            return self._results.build(outputs, arguments, node)
        return self._results.build(outputs, arguments)

    def loop(self, arrays: list[np.ndarray], stacked: list[bool], steps: int) -> Any:
        """`steps` steps in one native call; results have an axis of steps in front."""
        self._before()
        try:
            outputs = self.executable.loop(arrays, stacked, steps)
        finally:
            runs.count += 1
        self._after(outputs, ())
        return self._results.build(outputs, ())

    @property
    def loops(self) -> bool:
        """Whether steps can follow each other without Python between them."""
        grads = [*self.grads, *self.grads_read]
        made = {id(kept.owner) for kept in self.kept}
        again = all(expected is not None or id(leaf) not in made
                    for leaf, expected in self.grads_read)  # fmt: skip
        by_call = any(isinstance(leaf, int) or expected is True for leaf, expected in grads)
        by_call = by_call or self.vjp is not None
        return again and not (by_call or self.targets or self.fresh or self.flags)

    def _before(self) -> None:
        for i, kept in enumerate(self.kept):
            if _is_held(kept):
                fresh = hand_over(_tensor_of(kept))
                if kept.name is None:
                    kept.owner.__dict__["_kept"] = fresh
                else:
                    self.kept[i] = replace(kept, tensor=fresh)
        for generator, kind, memory in self.seeds:
            number = generator._seed if kind == "seed" else generator._offset
            memory[()] = number if number < 1 << 63 else number - (1 << 64)

    def _after(self, outputs: list[np.ndarray], arguments: Sequence[Tensor]) -> None:
        order = self.order
        for target, output in self.targets:
            if type(target) is int:
                arguments[target].cell.put(outputs[order[output]])
            else:
                leaf = target[0]
                grad: Any = (arguments[leaf] if type(leaf) is int else leaf)._grad
                grad.cell.put(outputs[order[output]])
        for kept in self.kept:
            if kept.name is None:
                kept.owner._grad = kept.owner.__dict__["_kept"]
            else:
                kept.owner[kept.name] = kept.tensor
        for kept in self.fresh:
            made = _new(Tensor)
            made.cell = Cell(outputs[order[kept.output]])
            arguments[kept.owner]._grad = made
        for leaf, now in self.grads:
            (arguments[leaf] if type(leaf) is int else leaf)._grad = now
        for generator, offset, last in self.generators:
            if last is not None:
                generator._seed, generator._offset = last
            else:
                generator._offset = int(offset)
        for i, flag in self.flags:
            arguments[i]._requires_grad = flag


def _place_of_grad(leaf: Any, grad: Tensor) -> Any:
    """The block of a gradient that compiled steps keep for its leaf, else (leaf,)."""
    if isinstance(leaf, Tensor) and leaf.__dict__.get("_kept") is grad:
        block = block_of(grad.cell)
        if block is not None:
            return block
    return (leaf,)


def _expected(place: Any) -> Any:
    return place if isinstance(place, Block) else True


def _settled(kept: Kept) -> Kept:
    """A tensor that the step keeps, in a block; that of a gradient is the leaf's."""
    if kept.name is not None:
        keep(kept.tensor, kept.tensor.cell.array)
        return kept
    known = kept.owner.__dict__.get("_kept")
    if known is None or block_of(known.cell) is None or not _alike(known, kept.tensor):
        keep(kept.tensor, kept.tensor.cell.array)
        kept.owner.__dict__["_kept"] = kept.tensor
    return replace(kept, tensor=None)


def _alike(a: Tensor, b: Tensor) -> bool:
    return spec_of_cell(a.cell) == spec_of_cell(b.cell)


def _tensor_of(kept: Kept) -> Tensor:
    found = kept.owner.__dict__["_kept"] if kept.name is None else kept.tensor
    return found  # type: ignore[no-any-return]


def _is_held(kept: Kept) -> bool:
    """Whether someone else holds a kept tensor, or its cell: it must not change under them."""
    tensor, owner = kept.tensor, kept.owner
    if kept.name is None:
        tensor = owner.__dict__["_kept"]
        extra = owner._grad is tensor
    else:
        extra = owner.get(kept.name) is tensor
    return _count(tensor) > _TENSOR + extra or _count(tensor.cell) > _CELL


def _baseline() -> tuple[int, int]:
    """The counts of references where nobody else holds the tensor, as this Python counts."""
    tensor = _new(Tensor)
    tensor.cell = Cell(np.zeros(()))
    kept = Kept(tensor, 0, {}, "")
    del tensor
    tensor = kept.tensor
    return _count(tensor), _count(tensor.cell)


_TENSOR, _CELL = _baseline()


class _CompiledStep(Operator, abstract=True):
    """What the history of a returned tensor says: a backward inside has consumed it."""

    name = "compiled_step"


class _Results:
    """Builds what the step returns."""

    def __init__(self, recipe: Any, order: dict[int, int]):
        self.recipe, self.order = recipe, order
        single = isinstance(recipe, Result) and recipe.output is not None and recipe.live is None
        self.index = order[recipe.output] if single else None
        self.freed = single and recipe.requires_grad

    def build(
        self, outputs: list[np.ndarray], arguments: Sequence[Tensor], node: Node | None = None
    ) -> Any:
        """The structure with tensors of these arrays; `node` is the history of live ones."""
        if self.index is None:
            return over(self.recipe, lambda r: self._one(r, outputs, arguments, node))
        made = _new(Tensor)
        made.cell = Cell(outputs[self.index])
        if self.freed:
            made.node = _FREED
        return made

    def _one(
        self, result: Result, outputs: list, arguments: Sequence[Tensor], node: Node | None
    ) -> Tensor:
        if result.output is None:
            source = result.tensor if result.argument is None else arguments[result.argument]
            assert source is not None
            return source.detach() if result.shares else source
        made = _new(Tensor)
        made.cell = Cell(outputs[self.order[result.output]])
        if result.live is not None:
            made.node, made.index = node, result.live
        elif result.requires_grad:
            made.node = _FREED
        return made


def over(tree: Any, function: Callable[[Result], Any]) -> Any:
    """The structure of a result with tensors in place of Results."""
    if isinstance(tree, Result):
        return function(tree)
    if isinstance(tree, dict):
        return {k: over(v, function) for k, v in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*(over(v, function) for v in tree))
    if isinstance(tree, (tuple, list)):
        return type(tree)(over(v, function) for v in tree)
    return tree


_FREED = Node(_CompiledStep, (), {}, FREED, (), (((), None),))


__all__ = ["Entry"]
