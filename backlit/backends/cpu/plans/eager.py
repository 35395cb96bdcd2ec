"""Eager operators that run as plans of one instruction.

A recurrent layer is a walk through time that only plans know how to call (recurrent/lowering.py).
Here an operator's arrays make such a plan, which is kept for the next call with the same shapes.
Small layers, and what the lowering declines, stay with NumPy. Which operators come here is a table
of `backends/eager.py`.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import numpy as np

from backlit import dtypes
from backlit.backends.cpu.native.threads import get_num_threads
from backlit.backends.cpu.native.words import ELEMENTS
from backlit.ops.op import REGISTRY, Spec
from backlit.program.ir import Instr, Program, Value

from . import executable

# a plan keeps the memory that it works in
KEPT_PLANS = 16
# multiply-adds that NumPy has done before a plan is made
SMALL_WORK = 2_000_000

Arrays = tuple[np.ndarray | None, ...]


def run(name: str, *arrays: np.ndarray | None, **params: Any) -> Arrays:
    """The outputs of a recurrent operator, by its plan where that pays."""
    given = [a for a in arrays if a is not None]
    rows = max(a.shape[0] * a.shape[1] for a in given if a.ndim == 3)
    work = rows * max(a.size for a in given if a.ndim == 2)
    if work >= SMALL_WORK and all(a.dtype in ELEMENTS for a in given):
        operands = tuple(a if a is None else (a.shape, a.dtype) for a in arrays)
        made = _planned(name, operands, tuple(params.items()), get_num_threads())
        if made is not None:
            return made(given)
    return REGISTRY[name].forward(*arrays, **params)


class _Planned:
    """A Program of one instruction, ready to run; calls from several threads take turns."""

    def __init__(self, instr: Instr, workers: int) -> None:
        inputs = tuple(x for x in instr.inputs if isinstance(x, Value))
        outputs = tuple(y for y in instr.outputs if y is not None)
        program = Program(instr.op, inputs, (instr,), outputs)
        self.executable = executable.build(program, {}, {}, workers)
        self.present = [y is not None for y in instr.outputs]
        self.lock = threading.Lock()

    def __call__(self, given: list[np.ndarray]) -> Arrays:
        with self.lock:
            found = iter(self.executable.run(given))
        return tuple(next(found) if there else None for there in self.present)


@functools.lru_cache(maxsize=KEPT_PLANS)
def _planned(name: str, operands: tuple, params: tuple, workers: int) -> _Planned | None:
    """The plan of an operator for arrays of such shapes; None where it has no kernel for them."""
    specs: list[Any] = [s if s is None else Spec(s[0], dtypes.of_numpy(s[1])) for s in operands]
    instr = Instr(
        name, _values("x", specs), _values("y", REGISTRY[name].infer(*specs, **dict(params))),
        dict(params),
    )  # fmt: skip
    made = _Planned(instr, workers)
    declined = any(t.label == name and t.implementation == "callback"
                   for t in made.executable.tasks)  # fmt: skip
    return None if declined else made


def _values(letter: str, specs: Any) -> tuple[Value | None, ...]:
    return tuple(
        None if s is None else Value(f"{letter}{i}", s.shape, s.dtype) for i, s in enumerate(specs)
    )


lstm, lstm_grad = (functools.partial(run, name) for name in ("lstm", "lstm_grad"))
gru, gru_grad = (functools.partial(run, name) for name in ("gru", "gru_grad"))
rnn, rnn_grad = (functools.partial(run, name) for name in ("rnn", "rnn_grad"))
