"""Elementwise operators: one ONNX node where there is one, else their formula.

Operands are met in one dtype first, as the operator itself does it.
"""

from __future__ import annotations

import math
from typing import Any

from backlit import dtypes as dt
from backlit.onnx.exporting.formulas import OnnxMath
from backlit.onnx.exporting.lowering import rule
from backlit.onnx.exporting.terms import Builder, Term
from backlit.ops.op import REGISTRY, Elementwise, Spec, spec_of

# Operators that are one ONNX node of one float input, and how its attributes come from parameters.
_SINGLE: dict[str, tuple[str, dict[str, str]]] = {
    "relu": ("Relu", {}), "sigmoid": ("Sigmoid", {}), "tanh": ("Tanh", {}),
    "elu": ("Elu", {"alpha": "alpha"}), "selu": ("Selu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": "negative_slope"}), "softsign": ("Softsign", {}),
    "hardswish": ("HardSwish", {}), "mish": ("Mish", {}), "reciprocal": ("Reciprocal", {}),
    "gelu": ("Gelu", {"approximate": "approximate"}),
}  # fmt: skip
_SINCE = {"gelu": 20}  # the opset that brought the node


def _single(name: str, node: str, attributes: dict[str, str]) -> None:
    op: Any = REGISTRY[name]

    @rule(name)
    def apply(g: Builder, x: Any, **params: Any) -> Term:
        ready = isinstance(x, Term) and x.dtype.is_floating_point
        if not ready or g.opset < _SINCE.get(name, 0):
            return by_formula(g, op, x, **params)
        chosen = op.defaults | params
        return g(node, x, **{k: chosen[p] for k, p in attributes.items()})


for _name, (_node, _attributes) in _SINGLE.items():
    _single(_name, _node, _attributes)


@rule("hardsigmoid")
def _hardsigmoid(g: Builder, x: Term) -> Term:
    return g("HardSigmoid", x, alpha=1 / 6, beta=0.5)


@rule("relu6")
def _relu6(g: Builder, x: Term) -> Term:
    return _clipped(g, x, 0, 6)


@rule("hardtanh")
def _hardtanh(g: Builder, x: Term, min_val: float = -1.0, max_val: float = 1.0) -> Term:
    return _clipped(g, x, min_val, max_val)


@rule("clamp")
def _clamp(g: Builder, x: Any, low: Any, high: Any) -> Term:
    """Clip where both ends are numbers, the formula where one is a tensor."""
    if any(isinstance(v, Term) for v in (low, high)) or g.out().dtype is not x.dtype:
        return by_formula(g, REGISTRY["clamp"], x, low, high)
    return _clipped(g, x, low, high)


def _clipped(g: Builder, x: Term, low: float, high: float) -> Term:
    if low > high or x.dtype in (dt.int16, dt.bool_):
        return by_formula(g, REGISTRY["clamp"], x, low, high)
    ends = [None if math.isinf(v) else g.constant(v, x.dtype) for v in (low, high)]
    return g("Clip", x, *ends)


@rule("where")
def _where(g: Builder, condition: Any, a: Any, b: Any) -> Term:
    kind = g.out().dtype
    a, b = (x.to(kind) if isinstance(x, Term) else g.constant(x, kind) for x in (a, b))
    return g.where(condition.to(dt.bool_), a, b)


@rule("masked_fill")
def _masked_fill(g: Builder, x: Term, mask: Term, value: Any) -> Term:
    return g.where(mask, value.to(x.dtype) if isinstance(value, Term)
                   else g.constant(value, x.dtype), x)  # fmt: skip


def by_formula(g: Builder, op: type[Any], *operands: Any, **params: Any) -> Term:
    """The operator's formula, its operands in their common dtype."""
    assert issubclass(op, Elementwise)
    specs = [Spec(x.shape, x.dtype) if isinstance(x, Term) else spec_of(x) for x in operands]
    met = op._operand_dtype(specs)
    given = [x.to(met) if isinstance(x, Term) else _number(x, met) for x in operands]
    try:
        made = op.formula(OnnxMath(g), *given, **params)
    except NotImplementedError:
        raise g.refuse("no ONNX operator computes it") from None
    wanted = op.infer(*specs, **params)
    if not isinstance(made, Term):
        made = g.constant(made, wanted.dtype)
    return made.to(wanted.dtype)


def _number(x: Any, met: dt.dtype) -> Any:
    """A number beside tensors: whole where they are."""
    return int(x) if not met.is_floating_point and not isinstance(x, bool) else x
