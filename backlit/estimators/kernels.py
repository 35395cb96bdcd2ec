"""Kernels of support vector machines, and the matrix of all pairs that the dual is solved with.

K(a, b) is a scalar product of features that nobody computes: the plain one, exp(-gamma |a - b|^2),
(gamma a b + coef0)^degree, tanh(gamma a b + coef0), or a function of the user's. All are written in
Backlit's operators. The solver is dual.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from backlit.errors import ArgumentError
from backlit.tensor import Tensor

BLOCK = 1 << 22  # entries of a kernel matrix that are computed at once


def kernel_of(
    name: str | Callable[..., Any], gamma: float, degree: float, coef0: float
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """A function of (N, features) and (M, features) that gives the values (N, M) in float64."""
    if callable(name):
        return lambda a, b: _user_kernel(name, a, b)
    if name == "precomputed":
        return lambda a, b: a

    def product(a: Tensor, b: Tensor) -> Tensor:
        return a @ b.T

    def rbf(a: Tensor, b: Tensor) -> Tensor:
        squares = (a**2).sum(1).unsqueeze(1) + (b**2).sum(1) - 2 * a @ b.T
        return (-gamma * squares.clamp(min=0)).exp()

    formulas: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "linear": product,
        "rbf": rbf,
        "poly": lambda a, b: (gamma * product(a, b) + coef0) ** degree,
        "sigmoid": lambda a, b: (gamma * product(a, b) + coef0).tanh(),
    }
    return lambda a, b: _in_blocks(formulas[name], a, b)


def _in_blocks(formula: Callable[[Tensor, Tensor], Tensor], a: np.ndarray, b: np.ndarray) -> Any:
    rows = max(1, BLOCK // max(1, len(b)))
    right = bl.from_numpy(b)
    with bl.no_grad():
        found = [
            formula(bl.from_numpy(a[start : start + rows]), right).numpy()
            for start in range(0, len(a), rows)
        ]
    return np.concatenate(found)


def _user_kernel(kernel: Callable[..., Any], a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found = np.asarray(kernel(a, b), dtype=np.float64)
    if found.shape != (len(a), len(b)):
        raise ArgumentError(
            f"SVC: the kernel gave shape {found.shape} for {a.shape} and {b.shape}",
            hint=f"it must give all pairs, ({len(a)}, {len(b)})",
        )
    return found


class Gram:
    """Rows of the symmetric matrix of all pairs: whole where memory allows, else as needed."""

    def __init__(
        self,
        kernel: Callable[[np.ndarray, np.ndarray], np.ndarray],
        X: np.ndarray,
        megabytes: float,
    ) -> None:
        self.kernel, self.X = kernel, X
        self.most = max(2, int(megabytes * 2**20 / 8 / len(X)))
        self.rows: OrderedDict[int, np.ndarray] = OrderedDict()
        self.whole = kernel(X, X) if len(X) <= self.most else None
        if self.whole is not None:
            self.diagonal = self.whole.diagonal().copy()
        else:
            self.diagonal = np.concatenate([kernel(x[None], x[None])[0] for x in X])

    def row(self, i: int) -> np.ndarray:
        """The kernel of sample i with all."""
        if self.whole is not None:
            return self.whole[i]
        found = self.rows.pop(i, None)
        if found is None:
            found = self.kernel(self.X[i : i + 1], self.X)[0]
        self.rows[i] = found
        if len(self.rows) > self.most:
            self.rows.popitem(last=False)
        return found
