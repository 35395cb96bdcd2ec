"""Limits on gradients: by their joint norm or element by element; Pascanu et al. 2013.

Gradients are scaled in place, outside the graph. Nothing is scaled when the norm is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import backlit as bl
from backlit.errors import ArgumentError
from backlit.tensor import Tensor


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all tensors taken as one long vector.

    >>> nn.utils.get_total_norm([bl.tensor([3.0]), bl.tensor([4.0])]).item()
    5.0
    """
    listed = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    norm_type = float(norm_type)
    if not listed:
        return bl.tensor(0.0)
    with bl.no_grad():
        norms = [bl.linalg.vector_norm(tensor, norm_type) for tensor in listed]
        total: Tensor = bl.linalg.vector_norm(bl.stack(norms), norm_type)
    if error_if_nonfinite and not math.isfinite(float(total)):
        raise ArgumentError(
            f"the total norm of order {norm_type} is {float(total)}: nothing was clipped; "
            "error_if_nonfinite=False would scale by it"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale gradients by max_norm / total_norm where that is below one.

    >>> p = nn.Parameter(bl.zeros(1)); p.grad = bl.tensor([4.0])
    >>> nn.utils.clip_grads_with_norm_([p], 1.0, bl.tensor(4.0)); round(p.grad.item(), 4)
    1.0
    """
    with bl.no_grad():
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for grad in _grads(parameters):
            grad.mul_(factor.to(grad.dtype))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients so that their joint norm is at most `max_norm`; gives the old norm.

    >>> p = nn.Parameter(bl.zeros(2)); p.grad = bl.tensor([3.0, 4.0])
    >>> nn.utils.clip_grad_norm_([p], max_norm=1.0).item()
    5.0
    >>> round(p.grad.norm().item(), 4)
    1.0
    """
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    total = get_total_norm(_grads(listed), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(listed, max_norm, total)
    return total


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Hold every gradient element between -clip_value and clip_value.

    >>> p = nn.Parameter(bl.zeros(2)); p.grad = bl.tensor([-3.0, 0.5])
    >>> nn.utils.clip_grad_value_([p], 1.0); p.grad.tolist()
    [-1.0, 0.5]
    """
    with bl.no_grad():
        for grad in _grads(parameters):
            grad.clamp_(min=-float(clip_value), max=float(clip_value))


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in listed if p.grad is not None]
