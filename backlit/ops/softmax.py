"""Softmax and its logarithm along an axis, stable for any size of input."""

from __future__ import annotations

import numpy as np

from backlit.ops.op import Composite, Operator, apply, normalize_axis, require_float
from backlit.ops.shape import to


def _prepared(input, dim, dtype):
    """The input in a float dtype, and the axis; without one, PyTorch's historic choice."""
    if dtype is not None:
        input = to(input, dtype)
    if dim is None:
        dim = 0 if input.ndim in (0, 1, 3) else 1
    return input, normalize_axis(dim, input.ndim)


class Softmax(Operator):
    """e^x along `dim`, divided by its sum.

    >>> bl.softmax(bl.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """

    exports = "bl Tensor F special"

    def call(input, dim=None, *, dtype=None, _stacklevel=3):
        input, dim = _prepared(input, dim, dtype)
        return apply(Softmax, input, dim=dim)

    def infer(x, *, dim):
        require_float(x)
        return x

    def forward(x, *, dim):
        if x.size == 0:
            return x
        wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
        if not x.ndim:
            return np.asarray(x - x + 1)
        e = wide - wide.max(axis=dim, keepdims=True)
        np.exp(e, out=e)
        e /= e.sum(axis=dim, keepdims=True)
        return e.astype(x.dtype, copy=False)

    def grad_x(g, y, dim):
        if not y.ndim:
            return g * 0.0
        weighted = g * y
        return weighted - y * weighted.sum(dim, keepdim=True)

    def latex(x, *, dim):
        return rf"\operatorname{{softmax}}\left({x}\right)"


class LogSoftmax(Operator):
    """The logarithm of softmax, finite where softmax itself would round to 0.

    >>> bl.log_softmax(bl.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """

    exports = "bl Tensor F special"

    def call(input, dim=None, *, dtype=None, _stacklevel=3):
        input, dim = _prepared(input, dim, dtype)
        return apply(LogSoftmax, input, dim=dim)

    def infer(x, *, dim):
        require_float(x)
        return x

    def forward(x, *, dim):
        if x.size == 0 or not x.ndim:
            return x * 0
        wide = x.astype(np.float32) if x.dtype.itemsize == 2 else x
        shifted = wide - wide.max(axis=dim, keepdims=True)
        total = np.log(np.exp(shifted).sum(axis=dim, keepdims=True))
        return (shifted - total).astype(x.dtype, copy=False)

    def grad_x(g, y, dim):
        return g - y.exp() * g.sum(dim, keepdim=True) if y.ndim else g * 0.0

    def latex(x, *, dim):
        return rf"\ln \operatorname{{softmax}}\left({x}\right)"


class Softmin(Composite):
    """Softmax of minus the input.

    >>> F.softmin(bl.tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """

    exports = "F"

    def expand(input, dim=None, _stacklevel=3, dtype=None):
        return Softmax.call(-input, dim, dtype=dtype)
