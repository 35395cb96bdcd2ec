"""Values as Python text: parameters, dtypes, indices, small arrays.

There are no 16-bit floats in a printed file: they are computed in float32. Knows no operator.
"""

from __future__ import annotations

import ast
import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.views.source.python_math import attribute, call, number

MOST = 128  # elements of an array that is written out


class Unprintable(Exception):
    """A value or function that has no text of its own."""


class Text:
    """An expression that is written already, as a part of a value."""

    def __init__(self, node: ast.expr):
        self.node = node


def numpy_dtype(given: Any) -> np.dtype:
    """The dtype that a printed file computes in."""
    found = given.numpy if isinstance(given, dt.dtype) else np.dtype(given)
    return np.dtype(np.float32) if found.itemsize == 2 and found.kind in "fV" else found


def dtype_name(given: Any) -> str:
    name = numpy_dtype(given).name
    return "np.bool_" if name == "bool" else f"np.{name}"


def literal(value: Any) -> ast.expr:
    """A value as an expression. Raises Unprintable."""
    if isinstance(value, Text):
        return value.node
    if value is None or value is Ellipsis or isinstance(value, (bool, str)):
        return ast.Constant(value)
    if isinstance(value, (dt.dtype, np.dtype)) or _is_scalar_type(value):
        return attribute(dtype_name(value))
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return number(value.item())
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, slice):
        return call("slice", *map(literal, (value.start, value.stop, value.step)))
    if isinstance(value, tuple):
        return ast.Tuple([literal(v) for v in value], ast.Load())
    if isinstance(value, list):
        return ast.List([literal(v) for v in value], ast.Load())
    if isinstance(value, range):
        return call("range", *map(literal, (value.start, value.stop, value.step)))
    if isinstance(value, dict):
        return ast.Dict([literal(k) for k in value], [literal(v) for v in value.values()])
    if isinstance(value, np.ufunc):
        return attribute(f"np.{value.__name__}")
    raise Unprintable(f"{type(value).__name__} has no text of its own")


def _is_scalar_type(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, np.generic)


def index(value: Any) -> ast.expr:
    """What stands between the brackets of `x[...]`."""
    if isinstance(value, tuple) and value:
        if value[-1] is Ellipsis and any(isinstance(v, slice) for v in value):
            value = value[:-1]  # it made sure that the result is an array
        entries = [_entry(v) for v in value]
        return entries[0] if len(entries) == 1 else ast.Tuple(entries, ast.Load())
    return _entry(value)


def _entry(value: Any) -> ast.expr:
    if isinstance(value, slice):
        shown = [None if v is None else literal(v) for v in (value.start, value.stop, value.step)]
        if value.start == 0:
            shown[0] = None
        if value.step == 1:
            shown[2] = None
        return ast.Slice(*shown)
    return literal(value)


def array_text(array: np.ndarray, plain: bool = False) -> str | None:
    """A small array as an expression that makes it again, bit by bit; None for a large one.

    `plain` writes a single number without its dtype.
    """
    if array.size > MOST:
        return None
    dtype = numpy_dtype(array.dtype)
    array = array.astype(dtype, copy=False)
    if array.ndim == 0:
        shown = ast.unparse(_element(array[()]))
        return shown if plain else f"{dtype_name(dtype)}({shown})"
    if not array.size:
        return f"np.zeros({array.shape}, {dtype_name(dtype)})"
    first = array.flat[0]
    if array.size > 1 and array.dtype.kind in "iu" and not array.any():
        return f"np.zeros({array.shape}, {dtype_name(dtype)})"
    if array.size > 1 and (array == first).all() and not (array.dtype.kind == "f" and first == 0):
        filled = ast.unparse(_element(first))
        return f"np.full({array.shape}, {filled}, {dtype_name(dtype)})"
    nested = ast.unparse(_nested(array))
    natural = array.dtype in (np.dtype(np.float64), np.dtype(np.int64), np.dtype(np.bool_))
    return f"np.array({nested})" if natural else f"np.array({nested}, {dtype_name(dtype)})"


def _nested(array: np.ndarray) -> ast.expr:
    if array.ndim == 0:
        return _element(array[()])
    return ast.List([_nested(a) for a in array], ast.Load())


def _element(value: Any) -> ast.expr:
    """The shortest text that reads back as the same number."""
    if isinstance(value, np.floating) and math.isfinite(value):
        return number(float(str(value)) if value.itemsize < 8 else float(value))
    return number(value.item())
