"""From running code to a Program: run it once and write down every operator.

An observer sees each application. Arrays are never overwritten, so the identity of an array is
the identity of a value: what was not made inside is an input. Views read again and gradients of
a backward inside are recorded like everything else. While it is open nothing is done in place.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ProgramError, user_line
from backlit.program.ir import Instr, Operand, Program, Value
from backlit.state import state


@dataclass(frozen=True)
class Captured:
    """A Program, the arrays that its inputs held, and what the function returned."""

    program: Program
    arrays: tuple[np.ndarray, ...]
    result: Any


def capture(function: Callable[..., Any], *args: Any, name: str = "") -> Captured:
    """Run `function(*args)` and return its Program.

    Tensors among `args` are the first inputs; others that it reads follow in order of first use.

    >>> from backlit.program import capture
    >>> print(capture(lambda x: (x * x).sum(), bl.tensor([1.0, 2.0]), name="norm").program)
    program norm(x0: float32[2]):
      mul_0: float32[2] = mul(x0, x0)  # at ...
      sum_0: float32[] = sum(mul_0, dims=(0,), keepdim=False)  # at ...
      return sum_0
    """
    recorder = _Recorder()
    for a in args:
        if hasattr(a, "cell"):
            recorder.value(a.cell.array)
    outer = state.observers
    state.observers = (*outer, recorder)
    try:
        result = function(*args)
    finally:
        state.observers = outer
    outputs = tuple(
        recorder.value(r.cell.array) if hasattr(r, "cell") else r for r in _flat(result)
    )
    shown = name or getattr(function, "__name__", "program")
    shown = shown if shown.isidentifier() else "program"
    program = Program(shown, tuple(recorder.inputs), tuple(recorder.instrs), outputs)
    return Captured(program, tuple(recorder.arrays), result)


def _flat(result: Any) -> list[Any]:
    """Outputs in order: nested tuples, lists and dicts are flattened."""
    if isinstance(result, (tuple, list)):
        return [x for r in result for x in _flat(r)]
    if isinstance(result, dict):
        return [x for r in result.values() for x in _flat(r)]
    if result is not None and not hasattr(result, "cell") and not isinstance(result, (int, float)):
        raise ProgramError(f"a captured function returns tensors, got {type(result).__name__}")
    return [result]


class _Recorder:
    """The observer behind `capture`."""

    def __init__(self) -> None:
        self.inputs: list[Value] = []
        self.arrays: list[np.ndarray] = []
        self.instrs: list[Instr] = []
        self._values: dict[int, Value] = {}
        self._alive: list[Any] = []  # an id is only good while its array lives
        self._watched: dict[int, Any] = {}  # made inside: forgotten when they die
        self._nodes: dict[int, str] = {}
        self._counts: dict[str, int] = {}

    def value(self, array: np.ndarray) -> Value:
        """The Value of an array; a new input if nothing inside has made it."""
        known = self._values.get(id(array))
        if known is not None:
            return known
        made = Value(f"x{len(self.inputs)}", array.shape, dt.of_array(array))
        self.inputs.append(made)
        self.arrays.append(array)
        self._remember(array, made)
        return made

    def _remember(self, array: np.ndarray, value: Value) -> None:
        self._values[id(array)] = value
        self._alive.append(array)

    def _watch(self, array: np.ndarray, value: Value) -> None:
        """Remember as long as the array lives, without keeping it."""
        key = id(array)

        def forget(_: Any) -> None:
            self._values.pop(key, None)
            self._watched.pop(key, None)

        self._values[key] = value
        self._watched[key] = weakref.ref(array, forget)

    def before_forward(self, op: Any, inputs: tuple, params: dict) -> None:
        if op.value_shaped:
            raise ProgramError(
                f"{op.name}: its shape depends on values, so it can't be captured",
                hint="use a mask instead: where, masked_fill",
            )

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        operands = tuple(self._operand(x) for x in inputs)
        values = tuple(self._output(op.name, t) for t in outputs)
        owner = state.backward_of
        line = node.line if node is not None else user_line() if owner is None else ""
        instr = Instr(
            op.name, operands, values, dict(params), line,
            state.module, state.scope, self._nodes.get(owner.id, "") if owner is not None else "",
        )  # fmt: skip
        self.instrs.append(instr)
        first = next((v.name for v in values if v is not None), "")
        if node is not None:
            self._nodes[node.id] = first

    def _operand(self, x: Any) -> Operand:
        if hasattr(x, "cell"):
            return self.value(x.cell.array)
        if isinstance(x, np.ndarray):
            return self.value(x)
        return x.item() if isinstance(x, np.generic) else x

    def _output(self, op_name: str, tensor: Any) -> Value | None:
        if tensor is None:
            return None
        array = tensor.cell.array
        if id(array) in self._values:  # an operator that returned its input: its own value
            array = array.view()
            if hasattr(tensor.cell, "see"):  # a window, of a Function that returned a view
                tensor.cell.see(array)
            else:
                tensor.cell.array = array
        count = self._counts.get(op_name, 0)
        self._counts[op_name] = count + 1
        made = Value(f"{op_name}_{count}", array.shape, dt.of_array(array))
        self._watch(array, made)
        return made

    def before_backward(self, node: Any, grads: list) -> None:
        pass

    def after_backward(self, node: Any, grads: list, input_grads: list) -> None:
        pass

    def read(self, tensor: Any) -> None:
        """A value that Python reads can't be part of a Program."""
        if id(tensor.cell.array) in self._values:
            raise ProgramError(
                "a tensor's value was read into Python while the code was captured",
                hint="use bl.where for choices that depend on values",
            )
