"""Reductions along axes: sums, means, products, variances, truth.

16-bit floats are accumulated in single precision. Extremes are in extreme.py, running sums in
running.py, norms and distances in distance.py; all take their axes from here.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import DTypeError
from backlit.ops.elementwise import Where
from backlit.ops.op import Composite, Operator, Spec, apply, normalize_axes
from backlit.ops.shape import accumulator, to


def reduced(shape: tuple, dims: tuple, keepdim: bool) -> tuple:
    """The shape after reducing over `dims`."""
    if keepdim:
        return tuple(1 if i in dims else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in dims)


def spread(value: Any, shape: tuple, dims: tuple) -> Any:
    """Bring a reduced value (without its axes) back to `shape`."""
    kept = tuple(1 if i in dims else n for i, n in enumerate(shape))
    if value.cell.array.shape != kept:
        value = value.reshape(kept)
    return value.expand(shape)


def count_of(shape: tuple, dims: tuple) -> int:
    """How many elements go into one result."""
    return math.prod(shape[d] for d in dims)


def require_mean(spec: Spec, name: str) -> None:
    """A mean of whole numbers is none."""
    if not spec.dtype.is_floating_point:
        raise DTypeError(
            f"{name} is of floating point numbers, got {spec.dtype.name}",
            hint="convert it: x.float(), or pass dtype=",
        )


class Sum(Operator):
    """The sum of all elements, or along axes. Whole numbers and bools sum to int64.

    >>> bl.sum(bl.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """

    moves = True

    def call(input, dim=None, keepdim=False, *, dtype=None):
        if dtype is not None:
            input = to(input, dtype)
        elif not input.dtype.is_floating_point:
            input = to(input, dt.int64)
        return apply(Sum, input, dims=normalize_axes(dim, input.ndim), keepdim=bool(keepdim))

    def infer(x, *, dims, keepdim):
        return Spec(reduced(x.shape, dims, keepdim), x.dtype)

    def forward(x, *, dims, keepdim):
        if not dims:
            return x
        total = x.sum(axis=dims, keepdims=keepdim, dtype=accumulator(x.dtype))
        return total.astype(x.dtype, copy=False)

    def grad_x(g, x_spec, dims):
        return spread(g, x_spec.shape, dims)

    def latex(x, *, dims, keepdim):
        return rf"\sum {x}"


class Mean(Operator):
    """The mean of all elements, or along axes; of nothing it is NaN.

    >>> bl.mean(bl.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([2., 3.])
    """

    moves = True

    def call(input, dim=None, keepdim=False, *, dtype=None):
        if dtype is not None:
            input = to(input, dtype)
        return apply(Mean, input, dims=normalize_axes(dim, input.ndim), keepdim=bool(keepdim))

    def infer(x, *, dims, keepdim):
        require_mean(x, "the mean")
        return Spec(reduced(x.shape, dims, keepdim), x.dtype)

    def forward(x, *, dims, keepdim):
        if not dims:
            return x
        total = x.sum(axis=dims, keepdims=keepdim, dtype=accumulator(x.dtype))
        return (total / count_of(x.shape, dims)).astype(x.dtype, copy=False)

    def grad_x(g, x_spec, dims):
        count = count_of(x_spec.shape, dims)
        return spread(g / count if count else g, x_spec.shape, dims)

    def latex(x, *, dims, keepdim):
        return rf"\overline{{{x}}}"


class Prod(Operator):
    """The product of all elements, or along an axis. Whole numbers multiply to int64.

    The gradient is right at zeros too: it multiplies all the others and divides by nothing.

    >>> bl.prod(bl.tensor([[1.0, 2.0], [3.0, 4.0]]), 1)
    tensor([ 2., 12.])
    """

    def call(input, dim=None, keepdim=False, *, dtype=None):
        if dtype is not None:
            input = to(input, dtype)
        elif not input.dtype.is_floating_point:
            input = to(input, dt.int64)
        return apply(Prod, input, dims=normalize_axes(dim, input.ndim), keepdim=bool(keepdim))

    def infer(x, *, dims, keepdim):
        return Spec(reduced(x.shape, dims, keepdim), x.dtype)

    def forward(x, *, dims, keepdim):
        if not dims:
            return x
        total = x.prod(axis=dims, keepdims=keepdim, dtype=accumulator(x.dtype))
        return total.astype(x.dtype, copy=False)

    def grad_x(g, x, dims):
        others = product_of_others(x, dims)
        return spread(g, x.shape, dims) * others

    def latex(x, *, dims, keepdim):
        return rf"\prod {x}"


def product_of_others(x: Any, dims: tuple) -> Any:
    """At each element the product of all others along `dims`, from both sides."""
    from backlit.ops.running import before

    shape = tuple(x.shape)
    if not dims or not x.numel():
        return x.new_ones(shape)
    kept = tuple(i for i in range(len(shape)) if i not in dims)
    order = (*kept, *dims)
    rows = x.permute(order).reshape((-1, count_of(shape, dims)))
    others = before(rows.cumprod(1), 1, 1.0) * before(rows.flip(1).cumprod(1), 1, 1.0).flip(1)
    back = tuple(int(i) for i in np.argsort(order))
    return others.reshape(tuple(shape[i] for i in order)).permute(back)


# ----- spread around the mean -----


def _variance_arguments(input: Any, dim: Any, unbiased: Any, correction: Any) -> dict:
    """PyTorch's two ways to call: `unbiased` (also as the only argument) or `correction`."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    if correction is None:
        correction = 0 if unbiased is False else 1
    return {"dims": normalize_axes(dim, input.ndim), "correction": correction}


class Var(Operator):
    """The variance: the mean square distance from the mean, with n - correction for n.

    >>> bl.var(bl.tensor([1.0, 2.0, 3.0])), bl.var(bl.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(1.))
    """

    def call(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
        given = _variance_arguments(input, dim, unbiased, correction)
        return apply(Var, input, **given, keepdim=bool(keepdim))

    def infer(x, *, dims, correction, keepdim):
        require_mean(x, "the variance")
        if count_of(x.shape, dims) <= correction:
            warnings.warn(
                f"var: {count_of(x.shape, dims)} elements with correction={correction} leave no"
                " degree of freedom: the result is NaN or infinite", stacklevel=2,
            )  # fmt: skip
        return Spec(reduced(x.shape, dims, keepdim), x.dtype)

    def forward(x, *, dims, correction, keepdim):
        wide = x.astype(accumulator(x.dtype), copy=False)
        count = count_of(x.shape, dims)
        away = wide - wide.sum(axis=dims, keepdims=True) / count if dims else wide * 0
        total = np.square(away).sum(axis=dims, keepdims=keepdim)
        return np.asarray(total / np.float32(max(count - correction, 0))).astype(x.dtype)

    def grad_x(g, x, dims, correction):
        count = count_of(x.shape, dims)
        away = x - x.mean(dims, keepdim=True) if dims else x * 0.0
        scale = 2.0 / (count - correction) if count > correction else math.nan
        return away * (spread(g, x.shape, dims) * scale)

    def latex(x, *, dims, correction, keepdim):
        return rf"\operatorname{{Var}}\left({x}\right)"


class Std(Operator):
    """The standard deviation: the root of the variance. Its gradient at 0 is 0.

    >>> bl.std(bl.tensor([1.0, 2.0, 3.0]))
    tensor(1.)
    """

    def call(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
        given = _variance_arguments(input, dim, unbiased, correction)
        return apply(Std, input, **given, keepdim=bool(keepdim))

    def infer(x, *, dims, correction, keepdim):
        return Var.infer(x, dims=dims, correction=correction, keepdim=keepdim)

    def forward(x, *, dims, correction, keepdim):
        return np.sqrt(Var.forward(x, dims=dims, correction=correction, keepdim=keepdim))

    def grad_x(g, x, y, dims, correction):
        half = apply(Where, y == 0, 0.0, g / (y * 2.0))
        return Var.grad_x(half, x, dims, correction)

    def latex(x, *, dims, correction, keepdim):
        return rf"\operatorname{{std}}\left({x}\right)"


class VarMean(Composite):
    """The variance and the mean.

    >>> bl.var_mean(bl.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """

    exports = "bl"

    def expand(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
        given = _variance_arguments(input, dim, unbiased, correction)
        variance = apply(Var, input, **given, keepdim=bool(keepdim))
        return variance, apply(Mean, input, dims=given["dims"], keepdim=bool(keepdim))


class StdMean(Composite):
    """The standard deviation and the mean.

    >>> bl.std_mean(bl.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """

    exports = "bl"

    def expand(input, dim=None, unbiased=None, keepdim=False, *, correction=None):
        given = _variance_arguments(input, dim, unbiased, correction)
        deviation = apply(Std, input, **given, keepdim=bool(keepdim))
        return deviation, apply(Mean, input, dims=given["dims"], keepdim=bool(keepdim))


class Logsumexp(Operator):
    """ln of the sum of e^x along axes, finite for any size of x.

    >>> bl.logsumexp(bl.tensor([1000.0, 1000.0]), dim=0)
    tensor(1000.6932)
    """

    exports = "bl Tensor special"

    def call(input, dim, keepdim=False):
        if not input.dtype.is_floating_point:
            input = to(input, dt.get_default_dtype())
        return apply(Logsumexp, input, dims=normalize_axes(dim, input.ndim), keepdim=bool(keepdim))

    def infer(x, *, dims, keepdim):
        return Spec(reduced(x.shape, dims, keepdim), x.dtype)

    def forward(x, *, dims, keepdim):
        if not dims:
            return x
        wide = x.astype(accumulator(x.dtype), copy=False)
        top = wide.max(axis=dims, keepdims=True, initial=-np.inf)
        top = np.where(np.isfinite(top), top, wide.dtype.type(0))
        total = np.log(np.exp(wide - top).sum(axis=dims, keepdims=True)) + top
        return total.reshape(reduced(x.shape, dims, keepdim)).astype(x.dtype, copy=False)

    def grad_x(g, x, y, dims):
        shape = tuple(x.shape)
        return spread(g, shape, dims) * (x - spread(y, shape, dims)).exp()

    def latex(x, *, dims, keepdim):
        return rf"\ln \sum e^{{{x}}}"


# ----- without NaN -----


class Nansum(Composite):
    """The sum of the elements that are numbers.

    >>> bl.nansum(bl.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """

    def expand(input, dim=None, keepdim=False, *, dtype=None):
        if not input.dtype.is_floating_point:
            return Sum.call(input, dim, keepdim, dtype=dtype)
        return Sum.call(apply(Where, input.isnan(), 0.0, input), dim, keepdim, dtype=dtype)


class Nanmean(Composite):
    """The mean of the elements that are numbers.

    >>> bl.nanmean(bl.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """

    def expand(input, dim=None, keepdim=False, *, dtype=None):
        require_mean(Spec(tuple(input.shape), dtype or input.dtype), "the mean")
        count = Sum.call(input.isnan().logical_not(), dim, keepdim)
        return Nansum.call(input, dim, keepdim, dtype=dtype) / count


# ----- truth and counts -----


class AnyElement(Operator):
    """Whether any element is not 0.

    >>> bl.any(bl.tensor([[True, False], [False, False]]), dim=1)
    tensor([ True, False])
    """

    name = "any"
    differentiable = False

    def call(input, dim=None, keepdim=False):
        return apply(AnyElement, input, dims=normalize_axes(dim, input.ndim), keepdim=bool(keepdim))

    def infer(x, *, dims, keepdim):
        return Spec(reduced(x.shape, dims, keepdim), _truth(x.dtype))

    def forward(x, *, dims, keepdim):
        found = x.astype(bool, copy=False)
        found = found.any(axis=dims, keepdims=keepdim) if dims else found
        return found.astype(np.uint8) if x.dtype == np.uint8 else found

    def latex(x, *, dims, keepdim):
        return rf"\exists\, {x}"


class AllElements(Operator):
    """Whether every element is not 0.

    >>> bl.all(bl.tensor([[True, False], [True, True]]), dim=1)
    tensor([False,  True])
    """

    name = "all"
    differentiable = False

    def call(input, dim=None, keepdim=False):
        dims = normalize_axes(dim, input.ndim)
        return apply(AllElements, input, dims=dims, keepdim=bool(keepdim))

    def infer(x, *, dims, keepdim):
        return Spec(reduced(x.shape, dims, keepdim), _truth(x.dtype))

    def forward(x, *, dims, keepdim):
        found = x.astype(bool, copy=False)
        found = found.all(axis=dims, keepdims=keepdim) if dims else found
        return found.astype(np.uint8) if x.dtype == np.uint8 else found

    def latex(x, *, dims, keepdim):
        return rf"\forall\, {x}"


def _truth(dtype: dt.dtype) -> dt.dtype:
    """Bytes were PyTorch's bools once and stay bytes."""
    return dt.uint8 if dtype is dt.uint8 else dt.bool_


class CountNonzero(Operator):
    """How many elements are not 0, in all or along axes.

    >>> bl.count_nonzero(bl.tensor([[0, 1], [2, 3]]), dim=0)
    tensor([1, 2])
    """

    differentiable = False

    def call(input, dim=None):
        return apply(CountNonzero, input, dims=normalize_axes(dim, input.ndim))

    def infer(x, *, dims):
        return Spec(reduced(x.shape, dims, False), dt.int64)

    def forward(x, *, dims):
        return np.asarray((x != 0).sum(axis=dims, dtype=np.int64))

    def latex(x, *, dims):
        return rf"\left|\left\{{{x} \ne 0\right\}}\right|"
