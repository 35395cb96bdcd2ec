"""Local derivatives of single gates, computed by the operators' own rules.

Elementwise gates have a local derivative per element. A gate of one number as output has a row,
the gradient that it hands back for an upstream of 1. Everything else is a whole Jacobian, of
which single rows can be asked for. Nothing here knows how it is drawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.autograd.engine import grad
from backlit.autograd.modes import enable_grad
from backlit.ops.op import apply
from backlit.state import state
from backlit.tensor import Tensor, wrap
from backlit.views.graph import Gate


def local(gate: Gate, i: int) -> np.ndarray | None:
    """The local derivative by input `i`, element by element or as one row; else None."""
    if gate.has_local(i):
        found = np.asarray(gate.local(i))
        return found.astype(np.float64) if found.dtype.kind in "bO" else found
    only = [w for w in gate.outputs if w is not None]
    if only[0].array.size != 1 or any(u is not None for u in gate.upstream[1:]):
        return None
    return row(gate, (0,) * only[0].array.ndim)[i]


def row(gate: Gate, index: tuple[int, ...], output: int = 0) -> list[np.ndarray | None]:
    """The row of the Jacobian that belongs to one element of an output: one array per input.

    >>> from backlit.views.derivatives import row
    >>> x = bl.ones(3, requires_grad=True)
    >>> gate = bl.views.record(x.cumsum(0).sum()).graph.gates[0]
    >>> row(gate, (1,))
    [array([1., 1., 0.], dtype=float32)]
    """
    target = gate.outputs[output]
    assert target is not None
    seed = np.zeros(target.shape, target.array.dtype)
    seed[index] = 1
    return vjp(gate, {output: seed})


def vjp(gate: Gate, seeds: dict[int, np.ndarray]) -> list[np.ndarray | None]:
    """What the gate hands back for other upstream gradients, by the number of the output."""
    leaves, outputs = again(gate)
    wanted = [(i, t) for i, t in enumerate(leaves) if isinstance(t, Tensor) and t.requires_grad]
    made: list[np.ndarray | None] = [None] * len(leaves)
    roots = [outputs[k] for k in seeds]
    if not wanted or all(t.node is None for t in roots):
        return made
    found = grad(roots, [t for _, t in wanted], [wrap(s) for s in seeds.values()],
                 allow_unused=True)  # fmt: skip
    for (i, _), g in zip(wanted, found):
        made[i] = None if g is None else g.cell.array
    return made


def again(gate: Gate) -> tuple[list[Any], tuple[Any, ...]]:
    """The gate run once more on copies of its inputs: the copies and the outputs."""
    leaves = [leaf(gate, i) for i in range(len(gate.inputs))]
    outer = state.observers, state.autocast, state.backward_of
    state.observers, state.autocast, state.backward_of = (), None, None
    try:
        with enable_grad():
            if hasattr(gate.op, "user"):
                made = gate.op.user.apply(*leaves)
            else:
                made = apply(gate.op, *leaves, **gate.params)
    finally:
        state.observers, state.autocast, state.backward_of = outer
    return leaves, made if isinstance(made, tuple) else (made,)


def leaf(gate: Gate, i: int) -> Any:
    """Input `i` as an operand of its own, with a gradient where the gate hands one back."""
    wire = gate.inputs[i]
    if wire is None or wire.raw:
        return None if wire is None else wire.value
    made = wrap(wire.value.view())
    if gate.downstream[i] is not None:
        made.requires_grad_()
    return made


def factored(upstream: np.ndarray, local: np.ndarray | None, downstream: np.ndarray) -> bool:
    """Whether upstream x local = downstream, element by element."""
    if local is None or np.broadcast_shapes(upstream.shape, local.shape) != downstream.shape:
        return False
    with np.errstate(all="ignore"):
        product = upstream.astype(np.float64) * local
    if product.ndim == 0 and product == downstream:
        return True
    close = 1e-2 if downstream.dtype.itemsize == 2 else 1e-5
    return np.allclose(product, downstream.astype(np.float64), close, close**2, equal_nan=True)
