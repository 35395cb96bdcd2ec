"""Arithmetic, comparison, logic and conversion: one element at a time, or products of matrices.

Source for all meanings: the ONNX operator specification, opsets 7 and up.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from backlit.api import NAMESPACES
from backlit.creation import as_tensor
from backlit.dtypes import float64
from backlit.errors import DTypeError
from backlit.onnx.loading.table import Node, array, dtype_of, operator, simple
from backlit.tensor import Tensor

bl = NAMESPACES["bl"]

UNARY = ("Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Det Erf Exp Floor Log Neg "
         "Round Sign Sin Sinh Sqrt Tan Tanh Reciprocal")  # fmt: skip
SAME = {"IsNaN": "isnan", "Not": "logical_not", "BitwiseNot": "bitwise_not"}
PAIRS = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "And": "logical_and", "Or": "logical_or",
    "Xor": "logical_xor", "Equal": "eq", "Less": "lt", "LessOrEqual": "le", "Greater": "gt",
    "GreaterOrEqual": "ge", "BitwiseAnd": "bitwise_and", "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
}  # fmt: skip


def _enter() -> None:
    for name in UNARY.split():
        simple(name, bl[name.lower()])
    for name, function in SAME.items():
        simple(name, bl[function])
    for name, function in PAIRS.items():
        operator(name)(_pair(bl[function]))


def _pair(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, a, b: function(a, b)


_enter()


@operator("Div")
def div(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return a / b if a.dtype.is_floating_point else bl["div"](a, b, rounding_mode="trunc")


@operator("Pow")
def power(node: Node, a: Tensor, b: Tensor) -> Tensor:
    if a.dtype.is_floating_point:
        return a ** b.to(a.dtype)
    wide = float64 if b.dtype.is_floating_point else a.dtype
    return (a.to(wide) ** b.to(wide)).to(a.dtype)


@operator("Mod")
def modulo(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return bl["fmod" if node.get("fmod", 0) else "remainder"](a, b)


@operator("BitShift")
def bit_shift(node: Node, a: Tensor, b: Tensor) -> Tensor:
    left = node.get("direction") == "LEFT"
    return bl["bitwise_left_shift" if left else "bitwise_right_shift"](a, b)


def _chain(pair: Callable[..., Any]) -> Callable[..., Any]:
    return lambda node, *inputs: functools.reduce(pair, inputs)


operator("Max")(_chain(bl["maximum"]))
operator("Min")(_chain(bl["minimum"]))
operator("Sum")(_chain(bl["add"]))


@operator("Mean")
def mean(node: Node, *inputs: Tensor) -> Tensor:
    return functools.reduce(bl["add"], inputs) / len(inputs)


@operator("Where")
def where(node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return bl["where"](condition, a, b)


@operator("IsInf")
def is_inf(node: Node, x: Tensor) -> Tensor:
    positive, negative = node.get("detect_positive", 1), node.get("detect_negative", 1)
    if positive and negative:
        return bl["isinf"](x)
    if not positive and not negative:
        return bl["logical_and"](bl["isinf"](x), bl["isnan"](x))
    return bl["isposinf" if positive else "isneginf"](x)


@operator("Cast")
def cast(node: Node, x: Tensor) -> Tensor:
    return x.to(dtype_of(node.get("to"), node.op))


@operator("CastLike")
def cast_like(node: Node, x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype)


@operator("MatMul")
def matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    return bl["matmul"](a, b)


@operator("Gemm")
def gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    """alpha A' B' + beta C; as a linear layer where it is one."""
    a = a.t() if node.get("transA", 0) else a
    alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
    linear = node.get("transB", 0) and alpha == 1.0 and a.dtype.is_floating_point
    if linear and (c is None or (beta == 1.0 and c.shape == b.shape[:1])):
        return NAMESPACES["F"]["linear"](a, b, c)
    product = bl["matmul"](a, b.t() if node.get("transB", 0) else b)
    product = product if alpha == 1.0 else product * alpha
    if c is None:
        return product
    return product + (c if beta == 1.0 else c * beta)


@operator("Einsum")
def einsum(node: Node, *inputs: Tensor) -> Tensor:
    return bl["einsum"](node.get("equation"), *inputs)


@operator("BitCast")
def bit_cast(node: Node, x: Tensor) -> Tensor:
    """The same bits as another type of the same size: read as an array, without gradient."""
    to = dtype_of(node.get("to"), node.op)
    if to.itemsize != x.itemsize:
        raise DTypeError(f"BitCast: {x.dtype.name} and {to.name} differ in size")
    return as_tensor(array(x).view(to.numpy).copy())
