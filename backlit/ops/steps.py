"""What recurrent operators share: the order of time, earlier states, sums over all steps.

A sequence is (T, N, features), dense; one operator runs one layer in one direction. All matrix
products that do not wait for the previous step are made at once, over all steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from backlit.errors import DTypeError, ShapeError
from backlit.ops.join import Cat, Stack
from backlit.ops.op import Spec, require_float


def check_layer(gates: int, x: Spec, w_ih: Spec, w_hh: Spec, biases: Sequence[Spec | None],
                states: Sequence[tuple[str, Spec, int]]) -> None:  # fmt: skip
    """Refuse weights, biases and states that do not fit; `gates` rows per hidden unit."""
    require_float(x)
    if x.ndim != 3:
        raise ShapeError(f"expected input (T, N, features), got {x.shape}")
    if not x.shape[0]:
        raise ShapeError(f"a sequence has at least one step, got {x.shape}")
    rows = w_ih.shape[0]
    if w_ih.ndim != 2 or w_hh.ndim != 2 or rows % gates or w_hh.shape[0] != rows:
        raise ShapeError(
            f"weights {w_ih.shape} and {w_hh.shape} must both have {gates} * hidden_size rows"
        )
    if x.shape[2] != w_ih.shape[1]:
        raise ShapeError(
            f"input has {x.shape[2]} features, the weight {w_ih.shape} expects {w_ih.shape[1]}",
            hint="input is (T, N, features), or (N, T, features) with batch_first",
        )
    for b in biases:
        if b is not None and b.shape != (rows,):
            raise ShapeError(f"bias has shape {b.shape}, expected ({rows},)")
    for name, state, size in states:
        if state.shape != (x.shape[1], size):
            raise ShapeError(f"{name} has shape {state.shape}, expected {(x.shape[1], size)}")
    for given in (w_ih, w_hh, *(s for _, s, _ in states)):
        if given.dtype is not x.dtype:
            raise DTypeError(
                f"input is {x.dtype.name}, weights or states {given.dtype.name}",
                hint="convert one: x.to(w.dtype)",
            )


def wide(*arrays: np.ndarray | None) -> list[Any]:
    """Half precision as single; absent arrays stay absent."""
    return [a.astype(np.float32) if a is not None and a.dtype.itemsize == 2 else a for a in arrays]


def narrow(like: np.ndarray, *arrays: np.ndarray | None) -> tuple:
    """Results in the dtype of the input."""
    return tuple(None if a is None else a.astype(like.dtype, copy=False) for a in arrays)


def order(steps: int, reverse: bool) -> range:
    """The steps in the direction of reading."""
    return range(steps - 1, -1, -1) if reverse else range(steps)


def projected(x: np.ndarray, w: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
    """x w^T + bias for all steps at once."""
    steps, batch, features = x.shape
    y = x.reshape(steps * batch, features) @ w.T
    if bias is not None:
        y += bias
    return y.reshape(steps, batch, len(w))


def joint_bias(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return second if first is None else first if second is None else first + second


def earlier(states: np.ndarray, start: np.ndarray, reverse: bool) -> np.ndarray:
    """The state before each step."""
    if not len(states):
        return states
    lead = (states[1:], start[None]) if reverse else (start[None], states[:-1])
    return np.concatenate(lead)


def sigmoid_(a: np.ndarray) -> np.ndarray:
    """The logistic function, in place."""
    np.negative(a, out=a)
    np.exp(a, out=a)
    a += 1
    return np.reciprocal(a, out=a)


def weight_grad(d: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The sum over steps and batch of d^T x."""
    return d.reshape(-1, d.shape[2]).T @ x.reshape(-1, x.shape[2])


def bias_grad(d: np.ndarray) -> np.ndarray:
    return d.reshape(-1, d.shape[2]).sum(axis=0)


def input_grad(d: np.ndarray, w: np.ndarray) -> np.ndarray:
    return (d.reshape(-1, d.shape[2]) @ w).reshape(*d.shape[:2], w.shape[1])


# ----- the same in differentiable operators -----


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    return Stack.call(tensors, dim)


def cat(tensors: Sequence[Any], dim: int) -> Any:
    return Cat.call(tensors, dim)


def affine(x: Any, w: Any, bias: Any) -> Any:
    y = x @ w.mT
    return y if bias is None else y + bias


def earlier_steps(states: Sequence[Any], start: Any, reverse: bool) -> Any:
    """The state before each step, as one tensor; `states` in the order of time."""
    return stack([*states[1:], start] if reverse else [start, *states[:-1]])


def summed_products(d: Any, x: Any) -> Any:
    """The sum over steps and batch of d^T x."""
    return d.reshape((-1, d.shape[2])).mT @ x.reshape((-1, x.shape[2]))
