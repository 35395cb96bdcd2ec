"""The functions that a formula may name, and how each is applied.

Elementwise operators come from the registry under their own names; the few that look at a whole
array are listed here. Adding an elementwise operator adds it to the grammar.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from typing import Any

import backlit as bl
from backlit.ops.op import REGISTRY, Elementwise, names_of

# What formulas call some of them.
ALIASES = {
    "ln": "log", "sigma": "sigmoid", "logistic": "sigmoid", "sgn": "sign", "ReLU": "relu",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arsinh": "asinh", "arcosh": "acosh",
    "artanh": "atanh",
}  # fmt: skip
# Written with their own signs, or meant for whole numbers and memory.
_NOT_IN_FORMULAS = {
    "add", "sub", "mul", "div", "neg", "lt", "le", "gt", "ge", "eq", "ne", "floor_divide",
    "masked_fill", "moving_average", "unbiased_variance", "huber_element", "binary_entropy",
    "logit_entropy", "polygamma", "threshold", "nan_to_num", "isclose", "gcd", "lcm",
}  # fmt: skip


def _extreme(of_all: Callable[..., Any], of_two: Callable[..., Any]) -> Callable[..., Any]:
    def apply(*args: Any) -> Any:
        return of_all(args[0]) if len(args) == 1 else reduce(of_two, args)

    return apply


def _dot(x: Any, y: Any) -> Any:
    return bl.sum(x * y)


# name: (fewest arguments, most arguments, function of Tensors)
OF_ARRAYS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "sum": (1, 1, lambda x: bl.sum(x)),
    "mean": (1, 1, lambda x: bl.mean(x)),
    "max": (1, 99, _extreme(bl.amax, bl.maximum)),
    "min": (1, 99, _extreme(bl.amin, bl.minimum)),
    "norm": (1, 1, lambda x: bl.norm(x)),
    "softmax": (1, 1, lambda x: bl.softmax(x, dim=-1)),
    "log_softmax": (1, 1, lambda x: bl.log_softmax(x, dim=-1)),
    "dot": (2, 2, _dot),
    "transpose": (1, 1, lambda x: x),  # evaluate.py turns rows and columns
}
SCALAR_VALUED = ("sum", "mean", "norm", "dot")


@cache
def elementwise() -> dict[str, type[Elementwise]]:
    """Operators that a formula may apply element by element, with no parameter left open."""
    return {
        name: op
        for name, op in REGISTRY.items()
        if issubclass(op, Elementwise)
        and name not in _NOT_IN_FORMULAS
        and not name.startswith(("logical_", "bitwise_", "is", "signbit"))
        and set(names_of(op.formula)[1]) <= set(op.formula.__kwdefaults__ or {})
    }


def canonical(name: str) -> str | None:
    """The function's own name, or None where there is no such function."""
    name = ALIASES.get(name, name)
    return name if name in OF_ARRAYS or name in elementwise() else None


def arity(name: str) -> tuple[int, int]:
    """The fewest and the most arguments."""
    if name in OF_ARRAYS:
        return OF_ARRAYS[name][:2]
    count = len(elementwise()[name].inputs)
    return count, count


def known() -> list[str]:
    """All names, for hints."""
    return sorted({*OF_ARRAYS, *ALIASES, *elementwise()})
