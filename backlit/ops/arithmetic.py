"""Arithmetic of two or three tensors beyond + - * /, and what belongs to angles and bits.

The plain arithmetic is in elementwise.py, functions named after people in special.py.
"""

from __future__ import annotations

import math

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentTypeError, DTypeError
from backlit.ops.elementwise import Clamp, Pow, Sub
from backlit.ops.formula import NUMPY
from backlit.ops.op import (
    Composite,
    Elementwise,
    Spec,
    apply,
    broadcast_shapes,
    export,
    export_in_place,
    spec_of,
)
from backlit.ops.shape import to
from backlit.ops.special import primitive


class Lerp(Elementwise):
    """a + w (b - a): from the first (w = 0) to the second (w = 1).

    >>> bl.lerp(bl.tensor([0.0, 10.0]), bl.tensor([10.0, 20.0]), 0.5)
    tensor([ 5., 15.])
    """

    def call(input, end, weight):
        return apply(Lerp, input, end, weight)

    def formula(m, a, b, w):
        return a + w * (b - a)

    def d_a(m, w):
        return 1 - w

    def d_b(m, w):
        return w

    def d_w(m, a, b):
        return b - a


class Addcmul(Elementwise):
    """x + value a b.

    >>> bl.addcmul(bl.tensor([1.0]), bl.tensor([2.0]), bl.tensor([3.0]), value=10)
    tensor([61.])
    """

    def call(input, tensor1, tensor2, *, value=1):
        return apply(Addcmul, input, tensor1, tensor2, value=value)

    def formula(m, x, a, b, *, value=1):
        return x + a * b * value

    def d_x(m):
        return 1

    def d_a(m, b, value):
        return b * value

    def d_b(m, a, value):
        return a * value


class Addcdiv(Elementwise):
    """x + value a / b.

    >>> bl.addcdiv(bl.tensor([1.0]), bl.tensor([6.0]), bl.tensor([3.0]), value=10)
    tensor([21.])
    """

    def call(input, tensor1, tensor2, *, value=1):
        if not any(t.dtype.is_floating_point for t in (input, tensor1, tensor2)):
            raise DTypeError("addcdiv: whole numbers have no quotient", hint="use x.float()")
        return apply(Addcdiv, input, tensor1, tensor2, value=value)

    def formula(m, x, a, b, *, value=1):
        return x + a / b * value

    def d_x(m):
        return 1

    def d_a(m, b, value):
        return 1 / b * value

    def d_b(m, a, b, value):
        return -a / (b * b) * value


class Hypot(Elementwise):
    """The hypotenuse: the root of a^2 + b^2, without overflow on the way.

    >>> bl.hypot(bl.tensor([3.0]), bl.tensor([4.0]))
    tensor([5.])
    """

    def formula(m, a, b):
        if m is NUMPY:
            return np.hypot(a, b)
        long, short = m.maximum(m.abs(a), m.abs(b)), m.minimum(m.abs(a), m.abs(b))
        ratio = short / m.where(long == 0, 1.0, long)
        return long * m.sqrt(ratio * ratio + 1)

    def d_a(m, a, y):
        return a / y

    def d_b(m, b, y):
        return b / y


class Copysign(Elementwise):
    """The size of the first with the sign of the second.

    >>> bl.copysign(bl.tensor([1.0, 2.0]), -1.0)
    tensor([-1., -2.])
    """

    result = "float"

    def formula(m, a, b):
        return m.copysign(a, b)

    def d_a(m, a, y):
        return m.sign(a) * m.sign(y)

    def d_b(m):
        return 0


class FloatPower(Composite):
    """A power computed in float64.

    >>> bl.float_power(bl.tensor([2, 3]), 2)
    tensor([4., 9.], dtype=backlit.float64)
    """

    def expand(input, exponent):
        first = to(input, dt.float64) if hasattr(input, "cell") else float(input)
        second = to(exponent, dt.float64) if hasattr(exponent, "cell") else float(exponent)
        return apply(Pow, first, second)


class Rsub(Composite):
    """`other` minus `alpha` times `input`.

    >>> bl.rsub(bl.tensor([1.0]), 10)
    tensor([9.])
    """

    exports = "bl"

    def expand(input, other, *, alpha=1):
        return apply(Sub, other, input if alpha == 1 else input * alpha)


class Ldexp(Composite):
    """x times 2 to the power `other`.

    >>> bl.ldexp(bl.tensor([1.0, 3.0]), bl.tensor([2, 0]))
    tensor([4., 3.])
    """

    def expand(input, other):
        return input * apply(Pow, 2.0, other)


class Frac(Elementwise):
    """The fraction of x, with its sign.

    >>> bl.frac(bl.tensor([1.5, -2.25]))
    tensor([ 0.5000, -0.2500])
    """

    @classmethod
    def infer(cls, *specs, **params):
        found = super().infer(*specs)
        if not found.dtype.is_floating_point:
            raise DTypeError(f"whole numbers have no fraction: {found.dtype.name}")
        return found

    def formula(m, x):
        return x - m.trunc(x)

    def d_x(m):
        return 1


class Deg2rad(Elementwise):
    """Degrees as radians.

    >>> bl.deg2rad(bl.tensor([180.0]))
    tensor([3.1416])
    """

    result = "float"

    def formula(m, x):
        return x * (math.pi / 180)

    def d_x(m):
        return math.pi / 180


class Rad2deg(Elementwise):
    """Radians as degrees.

    >>> bl.rad2deg(bl.tensor([3.14159265]))
    tensor([180.])
    """

    result = "float"

    def formula(m, x):
        return x * (180 / math.pi)

    def d_x(m):
        return 180 / math.pi


class NanToNum(Elementwise):
    """NaN as 0 (`nan`), infinities as the largest numbers of the dtype (`posinf`, `neginf`).

    >>> bl.nan_to_num(bl.tensor([float("nan"), 1.0]), nan=-1.0)
    tensor([-1.,  1.])
    """

    def call(input, nan=0.0, posinf=None, neginf=None):
        if not input.dtype.is_floating_point:
            return input.clone()
        largest = dt.finfo(input.dtype)
        return apply(NanToNum, input, nan=0.0 if nan is None else float(nan),
                     posinf=largest.max if posinf is None else float(posinf),
                     neginf=largest.min if neginf is None else float(neginf))  # fmt: skip

    def formula(m, x, *, nan, posinf, neginf):
        bounded = m.where(x == math.inf, posinf, m.where(x == -math.inf, neginf, x))
        return m.where(m.isnan(x), nan, bounded)

    def d_x(m, x):
        return m.where(m.isfinite(x), 1.0, 0.0)


class Heaviside(Elementwise):
    """0 below 0, 1 above, and `values` at 0.

    >>> bl.heaviside(bl.tensor([-1.0, 0.0, 2.0]), bl.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """

    def call(input, values):
        if input.dtype is not values.dtype:
            raise DTypeError(f"input is {input.dtype.name} but values are {values.dtype.name}")
        return apply(Heaviside, input, values)

    def formula(m, a, b):
        return m.where(a == 0, b, m.sign(m.maximum(a, 0)))


class Fmax(Elementwise):
    """The larger of two; a NaN gives way to a number.

    >>> bl.fmax(bl.tensor([1.0, float("nan")]), bl.tensor([3.0, 2.0]))
    tensor([3., 2.])
    """

    def formula(m, a, b):
        return m.where(a != a, b, m.where(b != b, a, m.maximum(a, b)))

    def d_a(m, a, b):
        return m.where(m.logical_or(a >= b, b != b), 1.0, 0.0)

    def d_b(m, a, b):
        return m.where(m.logical_or(a >= b, b != b), 0.0, 1.0)


class Fmin(Elementwise):
    """The smaller of two; a NaN gives way to a number.

    >>> bl.fmin(bl.tensor([1.0, float("nan")]), bl.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """

    def formula(m, a, b):
        return m.where(a != a, b, m.where(b != b, a, m.minimum(a, b)))

    def d_a(m, a, b):
        return m.where(m.logical_or(a <= b, b != b), 1.0, 0.0)

    def d_b(m, a, b):
        return m.where(m.logical_or(a <= b, b != b), 0.0, 1.0)


# ----- bounds from one side -----


@export("bl Tensor")
def clamp_min(input, min):
    """Limit every element from below.

    >>> bl.clamp_min(bl.tensor([-1.0, 2.0]), 0.0)
    tensor([0., 2.])
    """
    return Clamp.call(input, min=min)


@export("bl Tensor")
def clamp_max(input, max):
    """Limit every element from above.

    >>> bl.clamp_max(bl.tensor([-1.0, 2.0]), 0.0)
    tensor([-1.,  0.])
    """
    return Clamp.call(input, max=max)


export_in_place(clamp_min, "clamp_min_")
export_in_place(clamp_max, "clamp_max_")
export_in_place(FloatPower.call, "float_power_")
export_in_place(Ldexp.call, "ldexp_")


# ----- what is the same for numbers without an imaginary part -----


@export("bl Tensor", "conj_physical", "resolve_conj", "resolve_neg")
def conj(input):
    """The complex conjugate: of real numbers, the tensor itself.

    >>> bl.conj(bl.tensor([1.0]))
    tensor([1.])
    """
    return input


@export("bl Tensor")
def real(input):
    """The real part: of real numbers, the tensor itself.

    >>> bl.real(bl.tensor([1.0]))
    tensor([1.])
    """
    return input


class Angle(Elementwise):
    """The angle in the complex plane: pi for negative numbers, 0 for others, NaN for NaN.

    >>> bl.angle(bl.tensor([1.0, -1.0]))
    tensor([0.0000, 3.1416])
    """

    result = "float"

    def formula(m, x):
        return m.where(x < 0, math.pi, m.minimum(m.abs(x), 0))

    def d_x(m):
        return 0


class Nextafter(Elementwise):
    """The next representable number from the first towards the second.

    >>> bl.nextafter(bl.tensor([1.0]), bl.tensor([2.0])) > 1
    tensor([True])
    """

    symbol = r"\operatorname{nextafter}"

    @classmethod
    def run(cls, arrays, params):
        cls.infer(*map(spec_of, arrays))
        return super().run(arrays, params)

    @classmethod
    def infer(cls, *specs, **params):
        found = super().infer(*specs)
        if not found.dtype.is_floating_point:
            raise DTypeError(f"whole numbers have no next one here: {found.dtype.name}")
        return found

    def formula(m, a, b):
        return primitive(m, Nextafter, np.nextafter, a, b)


# ----- divisors -----


class Divisor(Elementwise, abstract=True):
    """Of whole numbers only."""

    @classmethod
    def run(cls, arrays, params):
        cls.infer(*map(spec_of, arrays))
        return super().run(arrays, params)

    @classmethod
    def infer(cls, *specs, **params):
        shape = broadcast_shapes(*(s.shape for s in specs if isinstance(s, Spec)))
        common = cls._operand_dtype(list(specs))
        if common.kind not in "iu":
            raise DTypeError(f"divisors are of whole numbers, got {common.name}")
        return Spec(shape, common)


class Gcd(Divisor):
    """The greatest common divisor; gcd(0, 0) is 0.

    >>> bl.gcd(bl.tensor([12, 7]), bl.tensor([18, 0]))
    tensor([6, 7])
    """

    symbol = r"\gcd"

    def formula(m, a, b):
        return primitive(m, Gcd, np.gcd, a, b)


class Lcm(Divisor):
    """The least common multiple; 0 where one is 0.

    >>> bl.lcm(bl.tensor([4, 7]), bl.tensor([6, 0]))
    tensor([12,  0])
    """

    symbol = r"\operatorname{lcm}"

    def formula(m, a, b):
        return primitive(m, Lcm, np.lcm, a, b)


# ----- what kind of number; closeness -----


class Isposinf(Elementwise):
    """Whether an element is plus infinity.

    >>> bl.isposinf(bl.tensor([1.0, float("inf")]))
    tensor([False,  True])
    """

    result = "bool"

    def formula(m, x):
        return x == math.inf


class Isneginf(Elementwise):
    """Whether an element is minus infinity.

    >>> bl.isneginf(bl.tensor([1.0, float("-inf")]))
    tensor([False,  True])
    """

    result = "bool"

    def formula(m, x):
        return x == -math.inf


class Signbit(Elementwise):
    """Whether the sign is minus, that of -0 included.

    >>> bl.signbit(bl.tensor([1.0, -0.0]))
    tensor([False,  True])
    """

    result = "bool"

    def formula(m, x):
        return m.copysign(1.0, x) < 0


class Isreal(Elementwise):
    """Whether an element has no imaginary part: always.

    >>> bl.isreal(bl.tensor([1.0]))
    tensor([True])
    """

    result = "bool"

    def formula(m, x):
        return m.logical_or(x == x, x != x)


class Isclose(Elementwise):
    """Whether |a - b| <= atol + rtol |b|; equal infinities are close.

    >>> bl.isclose(bl.tensor([1.0, 2.0]), bl.tensor([1.0 + 1e-7, 2.1]))
    tensor([ True, False])
    """

    result = "bool"

    def call(input, other, rtol=1e-5, atol=1e-8, equal_nan=False):
        if input.dtype is not other.dtype:
            raise DTypeError(f"isclose: {input.dtype.name} and {other.dtype.name} differ")
        return apply(Isclose, input, other, rtol=rtol, atol=atol, equal_nan=bool(equal_nan))

    def formula(m, a, b, *, rtol=1e-5, atol=1e-8, equal_nan=False):
        near = m.abs(a - b) <= m.abs(b) * rtol + atol
        near = m.logical_or(a == b, m.logical_and(m.isfinite(b), near))
        return m.logical_or(near, m.logical_and(a != a, b != b)) if equal_nan else near


@export("bl Tensor")
def allclose(input, other, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether all elements are close; see `isclose`.

    >>> bl.allclose(bl.tensor([1.0]), bl.tensor([1.0 + 1e-7]))
    True
    """
    return bool(Isclose.call(input, other, rtol, atol, equal_nan).all())


@export("bl Tensor")
def equal(input, other):
    """Whether two tensors have the same shape and the same elements.

    >>> bl.equal(bl.tensor([1, 2]), bl.tensor([1, 2]))
    True
    """
    if not hasattr(other, "cell"):
        raise ArgumentTypeError(f"equal: expected a Tensor, got {type(other).__name__}")
    return input.shape == other.shape and bool((input == other).all())
