"""Layered networks, recognised in a graph: affine maps, each followed by an activation.

A layer is `linear`, or a product with a leaf matrix (through the reshapes of vectors, with or
without a bias), and the activation that alone reads it. Only a whole network that is one chain
counts: with branches, or other operators between, the four equations are not its own. Says
nothing about gradients. Read next: bp.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from backlit.views.derive.notation import is_number
from backlit.views.derive.patterns import reader
from backlit.views.graph import Gate, Graph, Wire

_VECTOR = ("reshape", "unsqueeze", "squeeze")


@dataclass
class Layer:
    """z = W a + b of a vector, or Z = A W' + b of rows; then a = sigma(z).

    `layout` is "rows" (a batch in rows), "columns" (a batch in columns) or "vector". `turned`
    says that the program keeps the weight as (in, out).
    """

    gate: Gate  # of the product
    weight: Wire
    bias: Wire | None
    input: Wire
    z: Wire
    layout: str
    turned: bool
    activation: Gate | None = None
    number: int = 0

    @property
    def a(self) -> Wire:
        return self.z if self.activation is None else self.activation.output


def layered(graph: Graph) -> list[Layer]:
    """The layers of a network that is one chain from data to loss; nothing for any other."""
    found = [layer for gate in graph.gates if (layer := _affine(gate)) is not None]
    starts = [x for x in found if x.input.maker is None or x.input.grad is None]
    if len(starts) != 1 or any(_depends(x.input, x.weight) for x in found):
        return []
    for layer in found:
        layer.activation = activation(layer.z)
    by_input = {id(layer.input): layer for layer in found}
    chain = starts
    while (following := _next(chain[-1], by_input)) is not None:
        chain.append(following)
    for k, layer in enumerate(chain):
        layer.number = k + 2  # the input is layer 1
    if len(chain) != len(found) or chain[-1].z.grad is None:
        return []
    trained = any(layer.weight.kind == "parameter" or layer.activation for layer in chain)
    return chain if trained or len(chain) > 1 else []


def asked(layers: list[Layer], targets: list[Wire]) -> list[Layer]:
    """The layers from the first on that is asked about; none where no layer is."""
    wanted = {id(w) for w in targets}
    for k, layer in enumerate(layers):
        if wanted & {id(w) for w in (layer.weight, layer.bias, layer.z) if w is not None}:
            return layers[k:]
    return []


def _depends(wire: Wire, leaf: Wire) -> bool:
    """Whether a value was computed from a leaf: a product with itself is no layer."""
    stack, seen = [wire], {id(wire)}
    while stack:
        current = stack.pop()
        if current is leaf:
            return True
        for source in current.maker.inputs if current.maker is not None else ():
            if source is not None and id(source) not in seen:
                seen.add(id(source))
                stack.append(source)
    return False


def _next(layer: Layer, by_input: dict[int, Layer]) -> Layer | None:
    following = by_input.get(id(layer.a))
    if following is None or following.layout != layer.layout or reader(layer.a) is None:
        return None
    return following


def activation(z: Wire) -> Gate | None:
    """The elementwise function that alone reads a value, if it is an activation."""
    gate = reader(z)
    if gate is None or not gate.op.elementwise or gate.output.shape != z.shape:
        return None
    if len(gate.inputs) > 1:
        others = [w for w in gate.inputs if w is not None and w is not z]
        clipping = gate.op.name in ("maximum", "clamp") and all(map(is_number, others))
        return gate if clipping and len(others) < len(gate.inputs) else None
    known = gate.op.__module__.endswith("activation") or gate.op.name in ("tanh", "sin")
    return gate if known else None


# ----- one affine map -----


def _affine(gate: Gate) -> Layer | None:
    if gate.op.name == "linear":
        x, w, b = gate.inputs
        if x is None or w is None or len(x.shape) > 2 or w.maker is not None:
            return None
        layout = "rows" if len(x.shape) == 2 else "vector"
        return Layer(gate, w, b, x, gate.output, layout, False)
    return _product(gate) if gate.op.name == "matmul" else None


def _product(gate: Gate) -> Layer | None:
    """A matrix product one of whose factors is a leaf (or its transpose)."""
    left, right = gate.inputs
    if left is None or right is None or len(gate.output.shape) != 2:
        return None
    right_leaf, left_leaf = _weight(right), _weight(left)
    if right_leaf is not None and _is_value(left):
        weight, turned = right_leaf
        x, layout = left, "rows"
        turned = not turned  # Z = A W: the weight is (in, out)
    elif left_leaf is not None and _is_value(right):
        weight, turned = left_leaf
        x, layout = right, "columns"
    else:
        return None
    z = gate.output
    after = reader(z, *_VECTOR)
    if after is not None and len(after.output.shape) == 1 and 1 in z.shape:
        x, z, layout = _vector(x) or x, after.output, "vector"
    bias, z = _with_bias(z)
    return Layer(gate, weight, bias, x, z, layout, turned)


def _weight(wire: Wire) -> tuple[Wire, bool] | None:
    """A leaf matrix with a gradient, and whether it is read transposed."""
    if wire.maker is not None and wire.maker.op.name == "permute" and len(wire.shape) == 2:
        source = wire.maker.inputs[0]
        return (source, True) if source is not None and _is_leaf(source) else None
    return (wire, False) if _is_leaf(wire) else None


def _is_leaf(wire: Wire) -> bool:
    return wire.maker is None and wire.grad is not None and len(wire.shape) == 2


def _is_value(wire: Wire) -> bool:
    """Data, or what an earlier layer made."""
    return wire.maker is not None or wire.kind != "parameter"


def _vector(wire: Wire) -> Wire | None:
    """The vector that was made a row or a column for a product."""
    made = wire.maker
    if made is None or made.op.name not in _VECTOR:
        return None
    source = made.inputs[0]
    return source if source is not None and len(source.shape) == 1 else None


def _with_bias(z: Wire) -> tuple[Wire | None, Wire]:
    added = reader(z, "add")
    if added is None or added.output.shape != z.shape:
        return None, z
    bias = next((w for w in added.inputs if w is not z), None)
    if bias is None or bias.maker is not None or bias.grad is None or is_number(bias):
        return None, z
    return bias, added.output
