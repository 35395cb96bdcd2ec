"""Reductions over axes, running sums, and where extremes lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.api import NAMESPACES
from backlit.creation import full
from backlit.onnx.loading.table import Node, axis_of, integers, operator, setting
from backlit.tensor import Tensor

bl = NAMESPACES["bl"]

Reduce = Callable[[Tensor, list[int], bool], Tensor]


def _reduction(name: str, reduce: Reduce, before: Callable[[Tensor], Tensor] | None = None) -> None:
    """Enter a reduction; `before` is applied also where no axis is reduced."""

    @operator(name, settings=(1,))
    def run(node: Node, x: Tensor, axes: Any = None) -> Tensor:
        found = setting(node, "axes", axes)
        named = [] if found is None else integers(found)
        if not named and node.get("noop_with_empty_axes", 0):
            return x if before is None else before(x)
        dims = [axis_of(node, a, x.ndim) for a in named] or list(range(x.ndim))
        return reduce(x, dims, bool(node.get("keepdims", 1)))


def _sum(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    return bl["sum"](x, dims, keep, dtype=x.dtype) if dims else x


def _mean(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    if x.dtype.is_floating_point:
        return bl["mean"](x, dims, keep) if dims else x
    count = int(np.prod([x.shape[d] for d in dims], dtype=np.int64))
    return bl["div"](_sum(x, dims, keep), count, rounding_mode="trunc")


def _prod(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    for d in sorted(dims, reverse=True):
        x = bl["prod"](x, d, keep, dtype=x.dtype)
    return x


def _extreme(name: str) -> Reduce:
    def run(x: Tensor, dims: list[int], keep: bool) -> Tensor:
        if not dims:
            return x
        if x.dtype.kind == "b":
            return bl["any" if name == "amax" else "all"](x, dims, keep)
        if any(x.shape[d] == 0 for d in dims):
            return _of_nothing(x, dims, keep, name == "amax")
        return bl[name](x, dims, keep)

    return run


def _of_nothing(x: Tensor, dims: list[int], keep: bool, largest: bool) -> Tensor:
    """The extreme of no elements: the end of the range, as ONNX has it."""
    end: Any = float("-inf" if largest else "inf")
    if not x.dtype.is_floating_point:
        limits = np.iinfo(x.dtype.numpy)
        end = int(limits.min if largest else limits.max)
    sizes = [1 if i in dims else n for i, n in enumerate(x.shape) if keep or i not in dims]
    return full(sizes, end, dtype=x.dtype)


def _l2(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    if not x.dtype.is_floating_point:
        return bl["sqrt"](_sum(x * x, dims, keep).double()).to(x.dtype)
    return bl["sqrt"](_sum(x * x, dims, keep))


def _log_sum_exp(x: Tensor, dims: list[int], keep: bool) -> Tensor:
    if not x.dtype.is_floating_point:
        return bl["log"](bl["exp"](x.double()).sum(dims, keep)).to(x.dtype)
    return bl["logsumexp"](x, dims, keep) if dims else x


_reduction("ReduceSum", _sum)
_reduction("ReduceMean", _mean)
_reduction("ReduceProd", _prod)
_reduction("ReduceMax", _extreme("amax"))
_reduction("ReduceMin", _extreme("amin"))
_reduction("ReduceL1", lambda x, d, k: _sum(bl["abs"](x), d, k), bl["abs"])
_reduction("ReduceL2", _l2, bl["abs"])
_reduction("ReduceLogSum", lambda x, d, k: bl["log"](_sum(x, d, k)), bl["log"])
_reduction("ReduceLogSumExp", _log_sum_exp)
_reduction("ReduceSumSquare", lambda x, d, k: _sum(x * x, d, k), lambda x: x * x)


def _argument(name: str, function: str) -> None:
    @operator(name)
    def run(node: Node, x: Tensor) -> Tensor:
        axis = axis_of(node, node.get("axis", 0), x.ndim)
        keep = bool(node.get("keepdims", 1))
        if not node.get("select_last_index", 0):
            return bl[function](x, axis, keep)
        return x.shape[axis] - 1 - bl[function](bl["flip"](x, [axis]), axis, keep)


_argument("ArgMax", "argmax")
_argument("ArgMin", "argmin")


def _running(name: str, function: str, first: int) -> None:
    @operator(name, settings=(1,))
    def run(node: Node, x: Tensor, axis: Any) -> Tensor:
        dim = axis_of(node, int(axis.reshape(())), x.ndim)
        reverse = node.get("reverse", 0)
        x = bl["flip"](x, [dim]) if reverse else x
        if node.get("exclusive", 0):
            start = full([1 if i == dim else n for i, n in enumerate(x.shape)], first,
                         dtype=x.dtype)  # fmt: skip
            x = bl["cat"]([start, bl["narrow"](x, dim, 0, x.shape[dim] - 1)], dim)
        y = bl[function](x, dim, dtype=x.dtype)
        return bl["flip"](y, [dim]) if reverse else y


_running("CumSum", "cumsum", 0)
_running("CumProd", "cumprod", 1)
