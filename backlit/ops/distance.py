"""Norms, and how far apart or how alike vectors are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.elementwise import Where
from backlit.ops.op import (
    Composite,
    Operator,
    Spec,
    apply,
    export_in_place,
    normalize_axes,
    normalize_axis,
    require_float,
)
from backlit.ops.reduce import reduced, spread
from backlit.ops.shape import accumulator, to


class PNorm(Operator):
    """The p-norm of vectors along axes, p from -inf to inf; 0 counts what is not 0.

    Where a norm has no gradient (the 2-norm at 0, elements at 0 for p < 2) it is 0.
    """

    name = "p_norm"
    exports = ""

    def infer(x, *, p, dims, keepdim):
        require_float(x)
        if (p < 0 or p == math.inf) and any(x.shape[d] == 0 for d in dims):
            raise ArgumentError(f"no {p}-norm of an axis of size 0: shape {x.shape}")
        return Spec(reduced(x.shape, dims, keepdim), x.dtype)

    def forward(x, *, p, dims, keepdim):
        wide = x.astype(accumulator(x.dtype), copy=False)
        if p == 2:
            total = np.sqrt(np.square(wide).sum(axis=dims, keepdims=keepdim))
        elif p == 0:
            total = (wide != 0).sum(axis=dims, keepdims=keepdim)
        elif math.isinf(p):
            pick = np.max if p > 0 else np.min
            total = pick(np.abs(wide), axis=dims, keepdims=keepdim)
        elif p == 1:
            total = np.abs(wide).sum(axis=dims, keepdims=keepdim)
        else:
            total = np.power(np.power(np.abs(wide), p).sum(axis=dims, keepdims=keepdim), 1 / p)
        return np.asarray(total).astype(x.dtype, copy=False)

    def grad_x(g, x, y, p, dims):
        if p == 0:
            return spread(g, tuple(x.shape), dims) * 0.0
        g, y = (spread(v, tuple(x.shape), dims) for v in (g, y))
        if p == 1:
            return g * x.sign()
        if math.isinf(p):
            hit = to(x.abs() == y, x.dtype)
            return x.sign() * hit * (g / hit.sum(dims, keepdim=True))
        if p == 2:
            return x * apply(Where, y == 0, 0.0, g / y)
        ratio = x.abs() / y
        return x.sign() * g * apply(Where, (x == 0) | (y == 0), 0.0, ratio ** (p - 1))

    def latex(x, *, p, dims, keepdim):
        order = r"\infty" if p == math.inf else f"{p:g}"
        return rf"\left\|{x}\right\|_{{{order}}}"


def p_norm(input: Any, p: float, dim: Any, keepdim: bool = False) -> Any:
    """The p-norm over axes; None means all."""
    dims = normalize_axes(dim, input.ndim)
    return apply(PNorm, input, p=float(p), dims=dims, keepdim=bool(keepdim))


class Norm(Composite):
    """The p-norm of all elements, or along axes; "fro" is the 2-norm.

    >>> bl.norm(bl.tensor([3.0, 4.0])), bl.norm(bl.tensor([3.0, -4.0]), p=float("inf"))
    (tensor(5.), tensor(4.))
    """

    def expand(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
        if dtype is not None:
            input = to(input, dtype)
        if p == "nuc":
            from backlit.ops.op import REGISTRY

            return REGISTRY["matrix_norm"].call(input, "nuc", dim or (-2, -1), keepdim)
        if p is None or p == "fro":
            p = 2.0
        if not isinstance(p, (int, float)):
            raise ArgumentError(f"p must be a number, 'fro' or 'nuc', got {p!r}")
        return p_norm(input, p, dim, keepdim)

    def latex(input, **params):
        return rf"\left\|{input}\right\|"


class Normalize(Composite):
    """Vectors along `dim` divided by their p-norm, or by `eps` where that is larger.

    >>> F.normalize(bl.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """

    exports = "F"

    def expand(input, p=2.0, dim=1, eps=1e-12, out=None):
        return input / p_norm(input, p, dim, True).clamp(min=eps)

    def latex(input, **params):
        return rf"\frac{{{input}}}{{\left\|{input}\right\|}}"


class CosineSimilarity(Composite):
    """The cosine of the angle between vectors along `dim`; norms below `eps` count as eps.

    >>> F.cosine_similarity(bl.tensor([[1.0, 0.0]]), bl.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """

    exports = "bl F"

    def expand(x1, x2, dim=1, eps=1e-8):
        ndim = max(x1.ndim, x2.ndim)
        dim = normalize_axis(dim, ndim) - ndim
        x1, x2 = _together(x1, x2)
        first = x1 / p_norm(x1, 2.0, dim, True).clamp(min=eps)
        return (first * (x2 / p_norm(x2, 2.0, dim, True).clamp(min=eps))).sum(dim)

    def latex(x1, x2, **params):
        return rf"\frac{{{x1} \cdot {x2}}}{{\left\|{x1}\right\| \left\|{x2}\right\|}}"


def _together(a: Any, b: Any) -> tuple[Any, Any]:
    """Two tensors in one float dtype, with the same number of axes."""
    common = dt.promote_types(a.dtype, b.dtype)
    if not common.is_floating_point:
        raise ArgumentTypeError(f"expected floats, got {a.dtype.name} and {b.dtype.name}")
    ndim = max(a.ndim, b.ndim)
    return tuple(  # type: ignore[return-value]
        to(t, common).reshape((*(1,) * (ndim - t.ndim), *t.shape)) for t in (a, b)
    )


class PairwiseDistance(Composite):
    """The p-norm of the difference of vectors, along the last axis; `eps` keeps it off 0.

    >>> F.pairwise_distance(bl.tensor([[0.0, 0.0]]), bl.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """

    exports = "bl F"

    def expand(x1, x2, p=2.0, eps=1e-6, keepdim=False):
        return p_norm(x1 - x2 + eps, p, -1, keepdim)

    def latex(x1, x2, **params):
        return rf"\left\|{x1} - {x2}\right\|"


class Cdist(Composite):
    """The p-norm of the difference of every row of one batch and every row of another.

    x1 (..., P, M), x2 (..., R, M) to (..., P, R). The differences themselves are formed: exact
    also for near rows, at the price of P R M numbers.

    >>> bl.cdist(bl.tensor([[0.0, 0.0]]), bl.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])
    """

    exports = "bl"

    def expand(x1, x2, p=2.0, compute_mode="use_mm_for_euclid_dist_if_necessary"):
        if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
            raise ShapeError(
                f"rows of {tuple(x1.shape)} and {tuple(x2.shape)} have no distance",
                hint="x1 is (..., P, M), x2 (..., R, M)",
            )
        if p < 0:
            raise ArgumentError(f"cdist: p must not be negative, got {p}")
        return p_norm(x1.unsqueeze(-2) - x2.unsqueeze(-3), p, -1)

    def latex(x1, x2, **params):
        return rf"\left\|{x1}_i - {x2}_j\right\|"


class Pdist(Composite):
    """The p-norm of the difference of every two rows, as one vector: (0, 1), (0, 2), ...

    >>> F.pdist(bl.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]]))
    tensor([5.0000, 1.0000, 4.2426])
    """

    exports = "bl F"

    def expand(input, p=2.0):
        if input.ndim != 2:
            raise ShapeError(f"pdist: expected rows (N, M), got shape {tuple(input.shape)}")
        if p < 0:
            raise ArgumentError(f"pdist: p must not be negative, got {p}")
        first, second = np.triu_indices(input.shape[0], 1)
        return p_norm(input[first] - input[second], p, -1)

    def latex(input, **params):
        return rf"\left\|{input}_i - {input}_j\right\|"


class Dist(Composite):
    """The p-norm of the difference of two tensors.

    >>> bl.dist(bl.tensor([1.0, 2.0]), bl.tensor([4.0, 6.0]))
    tensor(5.)
    """

    def expand(input, other, p=2):
        return p_norm(input - other, p, None)

    def latex(input, other, **params):
        return rf"\left\|{input} - {other}\right\|"


class Renorm(Composite):
    """Slices along `dim` whose p-norm exceeds `maxnorm`, scaled down to it.

    >>> bl.renorm(bl.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """

    def expand(input, p, dim, maxnorm):
        if input.ndim < 2:
            raise ShapeError(f"renorm: a tensor of {input.ndim} axes has no slices")
        if p <= 0 or maxnorm < 0:
            raise ArgumentError(f"renorm: p={p} must be positive, maxnorm={maxnorm} not negative")
        dim = normalize_axis(dim, input.ndim)
        norms = p_norm(input, p, [i for i in range(input.ndim) if i != dim], True)
        return input * apply(Where, norms > maxnorm, maxnorm / (norms + 1e-7), 1.0)


export_in_place(Renorm.call, "renorm_")
