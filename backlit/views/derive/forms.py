"""Operators whose notation depends on shapes and parameters: products, sums, reshapes, a loss.

Their own `latex` sees only the names of their inputs. Each function here takes the parameters and
terms of an application and returns its term, or None where the operator's own notation is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backlit.ops.formula import Tex
from backlit.ops.op import REGISTRY
from backlit.views.derive.terms import (
    ATOM,
    SIGN,
    Matmul,
    Minus,
    Number,
    Plus,
    Shown,
    Spread,
    Term,
    Times,
    Total,
    Transposed,
    size_tex,
    total_to,
)


def _mul(params: dict[str, Any], args: Sequence[Any]) -> Term:
    a, b = args
    return Times(b, a) if b.scalar and not a.scalar else Times(a, b)


def _add(params: dict[str, Any], args: Sequence[Any]) -> Term:
    return Plus(*args)


def _sub(params: dict[str, Any], args: Sequence[Any]) -> Term:
    return Plus(args[0], Minus(args[1]))


def _matmul(params: dict[str, Any], args: Sequence[Any]) -> Term:
    return Matmul(*args)


def _linear(params: dict[str, Any], args: Sequence[Any]) -> Term:
    x, w, b = args
    made: Term = Matmul(w, x) if x.value.ndim == 1 else Matmul(x, Transposed(w))
    return made if b is None else Plus(made, b)


def _permute(params: dict[str, Any], args: Sequence[Any]) -> Term | None:
    dims = params["dims"]
    swapped = (*range(len(dims) - 2), len(dims) - 1, len(dims) - 2)
    if len(dims) > 1 and dims == swapped:
        return Transposed(args[0])
    shown = ", ".join(map(str, dims))
    return Shown(
        lambda x: rf"\operatorname{{permute}}_{{{shown}}}\left({x}\right)",
        lambda x: x.transpose(dims), args[0], linear=True,
    )  # fmt: skip


def _kept(params: dict[str, Any], x: Term) -> tuple[tuple[int, ...], tuple[int, ...]]:
    from backlit.ops.reduce import reduced

    dims = params["dims"]
    return dims, reduced(x.shape, dims, params.get("keepdim", False))


def _sum(params: dict[str, Any], args: Sequence[Any]) -> Term:
    dims, shape = _kept(params, args[0])
    return Total(args[0], dims, shape) if dims else args[0]


def _mean(params: dict[str, Any], args: Sequence[Any]) -> Term | None:
    dims, shape = _kept(params, args[0])
    count = int(np.prod([args[0].shape[d] for d in dims], dtype=int))
    if not dims or not count:
        return None
    return Times(one_over(count), Total(args[0], dims, shape))


def one_over(count: int) -> Term:
    """The factor of a mean."""
    return Shown(lambda: rf"\frac{{1}}{{{count}}}", lambda: np.asarray(1.0 / count))


def _neg(params: dict[str, Any], args: Sequence[Any]) -> Term:
    return Minus(args[0])


def _expand(params: dict[str, Any], args: Sequence[Any]) -> Term:
    return Spread(args[0], params["shape"])


def _sum_to(params: dict[str, Any], args: Sequence[Any]) -> Term:
    return total_to(args[0], tuple(params["shape"]))


def _reshape(params: dict[str, Any], args: Sequence[Any]) -> Term:
    shape = tuple(params["shape"])
    size = size_tex(shape)
    return Shown(
        lambda x: rf"\operatorname{{reshape}}_{{{size}}}\left({x}\right)",
        lambda x: x.reshape(shape), args[0], linear=True,
    )  # fmt: skip


def _nll_loss(params: dict[str, Any], args: Sequence[Any]) -> Term:
    """As it is reduced and weighted."""
    _, target, weight = args
    skips = (target.value == params["ignore_index"]).any()
    reduction, count = params["reduction"], target.value.size

    def write(*shown: Tex) -> Tex:
        labels = str(shown[1])
        picked = rf"{{{shown[0].at(ATOM)}}}_{{n,\, {{{labels}}}_{{n}}}}"
        if weight is not None:
            picked = rf"{{{shown[2].at(ATOM)}}}_{{{{{labels}}}_{{n}}}} \, {picked}"
        if reduction == "none":
            return Tex(f"-{picked}", SIGN)
        kept = r"n:\, \text{kept}" if skips else "n"
        over = "" if reduction == "sum" else rf"\frac{{1}}{{{count}}} "
        if reduction == "mean" and (skips or weight is not None):
            each = "1" if weight is None else rf"{{{shown[2].at(ATOM)}}}_{{{{{labels}}}_{{n}}}}"
            over = rf"\frac{{1}}{{\sum_{{{kept}}} {each}}} "
        return Tex(rf"-{over}\sum_{{{kept}}} {picked}", SIGN)

    parts = [a for a in args if a is not None]
    return Shown(write, lambda *v: REGISTRY["nll_loss"].forward(
        v[0], v[1], v[2] if len(v) > 2 else None, **params), *parts)  # fmt: skip


def _clamp(params: dict[str, Any], args: Sequence[Any]) -> Term | None:
    """Without the limit that is infinite."""
    x, low, high = args
    ends = [isinstance(a, Number) and np.isinf(a.number) for a in (low, high)]
    if ends[1] and not ends[0]:
        return _limited("max", np.maximum, x, low)
    return _limited("min", np.minimum, x, high) if ends[0] and not ends[1] else None


def _limited(name: str, function: Any, x: Term, limit: Term) -> Term:
    return Shown(lambda a, b: rf"\{name}\left({a}, {b}\right)", function, x, limit)


FORMS = {
    "add": _add, "sub": _sub, "mul": _mul, "matmul": _matmul, "linear": _linear,
    "permute": _permute, "sum": _sum, "mean": _mean, "neg": _neg, "expand": _expand,
    "clamp": _clamp, "nll_loss": _nll_loss, "sum_to": _sum_to, "reshape": _reshape,
}  # fmt: skip
