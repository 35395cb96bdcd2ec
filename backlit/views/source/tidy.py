"""Small rewritings of expressions that keep every number: `g * (x > 0)`, `x.T`, `a @ b`.

Each is exact: a mask of 1 and 0 as a factor is the condition itself. Knows syntax trees only.
"""

from __future__ import annotations

import ast
from typing import Any

from backlit.views.source.helpers import copied
from backlit.views.source.python_math import attribute


def tidied(tree: ast.expr) -> ast.expr:
    """The expression, shorter where nothing changes."""
    return _Tidy().visit(copied(tree))  # type: ignore[no-any-return]


class _Tidy(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Mult):
            left, right = _condition(node.left), _condition(node.right)
            if right is not None and left is None:
                node.right = right
            elif left is not None and right is None:
                node.left = left
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Attribute):
            if node.func.attr == "transpose" and _is(node.args, "(1, 0)"):
                return ast.Attribute(node.func.value, "T", ast.Load())
            if node.func.attr == "astype" and _is(node.args, "np.float64"):
                wide = _of_numbers(node.func.value)
                if wide is not None:
                    return wide
        return node


def _is(args: list[ast.expr], text: str) -> bool:
    return len(args) == 1 and ast.unparse(args[0]) == text


def _condition(node: ast.expr) -> ast.expr | None:
    """c of `np.where(c, 1.0, 0.0)`, in whichever float dtype."""
    method = node.func if isinstance(node, ast.Call) else None
    if isinstance(method, ast.Attribute) and method.attr == "astype":
        as_float = ast.unparse(node.args[0]).startswith("np.float")  # type: ignore[attr-defined]
        return _condition(method.value) if as_float else None
    if not _is_where(node):
        return None
    condition, one, zero = node.args  # type: ignore[attr-defined]
    return condition if (_number(one), _number(zero)) == (1.0, 0.0) else None  # type: ignore


def _is_where(node: Any) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "np.where"


def _number(node: ast.expr) -> float | None:
    """A float, also `np.float32(0.5)`."""
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.float32":
        node = node.args[0]
    if isinstance(node, ast.Constant) and type(node.value) is float:
        return node.value
    return None


def _of_numbers(node: ast.expr) -> ast.expr | None:
    """A choice of numbers that float32 holds exactly, in float64."""
    if not _is_where(node):
        return None
    parts = []
    for branch in node.args[1:]:  # type: ignore[attr-defined]
        value = _number(branch)
        made = ast.Constant(value) if value is not None else _of_numbers(branch)
        if made is None or (value is not None and value != _single(value)):
            return None
        parts.append(made)
    return ast.Call(attribute("np.where"), [node.args[0], *parts], [])  # type: ignore


def _single(value: float) -> float:
    import numpy as np

    return float(np.float32(value))
