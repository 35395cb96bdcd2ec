"""LU factors with partial pivoting, and solving with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import LinAlgError, ShapeError
from backlit.ops.index import values_of
from backlit.ops.linalg import SolveTriangular, need_matrix
from backlit.ops.op import Operator, Spec, apply, export, slot
from backlit.returns import named


class LuPivots(Operator):
    """The permutation of rows that Gauss elimination with partial pivoting arrives at."""

    exports = ""
    differentiable = False

    def infer(x):
        need_matrix(x)
        return Spec(x.shape[:-1], dt.int64)

    def forward(x):
        made = np.empty(x.shape[:-1], np.int64)
        for lead in np.ndindex(*x.shape[:-2]):
            made[lead] = eliminated(x[lead])[1]
        return made


def eliminated(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """L and U in one matrix, and the order of the rows (Golub and Van Loan, 3.4.1)."""
    work, rows = x.astype(np.float64), np.arange(x.shape[0])
    for k in range(min(x.shape)):
        pivot = k + int(np.abs(work[k:, k]).argmax())
        if pivot != k:
            work[[k, pivot]], rows[[k, pivot]] = work[[pivot, k]], rows[[pivot, k]]
        if work[k, k] != 0:
            work[k + 1 :, k] /= work[k, k]
            work[k + 1 :, k + 1 :] -= np.outer(work[k + 1 :, k], work[k, k + 1 :])
    return work, rows


class LuFactors(Operator):
    """Unit lower triangular L and upper triangular U with L U = x, for x already permuted."""

    exports = ""
    outputs = ("l", "u")

    def infer(x):
        (m, n), lead = x.shape[-2:], x.shape[:-2]
        k = min(m, n)
        return Spec((*lead, m, k), x.dtype), Spec((*lead, k, n), x.dtype)

    def forward(x):
        k = min(x.shape[-2:])
        packed = np.empty(x.shape, np.float64)
        for lead in np.ndindex(*x.shape[:-2]):
            packed[lead] = eliminated(x[lead])[0]
        lower = np.tril(packed, -1)[..., :k] + np.eye(x.shape[-2], k)
        return lower.astype(x.dtype), np.triu(packed)[..., :k, :].astype(x.dtype)

    def backward(g_l, g_u, l, u):
        if l.shape[-2] != u.shape[-1]:
            raise LinAlgError("lu: only square matrices have a gradient here")
        core = 0.0
        if g_l is not None:
            core = (l.mT @ g_l).tril(-1)
        if g_u is not None:
            core = core + (g_u @ u.mT).triu()
        left = apply(SolveTriangular, l.mT, core, upper=True, unitriangular=True)
        return (apply(SolveTriangular, u, left.mT, upper=True, unitriangular=False).mT,)

    def latex(x):
        return rf"\operatorname{{LU}}\left({x}\right)"


def _factored(A: Any) -> tuple[np.ndarray, Any, Any]:
    order = values_of(apply(LuPivots, A))
    rows = slot.wrap(np.broadcast_to(order[..., None], tuple(A.shape)).copy())
    lower, upper = apply(LuFactors, A.gather(A.ndim - 2, rows))
    return order, lower, upper


@export("linalg")
def lu(A, *, pivot=True, out=None):
    """P, L, U with P L U = A: a permutation, unit lower and upper triangular matrices.

    >>> bl.linalg.lu(bl.tensor([[1.0, 2.0], [2.0, 8.0]])).U
    tensor([[ 2.,  8.],
            [ 0., -2.]])
    """
    order, lower, upper = _factored(A)
    swap = (order[..., None, :] == np.arange(order.shape[-1])[:, None]).astype(A.cell.array.dtype)
    return named("lu", P=slot.wrap(swap), L=lower, U=upper)


@export("linalg")
def lu_factor(A, *, pivot=True, out=None):
    """L and U in one matrix, and the row that each row was swapped with, counted from 1.

    >>> bl.linalg.lu_factor(bl.tensor([[1.0, 2.0], [2.0, 8.0]])).pivots
    tensor([2, 2], dtype=backlit.int32)
    """
    order, lower, upper = _factored(A)
    if A.shape[-2] != A.shape[-1]:
        raise ShapeError(f"lu_factor: expected square matrices, got {tuple(A.shape)}")
    packed = lower.tril(-1) + upper
    return named("lu_factor", LU=packed, pivots=slot.wrap(_swaps(order)))


def _swaps(order: np.ndarray) -> np.ndarray:
    """A permutation as LAPACK writes it: one swap after another."""
    made = np.empty(order.shape, np.int32)
    for lead in np.ndindex(*order.shape[:-1]):
        rows = list(range(order.shape[-1]))
        for k, wanted in enumerate(order[lead]):
            at = rows.index(wanted)
            rows[k], rows[at] = rows[at], rows[k]
            made[(*lead, k)] = at + 1
    return made


@export("linalg")
def lu_solve(LU, pivots, B, *, left=True, adjoint=False, out=None):
    """X with A X = B, given lu_factor(A).

    >>> factors = bl.linalg.lu_factor(bl.tensor([[0.0, 2.0], [4.0, 0.0]]))
    >>> bl.linalg.lu_solve(*factors, bl.tensor([[2.0], [4.0]])).flatten()
    tensor([1., 1.])
    """
    if not left:
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    order = _order(values_of(pivots))
    how = {"unitriangular": True, "upper": False}
    if adjoint:
        half = apply(SolveTriangular, LU.mT, B, upper=False, unitriangular=False)
        found = apply(SolveTriangular, LU.mT, half, upper=True, unitriangular=True)
        order = np.argsort(order, axis=-1)
        return _rows(found, order)
    half = apply(SolveTriangular, LU, _rows(B, order), **how)
    return apply(SolveTriangular, LU, half, upper=True, unitriangular=False)


def _order(pivots: np.ndarray) -> np.ndarray:
    made = np.empty(pivots.shape, np.int64)
    for lead in np.ndindex(*pivots.shape[:-1]):
        rows = list(range(pivots.shape[-1]))
        for k, at in enumerate(pivots[lead]):
            rows[k], rows[at - 1] = rows[at - 1], rows[k]
        made[lead] = rows
    return made


def _rows(x: Any, order: np.ndarray) -> Any:
    """The rows of `x` in another order."""
    if order.ndim == 1:
        return x.index_select(x.ndim - 2, slot.wrap(order))
    return x.gather(x.ndim - 2, slot.wrap(np.broadcast_to(order[..., None], tuple(x.shape)).copy()))
