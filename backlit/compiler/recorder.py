"""The observer that captures a step: where every value comes from, and what the step changes.

Beside the instructions it notes the cells that were read and refilled, gradients that were looked
at or set, generators that were drawn from, and puts all of it back. Cells made before the capture
began are state; arrays that no operator made are constants. Next: step.py.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.autograd.node import Node
from backlit.compiler.boundary import Backward, Forward
from backlit.compiler.cells import block_of, restore
from backlit.errors import CaptureError, user_line
from backlit.ops.callback import register
from backlit.program.capture import _Recorder as Recorder
from backlit.program.ir import Instr, Operand, Program, Value
from backlit.state import state
from backlit.tensor import Cell, Tensor, ViewCell, next_era, wrap

FOLDED = 4096  # elements up to which what is computed from constants is a constant


class Again(Exception):
    """The capture starts over: two cells shared one array, or a Function reads values."""

    def __init__(self, opaque: bool = False):
        self.opaque = opaque


@dataclass
class State:
    """A cell from outside: as it was, and the Value it was read as, if it was."""

    cell: Any
    before: np.ndarray
    value: Value | None = None


@dataclass
class Grad:
    """A tensor whose `.grad` was looked at (`read`) or set. Not held: what dies in the step was
    made in it."""

    tensor: weakref.ref[Tensor]
    before: Tensor | None
    read: bool


@dataclass
class Draws:
    """A generator, where it stood, and what stands for its seed and offset now."""

    generator: Any
    before: tuple[int, int]
    expected: tuple[int, int]
    seed: Any = None
    offset: Any = None
    inputs: tuple[Value, Value] | None = None


@dataclass
class Undo:
    """What is put back after a capture."""

    storage: dict[int, tuple[Tensor, Any, Any, Any]] = field(default_factory=dict)
    history: dict[int, tuple[Tensor, Any, int, Any, Any]] = field(default_factory=dict)


class StepRecorder(Recorder):
    """Writes down one run of a step."""

    def __init__(self, names: Callable[[Any], str | None], opaque: bool):
        super().__init__()
        self.era = next_era()
        self.opaque = opaque  # Functions of the user's own run in Python, as one instruction
        self.states: dict[int, State] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.uniform: dict[str, np.ndarray] = {}  # values made of constants, one number everywhere
        self.grads: dict[int, Grad] = {}
        self.draws: dict[int, Draws] = {}
        self.tensors: dict[int, tuple[weakref.ref[Tensor], Any]] = {}  # old ones, and their cells
        self.made: list[weakref.ref] = []
        self.walked: set[int] = set()  # Nodes that a backward has been over
        self.undo = Undo()
        self._names = names
        self._arguments: dict[int, Value] = {}
        self._first_node = Node(None, (), {}, {}, (), ()).id
        self.callbacks: list[Any] = []
        self._inside = 0  # Functions of the user's that are running
        self._forwards: dict[int, Forward] = {}

    # ----- values -----

    def argument(self, tensor: Tensor, name: str) -> Value:
        """Declare an input that every call brings."""
        array = tensor.cell.array
        if id(array) in self._values:
            self._refuse_sharing(tensor.cell, array)
        made = self._input(name, array)
        self._arguments[id(tensor.cell)] = made
        return made

    def declare(self, name: str, array: np.ndarray) -> Value:
        """Add an input."""
        return self._input(name, array)

    def is_old(self, cell: Any) -> bool:
        """Whether a cell was there before the capture."""
        return cell.root.era < self.era  # type: ignore[no-any-return]

    def of(self, cell: Any) -> Value:
        """The Value that a cell holds now."""
        array = cell.array
        known = self._values.get(id(array))
        root = cell.root
        old = root.era < self.era
        if known is not None:
            strange = old and cell is root and id(root) not in self.states
            if strange and id(root) not in self._arguments:
                self._refuse_sharing(root, array)
            return known
        held = self.states.get(id(root))
        if not old or (held is not None and cell is root and array is not held.before):
            return self._constant(array)  # made by Python here
        return self._state(root, array) if cell is root else self._window(cell)

    def _refuse_sharing(self, cell: Any, array: np.ndarray) -> None:
        """Two cells with one array (copies of modules have that): give this one its own."""
        fresh = array.view()
        block = block_of(cell)
        if block is not None:
            block.snapshot = fresh
        elif isinstance(cell, ViewCell):
            cell.see(fresh)
        else:
            cell.array = fresh
        raise Again(self.opaque)

    def _state(self, cell: Any, array: np.ndarray) -> Value:
        held = self.states.setdefault(id(cell), State(cell, array))
        held.value = self._input(self._names(cell) or f"s{len(self.inputs)}", array)
        return held.value

    def _constant(self, array: np.ndarray) -> Value:
        made = self._input(f"c{len(self.inputs)}", array)
        self.constants[made.name] = array
        return made

    def _input(self, name: str, array: np.ndarray) -> Value:
        taken = {v.name for v in self.inputs}
        unique, count = name, 1
        while unique in taken:
            unique, count = f"{name}_{count}", count + 1
        made = Value(unique, array.shape, dt.of_array(array))
        self.inputs.append(made)
        self.arrays.append(array)
        self._remember(array, made)
        return made

    def _window(self, cell: ViewCell) -> Value:
        """A view from outside: its operators, applied to what its root holds now."""
        array, value = cell.root.array, self.of(cell.root)
        for op, params in cell.path():
            array = np.asarray(op.forward(array, **params))
            count = self._counts.get(op.name, 0)
            self._counts[op.name] = count + 1
            made = Value(f"{op.name}_{count}", array.shape, dt.of_array(array))
            self.instrs.append(Instr(op.name, (value,), (made,), dict(params)))
            value = made
        self._remember(cell.array, value)
        return value

    def _operand(self, x: Any) -> Operand:
        if isinstance(x, Tensor):
            if self.is_old(x.cell):
                self.tensors[id(x)] = (weakref.ref(x), x.cell)
            return self.of(x.cell)
        if isinstance(x, np.ndarray):
            known = self._values.get(id(x))
            return known if known is not None else self._constant(x)
        return x.item() if isinstance(x, np.generic) else x

    # ----- what observers are told -----

    def before_forward(self, op: Any, inputs: tuple, params: dict) -> None:
        if hasattr(op, "user"):
            self._inside += 1
            return
        if op.value_shaped:
            raise CaptureError(
                f"{op.name}: the shape of its result depends on values, so it can't be compiled",
                hint="use a mask instead: where, masked_fill",
            )
        for x in inputs:
            if isinstance(x, Tensor):
                self._operand(x)

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        if hasattr(op, "user"):
            self._inside -= 1
            self._user_forward(op, inputs, outputs, node)
        elif not self._fold(op, inputs, params, outputs):
            super().after_forward(op, inputs, params, outputs, node)
            self._note_uniform(inputs, outputs)
        self.made += [weakref.ref(t.cell) for t in outputs if isinstance(t, Tensor)]

    def _fold(self, op: Any, inputs: tuple, params: dict, outputs: tuple) -> bool:
        """Whether the results are constants, of constants, and need no instruction."""
        if not self._are_constant(inputs) or any(isinstance(p, Program) for p in params.values()):
            return False
        arrays = [t.cell.array for t in outputs if t is not None]
        known = any(id(a) in self._values for a in arrays)
        return not known and sum(a.size for a in arrays) <= FOLDED

    def _are_constant(self, inputs: tuple) -> bool:
        tensors = [x for x in inputs if isinstance(x, (Tensor, np.ndarray))]
        values = [self._operand(x) for x in tensors]
        return bool(values) and all(
            isinstance(v, Value) and (v.name in self.constants or v.name in self.uniform)
            for v in values
        )

    def _note_uniform(self, inputs: tuple, outputs: tuple) -> None:
        """Remember results that are one number everywhere, such as the gradient of a mean."""
        if not self._are_constant(inputs):
            return
        for value, t in zip(self.instrs[-1].outputs, outputs):
            if value is not None and not any(
                s for s, n in zip(t.cell.array.strides, t.cell.array.shape) if n > 1
            ):
                self.uniform[value.name] = t.cell.array

    def _user_forward(self, op: Any, inputs: tuple, outputs: tuple, node: Any) -> None:
        tensors = [t for t in outputs if isinstance(t, Tensor)]
        if not self.opaque:
            if any(id(t.cell.array) not in self._values for t in tensors):
                raise Again(opaque=True)  # made behind our back, in NumPy
            return
        function = Forward(op.user, inputs, outputs)
        operands = tuple(self._operand(x) for x in inputs if isinstance(x, Tensor))
        made = self._made_by_user(op.name, [t.cell.array for t in tensors])
        self._append("callback", operands, made, {"number": self._keep(function)}, node)
        if node is not None:
            function.outputs = made
            self._forwards[node.id] = function

    def _made_by_user(self, name: str, arrays: list[np.ndarray]) -> tuple[Value, ...]:
        values = []
        for array in arrays:
            count = self._counts.get(name, 0)
            self._counts[name] = count + 1
            values.append(Value(f"{name}_{count}", array.shape, dt.of_array(array)))
            self._watch(array, values[-1])
        return tuple(values)

    def _keep(self, function: Any) -> int:
        self.callbacks.append(function)
        return register(function)

    def _append(self, op: str, inputs: tuple, outputs: tuple, params: dict, node: Any) -> None:
        line = node.line if node is not None else user_line()
        self.instrs.append(Instr(op, inputs, outputs, params, line, state.module, state.scope))
        if node is not None and outputs:
            self._nodes[node.id] = outputs[0].name

    def before_backward(self, node: Any, grads: list) -> None:
        self.walked.add(node.id)
        if node.id < self._first_node:
            error = CaptureError(
                "the backward leaves the step: it reaches a graph that was recorded outside",
                hint="detach what comes in, or compute it inside",
            )
            error.locate(node.op.name, node.where)
            raise error
        if hasattr(node.op, "user"):
            self._inside += 1

    def after_backward(self, node: Any, grads: list, input_grads: list) -> None:
        if not hasattr(node.op, "user"):
            return
        self._inside -= 1
        found = [g.cell.array if g is not None else None for g in input_grads]
        if not self.opaque:
            if any(a is not None and id(a) not in self._values for a in found):
                raise Again(opaque=True)
            return
        if state.grad:
            raise CaptureError(
                f"{node.op.name}: a Function that reads values has no second derivative in a"
                " compiled step", hint="write it with Backlit's operators alone"
            )  # fmt: skip
        forward = self._forwards[node.id]
        given = tuple(None if g is None else self._operand(g) for g in grads)
        function = Backward(forward, [g is not None for g in grads], found)
        arrays = [a for a in found if a is not None]
        known = {id(a) for a in arrays if id(a) in self._values}
        for i, (g, a) in enumerate(zip(input_grads, found)):  # a rule that passes its gradient on
            if a is not None and id(a) in known:
                g.cell = Cell(a.view())
                found[i] = g.cell.array
        arrays = [a for a in found if a is not None]
        made = self._made_by_user(f"{node.op.name}_grad", arrays)
        operands = (*[g for g in given if g is not None], *forward.outputs)
        self._append("callback", operands, made, {"number": self._keep(function)}, None)

    def read(self, tensor: Any) -> None:
        """A value that Python reads can't be part of a Program."""
        cell = tensor.cell
        if not self.is_old(cell) and id(cell.array) not in self._values:
            return  # a constant, made here from what Python knows
        if self._inside:
            raise Again(opaque=True)
        error = CaptureError(
            "the value of a tensor was read into Python inside a compiled step",
            hint="return the tensor and read it outside, or choose with bl.where",
        )
        error.place(user_line())
        raise error

    def put(self, cell: Any) -> None:
        """A cell is about to be refilled."""
        if cell.era < self.era and id(cell) not in self.states:
            self.states[id(cell)] = State(cell, cell.array)

    def refilled(self, tensor: Any) -> None:
        """A tensor is about to be refilled, with its history."""
        self.undo.history.setdefault(
            id(tensor), (tensor, tensor.node, tensor.index, tensor._base, tensor._stamp)
        )

    def storage_set(self, tensor: Any) -> None:
        """A tensor is about to get another cell."""
        self.undo.storage.setdefault(id(tensor), (tensor, tensor.cell, tensor._base, tensor._stamp))

    def grad_read(self, tensor: Any) -> None:
        """`.grad` is looked at."""
        self._grad(tensor, True)

    def grad_set(self, tensor: Any) -> None:
        """`.grad` is about to be set, whatever it was."""
        self._grad(tensor, False)

    def _grad(self, tensor: Any, read: bool) -> None:
        known = self.grads.get(id(tensor))
        if known is None or known.tensor() is not tensor:
            self.grads[id(tensor)] = Grad(weakref.ref(tensor), tensor._grad, read)

    def draw(self, generator: Any, count: int) -> tuple[Any, Any]:
        """Seed and offset of a draw: values that every call reads from its generator."""
        now = generator.get_state()
        held = self.draws.get(id(generator))
        if held is None:
            held = self.draws[id(generator)] = Draws(generator, now, now)
            held.seed, held.offset = wrap(_signed(now[0])), wrap(_signed(now[1]))
            held.inputs = (
                self._input("seed", held.seed.cell.array),
                self._input("offset", held.offset.cell.array),
            )
        elif held.expected != now:
            held.seed, held.offset = now
        taken = held.seed, held.offset
        generator.advance(count)
        held.offset = held.offset + count
        held.expected = generator.get_state()
        return taken

    def reseeded(self, generator: Any) -> None:
        """A generator is about to start somewhere else."""
        now = generator.get_state()
        held = self.draws.setdefault(id(generator), Draws(generator, now, now))
        held.expected = (-1, -1)  # what is drawn from now on starts at numbers that are known

    # ----- afterwards -----

    def put_back(self) -> None:
        """Cells, gradients, histories and generators as they were."""
        for tensor, cell, base, stamp in self.undo.storage.values():
            tensor.cell, tensor._base, tensor._stamp = cell, base, stamp
        for tensor, node, index, base, stamp in self.undo.history.values():
            tensor.node, tensor.index, tensor._base, tensor._stamp = node, index, base, stamp
        for held in self.states.values():
            if held.cell.array is not held.before:
                restore(held.cell, held.before)
        for grad in self.grads.values():
            leaf = grad.tensor()
            if leaf is not None:
                leaf._grad = grad.before
        for draws in self.draws.values():
            draws.generator._seed, draws.generator._offset = draws.before


def _signed(number: int) -> np.ndarray:
    """A 64-bit whole number as int64, by its bits."""
    return np.array(number, np.uint64).view(np.int64)
