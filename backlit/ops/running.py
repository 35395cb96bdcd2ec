"""Running sums, products and extremes along an axis; differences and areas.

Running products and their derivatives rest on one linear recurrence, s_i = b_i + a_i s_(i-1),
whose gradient is the same recurrence from the other end: right at zeros, to any order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ShapeError
from backlit.ops.op import (
    REGISTRY,
    Composite,
    Operator,
    Spec,
    apply,
    export_in_place,
    normalize_axis,
    require_float,
)
from backlit.ops.reduce import Sum
from backlit.ops.shape import accumulator, to
from backlit.returns import named


def part(x: Any, dim: int, start: int, stop: int | None) -> Any:
    """x[start:stop] along an axis."""
    return x[(*(slice(None),) * dim, slice(start, stop))]


def join(values: list, dim: int) -> Any:
    return REGISTRY["cat"].call(values, dim)


def before(x: Any, dim: int, first: float) -> Any:
    """Each element's predecessor along an axis; the first one's is a number."""
    edge = x.detach().new_full(tuple(1 if i == dim else n for i, n in enumerate(x.shape)), first)
    return join([edge, part(x, dim, 0, -1)], dim) if x.shape[dim] else x


def after(x: Any, dim: int, last: float) -> Any:
    """Each element's successor along an axis; the last one's is a number."""
    return before(x.flip(dim), dim, last).flip(dim)


def _summable(input: Any, dtype: Any) -> Any:
    """Whole numbers and bools run in int64."""
    if dtype is not None:
        return to(input, dtype)
    return input if input.dtype.is_floating_point else to(input, dt.int64)


class Running(Operator, abstract=True):
    """The common rules: one axis, the shape stays."""

    exports = "bl Tensor"

    @classmethod
    def infer(cls, x, *, dim):
        return x


class Cumsum(Running):
    """Sums of the elements so far, along an axis. Whole numbers sum to int64.

    >>> bl.cumsum(bl.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])
    """

    moves = True

    def call(input, dim, *, dtype=None):
        dim = normalize_axis(dim, input.ndim)
        return apply(Cumsum, _summable(input, dtype), dim=dim)

    def forward(x, *, dim):
        if not x.ndim:
            return x
        return np.cumsum(x, axis=dim, dtype=accumulator(x.dtype)).astype(x.dtype, copy=False)

    def grad_x(g, dim):
        return g.flip(dim).cumsum(dim).flip(dim) if g.ndim else g

    def latex(x, *, dim):
        return rf"\sum_{{j \le i}} {x}_j"


class LinearScan(Operator):
    """s_i = b_i + a_i s_(i-1) along an axis, from s_(-1) = 0."""

    exports = ""

    def infer(a, b, *, dim):
        return b

    def forward(a, b, *, dim):
        rows, steps = np.moveaxis(a, dim, 0), np.moveaxis(b, dim, 0)
        out = np.empty(steps.shape, accumulator(b.dtype))
        state = np.zeros(steps.shape[1:], out.dtype)
        for i in range(len(steps)):
            state = steps[i] + rows[i] * state
            out[i] = state
        return np.moveaxis(out, 0, dim).astype(b.dtype, copy=False)

    def grad_a(g, a, y, dim):
        return _reverse_scan(a, g, dim) * before(y, dim, 0.0)

    def grad_b(g, a, dim):
        return _reverse_scan(a, g, dim)

    def latex(a, b, *, dim):
        return rf"s_i = {b}_i + {a}_i\, s_{{i-1}}"


def _reverse_scan(a: Any, g: Any, dim: int) -> Any:
    """t_i = g_i + a_(i+1) t_(i+1)."""
    factors = before(a.flip(dim), dim, 0.0)
    return apply(LinearScan, factors, g.flip(dim), dim=dim).flip(dim)


class Cumprod(Running):
    """Products of the elements so far, along an axis. Whole numbers multiply to int64.

    >>> bl.cumprod(bl.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])
    """

    def call(input, dim, *, dtype=None):
        dim = normalize_axis(dim, input.ndim)
        return apply(Cumprod, _summable(input, dtype), dim=dim)

    def forward(x, *, dim):
        if not x.ndim:
            return x
        return np.cumprod(x, axis=dim, dtype=accumulator(x.dtype)).astype(x.dtype, copy=False)

    def grad_x(g, x, y, dim):
        return before(y, dim, 1.0) * _reverse_scan(x, g, dim) if g.ndim else g

    def latex(x, *, dim):
        return rf"\prod_{{j \le i}} {x}_j"


class Logcumsumexp(Running):
    """ln of the sums of e^x so far, along an axis, finite for any size of x.

    >>> bl.logcumsumexp(bl.tensor([0.0, 0.0]), dim=0)
    tensor([0.0000, 0.6931])
    """

    def call(input, dim):
        return apply(Logcumsumexp, input, dim=normalize_axis(dim, input.ndim))

    @classmethod
    def infer(cls, x, *, dim):
        require_float(x)
        return x

    def forward(x, *, dim):
        if not x.ndim:
            return x
        wide = x.astype(accumulator(x.dtype), copy=False)
        return np.logaddexp.accumulate(wide, axis=dim).astype(x.dtype, copy=False)

    def grad_x(g, x, y, dim):
        # dy_k/dx_i = e^(x_i - y_k) for i <= k. With y growing, e^(y_i - y_k) <= 1 is a product
        # of the ratios between neighbours: the recurrence never overflows.
        if not g.ndim:
            return g
        steps = (part(y, dim, 0, -1) - part(y, dim, 1, None)).exp()
        ratio = join([part(y, dim, 0, 1).detach() * 0.0, steps], dim)
        return (x - y).exp() * _reverse_scan(ratio, g, dim)

    def latex(x, *, dim):
        return rf"\ln \sum_{{j \le i}} e^{{{x}_j}}"


export_in_place(Cumsum.call, "cumsum_")
export_in_place(Cumprod.call, "cumprod_")


# ----- extremes so far -----


class RunningExtreme(Operator, abstract=True):
    """The common rules of cummax and cummin: values, and the index of the last that set them."""

    exports = ""
    outputs = ("values", "indices")
    nondifferentiable = ("indices",)

    @classmethod
    def infer(cls, x, *, dim):
        return x, Spec(x.shape, dt.int64)

    @classmethod
    def forward(cls, x, *, dim):
        if not x.ndim:
            return x, np.zeros((), np.int64)
        values = cls.extreme.accumulate(x, axis=dim)
        here = np.arange(x.shape[dim]).reshape([-1 if i == dim else 1 for i in range(x.ndim)])
        hit = np.where((x == values) | (x != x), here, 0)
        return values, np.maximum.accumulate(hit, axis=dim).astype(np.int64)

    def grad_x(g_values, indices, x_spec, dim):
        if not x_spec.ndim:
            return g_values
        return g_values.new_zeros(x_spec.shape).scatter_add(dim, indices, g_values)


class RunningMax(RunningExtreme):
    """The largest element so far, and its index."""

    inputs = ("x",)
    extreme = np.maximum

    def latex(x, *, dim):
        return rf"\max_{{j \le i}} {x}_j"


class RunningMin(RunningExtreme):
    """The smallest element so far, and its index."""

    inputs = ("x",)
    extreme = np.minimum

    def latex(x, *, dim):
        return rf"\min_{{j \le i}} {x}_j"


class Cummax(Composite):
    """The largest elements so far along an axis, and the indices of the last to reach them.

    >>> bl.cummax(bl.tensor([1.0, 3.0, 2.0]), dim=0).values
    tensor([1., 3., 3.])
    """

    def expand(input, dim):
        values, indices = apply(RunningMax, input, dim=normalize_axis(dim, input.ndim))
        return named("cummax", values=values, indices=indices)


class Cummin(Composite):
    """The smallest elements so far along an axis, and the indices of the last to reach them.

    >>> bl.cummin(bl.tensor([3.0, 1.0, 2.0]), dim=0).indices
    tensor([0, 1, 1])
    """

    def expand(input, dim):
        values, indices = apply(RunningMin, input, dim=normalize_axis(dim, input.ndim))
        return named("cummin", values=values, indices=indices)


# ----- differences and areas -----


class Diff(Composite):
    """Differences of neighbours along an axis, `n` times over.

    >>> bl.diff(bl.tensor([1.0, 4.0, 9.0])), bl.diff(bl.tensor([1.0, 4.0, 9.0]), n=2)
    (tensor([3., 5.]), tensor([2.]))
    """

    def expand(input, n=1, dim=-1, prepend=None, append=None):
        if not input.ndim:
            raise ShapeError("diff: a 0-dim tensor has no neighbours", hint="reshape it: x[None]")
        if n < 0:
            raise ArgumentError(f"diff: the order must not be negative, got {n}")
        dim = normalize_axis(dim, input.ndim)
        if prepend is not None or append is not None:
            input = join([t for t in (prepend, input, append) if t is not None], dim)
        for _ in range(n):
            low, high = part(input, dim, 0, -1), part(input, dim, 1, None)
            input = high ^ low if input.dtype is dt.bool_ else high - low
        return input


def _widths(y: Any, x: Any, dx: float, dim: int) -> Any:
    """The distances between the points at which y was taken."""
    if x is None:
        return dx
    if x.ndim == 1 and y.ndim > 1:
        if x.shape[0] != y.shape[dim]:
            raise ShapeError(f"{y.shape[dim]} values along axis {dim} but {x.shape[0]} points")
        x = x.reshape(tuple(-1 if i == dim else 1 for i in range(y.ndim)))
    return Diff.call(x, 1, dim - y.ndim)


def _trapezoids(y: Any, x: Any, dx: float, dim: int) -> tuple[Any, int]:
    if not y.ndim:
        raise ShapeError("trapezoid: a 0-dim tensor has no area", hint="reshape it: y[None]")
    dim = normalize_axis(dim, y.ndim)
    means = (part(y, dim, 0, -1) + part(y, dim, 1, None)) / 2
    return means * _widths(y, x, dx, dim), dim


class Trapezoid(Composite):
    """The area under y by the trapezoid rule, over points `x` or steps `dx`.

    >>> bl.trapezoid(bl.tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """

    exports = "bl"
    aliases = ("trapz",)

    def expand(y, x=None, *, dx=1, dim=-1):
        areas, dim = _trapezoids(y, x, dx, dim)
        return Sum.call(areas, dim - y.ndim)


class CumulativeTrapezoid(Composite):
    """The area under y up to each point, by the trapezoid rule.

    >>> bl.cumulative_trapezoid(bl.tensor([1.0, 2.0, 3.0]))
    tensor([1.5000, 4.0000])
    """

    exports = "bl"

    def expand(y, x=None, *, dx=1, dim=-1):
        areas, dim = _trapezoids(y, x, dx, dim)
        return Cumsum.call(areas, dim - y.ndim)
