"""Products of matrices, of every rank, batched and broadcast."""

from __future__ import annotations

import math

import numpy as np

from backlit.errors import ArgumentTypeError, DTypeError, ShapeError
from backlit.ops.op import Operator, Spec, apply, broadcast_shapes


class Matmul(Operator):
    """The matrix product; vectors are rows or columns as needed, leading axes broadcast.

    >>> bl.matmul(bl.tensor([[1.0, 2.0], [3.0, 4.0]]), bl.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """

    def call(input, other):
        for x in (input, other):
            if not hasattr(x, "cell"):
                raise ArgumentTypeError(f"matmul: expected two tensors, got {type(x).__name__}")
        if input.ndim == 1 or other.ndim == 1:
            return _with_vectors(input, other)
        return apply(Matmul, input, other)

    def infer(a, b):
        if a.ndim < 2 or b.ndim < 2:
            raise ShapeError(f"a 0-dim tensor has no matrix product: {a.shape} @ {b.shape}",
                             hint="use * for numbers")  # fmt: skip
        if a.dtype is not b.dtype:
            raise DTypeError(f"dtypes differ: {a.dtype.name} @ {b.dtype.name}",
                             hint="convert one: x.to(y.dtype)")  # fmt: skip
        if a.shape[-1] != b.shape[-2]:
            raise ShapeError(f"inner sizes differ: {a.shape} @ {b.shape}",
                             hint="Linear keeps weight as (out, in)")  # fmt: skip
        batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
        return Spec((*batch, a.shape[-2], b.shape[-1]), a.dtype)

    def forward(a, b):
        if a.dtype.itemsize == 2 and a.dtype.kind in "fV":
            return product(a.astype(np.float32), b.astype(np.float32)).astype(a.dtype)
        return product(a, b)

    def grad_a(g, b):
        return apply(Matmul, g, b.mT)

    def grad_b(g, a, b_spec):
        if b_spec.ndim == 2 and a.ndim > 2:
            return apply(Matmul, rows(a).mT, rows(g))
        return apply(Matmul, a.mT, g)

    def latex(a, b):
        return f"{a} {b}"


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """np.matmul, with the batch of `a` in one product where `b` is a single matrix."""
    if a.ndim > 2 and b.ndim == 2:
        flat = np.matmul(a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), b)
        return flat.reshape(*a.shape[:-1], b.shape[-1])
    return np.matmul(a, b)


def rows(x):
    """A tensor as a matrix of its last axis."""
    return x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


class Linear(Operator):
    """x wᵀ + b: every row of `x` (..., in) through the weight `w` (out, in) and bias `b` (out).

    >>> F.linear(bl.tensor([1.0, 2.0]), bl.tensor([[3.0, 4.0]]), bl.tensor([0.5]))
    tensor([11.5000])
    """

    exports = "F"
    inputs = ("x", "w", "b")

    def call(input, weight, bias=None):
        if weight.ndim == 1:
            y = Matmul.call(input, weight)
            return y if bias is None else y + bias
        return apply(Linear, input, weight, bias)

    def infer(x, w, b):
        if w.ndim != 2 or x.ndim < 1 or x.shape[-1] != w.shape[1]:
            raise ShapeError(f"sizes do not fit: input {x.shape}, weight {w.shape}",
                             hint="input is (..., in), weight (out, in)")  # fmt: skip
        if b is not None and b.shape not in ((w.shape[0],), (1,), ()):
            raise ShapeError(f"bias has shape {b.shape}, expected ({w.shape[0]},)")
        if x.dtype is not w.dtype or (b is not None and b.dtype is not w.dtype):
            found = ", ".join(s.dtype.name for s in (x, w, b) if s is not None)
            raise DTypeError(f"dtypes of input, weight and bias differ: {found}",
                             hint="convert one: x.to(weight.dtype)")  # fmt: skip
        return Spec((*x.shape[:-1], w.shape[0]), x.dtype)

    def forward(x, w, b):
        half = x.dtype.itemsize == 2 and x.dtype.kind in "fV"
        y = product(x.astype(np.float32), w.T.astype(np.float32)) if half else product(x, w.T)
        if b is not None:
            y += b
        return y.astype(x.dtype) if half else y

    def grad_x(g, w):
        return apply(Matmul, g, w) if g.ndim > 1 else apply(Matmul, rows(g), w).squeeze(0)

    def grad_w(g, x):
        return apply(Matmul, rows(g).mT, rows(x))

    def grad_b(g):
        return g.sum(tuple(range(g.ndim - 1))) if g.ndim > 1 else g

    def latex(x, w, b=None):
        return rf"{x} {w}^{{\top}}" + (f" + {b}" if b else "")


def _with_vectors(a, b):
    """A vector on the left is a row, on the right a column; its axis is dropped again."""
    if a.ndim == 1 and b.ndim == 1 and a.shape == b.shape:
        return (a * b).sum()
    if a.ndim == 0 or b.ndim == 0:
        return apply(Matmul, a, b)
    left = a.reshape((1, *a.shape)) if a.ndim == 1 else a
    right = b.reshape((*b.shape, 1)) if b.ndim == 1 else b
    product = apply(Matmul, left, right)
    if b.ndim == 1:
        product = product.squeeze(-1)
    return product.squeeze(-2 if b.ndim > 1 else -1) if a.ndim == 1 else product
