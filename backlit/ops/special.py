"""Special functions: products with logarithms, the gamma and error functions and their kin.

Those that no formula of simpler functions gives (`primitive`) compute with NumPy alone.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError
from backlit.ops.activation import Sigmoid
from backlit.ops.formula import LATEX, NUMPY, TENSOR, Tex, erf, erfc, parenthesize
from backlit.ops.op import Composite, Elementwise, apply, export


def primitive(m: Any, op: type[Elementwise], function: Any, *values: Any, **params: Any) -> Any:
    """A reading of a function that has no formula; a backend without one calls back."""
    if m is NUMPY:
        return function(*values, **params)
    if m is TENSOR:
        return apply(op, *values, **params)
    if m is LATEX:
        return Tex(op.symbol + parenthesize(", ".join(str(Tex.of(v)) for v in values)))
    if hasattr(type(m), "primitive"):  # a reading that calls NumPy by name
        return m.primitive(function, *values, **params)
    raise NotImplementedError(op.name)


def _tensors(input: Any, other: Any) -> tuple[Any, Any]:
    """A number beside a tensor becomes one of its dtype: logarithms of numbers have their own."""
    if not hasattr(input, "cell"):
        return other.new_tensor(input, dtype=_float_of(other)), other
    if not hasattr(other, "cell"):
        return input, input.new_tensor(other, dtype=_float_of(input))
    return input, other


def _float_of(tensor: Any) -> dt.dtype:
    return tensor.dtype if tensor.dtype.is_floating_point else dt.get_default_dtype()


class Xlogy(Elementwise):
    """x ln y, and 0 where x is 0 and y is not NaN.

    >>> bl.xlogy(bl.tensor([0.0, 2.0]), bl.tensor([0.0, 1.0]))
    tensor([0., 0.])
    """

    exports = "bl Tensor special"
    result = "float"

    def call(input, other):
        return apply(Xlogy, *_tensors(input, other))

    def formula(m, a, b):
        return m.where(m.logical_and(a == 0, b == b), 0.0, a * m.log(b))

    def d_a(m, a, b):
        return m.where(m.logical_and(a == 0, b <= 0), 0.0, m.log(b))

    def d_b(m, a, b):
        return a / b


class Xlog1py(Elementwise):
    """x ln(1 + y), and 0 where x is 0 and y is not NaN.

    >>> bl.special.xlog1py(bl.tensor([0.0, 2.0]), bl.tensor([-1.0, 0.0]))
    tensor([0., 0.])
    """

    exports = "special"
    result = "float"

    def call(input, other):
        return apply(Xlog1py, *_tensors(input, other))

    def formula(m, a, b):
        return m.where(m.logical_and(a == 0, b == b), 0.0, a * m.log1p(b))

    def d_a(m, a, b):
        return m.where(m.logical_and(a == 0, b <= -1), 0.0, m.log1p(b))

    def d_b(m, a, b):
        return a / (b + 1)


class Entr(Elementwise):
    """-x ln x: 0 at 0, minus infinity below.

    >>> bl.special.entr(bl.tensor([0.0, 1.0]))
    tensor([0., -0.])
    """

    exports = "special"
    result = "float"

    def formula(m, x):
        return m.where(x == 0, 0.0, m.where(x < 0, -math.inf, -x * m.log(x)))

    def d_x(m, x):
        return m.where(x < 0, math.inf, -m.log(x) - 1)


class Logit(Elementwise):
    """ln(x / (1 - x)), the inverse of the sigmoid; `eps` first limits x to [eps, 1 - eps].

    >>> bl.logit(bl.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """

    exports = "bl Tensor special"
    result = "float"

    def formula(m, x, *, eps=None):
        if eps is not None:
            x = m.minimum(m.maximum(x, eps), 1 - eps)
        return m.log(x / (1 - x))

    def d_x(m, x, eps):
        slope = 1 / (x * (1 - x))
        if eps is None:
            return m.where(m.logical_and(x >= 0, x <= 1), slope, math.nan)
        return m.where(m.logical_and(x >= eps, x <= 1 - eps), slope, 0.0)


class Logaddexp(Elementwise):
    """ln(e^a + e^b), finite for any size.

    >>> bl.logaddexp(bl.tensor([1000.0]), bl.tensor([1000.0]))
    tensor([1000.6932])
    """

    exports = "bl Tensor special"
    result = "float"

    def formula(m, a, b):
        if m is NUMPY:
            return np.logaddexp(a, b)
        return m.maximum(a, b) + m.log1p(m.exp(-m.abs(a - b)))

    def d_a(m, a, b):
        return Sigmoid.gate(m, a - b)

    def d_b(m, a, b):
        return Sigmoid.gate(m, b - a)


class Logaddexp2(Elementwise):
    """The logarithm to base 2 of 2^a + 2^b.

    >>> bl.logaddexp2(bl.tensor([1.0]), bl.tensor([1.0]))
    tensor([2.])
    """

    result = "float"

    def formula(m, a, b):
        if m is NUMPY:
            return np.logaddexp2(a, b)
        return m.maximum(a, b) + m.log1p(m.exp2(-m.abs(a - b))) * (1 / math.log(2.0))

    def d_a(m, a, b):
        return Sigmoid.gate(m, (a - b) * math.log(2.0))

    def d_b(m, a, b):
        return Sigmoid.gate(m, (b - a) * math.log(2.0))


class Sinc(Elementwise):
    """sin(pi x) / (pi x), and 1 at 0.

    >>> bl.sinc(bl.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """

    exports = "bl Tensor special"
    result = "float"
    symbol = r"\operatorname{sinc}"

    def formula(m, x):
        safe = m.where(x == 0, 1.0, x) * math.pi
        return m.where(x == 0, 1.0, m.sin(safe) / safe)

    def d_x(m, x):
        # The closed form cancels near 0; there the series is exact to the last digit.
        t = x * math.pi
        safe = m.where(m.abs(t) < 0.02, 1.0, t)
        far = (m.cos(safe) - m.sin(safe) / safe) / safe * math.pi
        s = t * t
        near = t * (-1 / 3 + s * (1 / 30 + s * (-1 / 840 + s / 45360))) * math.pi
        return m.where(m.abs(t) < 0.02, near, far)


# ----- the error function's kin -----


class Erfc(Elementwise):
    """1 - erf(x), with all digits in the tail.

    >>> bl.erfc(bl.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
    """

    exports = "bl Tensor special"
    result = "float"
    symbol = r"\operatorname{erfc}"

    def formula(m, x):
        return primitive(m, Erfc, erfc, x)

    def d_x(m, x):
        return (-2 / math.sqrt(math.pi)) * m.exp(-x * x)


def erfinv(y: Any) -> Any:
    """The inverse of erf, by Halley's steps from a rough start; exact near 0 and 1."""
    y = np.asarray(y)
    work = y.astype(np.float64)
    a = np.minimum(np.abs(work), 1.0)
    rest = 1.0 - a  # exact from 1/2 on
    log = np.log(np.maximum(rest * (1 + a), 5e-324))
    mid = 2 / (math.pi * 0.147) + log / 2
    x = np.sqrt(np.sqrt(mid * mid - log / 0.147) - mid)  # Winitzki's approximation
    for _ in range(4):
        missed = np.where(a < 0.5, erf(x) - a, rest - erfc(x))  # each where it keeps its digits
        error = missed * (math.sqrt(math.pi) / 2) * np.exp(np.minimum(x * x, 700.0))
        x = x + -error / (1 + x * -error)
    x = np.where(a < 1e-8, a * (math.sqrt(math.pi) / 2), x)
    x = np.where(np.abs(work) <= 1, np.where(rest == 0, np.inf, x), np.nan)
    return np.copysign(x, work).astype(y.dtype if y.dtype.kind == "f" else np.float64)


class Erfinv(Elementwise):
    """The number whose error function is x, for x in [-1, 1].

    >>> bl.erfinv(bl.tensor([0.0, 0.5, 1.0]))
    tensor([0.0000, 0.4769,    inf])
    """

    exports = "bl Tensor special"
    result = "float"
    symbol = r"\operatorname{erf}^{-1}"

    def formula(m, x):
        return primitive(m, Erfinv, erfinv, x)

    def d_x(m, y):
        return m.exp(y * y) * (math.sqrt(math.pi) / 2)


class Ndtr(Elementwise):
    """The normal distribution function: the share below x.

    >>> bl.special.ndtr(bl.tensor([0.0, 1.96]))
    tensor([0.5000, 0.9750])
    """

    exports = "special"
    result = "float"
    symbol = r"\Phi"

    def formula(m, x):
        return Erfc.gate(m, x * -math.sqrt(0.5)) * 0.5

    def d_x(m, x):
        return m.exp(x * x * -0.5) * math.sqrt(0.5 / math.pi)


# ----- the gamma function's kin -----


def _lgamma(x: float) -> float:
    try:
        return math.lgamma(x)
    except (ValueError, OverflowError):  # a pole
        return math.inf


def lgamma(x: Any) -> Any:
    """ln |gamma(x)| of an array, element by element with the C library's."""
    x = np.asarray(x)
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    return np.asarray(np.frompyfunc(_lgamma, 1, 1)(x.astype(np.float64))).astype(dtype)


# B_2j / (2j)!, j = 1 to 8, of the Euler-Maclaurin formula
_BERNOULLI = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
              1 / 74724249600, -3617 / 10670622842880000)  # fmt: skip
_ENOUGH = 12.0  # from here on the asymptotic series has all digits


def digamma(x: Any) -> Any:
    """The derivative of ln gamma: reflection, recurrence, asymptotic series."""
    x = np.asarray(x)
    work = x.astype(np.float64)
    pole = (work <= 0) & (work == np.floor(work))
    q = np.where(work < 0.5, 1 - work, work)
    total = np.zeros_like(q)
    for _ in range(int(_ENOUGH)):
        low = q < _ENOUGH
        total = np.where(low, total - 1 / q, total)
        q = np.where(low, q + 1, q)
    series, power = np.log(q) - 0.5 / q, 1 / (q * q)
    for j, b in enumerate(_BERNOULLI, 1):
        series = series - b * math.factorial(2 * j - 1) * power**j
    turned = math.pi / np.tan(math.pi * (work - np.floor(work)))
    found = total + series - np.where(work < 0.5, turned, 0.0)
    found = np.where(work == 0, -np.copysign(np.inf, work), np.where(pole, np.nan, found))
    found = np.where(work == -np.inf, np.nan, found)
    return found.astype(x.dtype if x.dtype.kind == "f" else np.float64)


def polygamma(x: Any, *, n: int) -> Any:
    """The n-th derivative of digamma, n >= 1: Hurwitz's zeta by the Euler-Maclaurin formula."""
    x = np.asarray(x)
    q, s = x.astype(np.float64), n + 1
    total = np.zeros_like(q)
    finite = q[np.isfinite(q)]
    steps = max(0, math.ceil(_ENOUGH + n - float(finite.min()))) if finite.size else 0
    for _ in range(steps):
        low = q < _ENOUGH + n
        total = np.where(low, total + q ** float(-s), total)
        q = np.where(low, q + 1, q)
    total = total + q ** float(1 - s) / (s - 1) + 0.5 * q ** float(-s)
    rising = float(s)
    for j, b in enumerate(_BERNOULLI, 1):
        total = total + b * rising * q ** float(-s - 2 * j + 1)
        rising *= (s + 2 * j - 1) * (s + 2 * j)
    found = (-1) ** (n + 1) * math.factorial(n) * total
    return found.astype(x.dtype if x.dtype.kind == "f" else np.float64)


class Lgamma(Elementwise):
    """The logarithm of the absolute value of the gamma function.

    >>> bl.lgamma(bl.tensor([1.0, 5.0]))
    tensor([0.0000, 3.1781])
    """

    aliases = ()
    result = "float"
    symbol = r"\ln \Gamma"

    def formula(m, x):
        return primitive(m, Lgamma, lgamma, x)

    def d_x(m, x):
        return Digamma.gate(m, x)


class Gammaln(Elementwise):
    """The logarithm of the absolute value of the gamma function, as `lgamma`.

    >>> bl.special.gammaln(bl.tensor([5.0]))
    tensor([3.1781])
    """

    exports = "special"
    result = "float"
    symbol = r"\ln \Gamma"

    def formula(m, x):
        return Lgamma.gate(m, x)

    def d_x(m, x):
        return Digamma.gate(m, x)


class Digamma(Elementwise):
    """The derivative of ln gamma.

    >>> bl.digamma(bl.tensor([1.0]))
    tensor([-0.5772])
    """

    exports = "bl Tensor special"
    aliases = ("psi",)
    result = "float"
    symbol = r"\psi"

    def formula(m, x):
        return primitive(m, Digamma, digamma, x)

    def d_x(m, x):
        return Polygamma.gate(m, x, n=1)


class Polygamma(Elementwise):
    """The n-th derivative of digamma.

    >>> bl.polygamma(1, bl.tensor([1.0]))
    tensor([1.6449])
    """

    exports = "bl special"
    result = "float"
    symbol = r"\psi^{(n)}"

    def call(n, input):
        if n < 0:
            raise ArgumentError(f"polygamma: the order must not be negative, got {n}")
        return apply(Polygamma, input, n=int(n)) if n else apply(Digamma, input)

    def formula(m, x, *, n):
        return primitive(m, Polygamma, polygamma, x, n=n)

    def d_x(m, x, n):
        return Polygamma.gate(m, x, n=n + 1)


class Multigammaln(Composite):
    """The logarithm of the multivariate gamma function of dimension p.

    >>> bl.mvlgamma(bl.tensor([2.0]), 2)
    tensor([0.4516])
    """

    exports = "bl Tensor special"
    aliases = ("mvlgamma",)

    def expand(input, p):
        if p < 1:
            raise ArgumentError(f"mvlgamma: p must be positive, got {p}")
        terms = [Lgamma.call(input - i / 2) for i in range(p)]
        return sum(terms[1:], terms[0]) + p * (p - 1) / 4 * math.log(math.pi)


def _polygamma_method(input, n):
    """The n-th derivative of digamma, of the tensor itself."""
    return Polygamma.call(n, input)


_polygamma_method.public = "polygamma"  # type: ignore[attr-defined]
export("Tensor")(_polygamma_method)
