"""A recorded graph run forward again from some of its wires on, with other values there.

Gates that depend on no changed wire keep what they computed. Random gates hold their seed and
offset, so they draw the same numbers. Knows no face; nudge.py, jacobian.py and precision.py
build on it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import GradError
from backlit.ops.op import REGISTRY, apply
from backlit.program.ir import Program, Value
from backlit.state import state
from backlit.tensor import Tensor, wrap
from backlit.views.graph import Gate, Graph, Wire


def rerun(graph: Graph, changed: dict[Wire, Tensor], wide: bool = False) -> dict[Wire, Tensor]:
    """The changed wires and all that depends on them, computed anew and recorded where due.

    `wide` takes every other floating value in float64 as well.
    """
    made = dict(changed)
    outer = state.module, state.scope, state.autocast, state.observers
    state.autocast = None  # the casts are gates of their own
    state.observers = ()
    try:
        for gate in graph.gates:
            given = all(w is None or w in changed for w in gate.outputs)
            if not given and any(w in made for w in gate.inputs):
                state.module, state.scope = gate.module, gate.scope
                for wire, tensor in zip(gate.outputs, _run(gate, made, wide)):
                    if wire is not None and wire not in changed:
                        made[wire] = tensor
    finally:
        state.module, state.scope, state.autocast, state.observers = outer
    return made


def _run(gate: Gate, made: dict[Wire, Tensor], wide: bool) -> tuple:
    inputs = [
        _operand(gate, i, made[w]) if w in made else None if w is None else _given(w, wide)
        for i, w in enumerate(gate.inputs)
    ]
    op = gate.op
    if hasattr(op, "user"):
        results = op.user.apply(*inputs)
    elif op.name in REGISTRY:
        params = _widened(gate.params) if wide else gate.params
        results = apply(op, *inputs, **params)
    else:
        raise GradError(f"{op.name}: what a compiled function did inside can't be run again")
    return results if isinstance(results, tuple) else (results,)


def _operand(gate: Gate, i: int, value: Tensor) -> Tensor:
    """An input made anew; detached where the program let no gradient through."""
    wire = gate.inputs[i]
    assert wire is not None
    maker = wire.maker
    tracked = wire.kind in ("input", "parameter") if maker is None else maker.node is not None
    blocked = tracked and (gate.node is None or gate.node.edges[i] is None)
    return value.detach() if blocked else value


def _given(wire: Wire, wide: bool) -> Any:
    """What a wire held, as a constant."""
    value = wire.value
    if wire.raw:
        return value
    if wide and value.dtype.kind in "fV":
        value = value.astype(np.float64)
    return wrap(value)


def _widened(param: Any) -> Any:
    """A parameter with float64 for other floats: of casts, and in the body of a loop."""
    if isinstance(param, dt.dtype):
        return dt.float64 if param.is_floating_point else param
    if isinstance(param, Value):
        return replace(param, dtype=_widened(param.dtype))
    if isinstance(param, Program):
        return replace(
            param, inputs=_widened(param.inputs), outputs=_widened(param.outputs),
            instrs=tuple(
                replace(i, inputs=_widened(i.inputs), outputs=_widened(i.outputs),
                        params=_widened(i.params))
                for i in param.instrs
            ),
        )  # fmt: skip
    if isinstance(param, dict):
        return {k: _widened(v) for k, v in param.items()}
    return type(param)(map(_widened, param)) if type(param) in (tuple, list) else param


def leaf(wire: Wire, wide: bool = False) -> Tensor:
    """A wire's value as a leaf to differentiate by."""
    array = wire.array
    return wrap(array.astype(np.float64) if wide else array.copy()).requires_grad_()
