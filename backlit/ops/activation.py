"""Activations: formulas that networks put between their layers.

Local derivatives use whole gates (`Sigmoid.gate(m, x)`) where a formula spelled out would make
infinity times zero at the ends. Those made of several operators are at the end of the file.
"""

from __future__ import annotations

import math

import numpy as np

from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.ops.elementwise import Erf, Tanh, Where
from backlit.ops.op import (
    Composite,
    Elementwise,
    Operator,
    Spec,
    apply,
    export,
    normalize_axis,
    require_float,
    slot,
)


class Activation(Elementwise, abstract=True):
    """A function from floats to floats; whole numbers are refused, as in PyTorch."""

    @classmethod
    def infer(cls, *specs, **params):
        for s in specs:
            if isinstance(s, Spec):
                require_float(s)
        return super().infer(*specs, **params)


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


class Logsigmoid(Activation):
    """The logarithm of the sigmoid, -ln(1 + e^-x), finite where the sigmoid rounds to 0.

    >>> F.logsigmoid(bl.tensor([0.0, -1000.0]))
    tensor([-6.9315e-01, -1.0000e+03])
    """

    exports = "F"
    symbol = r"\ln \sigma"

    def formula(m, x):
        return m.minimum(x, 0) - m.log1p(m.exp(-m.abs(x)))

    def d_x(m, x):
        return Sigmoid.gate(m, -x)


class Relu(Elementwise):
    """max(0, x); the gradient at 0 is 0.

    >>> bl.relu(bl.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])
    """

    exports = "bl Tensor F"
    inplace = True
    symbol = r"\operatorname{ReLU}"

    @classmethod
    def infer(cls, *specs, **params):
        if not isinstance(specs[0], Spec) or specs[0].dtype.kind == "b":
            raise DTypeError("the input must be a tensor of numbers", hint="convert it: x.float()")
        return super().infer(*specs, **params)

    def formula(m, x):
        return m.maximum(x, 0)

    def d_x(m, y):
        return m.where(y > 0, 1.0, 0.0)


class Relu6(Elementwise):
    """min(max(0, x), 6).

    >>> F.relu6(bl.tensor([-1.0, 3.0, 8.0]))
    tensor([0., 3., 6.])
    """

    exports = "F"
    inplace = True
    symbol = r"\operatorname{ReLU6}"

    def formula(m, x):
        return m.minimum(m.maximum(x, 0), 6)

    def d_x(m, x):
        return m.where(m.logical_and(x > 0, x < 6), 1.0, 0.0)


class Softplus(Activation):
    """ln(1 + e^(beta x)) / beta, a smooth relu; x itself where beta x exceeds `threshold`.

    >>> F.softplus(bl.tensor([0.0, 50.0]))
    tensor([ 0.6931, 50.0000])
    """

    exports = "F"
    symbol = r"\operatorname{softplus}"

    def formula(m, x, *, beta=1.0, threshold=20.0):
        scaled = x * beta
        return m.where(scaled > threshold, x, m.log1p(m.exp(scaled)) / beta)

    def d_x(m, x, beta, threshold):
        scaled = x * beta
        return m.where(scaled > threshold, 1.0, Sigmoid.gate(m, scaled))


class LeakyRelu(Activation):
    """x where it is positive, `negative_slope` times x elsewhere.

    >>> F.leaky_relu(bl.tensor([-1.0, 2.0]), 0.1)
    tensor([-0.1000,  2.0000])
    """

    exports = "F"
    inplace = True
    symbol = r"\operatorname{LeakyReLU}"

    def formula(m, x, *, negative_slope=0.01):
        return m.maximum(x, 0) + m.minimum(x, 0) * negative_slope

    def d_x(m, x, negative_slope):
        return m.where(x > 0, 1.0, float(negative_slope))


class Prelu(Operator):
    """x where it is positive, a learned slope times x elsewhere: one slope, or one per channel.

    `weight` has one element, or as many as axis 1 of the input is long.
    Source: He et al., "Delving deep into rectifiers" (2015).

    >>> F.prelu(bl.tensor([[-1.0, 2.0]]), bl.tensor([0.25]))
    tensor([[-0.2500,  2.0000]])
    """

    exports = "bl Tensor F"
    inputs = ("x", "w")

    def call(input, weight):
        return apply(Prelu, input, weight)

    def infer(x, w):
        require_float(x)
        channels = x.shape[1] if x.ndim > 1 else 1
        if w.ndim > 1 or (w.shape not in ((), (1,), (channels,))):
            raise ShapeError(
                f"weight of shape {w.shape} for an input of {x.shape}",
                hint=f"one slope, or one for each of the {channels} channels",
            )
        if w.dtype is not x.dtype:
            raise DTypeError(f"input is {x.dtype.name} but weight is {w.dtype.name}")
        return x

    def forward(x, w):
        return np.maximum(x, 0) + np.minimum(x, 0) * w.reshape(_slopes(x.ndim, w.size))

    def grad_x(g, x, w):
        return g * apply(Where, x > 0, 1.0, w.reshape(_slopes(x.ndim, w.numel())))

    def grad_w(g, x, w_spec):
        share = g * x.clamp(max=0.0)
        wanted = _slopes(x.ndim, math.prod(w_spec.shape))
        return share.sum_to_size(wanted).reshape(w_spec.shape)

    def latex(x, w):
        return rf"\max\left(0, {x}\right) + {w} \min\left(0, {x}\right)"


def _slopes(ndim: int, count: int) -> tuple[int, ...]:
    """The shape in which slopes meet the channels."""
    return (1, count, *(1,) * (ndim - 2)) if ndim > 1 else (1,) * ndim


class Elu(Activation):
    """x where it is positive, alpha (e^x - 1) elsewhere.

    Source: Clevert et al. (2015).

    >>> F.elu(bl.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    exports = "F"
    inplace = True
    symbol = r"\operatorname{ELU}"

    def formula(m, x, *, alpha=1.0):
        return m.where(x > 0, x, m.expm1(m.minimum(x, 0)) * alpha)

    def d_x(m, x, alpha):
        return m.where(x > 0, 1.0, m.exp(m.minimum(x, 0)) * alpha)


class Celu(Activation):
    """x where it is positive, alpha (e^(x / alpha) - 1) elsewhere: smooth for every alpha.

    Source: Barron (2017).

    >>> F.celu(bl.tensor([-1.0, 2.0]), alpha=2.0)
    tensor([-0.7869,  2.0000])
    """

    exports = "bl F"
    inplace = True
    symbol = r"\operatorname{CELU}"

    def formula(m, x, *, alpha=1.0):
        return m.where(x > 0, x, m.expm1(m.minimum(x, 0) / alpha) * alpha)

    def d_x(m, x, alpha):
        return m.where(x > 0, 1.0, m.exp(m.minimum(x, 0) / alpha))


_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


class Selu(Activation):
    """A scaled elu that keeps mean 0 and variance 1 through layers.

    Source: Klambauer et al., "Self-normalizing neural networks" (2017).

    >>> F.selu(bl.tensor([-1.0, 1.0]))
    tensor([-1.1113,  1.0507])
    """

    exports = "bl F"
    inplace = True
    symbol = r"\operatorname{SELU}"

    def formula(m, x):
        low = m.expm1(m.minimum(x, 0)) * (_SELU_ALPHA * _SELU_SCALE)
        return m.where(x > 0, x * _SELU_SCALE, low)

    def d_x(m, x):
        low = m.exp(m.minimum(x, 0)) * (_SELU_ALPHA * _SELU_SCALE)
        return m.where(x > 0, _SELU_SCALE, low)


class Gelu(Activation):
    """x times the normal distribution function of x; `approximate` is "none" or "tanh".

    Source: Hendrycks and Gimpel (2016).

    >>> F.gelu(bl.tensor([-1.0, 1.0])), F.gelu(bl.tensor([1.0]), approximate="tanh")
    (tensor([-0.1587,  0.8413]), tensor([0.8412]))
    """

    exports = "F"
    symbol = r"\operatorname{GELU}"

    def call(input, *, approximate="none"):
        if approximate not in ("none", "tanh"):
            raise ArgumentError(f"approximate must be 'none' or 'tanh', got {approximate!r}")
        return apply(Gelu, input, approximate=approximate)

    def formula(m, x, *, approximate="none"):
        if approximate == "none":
            return x * 0.5 * (1 + Erf.gate(m, x * math.sqrt(0.5)))
        return x * 0.5 * (1 + Tanh.gate(m, (x * x * x * 0.044715 + x) * math.sqrt(2 / math.pi)))

    def d_x(m, x, approximate):
        if approximate == "none":
            density = m.exp(x * x * -0.5) * math.sqrt(0.5 / math.pi)
            return 0.5 * (1 + Erf.gate(m, x * math.sqrt(0.5))) + x * density
        scale = math.sqrt(2 / math.pi)
        t = Tanh.gate(m, (x * x * x * 0.044715 + x) * scale)
        return 0.5 * (1 + t) + x * (1 - t * t) * (x * x * (3 * 0.044715) + 1) * (0.5 * scale)


class Silu(Activation):
    """x times its sigmoid; also called swish.

    >>> F.silu(bl.tensor([-1.0, 1.0]))
    tensor([-0.2689,  0.7311])
    """

    exports = "F"
    inplace = True
    symbol = r"\operatorname{SiLU}"

    def formula(m, x):
        return x * Sigmoid.gate(m, x)

    def d_x(m, x):
        s = Sigmoid.gate(m, x)
        return s * (1 + x * (1 - s))


class Mish(Activation):
    """x times the tanh of its softplus. Source: Misra (2019).

    >>> F.mish(bl.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """

    exports = "F"
    inplace = True
    symbol = r"\operatorname{Mish}"

    def formula(m, x):
        return x * Tanh.gate(m, Softplus.gate(m, x, **_SOFTPLUS))

    def d_x(m, x):
        t = Tanh.gate(m, Softplus.gate(m, x, **_SOFTPLUS))
        return t + x * (1 - t * t) * Sigmoid.gate(m, x)


_SOFTPLUS = {"beta": 1.0, "threshold": 20.0}


class Hardtanh(Elementwise):
    """x limited to the range from `min_val` to `max_val`.

    >>> F.hardtanh(bl.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """

    exports = "F"
    symbol = r"\operatorname{hardtanh}"

    def call(input, min_val=-1.0, max_val=1.0, inplace=False):
        if min_val > max_val:
            raise ArgumentError(f"min_val {min_val} exceeds max_val {max_val}")
        made = apply(Hardtanh, input, min_val=min_val, max_val=max_val)
        return refilled(input, made, inplace, "hardtanh")

    def formula(m, x, *, min_val=-1.0, max_val=1.0):
        return m.minimum(m.maximum(x, min_val), max_val)

    def d_x(m, x, min_val, max_val):
        return m.where(m.logical_and(x > min_val, x < max_val), 1.0, 0.0)


def refilled(input, value, inplace, name):
    """The end of a function with `inplace=`."""
    if not inplace:
        return value
    slot.refuse_leaf(input, name)
    return slot.refill(input, value)


class Hardsigmoid(Activation):
    """(x + 3) / 6 limited to [0, 1]: a sigmoid of straight lines.

    >>> F.hardsigmoid(bl.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """

    exports = "F"
    inplace = True
    symbol = r"\operatorname{hardsigmoid}"

    def formula(m, x):
        return m.minimum(m.maximum(x + 3, 0), 6) / 6

    def d_x(m, x):
        return m.where(m.logical_and(x > -3, x < 3), 1 / 6, 0.0)


class Hardswish(Activation):
    """x times its hard sigmoid. Source: Howard et al., "Searching for MobileNetV3" (2019).

    >>> F.hardswish(bl.tensor([-4.0, 1.0, 4.0]))
    tensor([-0.0000,  0.6667,  4.0000])
    """

    exports = "F"
    inplace = True
    symbol = r"\operatorname{hardswish}"

    def formula(m, x):
        return m.minimum(m.maximum(x + 3, 0), 6) * x / 6

    def d_x(m, x):
        inner = x / 3 + 0.5
        return m.where(x <= -3, 0.0, m.where(x < 3, inner, 1.0))


class Softsign(Activation):
    """x / (1 + |x|).

    >>> F.softsign(bl.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    exports = "F"
    symbol = r"\operatorname{softsign}"

    def formula(m, x):
        return x / (1 + m.abs(x))

    def d_x(m, x):
        shrunk = 1 / (1 + m.abs(x))
        return shrunk * shrunk


class Tanhshrink(Activation):
    """x - tanh(x).

    >>> F.tanhshrink(bl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """

    exports = "F"
    symbol = r"\operatorname{tanhshrink}"

    def formula(m, x):
        return x - Tanh.gate(m, x)

    def d_x(m, x):
        t = Tanh.gate(m, x)
        return t * t


class Softshrink(Activation):
    """x moved towards 0 by `lambd`, and 0 within that distance.

    >>> F.softshrink(bl.tensor([-1.0, 0.2, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """

    exports = "F"
    symbol = r"\operatorname{softshrink}"

    def call(input, lambd=0.5):
        if lambd < 0:
            raise ArgumentError(f"lambd must not be negative, got {lambd}")
        return apply(Softshrink, input, lambd=lambd)

    def formula(m, x, *, lambd=0.5):
        return x - m.minimum(m.maximum(x, -lambd), lambd)

    def d_x(m, x, lambd):
        return m.where(m.abs(x) > lambd, 1.0, 0.0)


class Hardshrink(Activation):
    """x, but 0 from -lambd to lambd.

    >>> F.hardshrink(bl.tensor([-1.0, 0.2, 2.0]))
    tensor([-1.,  0.,  2.])
    """

    exports = "bl Tensor F"
    symbol = r"\operatorname{hardshrink}"

    def formula(m, x, *, lambd=0.5):
        return m.where(m.abs(x) <= lambd, 0.0, x)

    def d_x(m, x, lambd):
        return m.where(m.abs(x) <= lambd, 0.0, 1.0)


class Threshold(Elementwise):
    """x where it exceeds `threshold`, `value` elsewhere.

    >>> F.threshold(bl.tensor([-1.0, 0.5, 2.0]), 1.0, 0.0)
    tensor([0., 0., 2.])
    """

    exports = "bl F"
    inplace = True
    symbol = r"\operatorname{threshold}"

    def formula(m, x, *, threshold, value):
        return m.where(x <= threshold, value, x)

    def d_x(m, x, threshold):
        return m.where(x <= threshold, 0.0, 1.0)


# ----- made of others -----


class Glu(Composite):
    """The first half along `dim` times the sigmoid of the second half.

    Source: Dauphin et al., "Language modeling with gated convolutional networks" (2016).

    >>> F.glu(bl.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    exports = "F"

    def expand(input, dim=-1):
        if not input.ndim:
            raise ShapeError("glu: a 0-dim tensor has no halves")
        dim = normalize_axis(dim, input.ndim)
        size = input.shape[dim]
        if size % 2:
            raise ShapeError(f"glu: axis {dim} of size {size} has no halves", hint="an even size")
        whole = (slice(None),) * dim
        first, second = slice(size // 2), slice(size // 2, None)
        return input[(*whole, first)] * apply(Sigmoid, input[(*whole, second)])


class Rrelu(Composite):
    """A leaky relu whose negative slopes are drawn from [lower, upper) in training.

    In evaluation the slope is the mean of the two bounds.

    >>> F.rrelu(bl.tensor([-1.0, 2.0]), 0.1, 0.3)
    tensor([-0.2000,  2.0000])
    """

    exports = "bl F"

    def expand(input, lower=1.0 / 8, upper=1.0 / 3, training=False, inplace=False):
        if lower > upper:
            raise ArgumentError(f"lower {lower} exceeds upper {upper}")
        if training:
            slope = input.detach().new_empty(input.shape).uniform_(lower, upper)
            made = input.clamp(min=0.0) + input.clamp(max=0.0) * slope
        else:
            made = apply(LeakyRelu, input, negative_slope=(lower + upper) / 2)
        return refilled(input, made, inplace, "rrelu")


class GumbelSoftmax(Composite):
    """A sample from the categorical distribution of `logits`, differentiable in them.

    `hard=True` gives one-hot samples with the gradient of the soft ones.
    Source: Jang et al., "Categorical reparameterization with Gumbel-softmax" (2016).

    >>> F.gumbel_softmax(bl.zeros(2, 3), hard=True).sum(1)
    tensor([1., 1.])
    """

    exports = "F"

    def expand(logits, tau=1, hard=False, eps=1e-10, dim=-1):
        if not tau > 0:
            raise ArgumentError(f"tau must be positive, got {tau}")
        noise = logits.detach().new_empty(logits.shape).exponential_().log()
        soft = ((logits - noise) / tau).softmax(dim)
        if not hard:
            return soft
        dim = normalize_axis(dim, logits.ndim)
        index = soft.detach().max(dim, True)[1]
        ones = soft.detach().new_ones(index.shape)
        hot = soft.detach().new_zeros(logits.shape).scatter(dim, index, ones)
        return hot - soft.detach() + soft


# ----- in place, as functions -----


def _publish_underscored(op: type[Operator]) -> None:
    def in_place(input, *args, **keywords):
        return op.call(input, *args, inplace=True, **keywords)

    in_place.__name__ = op.name + "_"
    in_place.__doc__ = f"`{op.name}`, in place."
    export("F")(in_place)


for _op in (Relu, LeakyRelu, Elu, Celu, Selu, Threshold, Hardtanh, Rrelu):
    _publish_underscored(_op)
