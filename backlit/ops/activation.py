"""Activations: formulas that networks put between their layers."""

from __future__ import annotations

from backlit.ops.op import Elementwise


class Sigmoid(Elementwise):
    """The logistic function 1 / (1 + e^-x), stable at both ends.

    >>> bl.sigmoid(bl.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """

    exports = "bl Tensor F special"
    aliases = ("expit",)
    result = "float"
    symbol = r"\sigma"

    def formula(m, x):
        return 1 / (1 + m.exp(-x))

    def d_x(m, y):
        return y * (1 - y)


class Relu(Elementwise):
    """max(0, x); the gradient at 0 is 0.

    >>> bl.relu(bl.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    exports = "bl Tensor F"
    inplace = True
    symbol = r"\operatorname{ReLU}"

    def formula(m, x):
        return m.maximum(x, 0)

    def d_x(m, y):
        return m.where(y > 0, 1.0, 0.0)
