"""Formulas read as Python text: one more mathematics beside NUMPY, TENSOR and LATEX.

A `Code` is an expression as a syntax tree, so that Python itself sets the parentheses: the fewest
that keep the order of evaluation, hence every bit. Knows formulas only. Read next: expressions.py.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.ops.formula import NAMES, NUMPY

# The name of NumPy's function where it is not the formula's own.
_NUMPY_NAMES = {name: getattr(NUMPY, name).__name__ for name in NAMES
                if isinstance(getattr(NUMPY, name), np.ufunc)}  # fmt: skip


def attribute(dotted: str) -> ast.expr:
    """`np.linalg.inv` as a syntax tree."""
    first, *rest = dotted.split(".")
    made: ast.expr = ast.Name(first, ast.Load())
    for name in rest:
        made = ast.Attribute(made, name, ast.Load())
    return made


def call(function: str | ast.expr, *args: ast.expr, **keywords: ast.expr) -> ast.expr:
    """An application."""
    found = attribute(function) if isinstance(function, str) else function
    return ast.Call(found, list(args), [ast.keyword(k, v) for k, v in keywords.items()])


def number(value: Any) -> ast.expr:
    """A Python number; infinities and NaN are NumPy's names for them."""
    if isinstance(value, float) and not math.isfinite(value):
        name = attribute("np.nan" if math.isnan(value) else "np.inf")
        return ast.UnaryOp(ast.USub(), name) if value < 0 else name
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value < 0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-value))
    return ast.Constant(value)


class Code:
    """An expression in Python, built by Python's own operators."""

    __slots__ = ("node",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, node: ast.expr):
        self.node = node

    def __str__(self) -> str:
        return ast.unparse(self.node)

    @staticmethod
    def of(value: Any) -> ast.expr:
        return value.node if isinstance(value, Code) else number(value)

    def _binary(self, other: Any, op: ast.operator) -> Code:
        return Code(ast.BinOp(self.node, op, Code.of(other)))

    def _turned(self, other: Any, op: ast.operator) -> Code:
        return Code(ast.BinOp(Code.of(other), op, self.node))

    def _relation(self, other: Any, op: ast.cmpop) -> Code:
        return Code(ast.Compare(self.node, [op], [Code.of(other)]))

    def __neg__(self) -> Code:
        return Code(ast.UnaryOp(ast.USub(), self.node))

    def __invert__(self) -> Code:
        return Code(ast.UnaryOp(ast.Invert(), self.node))

    def __eq__(self, o: Any) -> Code:  # type: ignore[override]
        return self._relation(o, ast.Eq())

    def __ne__(self, o: Any) -> Code:  # type: ignore[override]
        return self._relation(o, ast.NotEq())

    def __lt__(self, o: Any) -> Code:
        return self._relation(o, ast.Lt())

    def __le__(self, o: Any) -> Code:
        return self._relation(o, ast.LtE())

    def __gt__(self, o: Any) -> Code:
        return self._relation(o, ast.Gt())

    def __ge__(self, o: Any) -> Code:
        return self._relation(o, ast.GtE())


_BINARY = {
    "add": ast.Add, "sub": ast.Sub, "mul": ast.Mult, "truediv": ast.Div, "floordiv": ast.FloorDiv,
    "pow": ast.Pow, "and": ast.BitAnd, "or": ast.BitOr, "xor": ast.BitXor, "lshift": ast.LShift,
    "rshift": ast.RShift,
}  # fmt: skip
for _name, _op in _BINARY.items():
    setattr(Code, f"__{_name}__", lambda a, b, _op=_op: a._binary(b, _op()))
    setattr(Code, f"__r{_name}__", lambda a, b, _op=_op: a._turned(b, _op()))


class PythonMath:
    """The functions of formulas as calls of NumPy, for results of one dtype.

    `helper` names a function of Backlit's own, such as erf, that the file will hold.
    """

    def __init__(self, dtype: np.dtype, helper: Callable[[Any], str]):
        self._dtype, self._helper = dtype, helper

    def __getattr__(self, name: str) -> Callable[..., Code]:
        if name not in NAMES:
            raise AttributeError(name)
        if name not in _NUMPY_NAMES:
            return lambda *args: self.primitive(getattr(NUMPY, name), *args)
        shown = f"np.{_NUMPY_NAMES[name]}"
        return lambda *args: Code(call(shown, *map(Code.of, args)))

    def primitive(self, function: Any, *args: Any, **params: Any) -> Code:
        """A function that has no formula: computed by NumPy code of Backlit's own."""
        keywords = {k: number(v) for k, v in params.items()}
        if isinstance(function, np.ufunc):
            return Code(call(f"np.{function.__name__}", *map(Code.of, args)))
        return Code(call(self._helper(function), *map(Code.of, args), **keywords))

    def power(self, x: Any, y: Any) -> Code:
        return Code(ast.BinOp(Code.of(x), ast.Pow(), Code.of(y)))

    def round(self, x: Any) -> Code:
        return x if self._dtype.kind in "iu" else Code(call("np.rint", Code.of(x)))

    def where(self, condition: Any, x: Any, y: Any) -> Code:
        """np.where; two numbers get the dtype of the result, which NumPy could not know."""
        given = [Code.of(x), Code.of(y)]
        bare = not isinstance(x, Code) and not isinstance(y, Code)
        if bare and self._dtype.kind == "f" and self._dtype != np.float64:
            given = [call(f"np.{self._dtype.name}", g) for g in given]
        return Code(call("np.where", Code.of(condition), *given))
