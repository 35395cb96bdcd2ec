"""If, Loop and Scan: graphs within nodes, run with what is known around them.

A condition that depends on values becomes `bl.cond`, a Scan becomes `bl.scan`; a Loop runs in
Python, so a compiled step unrolls it and refuses one whose length depends on values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.api import NAMESPACES
from backlit.control import cond, scan
from backlit.onnx.loading.graph import Graph, Values
from backlit.onnx.loading.table import Known, Node, array, axis_of, operator, tensor
from backlit.state import state

bl = NAMESPACES["bl"]


@operator("If", raw=True)
def if_(node: Node, values: Values, condition: Any) -> Any:
    branches = node.get("then_branch"), node.get("else_branch")
    if isinstance(condition, Known) or not state.observers:
        chosen: Graph = branches[0 if bool(array(condition).reshape(())) else 1]
        return tuple(chosen.run({}, values))
    made = cond(condition, *(lambda g=g: tuple(map(tensor, g.run({}, values))) for g in branches))
    return tuple(made)


@operator("Loop", raw=True)
def loop(node: Node, values: Values, count: Any, condition: Any, *state_: Any) -> Any:
    """The body until the count is reached or the condition fails."""
    body: Graph = node.get("body")
    limit = None if count is None else int(array(count).reshape(()))
    carried, rows = list(state_), []
    going = condition is None or bool(array(condition).reshape(()))
    step = 0
    while going and (limit is None or step < limit):
        arguments = [Known(np.array(step, np.int64)), Known(np.array(True)), *carried]
        going_on, *found = body.run(dict(zip(body.inputs, arguments)), values)
        carried, row = found[: len(carried)], found[len(carried) :]
        rows.append(row)
        going = bool(array(going_on).reshape(()))
        step += 1
    if not rows:
        return (*carried, *_no_rows(node, body, len(carried)))
    return (*carried, *(bl["stack"]([tensor(v) for v in column], 0) for column in zip(*rows)))


def _no_rows(node: Node, body: Graph, carried: int) -> list[Known]:
    """What a loop that never ran stacks: nothing, of a type that only the body knows."""
    missing = len(body.outputs) - 1 - carried
    if missing:
        raise node.unsupported("a loop without steps that collects rows", "give it one step")
    return []


@operator("Scan", raw=True)
def scan_(node: Node, values: Values, *inputs: Any) -> Any:
    """`num_scan_inputs` inputs are taken apart along an axis, the others are carried."""
    if node.version < 9:
        return _batched(node, values, *inputs)
    count = node.get("num_scan_inputs")
    carried, rows = inputs[: len(inputs) - count], inputs[len(inputs) - count :]
    made = len(node.get("body").outputs) - len(carried)
    axes = node.get("scan_input_axes", [0] * count)
    back = node.get("scan_input_directions", [0] * count)
    moved = [_first(node, tensor(x), a, d) for x, a, d in zip(rows, axes, back)]
    last, columns = _scan(node.get("body"), values, list(carried), moved)
    out_axes = node.get("scan_output_axes", [0] * made)
    out_back = node.get("scan_output_directions", [0] * made)
    placed = [_placed(node, y, a, d) for y, a, d in zip(columns, out_axes, out_back)]
    return (*last, *placed)


def _scan(body: Graph, values: Values, carried: list[Any], rows: list[Any]) -> tuple[list, list]:
    """The body over the first axis of every row tensor."""

    def step(carry: list[Any], xs: list[Any]) -> tuple[list[Any], list[Any]]:
        found = [tensor(v) for v in body.run(dict(zip(body.inputs, (*carry, *xs))), values)]
        return found[: len(carry)], found[len(carry) :]

    last, columns = scan(step, [tensor(c) for c in carried], rows)
    return list(last), list(columns)


def _first(node: Node, x: Any, axis: int, backwards: int) -> Any:
    x = bl["movedim"](x, axis_of(node, axis, x.ndim), 0)
    return bl["flip"](x, [0]) if backwards else x


def _placed(node: Node, y: Any, axis: int, backwards: int) -> Any:
    y = bl["flip"](y, [0]) if backwards else y
    return bl["movedim"](y, 0, axis_of(node, axis, y.ndim))


def _batched(node: Node, values: Values, lengths: Any, *inputs: Any) -> Any:
    """Opset 8: every input has a batch axis in front, and the steps are the second axis."""
    if lengths is not None:
        raise node.unsupported("sequence lengths in opset 8", "convert the file to opset 9")
    count = node.get("num_scan_inputs")
    back = node.get("directions", [0] * count)
    each = []
    for i in range(tensor(inputs[0]).shape[0]):
        parts = [bl["select"](tensor(x), 0, i) for x in inputs]
        rows = [_first(node, x, 0, d) for x, d in zip(parts[len(parts) - count :], back)]
        last, columns = _scan(node.get("body"), values, parts[: len(parts) - count], rows)
        each.append([*last, *columns])
    return tuple(bl["stack"](list(column), 0) for column in zip(*each))
