"""From an ONNX message to a Graph that runs; which initializers are parameters.

Operators without an entry in the table run as the function that the standard defines for them,
built when the types of its inputs are known. Functions of the file are graphs like others.
Read next: graph.py, standard.py, module.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.errors import NotAvailable
from backlit.onnx.loading.checks import domain_of, key_of, title
from backlit.onnx.loading.files import is_float, to_array
from backlit.onnx.loading.graph import Graph, Step, Values, caller
from backlit.onnx.loading.standard import schema_of, standard_function, type_bytes
from backlit.onnx.loading.table import Known, Node, fill_table


@dataclass
class Weights:
    """The floating point initializers of a file, by name: what trains, and what does not."""

    parameters: dict[str, np.ndarray] = field(default_factory=dict)
    buffers: dict[str, np.ndarray] = field(default_factory=dict)

    def add(self, name: str, array: np.ndarray, kind: str) -> str:
        """Keep an array under a name that is still free."""
        unique, count = name, 1
        while unique in self.parameters or unique in self.buffers:
            unique, count = f"{name}_{count}", count + 1
        (self.parameters if kind == "parameter" else self.buffers)[unique] = array
        return unique


class Builder:
    """Builds graphs under the opsets of one model."""

    def __init__(self, opsets: Iterable[Any], functions: dict[tuple, Any],
                 fixed: Callable[[str], bool]):  # fmt: skip
        self.opsets = {domain_of(o): o.version for o in opsets}
        self.functions = functions
        self.fixed = fixed  # which initializers are constants, by name
        self.table = fill_table()
        self.weights = Weights()

    def graph(self, proto: Any, bound: dict[str, Any]) -> Graph:
        """A GraphProto, with the attributes of the function around it."""
        kinds = _kinds(proto, self.table)
        constants, parameters = {}, {}
        for tensor in proto.initializer:
            values = to_array(tensor, f"initializer '{tensor.name}'")
            kind = kinds.get(tensor.name, "parameter")
            kind = "setting" if self.fixed(tensor.name) else kind
            if is_float(values) and kind != "setting":
                parameters[tensor.name] = self.weights.add(tensor.name, values, kind)
            else:
                constants[tensor.name] = Known(values)
        if proto.sparse_initializer:
            raise NotAvailable("onnx.load: sparse initializers are not supported",
                               hint="store them dense")  # fmt: skip
        given = {*constants, *parameters}
        inputs = tuple(i.name for i in proto.input if i.name not in given)
        outputs = tuple(o.name for o in proto.output)
        steps = self.steps(proto.node, bound)
        return Graph(proto.name, inputs, outputs, steps, constants, parameters).finish()

    def steps(self, nodes: Iterable[Any], bound: dict[str, Any]) -> list[Step]:
        """The steps of nodes; `where` is what stands for each in paths of modules."""
        made, taken = [], set()
        for number, proto in enumerate(nodes):
            node = self.node(proto, bound)
            where = node.name.strip("/").replace("/", ".") or f"{node.op}_{number}"
            if where in taken:
                where = f"{where}_{number}"
            taken.add(where)
            made.append(Step(node, self.runner(proto, node, bound), where))
        return made

    def node(self, proto: Any, bound: dict[str, Any]) -> Node:
        """Operator, names and attributes."""
        domain = domain_of(proto)
        if domain not in self.opsets and _key(proto) not in self.functions:
            raise NotAvailable(f"onnx.load: {title(proto)}: the file imports no opset of "
                               f"'{proto.domain}'")  # fmt: skip
        found = {}
        for attribute in proto.attribute:
            value = _resolved(attribute, bound)
            if value is not None:
                found[attribute.name] = self.attribute(value, title(proto), bound)
        name = proto.name or next(filter(None, proto.output), "")
        return Node(proto.op_type, name, self.opsets.get(domain, 1), tuple(proto.input),
                    tuple(proto.output), found)  # fmt: skip

    def attribute(self, proto: Any, what: str, bound: dict[str, Any]) -> Any:
        """The value of an attribute: numbers, text, arrays, graphs."""
        from onnx import AttributeProto as A

        where = f"{what}, attribute '{proto.name}'"
        if proto.type == A.TENSOR:
            return to_array(proto.t, where)
        if proto.type == A.GRAPH:
            return self.graph(proto.g, bound)
        if proto.type == A.STRING:
            return proto.s.decode("utf-8", "replace")
        if proto.type == A.STRINGS:
            return [s.decode("utf-8", "replace") for s in proto.strings]
        plain = {A.FLOAT: "f", A.INT: "i", A.TYPE_PROTO: "tp"}
        if proto.type in plain:
            return getattr(proto, plain[proto.type])
        lists = {A.FLOATS: "floats", A.INTS: "ints"}
        if proto.type in lists:
            return list(getattr(proto, lists[proto.type]))
        raise NotAvailable(f"{where}: attributes of this kind are not supported")

    def runner(self, proto: Any, node: Node, bound: dict[str, Any]) -> Callable[..., Any]:
        """What runs a node: the table, a function of the file, or one of the standard."""
        if _key(proto) in self.functions:
            return self.local(self.functions[_key(proto)], proto, node, bound)
        if not domain_of(proto) and node.op in self.table:
            return caller(self.table[node.op], node)
        resolved = _with_attributes(proto, bound)
        if schema_of(resolved, node.version) is not None:
            return self.standard(resolved, node)
        shown = f"{proto.domain}.{node.op}" if proto.domain else node.op
        raise NotAvailable(
            f"onnx.load: {title(proto)}: operator {shown} of opset {node.version} is not supported",
            hint="docs/design/onnx_import.md lists what is; export without fused or private "
            "operators",
        )

    def local(self, function: Any, proto: Any, node: Node, bound: dict[str, Any]) -> Any:
        """A function that the file defines, built for the attributes of this node."""
        given = {a.name: a for a in function.attribute_proto}
        given |= {a.name: v for a in proto.attribute if (v := _resolved(a, bound)) is not None}
        inner = self.within(function)
        return _calling(inner.function(function, given), node, whole=True)

    def within(self, function: Any) -> Builder:
        """A builder under the opsets of a function, which has no weights of its own."""
        inner = Builder(function.opset_import, self.functions, lambda name: True)
        inner.opsets = self.opsets | inner.opsets
        return inner

    def function(self, proto: Any, given: dict[str, Any]) -> Graph:
        """A FunctionProto with its attributes filled in."""
        steps = self.steps(proto.node, given)
        return Graph(proto.name, tuple(proto.input), tuple(proto.output), steps).finish()

    def standard(self, proto: Any, node: Node) -> Callable[..., Any]:
        """The standard's own function, built anew for each combination of input types."""
        built: dict[tuple, Callable[..., Any]] = {}

        def run(values: Values, *inputs: Any) -> Any:
            types = tuple(map(type_bytes, inputs))
            if types not in built:
                function, given = standard_function(proto, node.version, types)
                graph = self.within(function).function(function, given)
                built[types] = _calling(graph, node, whole=False)
            return built[types](values, *inputs)

        return run


def _key(node: Any) -> tuple[str, str, str]:
    return node.domain, node.op_type, getattr(node, "overload", "")


def functions_of(model: Any) -> dict[tuple, Any]:
    """The functions that a file defines."""
    return {key_of(f): f for f in model.functions}


def _calling(graph: Graph, node: Node, whole: bool) -> Callable[..., Any]:
    """Run a function's graph on a node's inputs. A `whole` one sees nothing around it."""

    def run(values: Values, *inputs: Any) -> Any:
        absent = [None] * (len(graph.inputs) - len(inputs))
        arguments = dict(zip(graph.inputs, (*inputs, *absent)))
        outer = {} if whole else values
        return tuple(graph.run(arguments, outer))

    return run


def _resolved(attribute: Any, bound: dict[str, Any]) -> Any:
    """An attribute, or the one of the calling node that it refers to; None where that is absent."""
    return bound.get(attribute.ref_attr_name) if attribute.ref_attr_name else attribute


def _with_attributes(proto: Any, bound: dict[str, Any]) -> Any:
    """A copy of a node whose attributes are all values."""
    copy = type(proto)()
    copy.CopyFrom(proto)
    del copy.attribute[:]
    for attribute in proto.attribute:
        value = _resolved(attribute, bound)
        if value is not None:
            added = copy.attribute.add()
            added.CopyFrom(value)
            added.name = attribute.name
    return copy


def _kinds(proto: Any, table: dict[str, Any]) -> dict[str, str]:
    """Which initializers are settings of some node, or statistics, by how nodes read them."""
    kinds: dict[str, str] = {}
    for node in proto.node:
        entry = table.get(node.op_type) if node.domain in ("", "ai.onnx") else None
        for i, name in enumerate(node.input):
            if entry and i in entry.settings:
                kinds[name] = "setting"
            elif entry and i in entry.statistics:
                kinds.setdefault(name, "buffer")
        for attribute in node.attribute:
            if attribute.HasField("g"):
                inner = _kinds(attribute.g, table)
                made = {i.name for i in (*attribute.g.input, *attribute.g.initializer)}
                kinds |= {k: v for k, v in inner.items() if k not in made}
    return kinds
