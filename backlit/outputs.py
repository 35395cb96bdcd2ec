"""`out=`: a function's result, written into tensors that are there already.

One place for all functions of `bl`. What PyTorch refuses is refused: gradients, and results that
do not fit the dtype. Unlike there, a tensor never changes its size.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from backlit.autograd import no_grad
from backlit.dtypes import KIND
from backlit.errors import ArgumentTypeError, DTypeError, GradError, ShapeError
from backlit.state import state
from backlit.tensor import Tensor


def accept(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, which takes `out` too: a tensor, or as many as it has results."""

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        return _into(out, function, args, kwargs)

    return call


def _into(out: Any, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    name = function.__name__
    targets = list(out) if isinstance(out, (tuple, list)) else [out]
    for target in targets:
        if not isinstance(target, Tensor):
            raise ArgumentTypeError(f"{name}: out= takes tensors, not {type(target).__name__}")
    if state.grad and any(t.requires_grad for t in _tensors((args, kwargs.values(), targets))):
        raise GradError(
            f"{name}: with out=... no gradient is recorded, but one of the tensors requires grad",
            hint="leave out= away, or work under bl.no_grad()",
        )
    with no_grad():
        found = function(*args, **kwargs)
        results = [found] if isinstance(found, Tensor) else list(found)
        if len(results) != len(targets):
            raise ArgumentTypeError(f"{name}: {len(results)} results for {len(targets)} in out=")
        for result, target in zip(results, targets, strict=True):
            _check(name, result, target)
        for result, target in zip(results, targets, strict=True):
            target.copy_(result)
    if isinstance(found, Tensor):
        return out
    return type(found)(*targets) if hasattr(found, "_fields") else tuple(targets)


def _check(name: str, result: Tensor, target: Tensor) -> None:
    if result.shape != target.shape:
        raise ShapeError(
            f"{name}: a result of {tuple(result.shape)} does not fit out= of {tuple(target.shape)}",
            hint=f"out=bl.empty({tuple(result.shape)})",
        )
    if KIND[result.dtype.kind] > KIND[target.dtype.kind]:
        raise DTypeError(
            f"{name}: a result of {result.dtype.name} can't be written into out= of"
            f" {target.dtype.name}", hint="give a tensor of the result's dtype"
        )  # fmt: skip


def _tensors(parts: Iterable[Any]) -> Iterator[Tensor]:
    for part in parts:
        if isinstance(part, Tensor):
            yield part
        elif not isinstance(part, (str, bytes)) and isinstance(part, Iterable):
            yield from _tensors(part)
