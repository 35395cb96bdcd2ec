"""What is inside a gate: the same value and gradient by simpler operators.

A graph of a function is not unique: one sigmoid gate, or negate, exp, add and divide. Formulas
open by themselves, other operators by what the compiler makes of them, recurrent layers by their
steps, a Function of the user's by what its forward does. An expansion counts only if it hands
back the same gradients as the closed gate. Read next: inside.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.autograd.engine import grad
from backlit.autograd.function import Context
from backlit.autograd.modes import enable_grad
from backlit.autograd.observe import observe
from backlit.errors import BacklitError
from backlit.ops.op import REGISTRY, slot
from backlit.program.ir import Instr, Program, Value
from backlit.state import state
from backlit.tensor import Tensor, wrap
from backlit.views.derivatives import leaf
from backlit.views.graph import Gate, Graph, Wire
from backlit.views.names import name_wires
from backlit.views.watch import Watch

LARGEST = 600  # gates inside one gate
_SIMPLE: set[Any] = set()  # operators that were found to be made of nothing simpler
# Rules of the compiler that a reader can follow; the others are written for fusion.
READABLE = ("softmax", "log_softmax", "logsumexp", "var", "std", "layer_norm", "group_norm",
            "rms_norm", "p_norm")  # fmt: skip
_CLOSE = {2: 5e-2, 4: 2e-4, 8: 1e-11}  # by the bytes of a number, of the largest element


class Expansion:
    """The inner graph of a gate, and which of its wires are wires of the outer one."""

    def __init__(self, graph: Graph, border: dict[int, Wire]) -> None:
        self.graph, self.border = graph, border


def expansion(gate: Gate) -> Expansion | None:
    """The expansion of a gate; None where it has none, or hands back other gradients.

    >>> from backlit.views.expansion import expansion
    >>> (gate,) = bl.views.record("sigma(x)", x=1).graph.gates
    >>> [inner.op.name for inner in expansion(gate).graph.gates]
    ['neg', 'exp', 'add', 'div']
    """
    spelled = _spelling(gate)
    if gate.op in _SIMPLE or spelled is None or all(u is None for u in gate.upstream):
        return None
    leaves = [leaf(gate, i) for i in range(len(gate.inputs))]
    found = _run(gate, spelled, leaves)
    if found is None:
        return None
    graph, results = found
    border = _border(gate, graph, leaves, results)
    same = any(g.op is gate.op for g in graph.gates)
    if same and len(graph.gates) == 1 and not gate.params and len(leaves) == _tensors(leaves):
        _SIMPLE.add(gate.op)
    if same or len(graph.gates) > LARGEST or not _agrees(gate, leaves, graph):
        return None
    known = {id(w.value): border[w.id].name for w in graph.wires if w.id in border}
    for inner in graph.gates:
        inner.program, inner.module, inner.scope = gate.program, gate.module, ""
    name_wires(graph, known)
    return Expansion(graph, border)


def _tensors(leaves: list[Any]) -> int:
    return sum(isinstance(t, Tensor) for t in leaves)


def _run(
    gate: Gate, spelled: Callable[..., Any], leaves: list[Any]
) -> tuple[Graph, dict[int, Tensor]] | None:
    """Run the expansion under the watch, forward and back; the results by output."""
    watch = Watch()
    outer = state.module, state.scope, state.observers, state.autocast, state.backward_of
    state.observers, state.autocast, state.backward_of = (), None, None
    try:
        with enable_grad(), observe(watch), np.errstate(all="ignore"):
            made = spelled(*leaves)
            listed = made if isinstance(made, tuple | list) else (made,)
            results = {
                k: t for k, t in enumerate(listed)
                if isinstance(t, Tensor) and k < len(gate.upstream)
                and gate.upstream[k] is not None and t.node is not None
            }  # fmt: skip
            wanted = [t for t in leaves if isinstance(t, Tensor) and t.requires_grad]
            if not results or not wanted:
                return None
            seeds = [wrap(np.asarray(gate.upstream[k])) for k in results]
            grad(list(results.values()), wanted, seeds, allow_unused=True, retain_graph=True)
        return watch.graph(*results.values()), results
    except BacklitError:  # an operator refused what the closed gate takes
        return None
    finally:
        state.module, state.scope, state.observers, state.autocast, state.backward_of = outer


def _border(
    gate: Gate, graph: Graph, leaves: list[Any], results: dict[int, Tensor]
) -> dict[int, Wire]:
    """Outer wires by the ids of the inner ones."""
    found: dict[int, Wire] = {}
    given = {id(t.cell.array): w for t, w in zip(leaves, gate.inputs) if isinstance(t, Tensor)}
    given |= {id(t.cell.array): gate.outputs[k] for k, t in results.items()}
    for wire in graph.wires:
        outer = given.get(id(wire.value)) if isinstance(wire.value, np.ndarray) else None
        if outer is not None:
            found[wire.id] = outer
    return found


def _agrees(gate: Gate, leaves: list[Any], graph: Graph) -> bool:
    """Whether the inside hands back what the gate does."""
    inner = {id(w.value): w.grad for w in graph.wires if w.maker is None}
    arrived = max(_largest(u) for u in gate.upstream if u is not None)
    for t, expected in zip(leaves, gate.downstream):
        if expected is None:
            continue
        found = inner.get(id(t.cell.array))
        if found is None:
            found = np.zeros(expected.shape)
        close = _CLOSE.get(expected.dtype.itemsize, 1e-11) * max(_largest(expected), arrived)
        if not np.allclose(found.astype(np.float64), expected.astype(np.float64), 0, close,
                           equal_nan=True):  # fmt: skip
            return False
    return True


def _largest(array: np.ndarray) -> float:
    finite = array[np.isfinite(array.astype(np.float64))]
    return float(np.max(np.abs(finite.astype(np.float64)), initial=1e-30))


# ----- how a gate is spelled out -----


def _spelling(gate: Gate) -> Callable[..., Any] | None:
    op = gate.op
    if hasattr(op, "user"):
        return lambda *args: op.user._run(Context(tuple(map(_needs, args))), args)
    if op.name in SPELLED:
        return lambda *args: SPELLED[op.name](*args, **gate.params)
    if op.elementwise:
        return lambda *args: op.expand(*args, **gate.params)
    return _by_compiler(gate)


def _needs(x: Any) -> bool:
    return isinstance(x, Tensor) and x.requires_grad


def _by_compiler(gate: Gate) -> Callable[..., Any] | None:
    """The compiler's rule for a closed operator, as a function of tensors."""
    from backlit.compiler.passes.decompose import RULES, decompose

    if gate.op.name not in READABLE or gate.op.name not in RULES:
        return None
    inputs = [
        _value(f"x{i}", w) if w is not None and isinstance(w.value, np.ndarray)
        else None if w is None else w.value
        for i, w in enumerate(gate.inputs)
    ]  # fmt: skip
    outputs = tuple(_value(f"y{i}", w) if w else None for i, w in enumerate(gate.outputs))
    instr = Instr(gate.op.name, tuple(inputs), outputs, gate.params)
    values = tuple(v for v in inputs if isinstance(v, Value))
    program = decompose(Program("inside", values, (instr,), outputs))
    if any(i.op == gate.op.name for i in program.instrs):
        return None

    def run(*tensors: Any) -> Any:
        arrays = [t for t, v in zip(tensors, inputs) if isinstance(v, Value)]
        return tuple(slot.replay(program, arrays))

    return run


def _value(name: str, wire: Wire) -> Value:
    return Value(name, tuple(wire.shape), dt.of_array(wire.array))


def _batch_norm(x: Any, w: Any, b: Any, *, eps: float) -> Any:
    axes = (0, *range(2, len(x.shape)))
    shape = (1, -1, *[1] * (len(x.shape) - 2))
    centred = x - x.mean(axes, keepdim=True)
    y = centred / ((centred * centred).mean(axes, keepdim=True) + eps).sqrt()
    y = y if w is None else y * w.reshape(shape)
    return y if b is None else y + b.reshape(shape)


def _sequence(steps: list[Any], reverse: bool) -> Any:
    from backlit.ops.op import apply

    return apply(REGISTRY["stack"], *steps, dim=0), steps[0 if reverse else -1]


def _lstm(*inputs: Any, reverse: bool) -> Any:
    from backlit.ops.lstm import unrolled

    steps: list[Any] = unrolled(*inputs, reverse)  # type: ignore[call-arg]
    y, last = _sequence([step[7] for step in steps], reverse)
    return y, last, steps[0 if reverse else -1][6]


def _gru(*inputs: Any, reverse: bool) -> Any:
    from backlit.ops.gru import unrolled

    steps: list[Any] = unrolled(*inputs, reverse)  # type: ignore[call-arg]
    return _sequence([step[5] for step in steps], reverse)


def _rnn(*inputs: Any, relu: bool, reverse: bool) -> Any:
    from backlit.ops.rnn import unrolled

    steps: list[Any] = unrolled(*inputs, relu, reverse)  # type: ignore[call-arg]
    return _sequence(steps, reverse)


SPELLED: dict[str, Callable[..., Any]] = {
    "batch_norm": _batch_norm,
    "lstm": _lstm,
    "gru": _gru,
    "rnn": _rnn,
}
