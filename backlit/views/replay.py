"""A tensor computed again from the leaves and constants of its Nodes.

Nothing is kept for it while a program runs: a Node holds the operands that no edge leads to, and
edges lead to Nodes and leaves. Observers that have `replayed` are told whose Node is repeated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.autograd.engine import collect, resolve
from backlit.autograd.node import Lent, Node
from backlit.errors import GradError
from backlit.ops.op import REGISTRY, apply
from backlit.state import state, tell
from backlit.tensor import Tensor, wrap


def replay(root: Tensor) -> Tensor:
    """Compute a tensor again from the leaves and constants of its Nodes, recording anew."""
    if root.node is None:
        return root
    made: dict[int, tuple] = {}
    outer = state.module, state.scope, state.autocast
    state.autocast = None  # the casts are Nodes of their own
    try:
        for node in reversed(collect([root], None)[0]):
            inputs = [_operand(node, i, made) for i in range(len(node.edges))]
            state.module, state.scope = node.module, node.scope
            made[node.id] = _again(node, inputs)
    finally:
        state.module, state.scope, state.autocast = outer
    target, index = resolve((root, 0))
    return made[target.id][index]


def same(again: Tensor, before: Tensor) -> Tensor:
    """Refuse a graph whose leaves hold other values now than when it was computed."""
    if not np.array_equal(again.cell.array, before.cell.array, equal_nan=True):
        if reads_python(before):
            hint = "a Function of your own gives another result when it is called again, or a step"
            hint += " changed a parameter: see the loss before optimizer.step()"
        else:
            hint = "see the loss before optimizer.step(), or the function: bl.see(step, *inputs)"
        raise GradError("a leaf of this graph has changed since it was computed", hint=hint)
    return again


def _operand(node: Node, i: int, made: dict[int, tuple]) -> Any:
    edge = node.edges[i]
    if edge is None:
        constant = _returned(node.constants[i])
        own = hasattr(node.op, "user")  # these hold their arguments as they were given
        return wrap(constant) if isinstance(constant, np.ndarray) and not own else constant
    target, index = resolve(edge)
    return made[target.id][index] if type(target) is Node else target


def _returned(constant: Any) -> Any:
    """A constant, also one that the Node lent out when its backward had run."""
    if not isinstance(constant, Lent):
        return constant
    array = constant.array()
    if array is None:
        raise GradError(
            "data that this graph was computed from is gone since its backward",
            hint="see the loss before loss.backward(), or keep the batch until then",
        )
    return array if constant.like is None else wrap(array)


def _again(node: Node, inputs: list) -> tuple:
    op = node.op
    if hasattr(op, "user"):
        results = op.user.apply(*inputs)
    elif op.name in REGISTRY:
        results = apply(op, *inputs, **node.params)
    else:
        raise GradError(
            f"{op.name}: what a compiled function did inside can't be seen from its result",
            hint="call bl.see on the function itself: bl.see(step, *inputs)",
        )
    listed = results if isinstance(results, tuple) else (results,)
    for t in listed:
        if t is not None and t.node is not None:
            fresh = t.node
            fresh.code, fresh.instruction = node.code, node.instruction
            fresh.hooks = _users_hooks(node)
    tell("replayed", node)
    return listed


def _users_hooks(node: Node) -> dict[int, list] | None:
    """Hooks that may change a gradient; not those of `retain_grad`, which only keep it."""
    if node.hooks is None:
        return None
    return {
        i: [h for h in hooks if not getattr(h, "__module__", "").startswith("backlit.")]
        for i, hooks in node.hooks.items()
    }


def reads_python(root: Tensor) -> bool:
    """Whether Functions of the user's own take part: they may compute in NumPy."""
    return any(hasattr(node.op, "user") for node in collect([root], None)[0])


def leaf_tensors(root: Tensor) -> list[Tensor]:
    """The leaves that a tensor depends on, oldest reader first."""
    if root.node is None and root.requires_grad:
        raise GradError(
            "the tensor is a leaf: nothing has been computed from it here, so there is no graph",
            hint="pass what was computed, such as the loss",
        )
    if root.node is None:
        raise GradError(
            "the tensor does not require grad and has no history: there is no graph to see",
            hint="make the inputs with requires_grad=True, and do not work under no_grad",
        )
    found: dict[int, Tensor] = {}
    for node in reversed(collect([root], None)[0]):
        for edge in node.edges:
            if edge is not None:
                target, _ = resolve(edge)
                if type(target) is not Node:
                    found.setdefault(id(target), target)
    return list(found.values())
