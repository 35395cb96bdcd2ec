"""Functions that the ONNX standard defines for its operators, made for a node and its types.

The `onnx` package holds them: an operator without an entry in the table runs as one of these.
Read next: build.py.
"""

from __future__ import annotations

from typing import Any

from backlit import dtypes as dt
from backlit.onnx.loading.table import DTYPES
from backlit.tensor import Tensor

NUMBERS = {d: number for number, d in DTYPES.items()}


def schema_of(proto: Any, version: int) -> Any:
    """The definition of an operator, if it has a function."""
    from onnx import defs

    try:
        schema: Any = defs.get_schema(proto.op_type, version, proto.domain)
    except defs.SchemaError:
        return None
    has = schema.has_function or schema.has_context_dependent_function
    return schema if has and not schema.deprecated else None


def standard_function(proto: Any, version: int, types: tuple) -> tuple[Any, dict[str, Any]]:
    """The function and its attributes, defaults filled in."""
    from onnx import FunctionProto

    schema = schema_of(proto, version)
    node = type(proto)()
    node.CopyFrom(proto)
    present = {a.name for a in node.attribute}
    for name, attribute in schema.attributes.items():
        if name not in present and attribute.default_value.name:
            node.attribute.append(attribute.default_value)
    function = FunctionProto()
    if schema.has_function:
        at = _newest(schema.function_opset_versions, version)
        function.ParseFromString(schema.get_function_with_opset_version(at))
    else:
        at = _newest(schema.context_dependent_function_opset_versions, version)
        made = schema.get_context_dependent_function_with_opset_version(
            at, node.SerializeToString(), list(types)
        )
        function.ParseFromString(made)
    return function, {a.name: a for a in node.attribute}


def _newest(versions: list[int], version: int) -> int:
    return max((v for v in versions if v <= version), default=min(versions))


def type_bytes(value: Any) -> bytes:
    """The type of a value as ONNX writes it."""
    return _type(value).SerializeToString() if value is not None else b""


def _type(value: Any) -> Any:
    from onnx import TypeProto, helper

    if isinstance(value, list):
        inner = _type(value[0]) if value else TypeProto()
        return helper.make_sequence_type_proto(inner)
    dtype = value.dtype if isinstance(value, Tensor) else dt.of_array(value.array)
    shape = value.shape if isinstance(value, Tensor) else value.array.shape
    return helper.make_tensor_type_proto(NUMBERS[dtype], tuple(shape))
