"""Arithmetic, powers, exponentials, trigonometry, comparisons: one formula per operator.

Each class is a formula and its local derivatives; op.Elementwise does the rest. Activations are
in activation.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, DTypeError
from backlit.ops.op import Elementwise, Spec, apply, broadcast_shapes, spec_of


def _is_number(x: Any) -> bool:
    return isinstance(x, (int, float))


# ----- arithmetic -----


class Add(Elementwise):
    """Sum of two tensors, element by element, with broadcasting; `alpha` scales the second.

    >>> bl.add(bl.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """

    def call(input, other, *, alpha=1):
        return apply(Add, input, other if alpha == 1 else other * alpha)

    def formula(m, a, b):
        return a + b

    def into(x, b):
        x += b

    def d_a(m):
        return 1

    def d_b(m):
        return 1


class Sub(Elementwise):
    """Difference of two tensors; `alpha` scales the second.

    >>> bl.sub(bl.tensor([5.0, 2.0]), bl.tensor([1.0, 1.0]), alpha=2)
    tensor([3., 0.])
    """

    aliases = ("subtract",)

    def call(input, other, *, alpha=1):
        return apply(Sub, input, other if alpha == 1 else other * alpha)

    def formula(m, a, b):
        return a - b

    def into(x, b):
        x -= b

    def d_a(m):
        return 1

    def d_b(m):
        return -1


class Mul(Elementwise):
    """Product of two tensors, element by element (the Hadamard product).

    >>> bl.mul(bl.tensor([1.0, 2.0]), bl.tensor([3.0, 4.0]))
    tensor([3., 8.])
    """

    aliases = ("multiply",)

    def formula(m, a, b):
        return a * b

    def into(x, b):
        x *= b

    def d_a(m, b):
        return b

    def d_b(m, a):
        return a


class Div(Elementwise):
    """Quotient of two tensors; `rounding_mode` is None, "trunc" or "floor".

    >>> bl.div(bl.tensor([7.0, -7.0]), 2), bl.div(bl.tensor([7.0, -7.0]), 2, rounding_mode="floor")
    (tensor([ 3.5000, -3.5000]), tensor([ 3., -4.]))
    """

    aliases = ("divide", "true_divide")
    result = "float"

    def call(input, other, *, rounding_mode=None):
        if rounding_mode is None:
            return apply(Div, input, other)
        if rounding_mode == "floor":
            return apply(FloorDivide, input, other)
        if rounding_mode == "trunc":
            quotient = apply(Trunc, apply(Div, input, other))
            return quotient.to(dt.result_type(input, other))
        known = "None, 'trunc' or 'floor'"
        raise ArgumentError(f"rounding_mode must be {known}, got {rounding_mode!r}")

    def formula(m, a, b):
        return a / b

    def into(x, b):
        x /= b

    def d_a(m, b):
        return 1 / b

    def d_b(m, b, y):
        return -y / b


class FloorDivide(Elementwise):
    """Quotient rounded towards minus infinity.

    >>> bl.floor_divide(bl.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """

    def formula(m, a, b):
        return a // b

    def d_a(m):
        return 0

    def d_b(m):
        return 0


class Remainder(Elementwise):
    """Remainder with the sign of the divisor, as Python's `%`.

    >>> bl.remainder(bl.tensor([7.0, -7.0]), 3)
    tensor([1., 2.])
    """

    def formula(m, a, b):
        return m.remainder(a, b)

    def d_a(m):
        return 1

    def d_b(m, a, b):
        return -m.floor(a / b)


class Fmod(Elementwise):
    """Remainder with the sign of the dividend, as C's fmod.

    >>> bl.fmod(bl.tensor([7.0, -7.0]), 3)
    tensor([ 1., -1.])
    """

    def formula(m, a, b):
        return m.fmod(a, b)

    def d_a(m):
        return 1

    def d_b(m, a, b):
        return -m.trunc(a / b)


class Neg(Elementwise):
    """The negative.

    >>> bl.neg(bl.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """

    aliases = ("negative",)

    def formula(m, x):
        return -x

    def infer(*specs, **params):
        if specs[0].dtype is dt.bool_:
            raise DTypeError("a bool has no negative", hint="use ~x or logical_not")
        return specs[0]

    def d_x(m):
        return -1


class Abs(Elementwise):
    """The absolute value; its gradient at 0 is 0.

    >>> bl.abs(bl.tensor([-1.5, 2.0]))
    tensor([1.5000, 2.0000])
    """

    aliases = ("absolute",)

    def formula(m, x):
        return m.abs(x)

    def d_x(m, x):
        return m.sign(x)


class Sign(Elementwise):
    """-1, 0 or 1; its gradient is 0 everywhere.

    >>> bl.sign(bl.tensor([-3.0, 0.0, 5.0]))
    tensor([-1.,  0.,  1.])
    """

    aliases = ("sgn",)

    def formula(m, x):
        return m.sign(x)

    def d_x(m):
        return 0


class Reciprocal(Elementwise):
    """1 / x.

    >>> bl.reciprocal(bl.tensor([2.0, 4.0]))
    tensor([0.5000, 0.2500])
    """

    result = "float"

    def formula(m, x):
        return 1 / x

    def d_x(m, y):
        return -y * y


class Square(Elementwise):
    """x times x.

    >>> bl.square(bl.tensor([3.0, -2.0]))
    tensor([9., 4.])
    """

    def formula(m, x):
        return x * x

    def d_x(m, x):
        return 2 * x


class Pow(Elementwise):
    """`input` to the power `exponent`.

    >>> bl.pow(bl.tensor([2.0, 3.0]), 2), bl.pow(2.0, bl.tensor([3.0]))
    (tensor([4., 9.]), tensor([8.]))
    """

    def call(input, exponent):
        return apply(Pow, input, exponent)

    def formula(m, a, b):
        if _is_number(b) and b in (1, 2, 3):
            return a * 1 if b == 1 else a * a if b == 2 else a * a * a
        if _is_number(b) and b in (0.5, -1):
            return m.sqrt(a) if b == 0.5 else 1 / a
        return m.power(a, b)

    def infer(*specs, **params):
        found = _infer(Pow, specs)
        if not found.dtype.is_floating_point and _is_number(specs[1]) and specs[1] < 0:
            raise DTypeError("whole numbers to a negative power", hint="use x.float()")
        return found

    def d_a(m, a, b):
        if _is_number(b):
            if b in (0, 1, 2):
                return 0.0 * a if b == 0 else 1 if b == 1 else 2 * a
            return b * Pow.formula(m, a, b - 1)
        return m.where(b == 0, 0.0, b * m.power(a, b - 1))

    def d_b(m, a, b, y):
        log = math.log(a) if _positive(a) else m.log(a)
        return m.where(_both(m, a == 0, b >= 0), 0.0, y * log)


def _positive(a: Any) -> bool:
    return _is_number(a) and a > 0


def _both(m: Any, first: Any, second: Any) -> Any:
    """Both conditions, of which one may be a plain truth value."""
    if isinstance(first, bool):
        return second if first else (second != second)
    if isinstance(second, bool):
        return first if second else (first != first)
    return m.logical_and(first, second)


def _infer(cls: type[Elementwise], specs: tuple) -> Spec:
    """The common rule, for operators that add a refusal of their own."""
    return Spec(
        broadcast_shapes(*(s.shape for s in specs if isinstance(s, Spec))),
        cls._operand_dtype(list(specs)),
    )


# ----- exponentials and logarithms -----


class Exp(Elementwise):
    """e to the power x.

    >>> bl.exp(bl.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """

    result = "float"

    def formula(m, x):
        return m.exp(x)

    def d_x(m, y):
        return y


class Exp2(Elementwise):
    """2 to the power x.

    >>> bl.exp2(bl.tensor([0.0, 3.0]))
    tensor([1., 8.])
    """

    exports = "bl Tensor special"
    result = "float"

    def formula(m, x):
        return m.exp2(x)

    def d_x(m, y):
        return y * math.log(2.0)


class Expm1(Elementwise):
    """e to the power x, minus 1, exact for small x.

    >>> bl.expm1(bl.tensor([0.0, 1e-6]))
    tensor([0.0000e+00, 1.0000e-06])
    """

    exports = "bl Tensor special"
    result = "float"

    def formula(m, x):
        return m.expm1(x)

    def d_x(m, y):
        return y + 1


class Log(Elementwise):
    """The natural logarithm.

    >>> bl.log(bl.tensor([1.0, 2.0]))
    tensor([0.0000, 0.6931])
    """

    result = "float"

    def formula(m, x):
        return m.log(x)

    def d_x(m, x):
        return 1 / x


class Log1p(Elementwise):
    """The natural logarithm of 1 + x, exact for small x.

    >>> bl.log1p(bl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """

    exports = "bl Tensor special"
    result = "float"

    def formula(m, x):
        return m.log1p(x)

    def d_x(m, x):
        return 1 / (x + 1)


class Log2(Elementwise):
    """The logarithm to base 2.

    >>> bl.log2(bl.tensor([8.0]))
    tensor([3.])
    """

    result = "float"

    def formula(m, x):
        return m.log2(x)

    def d_x(m, x):
        return (1 / math.log(2.0)) / x


class Log10(Elementwise):
    """The logarithm to base 10.

    >>> bl.log10(bl.tensor([100.0]))
    tensor([2.])
    """

    result = "float"

    def formula(m, x):
        return m.log10(x)

    def d_x(m, x):
        return (1 / math.log(10.0)) / x


class Sqrt(Elementwise):
    """The square root; its gradient at 0 is infinite.

    >>> bl.sqrt(bl.tensor([4.0, 9.0]))
    tensor([2., 3.])
    """

    result = "float"

    def formula(m, x):
        return m.sqrt(x)

    def d_x(m, y):
        return 0.5 / y


class Rsqrt(Elementwise):
    """1 over the square root.

    >>> bl.rsqrt(bl.tensor([4.0]))
    tensor([0.5000])
    """

    result = "float"

    def formula(m, x):
        return 1 / m.sqrt(x)

    def d_x(m, y):
        return -0.5 * y * y * y


# ----- trigonometry -----


class Sin(Elementwise):
    """The sine.

    >>> bl.sin(bl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
    """

    result = "float"

    def formula(m, x):
        return m.sin(x)

    def d_x(m, x):
        return m.cos(x)


class Cos(Elementwise):
    """The cosine.

    >>> bl.cos(bl.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
    """

    result = "float"

    def formula(m, x):
        return m.cos(x)

    def d_x(m, x):
        return -m.sin(x)


class Tan(Elementwise):
    """The tangent.

    >>> bl.tan(bl.tensor([1.0]))
    tensor([1.5574])
    """

    result = "float"

    def formula(m, x):
        return m.tan(x)

    def d_x(m, y):
        return 1 + y * y


class Asin(Elementwise):
    """The inverse sine.

    >>> bl.asin(bl.tensor([0.5]))
    tensor([0.5236])
    """

    aliases = ("arcsin",)
    result = "float"

    def formula(m, x):
        return m.asin(x)

    def d_x(m, x):
        return 1 / m.sqrt(1 - x * x)


class Acos(Elementwise):
    """The inverse cosine.

    >>> bl.acos(bl.tensor([0.5]))
    tensor([1.0472])
    """

    aliases = ("arccos",)
    result = "float"

    def formula(m, x):
        return m.acos(x)

    def d_x(m, x):
        return -1 / m.sqrt(1 - x * x)


class Atan(Elementwise):
    """The inverse tangent.

    >>> bl.atan(bl.tensor([1.0]))
    tensor([0.7854])
    """

    aliases = ("arctan",)
    result = "float"

    def formula(m, x):
        return m.atan(x)

    def d_x(m, x):
        return 1 / (1 + x * x)


class Atan2(Elementwise):
    """The angle of the point (other, input), in radians from -pi to pi.

    >>> bl.atan2(bl.tensor([1.0]), bl.tensor([-1.0]))
    tensor([2.3562])
    """

    aliases = ("arctan2",)
    result = "float"

    def formula(m, a, b):
        return m.atan2(a, b)

    def d_a(m, a, b):
        return b / (a * a + b * b)

    def d_b(m, a, b):
        return -a / (a * a + b * b)


class Sinh(Elementwise):
    """The hyperbolic sine.

    >>> bl.sinh(bl.tensor([1.0]))
    tensor([1.1752])
    """

    result = "float"

    def formula(m, x):
        return m.sinh(x)

    def d_x(m, x):
        return m.cosh(x)


class Cosh(Elementwise):
    """The hyperbolic cosine.

    >>> bl.cosh(bl.tensor([1.0]))
    tensor([1.5431])
    """

    result = "float"

    def formula(m, x):
        return m.cosh(x)

    def d_x(m, x):
        return m.sinh(x)


class Tanh(Elementwise):
    """The hyperbolic tangent, in (-1, 1).

    >>> bl.tanh(bl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """

    exports = "bl Tensor F"
    result = "float"

    def formula(m, x):
        return m.tanh(x)

    def d_x(m, y):
        return 1 - y * y


class Asinh(Elementwise):
    """The inverse hyperbolic sine.

    >>> bl.asinh(bl.tensor([1.0]))
    tensor([0.8814])
    """

    aliases = ("arcsinh",)
    result = "float"

    def formula(m, x):
        return m.asinh(x)

    def d_x(m, x):
        return 1 / m.sqrt(x * x + 1)


class Acosh(Elementwise):
    """The inverse hyperbolic cosine.

    >>> bl.acosh(bl.tensor([2.0]))
    tensor([1.3170])
    """

    aliases = ("arccosh",)
    result = "float"

    def formula(m, x):
        return m.acosh(x)

    def d_x(m, x):
        return 1 / m.sqrt(x * x - 1)


class Atanh(Elementwise):
    """The inverse hyperbolic tangent.

    >>> bl.atanh(bl.tensor([0.5]))
    tensor([0.5493])
    """

    aliases = ("arctanh",)
    result = "float"

    def formula(m, x):
        return m.atanh(x)

    def d_x(m, x):
        return 1 / (1 - x * x)


class Erf(Elementwise):
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    >>> bl.erf(bl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """

    exports = "bl Tensor special"
    result = "float"

    def formula(m, x):
        return m.erf(x)

    def d_x(m, x):
        return (2 / math.sqrt(math.pi)) * m.exp(-x * x)


# ----- rounding -----


class Floor(Elementwise):
    """The largest whole number not above x; its gradient is 0.

    >>> bl.floor(bl.tensor([-1.5, 1.5]))
    tensor([-2.,  1.])
    """

    def formula(m, x):
        return m.floor(x)

    def d_x(m):
        return 0


class Ceil(Elementwise):
    """The smallest whole number not below x; its gradient is 0.

    >>> bl.ceil(bl.tensor([-1.5, 1.5]))
    tensor([-1.,  2.])
    """

    def formula(m, x):
        return m.ceil(x)

    def d_x(m):
        return 0


class Round(Elementwise):
    """The nearest whole number, halves to even; `decimals` digits are kept.

    >>> bl.round(bl.tensor([0.5, 1.5, -2.6])), bl.round(bl.tensor([0.127]), decimals=2)
    (tensor([ 0.,  2., -3.]), tensor([0.1300]))
    """

    def call(input, *, decimals=0):
        if decimals == 0:
            return apply(Round, input)
        scale = 10.0**decimals
        return apply(Round, input * scale) / scale

    def formula(m, x):
        return m.round(x)

    def d_x(m):
        return 0


class Trunc(Elementwise):
    """x without its fraction; its gradient is 0.

    >>> bl.trunc(bl.tensor([-1.5, 1.5]))
    tensor([-1.,  1.])
    """

    aliases = ("fix",)

    def formula(m, x):
        return m.trunc(x)

    def d_x(m):
        return 0


# ----- choice -----


class Maximum(Elementwise):
    """The larger of two, element by element; a tie shares the gradient in halves.

    >>> bl.maximum(bl.tensor([1.0, 5.0]), bl.tensor([3.0, 2.0]))
    tensor([3., 5.])
    """

    def formula(m, a, b):
        return m.maximum(a, b)

    def d_a(m, a, b):
        return m.where(a > b, 1.0, m.where(a == b, 0.5, 0.0))

    def d_b(m, a, b):
        return m.where(b > a, 1.0, m.where(a == b, 0.5, 0.0))


class Minimum(Elementwise):
    """The smaller of two, element by element; a tie shares the gradient in halves.

    >>> bl.minimum(bl.tensor([1.0, 5.0]), bl.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """

    def formula(m, a, b):
        return m.minimum(a, b)

    def d_a(m, a, b):
        return m.where(a < b, 1.0, m.where(a == b, 0.5, 0.0))

    def d_b(m, a, b):
        return m.where(b < a, 1.0, m.where(a == b, 0.5, 0.0))


class Where(Elementwise):
    """`input` where the condition holds, `other` elsewhere.

    The branch that is not taken gets no gradient at all, whatever it computed: a NaN or an
    infinity behind the mask stays there. With a condition alone: the indices where it holds.

    >>> bl.where(bl.tensor([True, False]), bl.tensor([1.0, 2.0]), 0.0)
    tensor([1., 0.])
    """

    exports = "bl"

    def call(condition, input=None, other=None):
        if input is None and other is None:
            return condition.nonzero(as_tuple=True)
        return apply(Where, condition, input, other)

    def formula(m, condition, a, b):
        return m.where(condition, a, b)

    @classmethod
    def run(cls, arrays, params):
        condition, *rest = arrays
        if not isinstance(condition, np.ndarray) or condition.dtype.kind != "b":
            raise DTypeError("the condition must be a bool tensor", hint="compare: x > 0")
        specs = [spec_of(a) for a in arrays]
        cls.infer(*specs)
        common = cls._operand_dtype(specs[1:])
        met = cls._convert(rest, common)
        found = cls.forward(condition, *met)
        return found.astype(common.numpy, copy=False), [condition, *met]

    @classmethod
    def promoted(cls, inputs, first=1):
        return super().promoted(inputs, first)

    def infer(condition, a, b):
        shapes = [s.shape for s in (condition, a, b) if isinstance(s, Spec)]
        return Spec(broadcast_shapes(*shapes), dt.result_type(a, b))

    def d_a(m, condition):
        return 1

    def d_b(m, condition):
        return 1

    def mask_a(m, condition):
        return condition

    def mask_b(m, condition):
        return m.logical_not(condition)


class Clamp(Elementwise):
    """Limit every element to the range from `min` to `max`, numbers or tensors.

    The gradient is 1 inside and on the borders, 0 outside.

    >>> bl.clamp(bl.tensor([-2.0, 0.5, 9.0]), min=0.0, max=1.0)
    tensor([0.0000, 0.5000, 1.0000])
    """

    aliases = ("clip",)

    def call(input, min=None, max=None):
        if min is None and max is None:
            raise ArgumentError("clamp: at least one of min and max must be given")
        low = -math.inf if min is None else min
        high = math.inf if max is None else max
        if not input.dtype.is_floating_point and (min is None or max is None):
            limits = dt.iinfo(input.dtype)
            low, high = (limits.min if min is None else min), (limits.max if max is None else max)
        return apply(Clamp, input, low, high)

    def formula(m, x, low, high):
        return m.minimum(m.maximum(x, low), high)

    def d_x(m, x, low, high):
        return m.where(_both(m, x >= low, x <= high), 1.0, 0.0)

    def d_low(m, x, low, high):
        return m.where(_both(m, x < low, low < high), 1.0, 0.0)

    def d_high(m, x, low, high):
        return m.where(_either(m, x > high, low > high), 1.0, 0.0)


def _either(m: Any, first: Any, second: Any) -> Any:
    if isinstance(second, bool):
        return (first == first) if second else first
    return m.logical_or(first, second)


# ----- comparisons and logic: results are bool, there is no gradient -----


class Compare(Elementwise, abstract=True):
    result = "bool"


class Eq(Compare):
    """Whether two are equal, element by element.

    >>> bl.eq(bl.tensor([1, 2, 3]), 2)
    tensor([False,  True, False])
    """

    def formula(m, a, b):
        return a == b


class Ne(Compare):
    """Whether two differ, element by element.

    >>> bl.ne(bl.tensor([1, 2, 3]), 2)
    tensor([ True, False,  True])
    """

    aliases = ("not_equal",)

    def formula(m, a, b):
        return a != b


class Lt(Compare):
    """Whether the first is smaller.

    >>> bl.lt(bl.tensor([1, 2, 3]), 2)
    tensor([ True, False, False])
    """

    aliases = ("less",)

    def formula(m, a, b):
        return a < b


class Le(Compare):
    """Whether the first is smaller or equal.

    >>> bl.le(bl.tensor([1, 2, 3]), 2)
    tensor([ True,  True, False])
    """

    aliases = ("less_equal",)

    def formula(m, a, b):
        return a <= b


class Gt(Compare):
    """Whether the first is larger.

    >>> bl.gt(bl.tensor([1, 2, 3]), 2)
    tensor([False, False,  True])
    """

    aliases = ("greater",)

    def formula(m, a, b):
        return a > b


class Ge(Compare):
    """Whether the first is larger or equal.

    >>> bl.ge(bl.tensor([1, 2, 3]), 2)
    tensor([False,  True,  True])
    """

    aliases = ("greater_equal",)

    def formula(m, a, b):
        return a >= b


class LogicalAnd(Compare):
    """Whether both hold (are not 0).

    >>> bl.logical_and(bl.tensor([True, False]), bl.tensor([True, True]))
    tensor([ True, False])
    """

    def formula(m, a, b):
        return m.logical_and(a, b)


class LogicalOr(Compare):
    """Whether at least one holds (is not 0).

    >>> bl.logical_or(bl.tensor([True, False]), bl.tensor([True, True]))
    tensor([True, True])
    """

    def formula(m, a, b):
        return m.logical_or(a, b)


class LogicalXor(Compare):
    """Whether exactly one holds (is not 0).

    >>> bl.logical_xor(bl.tensor([True, False]), bl.tensor([True, True]))
    tensor([False,  True])
    """

    def formula(m, a, b):
        return m.logical_xor(a, b)


class LogicalNot(Compare):
    """Whether it does not hold (is 0).

    >>> bl.logical_not(bl.tensor([True, False]))
    tensor([False,  True])
    """

    def formula(m, x):
        return m.logical_not(x)


# ----- bits of whole numbers; of bools, they are the logical operators -----


class Bitwise(Elementwise, abstract=True):
    @classmethod
    def run(cls, arrays, params):
        cls.infer(*map(spec_of, arrays))  # always: NumPy's own refusal names no operator
        return super().run(arrays, params)

    @classmethod
    def infer(cls, *specs, **params):
        found = _infer(cls, specs)
        if found.dtype.is_floating_point:
            raise DTypeError(
                "bits are of whole numbers and bools, not of floats",
                hint="compare first: (x > 0) & (y > 0)",
            )
        return found


class BitwiseAnd(Bitwise):
    """Bits that are set in both; of bools, whether both hold. The operator `&`.

    >>> bl.tensor([6, 5]) & 3, bl.tensor([True, False]) & bl.tensor([True, True])
    (tensor([2, 1]), tensor([ True, False]))
    """

    def formula(m, a, b):
        return a & b


class BitwiseOr(Bitwise):
    """Bits that are set in at least one; of bools, whether one holds. The operator `|`.

    >>> bl.tensor([6, 5]) | 3, bl.tensor([True, False]) | bl.tensor([False, False])
    (tensor([7, 7]), tensor([ True, False]))
    """

    def formula(m, a, b):
        return a | b


class BitwiseXor(Bitwise):
    """Bits that are set in exactly one; of bools, whether they differ. The operator `^`.

    >>> bl.tensor([6, 5]) ^ 3, bl.tensor([True, False]) ^ bl.tensor([True, True])
    (tensor([5, 6]), tensor([False,  True]))
    """

    def formula(m, a, b):
        return a ^ b


class BitwiseNot(Bitwise):
    """The complement of every bit; of bools, the contrary. The operator `~`.

    >>> ~bl.tensor([0, 6]), ~bl.tensor([True, False])
    (tensor([-1, -7]), tensor([False,  True]))
    """

    def formula(m, x):
        return ~x


class Shift(Bitwise, abstract=True):
    @classmethod
    def infer(cls, *specs, **params):
        found = super().infer(*specs)
        if found.dtype is dt.bool_:
            raise DTypeError("bools can't be shifted", hint="convert one: x.int()")
        return found


class BitwiseLeftShift(Shift):
    """The bits moved up by `other` places. The operator `<<`.

    >>> bl.tensor([1, 3]) << 2
    tensor([ 4, 12])
    """

    def formula(m, a, b):
        return a << b


class BitwiseRightShift(Shift):
    """The bits moved down by `other` places, keeping the sign. The operator `>>`.

    >>> bl.tensor([9, -9]) >> 1
    tensor([ 4, -5])
    """

    def formula(m, a, b):
        return a >> b


# ----- what kind of number it is -----


class Isnan(Compare):
    """Whether an element is NaN.

    >>> bl.isnan(bl.tensor([1.0, float("nan")]))
    tensor([False,  True])
    """

    def formula(m, x):
        return m.isnan(x)


class Isinf(Compare):
    """Whether an element is infinite.

    >>> bl.isinf(bl.tensor([1.0, float("inf")]))
    tensor([False,  True])
    """

    def formula(m, x):
        return m.isinf(x)


class Isfinite(Compare):
    """Whether an element is neither infinite nor NaN.

    >>> bl.isfinite(bl.tensor([1.0, float("nan")]))
    tensor([ True, False])
    """

    def formula(m, x):
        return m.isfinite(x)
