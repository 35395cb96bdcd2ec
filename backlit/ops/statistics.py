"""Counting values into bins, and how variables vary together."""

from __future__ import annotations

import warnings

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.ops.op import Composite, Operator, Spec, apply, require_float
from backlit.ops.reduce import Mean
from backlit.ops.shape import to


class Histc(Operator):
    """How many elements fall into each of `bins` equal bins from `min` to `max`.

    With both bounds 0 the bins span the data. Elements outside the bounds are not counted.

    >>> bl.histc(bl.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """

    differentiable = False

    def call(input, bins=100, min=0, max=0):
        return apply(Histc, input, bins=bins, low=float(min), high=float(max))

    def infer(x, *, bins, low, high):
        require_float(x)
        if bins < 1:
            raise ArgumentError(f"bins must be positive, got {bins}")
        if low > high:
            raise ArgumentError(f"max {high:g} must not be below min {low:g}")
        return Spec((bins,), x.dtype)

    def forward(x, *, bins, low, high):
        flat = x.reshape(-1).astype(np.float64)
        if low == high and flat.size:
            low, high = flat.min(), flat.max()
        if low == high:
            low, high = low - 1.0, high + 1.0
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ArgumentError(f"the data from {low:g} to {high:g} have no finite bins")
        kept = flat[(flat >= low) & (flat <= high)]
        place = np.minimum(((kept - low) * bins / (high - low)).astype(np.int64), bins - 1)
        return np.bincount(place, minlength=bins).astype(x.dtype)

    def latex(x, **params):
        return rf"\operatorname{{hist}}\left({x}\right)"


class Bincount(Operator):
    """How often each whole number from 0 on occurs; with `weights` the sums of their weights.

    >>> bl.bincount(bl.tensor([0, 2, 2]), minlength=4)
    tensor([1, 0, 2, 0])
    """

    inputs = ("x", "weights")
    differentiable = False
    value_shaped = True

    def call(input, weights=None, minlength=0):
        return apply(Bincount, input, weights, minlength=int(minlength))

    def infer(x, weights, *, minlength):
        if x.dtype.kind not in "iu":
            raise DTypeError(f"only whole numbers can be counted, got {x.dtype.name}")
        if x.ndim != 1:
            raise ShapeError(f"expected one axis, got shape {x.shape}", hint="use x.flatten()")
        if weights is not None and weights.shape != x.shape:
            raise ShapeError(f"weights of shape {weights.shape} for an input of {x.shape}")
        if minlength < 0:
            raise ArgumentError(f"minlength must not be negative, got {minlength}")
        return Spec((minlength,), _counted(weights))

    def forward(x, weights, *, minlength):
        if x.size and x.min() < 0:
            raise ArgumentError(f"only numbers from 0 on can be counted, got {x.min()}")
        dtype = np.dtype(np.int64)
        if weights is not None:
            dtype = np.dtype(np.float32 if weights.dtype == np.float32 else np.float64)
        return np.bincount(x, weights, minlength).astype(dtype)

    def latex(x, *names, **params):
        return rf"\left|\left\{{i : {x}_i = k\right\}}\right|"


def _counted(weights: Spec | None) -> dt.dtype:
    if weights is None:
        return dt.int64
    return dt.float32 if weights.dtype is dt.float32 else dt.float64


class Cov(Composite):
    """The covariances of variables (rows) over observations (columns).

    `fweights` are how often, `aweights` how much each observation counts.

    >>> bl.cov(bl.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """

    def expand(input, *, correction=1, fweights=None, aweights=None):
        if input.ndim > 2:
            raise ShapeError(f"cov: at most two axes, got shape {tuple(input.shape)}")
        single = input.ndim < 2
        x = input.reshape((1, -1)) if single else input
        x = x if x.dtype.is_floating_point else to(x, dt.get_default_dtype())
        weights = fweights
        if aweights is not None:
            weights = aweights if fweights is None else aweights * fweights
        if weights is None:
            total = count = x.shape[1]
            away = x - apply(Mean, x, dims=(1,), keepdim=True)
            scaled = away
        else:
            total = weights.sum()
            away = x - (x * weights).sum(1, keepdim=True) / total
            scaled = away * weights
            count = total
            if aweights is not None and correction:
                correction = correction * (weights * aweights).sum() / total
        freedom = count - correction
        if weights is None and freedom <= 0:
            warnings.warn(f"cov: {count} observations leave no degree of freedom", stacklevel=4)
            freedom = 0
        if weights is None:
            made = scaled.matmul(away.mT) / float(freedom)
        else:
            made = scaled.matmul(away.mT) / freedom
        return made.reshape(()) if single else made


class Corrcoef(Composite):
    """The correlations of variables (rows) over observations (columns), in [-1, 1].

    >>> bl.corrcoef(bl.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """

    def expand(input):
        covariance = Cov.call(input)
        if not covariance.ndim:
            return covariance / covariance
        deviation = covariance.diagonal().sqrt()
        made = covariance / deviation.unsqueeze(1) / deviation.unsqueeze(0)
        return made.clamp(-1.0, 1.0)
