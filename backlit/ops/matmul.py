"""Products of matrices, of every rank, batched and broadcast."""

from __future__ import annotations

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
            return (a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype)
        return np.matmul(a, b)

    def grad_a(g, b):
        return apply(Matmul, g, b.mT)

    def grad_b(g, a):
        return apply(Matmul, a.mT, g)

    def latex(a, b):
        return f"{a} {b}"


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
