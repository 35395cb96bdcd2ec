"""Constants, and values that only depend on shapes: what `Known` values begin with."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.onnx.loading.graph import Values
from backlit.onnx.loading.table import Known, Node, array, dtype_of, integers, operator
from backlit.tensor import Tensor


@operator("Constant", raw=True)
def constant(node: Node, values: Values) -> Known:
    if (found := node.get("value")) is not None:
        return Known(found)
    for name, dtype in (("value_float", np.float32), ("value_floats", np.float32),
                        ("value_int", np.int64), ("value_ints", np.int64)):  # fmt: skip
        if node.get(name) is not None:
            return Known(np.array(node.get(name), dtype))
    raise node.unsupported("text", "Backlit has no tensors of strings")


@operator("Shape", raw=True)
def shape(node: Node, values: Values, x: Any) -> Known:
    sizes = _shape(x)[node.get("start", 0) : node.get("end")]
    return Known(np.array(sizes, np.int64))


@operator("Size", raw=True)
def size(node: Node, values: Values, x: Any) -> Known:
    return Known(np.array(np.prod(_shape(x), dtype=np.int64)))


def _shape(x: Any) -> tuple[int, ...]:
    return tuple(x.shape) if isinstance(x, Tensor) else x.array.shape


@operator("ConstantOfShape", raw=True)
def constant_of_shape(node: Node, values: Values, sizes: Any) -> Known:
    value = node.get("value", np.zeros(1, np.float32))
    return Known(np.full(integers(array(sizes)), value.reshape(()), value.dtype))


@operator("Range", settings=(0, 1, 2), raw=True)
def arange(node: Node, values: Values, start: Any, limit: Any, delta: Any) -> Known:
    first, last, step = (array(x) for x in (start, limit, delta))
    count = max(int(np.ceil((last - first) / step).item()), 0)
    return Known((first + np.arange(count) * step).astype(first.dtype).reshape(count))


@operator("EyeLike", raw=True)
def eye_like(node: Node, values: Values, x: Any) -> Known:
    dtype = node.get("dtype")
    own = x.dtype.numpy if isinstance(x, Tensor) else x.array.dtype
    wanted = own if dtype is None else dtype_of(dtype, node.op).numpy
    rows, columns = _shape(x)
    return Known(np.eye(rows, columns, k=node.get("k", 0), dtype=wanted))
