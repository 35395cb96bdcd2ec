"""Rules of products: matrices, linear layers, determinants."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.onnx.exporting.lowering import rule
from backlit.onnx.exporting.terms import Builder, Term


@rule("matmul")
def _matmul(g: Builder, a: Term, b: Term) -> Term:
    small = a.dtype in (dt.bool_, dt.int8, dt.int16, dt.uint8)
    if not small:
        return g("MatMul", a, b)
    return g("MatMul", a.to(dt.int64), b.to(dt.int64)).to(a.dtype)


@rule("linear")
def _linear(g: Builder, x: Term, w: Term, b: Term | None) -> Term:
    """Gemm for rows, which takes the weight as it lies in the state dict."""
    if x.ndim == 2 and x.dtype.is_floating_point and (b is None or b.ndim < 2):
        return g("Gemm", x, w, b, transB=1)
    y = _matmul(g, x, g.transpose(w, (1, 0)))
    return y if b is None else y + b


def mapped(g: Builder, x: Term, axis: int, matrix: np.ndarray) -> Term:
    """A matrix (new size, size) times the elements along an axis."""
    last = x.ndim - 1
    shape = (*x.shape[:axis], matrix.shape[0], *x.shape[axis + 1 :])
    if 0 in x.shape:  # runtimes do not multiply empty matrices
        return g.filled(shape, 0.0, x.dtype)
    if axis == last - 1:
        made = g("MatMul", g.constant(matrix, x.dtype), x)
    else:
        order = [i for i in range(x.ndim) if i != axis] + [axis]
        back = [order.index(i) for i in range(x.ndim)]
        moved = g("MatMul", g.transpose(x, order), g.constant(matrix.T, x.dtype))
        made = moved if axis == last else g("Transpose", moved, perm=tuple(back))
    return Term(g, made.name, x.dtype, shape)


@rule("det")
def _det(g: Builder, x: Term) -> Term:
    return g("Det", x)


@rule("cross")
def _cross(g: Builder, a: Term, b: Term, dim: int) -> Term:
    """a[1, 2, 0] b[2, 0, 1] - a[2, 0, 1] b[1, 2, 0]."""
    shape = g.out().shape
    forth, back = np.array([1, 2, 0]), np.array([2, 0, 1])

    def turned(x: Any, places: np.ndarray) -> Term:
        wide = x if x.shape == shape else g("Expand", x, shape)
        return g("Gather", wide, g.constant(places, dt.int64), axis=dim)

    return turned(a, forth) * turned(b, back) - turned(a, back) * turned(b, forth)
