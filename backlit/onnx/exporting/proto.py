"""Graphs written as the onnx package's messages. The only file that names them.

Attributes of a Node are plain values: dtypes, numbers, strings, tuples of them, Bodies.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from backlit.dtypes import dtype
from backlit.errors import NotAvailable
from backlit.onnx.exporting.graph import Body, Graph, Node, Port


def package() -> Any:
    """The onnx package, or an error that says how to get it."""
    try:
        import onnx
    except ImportError:
        raise NotAvailable(
            "onnx.export: the package onnx is not installed", hint="pip install 'backlit[onnx]'"
        ) from None
    return onnx


def newest_opset() -> int:
    """The newest opset that the installed onnx package knows."""
    return int(package().defs.onnx_opset_version())


def model(graph: Graph, opset: int, version: str, doc: str) -> Any:
    """The ModelProto of a graph."""
    onnx = package()
    return onnx.helper.make_model(
        _graph(graph), opset_imports=[onnx.helper.make_opsetid("", opset)],
        ir_version=onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)]),
        producer_name="backlit", producer_version=version, doc_string=doc,
    )  # fmt: skip


def converted(made: Any, opset: int) -> Any:
    """The model in an older opset; where that lacks something, as it is, with a warning."""
    try:
        return package().version_converter.convert_version(made, opset)
    except RuntimeError:  # the converter's only error; it names its own source
        own = made.opset_import[0].version
        warnings.warn(f"onnx.export: the model does not fit opset {opset}: the file has {own}",
                      stacklevel=3)  # fmt: skip
        return made


def _graph(graph: Graph) -> Any:
    helper = package().helper
    return helper.make_graph(
        [_node(n) for n in graph.nodes], graph.name, [_port(p) for p in graph.inputs],
        [_port(p) for p in graph.outputs],
        [_tensor(name, array) for name, array in graph.constants.items()],
    )  # fmt: skip


def _body(body: Body, name: str) -> Any:
    return package().helper.make_graph(
        [_node(n) for n in body.nodes], name, [_port(p) for p in body.inputs],
        [_port(p) for p in body.outputs],
    )  # fmt: skip


def _node(node: Node) -> Any:
    doc = " in ".join(x for x in (node.place, node.module) if x)
    name = f"{node.op}:{next(filter(None, node.outputs))}"
    made = package().helper.make_node(node.op, list(node.inputs), list(node.outputs), name=name)
    made.doc_string = doc
    for key, value in node.attributes.items():
        if isinstance(value, tuple) and not value:
            continue  # an empty list says what its absence says
        made.attribute.append(_attribute(key, value, name))
    return made


def _attribute(key: str, value: Any, owner: str) -> Any:
    helper = package().helper
    if isinstance(value, Body):
        return helper.make_attribute(key, _body(value, f"{owner}:{key}"))
    if isinstance(value, dtype):
        return helper.make_attribute(key, _code(value))
    if isinstance(value, np.ndarray):
        return helper.make_attribute(key, _tensor("", value))
    return helper.make_attribute(key, list(value) if isinstance(value, tuple) else value)


def _code(kind: dtype) -> int:
    proto = package().TensorProto
    names = {"float32": "FLOAT", "float64": "DOUBLE", "bool": "BOOL"}
    return int(getattr(proto, names.get(kind.name, kind.name.upper())))


def _port(port: Port) -> Any:
    return package().helper.make_tensor_value_info(port.name, _code(port.dtype), port.shape)


def _tensor(name: str, array: np.ndarray) -> Any:
    return package().numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)
