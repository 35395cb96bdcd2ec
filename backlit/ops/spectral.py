"""Decompositions of matrices and what follows from them: QR, SVD, eigenvalues, norms, ranks.

Batches in front; NumPy computes. Gradients after J. Townsend, "Differentiating the singular
value decomposition" (2016), and Seeger et al., "Auto-differentiating linear algebra" (2017).
Where singular or eigenvalues coincide, the vectors have no derivative: the gradient is infinite.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, GradError, ShapeError
from backlit.ops.distance import p_norm
from backlit.ops.index import values_of
from backlit.ops.linalg import Inv, SolveTriangular, lapack, need_matrix
from backlit.ops.op import Composite, Operator, Spec, apply, export, normalize_axis, slot
from backlit.ops.shape import to
from backlit.returns import named

_STUCK = "the iteration did not converge"


def unit(x: Any) -> Any:
    """A bool matrix that holds on the diagonal."""
    return slot.wrap(np.eye(x.shape[-1], dtype=bool))


def on_diagonal(x: Any) -> Any:
    return x.diag_embed()


# ----- QR -----


class QrFactors(Operator):
    """Q with orthonormal columns and upper triangular R, Q R = A; reduced or complete."""

    name = "qr"
    exports = ""
    outputs = ("q", "r")

    def infer(x, *, complete):
        need_matrix(x)
        (m, n), lead = x.shape[-2:], x.shape[:-2]
        k = m if complete else min(m, n)
        return Spec((*lead, m, k), x.dtype), Spec((*lead, k, n), x.dtype)

    def forward(x, *, complete):
        q, r = np.linalg.qr(x, "complete" if complete else "reduced")
        return q, r

    def backward(g_q, g_r, q, r, complete):
        m, n = q.shape[-2], r.shape[-1]
        if complete and m > n:
            raise GradError("qr: mode 'complete' has no gradient for more rows than columns",
                            hint="use mode='reduced'")  # fmt: skip
        inner = 0.0
        if g_r is not None:
            inner = r @ g_r.mT
        if g_q is not None:
            inner = inner - g_q.mT @ q
        symmetric = inner.tril() + inner.tril(-1).mT
        total = q @ symmetric if g_q is None else g_q + q @ symmetric
        found = apply(SolveTriangular, r, total.mT, upper=True, unitriangular=False)
        return (found.mT,)

    def latex(x, *, complete):
        return rf"\operatorname{{QR}}\left({x}\right)"


def _qr(A: Any, mode: str) -> tuple[Any, Any]:
    if mode not in ("reduced", "complete", "r"):
        raise ArgumentError(f"qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    need_matrix(Spec(tuple(A.shape), A.dtype))
    m, n = A.shape[-2:]
    if m < n:  # of the left square; the other columns follow
        q, left = apply(QrFactors, A[..., :m], complete=False)
        from backlit.ops.join import Cat

        return q, apply(Cat, left, q.mT @ A[..., m:], dim=A.ndim - 1)
    return apply(QrFactors, A, complete=mode == "complete")


@export("linalg")
def qr(A, mode="reduced", *, out=None):
    """Q with orthonormal columns and upper triangular R with Q R = A.

    >>> q, r = bl.linalg.qr(bl.tensor([[3.0, 1.0], [4.0, 2.0]])); q @ r
    tensor([[3.0000, 1.0000],
            [4.0000, 2.0000]])
    """
    q, r = _qr(A, mode)
    return named("qr", Q=q.new_zeros(0) if mode == "r" else q, R=r)


def qr_of(input, some=True):
    """Q with orthonormal columns and upper triangular R with Q R = input.

    >>> bl.qr(bl.ones(3, 2)).R.shape
    backlit.Size([2, 2])
    """
    return qr(input, "reduced" if some else "complete")


qr_of.__name__ = "qr"
export("bl Tensor")(qr_of)


# ----- singular values -----


class SvdFactors(Operator):
    """U, the singular values in falling order, and Vᵀ, with A = U diag(S) Vᵀ."""

    name = "svd"
    exports = ""
    outputs = ("u", "s", "vh")

    def infer(x, *, full):
        need_matrix(x)
        (m, n), lead = x.shape[-2:], x.shape[:-2]
        k = min(m, n)
        wide, tall = (m, n) if full else (k, k)
        return (Spec((*lead, m, wide), x.dtype), Spec((*lead, k), x.dtype),
                Spec((*lead, tall, n), x.dtype))  # fmt: skip

    def forward(x, *, full):
        return tuple(lapack(np.linalg.svd, _STUCK, x, full))

    def backward(g_u, g_s, g_vh, u, s, vh, full):
        k = s.shape[-1]
        if full:  # PyTorch ignores gradients beyond the first k vectors
            u, vh = u[..., :k], vh[..., :k, :]
            g_u = g_u if g_u is None else g_u[..., :k]
            g_vh = g_vh if g_vh is None else g_vh[..., :k, :]
        core = 0.0 if g_s is None else on_diagonal(g_s)
        square = s * s
        gaps = (square.unsqueeze(-2) - square.unsqueeze(-1)).masked_fill(unit(s), 1.0)
        if g_u is not None:
            inner = u.mT @ g_u
            core = core + (inner - inner.mT) / gaps * s.unsqueeze(-2)
        if g_vh is not None:
            inner = vh @ g_vh.mT
            core = core + s.unsqueeze(-1) * ((inner - inner.mT) / gaps)
        total = u @ core @ vh
        if g_u is not None and u.shape[-2] > k:
            beyond = g_u / s.unsqueeze(-2)
            total = total + (beyond - u @ (u.mT @ beyond)) @ vh
        if g_vh is not None and vh.shape[-1] > k:
            beyond = g_vh / s.unsqueeze(-1)
            total = total + u @ (beyond - (beyond @ vh.mT) @ vh)
        return (total,)

    def latex(x, *, full):
        return rf"\operatorname{{SVD}}\left({x}\right)"


@export("linalg")
def svd(A, full_matrices=True, *, driver=None, out=None):
    """U, S and Vh with A = U diag(S) Vh; S falls.

    >>> bl.linalg.svd(bl.tensor([[3.0, 0.0], [0.0, 4.0]])).S
    tensor([4., 3.])
    """
    u, s, vh = apply(SvdFactors, A, full=bool(full_matrices))
    return named("svd", U=u, S=s, Vh=vh)


def svd_of(input, some=True, compute_uv=True):
    """U, S and V with input = U diag(S) Vᵀ.

    >>> bl.svd(bl.ones(3, 2)).V.shape
    backlit.Size([2, 2])
    """
    u, s, vh = apply(SvdFactors, input, full=not some)
    if not compute_uv:
        u, vh = (x.detach() * 0 for x in (u, vh))
    return named("svd", U=u, S=s, V=vh.mT)


svd_of.__name__ = "svd"
export("bl Tensor")(svd_of)


@export("linalg")
def svdvals(A, *, driver=None, out=None):
    """The singular values, in falling order.

    >>> bl.linalg.svdvals(bl.tensor([[3.0, 0.0], [0.0, 4.0]]))
    tensor([4., 3.])
    """
    return apply(SvdFactors, A, full=False)[1]


# ----- eigenvalues of symmetric matrices -----


class EighFactors(Operator):
    """Eigenvalues in rising order and eigenvectors of symmetric matrices; one triangle is read."""

    name = "eigh"
    exports = ""
    outputs = ("w", "v")

    def infer(x, *, uplo):
        need_matrix(x, square=True)
        return Spec(x.shape[:-1], x.dtype), x

    def forward(x, *, uplo):
        return tuple(lapack(np.linalg.eigh, _STUCK, x, uplo))

    def backward(g_w, g_v, w, v):
        core = 0.0 if g_w is None else on_diagonal(g_w)
        if g_v is not None:
            gaps = (w.unsqueeze(-2) - w.unsqueeze(-1)).masked_fill(unit(w), 1.0)
            core = core + ((v.mT @ g_v) / gaps).masked_fill(unit(w), 0.0)
        return (v @ core @ v.mT,)

    def latex(x, *, uplo):
        return rf"\operatorname{{eig}}\left({x}\right)"


def _eigh(A: Any, UPLO: str) -> tuple[Any, Any]:
    if UPLO.upper() not in ("L", "U"):
        raise ArgumentError(f"eigh: UPLO must be 'L' or 'U', got {UPLO!r}")
    return apply(EighFactors, A, uplo=UPLO.upper())


@export("linalg")
def eigh(A, UPLO="L", *, out=None):
    """Eigenvalues, in rising order, and eigenvectors of symmetric matrices.

    >>> bl.linalg.eigh(bl.tensor([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    tensor([1., 2.])
    """
    values, vectors = _eigh(A, UPLO)
    return named("eigh", eigenvalues=values, eigenvectors=vectors)


@export("linalg")
def eigvalsh(A, UPLO="L", *, out=None):
    """Eigenvalues, in rising order, of symmetric matrices.

    >>> bl.linalg.eigvalsh(bl.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor([1., 2.])
    """
    return _eigh(A, UPLO)[0]


# ----- rank, pseudo-inverse, least squares -----


def _cutoff(s: np.ndarray, shape: tuple, atol: float | None, rtol: float | None) -> np.ndarray:
    """The singular value from which on a matrix counts as having that direction."""
    if rtol is None:
        rtol = 0.0 if atol else max(shape[-2:]) * float(np.finfo(s.dtype).eps)
    largest = s.max(axis=-1, keepdims=True) if s.shape[-1] else np.zeros((*s.shape[:-1], 1))
    return np.maximum(atol or 0.0, rtol * largest)


class Pinv(Operator):
    """The Moore-Penrose inverse. Gradient after Golub and Pereyra (1973), constant rank.

    >>> bl.linalg.pinv(bl.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """

    exports = "linalg"

    def call(A, rcond=None, hermitian=False, *, atol=None, rtol=None, out=None):
        rtol = rcond if rtol is None else rtol
        return apply(Pinv, A, atol=_number(atol), rtol=_number(rtol))

    def infer(x, *, atol, rtol):
        need_matrix(x)
        return Spec((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)

    def forward(x, *, atol, rtol):
        if 0 in x.shape:
            return np.zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]), x.dtype)
        u, s, vh = lapack(np.linalg.svd, _STUCK, x, False)
        kept = s > _cutoff(s, x.shape, atol, rtol)
        inverse = np.where(kept, 1 / np.where(kept, s, 1), 0)
        found = (vh.swapaxes(-1, -2) * inverse[..., None, :]) @ u.swapaxes(-1, -2)
        return found.astype(x.dtype, copy=False)

    def grad_x(g, x, y):
        t, gt = y.mT, g.mT
        left = gt @ y @ t  # of the part outside the column space
        right = t @ y @ gt
        return -(t @ g @ t) + left - x @ (y @ left) + right - (right @ y) @ x

    def latex(x, **params):
        return rf"{{{x}}}^{{+}}"


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


@export("bl Tensor")
def pinverse(input, rcond=1e-15):
    """The Moore-Penrose inverse.

    >>> bl.pinverse(bl.tensor([[2.0]])).tolist()
    [[0.5]]
    """
    return Pinv.call(input, rcond)


class MatrixRank(Operator):
    """The number of singular values above a tolerance.

    >>> bl.linalg.matrix_rank(bl.ones(3, 3))
    tensor(1)
    """

    exports = "linalg"
    differentiable = False

    def call(A, tol=None, hermitian=False, *, atol=None, rtol=None, out=None):
        if tol is not None:
            atol, rtol = tol, 0.0
        return apply(MatrixRank, A, atol=_number(atol), rtol=_number(rtol))

    def infer(x, *, atol, rtol):
        need_matrix(x)
        return Spec(x.shape[:-2], dt.int64)

    def forward(x, *, atol, rtol):
        s = lapack(np.linalg.svd, _STUCK, x, False, False)
        return np.asarray((s > _cutoff(s, x.shape, atol, rtol)).sum(-1))


class Lstsq(Composite):
    """X that minimizes the length of A X - B, of least length itself.

    `driver` decides, as in PyTorch, what else is filled: "gelsy" (the default) the rank, "gels"
    the residuals, "gelsd" and "gelss" both and the singular values. All compute alike.

    >>> bl.linalg.lstsq(bl.tensor([[1.0], [1.0]]), bl.tensor([[1.0], [3.0]])).solution[0]
    tensor([2.0000])
    """

    exports = "linalg"

    def expand(A, B, rcond=None, *, driver=None):
        if A.ndim < 2 or B.ndim < 2 or A.shape[-2] != B.shape[-2]:
            raise ShapeError(f"lstsq: A {tuple(A.shape)} and B {tuple(B.shape)} do not fit",
                             hint="A is (..., m, n), B (..., m, k)")  # fmt: skip
        if driver not in (None, "gelsy", "gels", "gelsd", "gelss"):
            raise ArgumentError(f"lstsq: driver {driver!r} is none of gelsy, gels, gelsd, gelss")
        m, n = A.shape[-2:]
        solution = Pinv.call(A, rcond) @ B
        rank = MatrixRank.call(A, rtol=rcond)
        residuals = values = A.new_zeros(0)
        if driver in ("gels", "gelsd", "gelss") and m > n and (values_of(rank) == n).all():
            missed = A @ solution - B
            residuals = (missed * missed).sum(-2)
        if driver in ("gelsd", "gelss"):
            values = svdvals(A).detach()
        if driver == "gels":
            rank = rank.new_zeros(0)
        return named("lstsq", solution=solution, residuals=residuals, rank=rank,
                     singular_values=values)  # fmt: skip


# ----- norms -----


@export("linalg")
def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None, out=None):
    """The p-norm of all elements, or of vectors along axes.

    >>> bl.linalg.vector_norm(bl.tensor([3.0, 4.0]))
    tensor(5.)
    """
    return p_norm(x if dtype is None else to(x, dtype), ord, dim, keepdim)


class MatrixNorm(Composite):
    """The norm of matrices: 'fro', 'nuc', or 1, -1, 2, -2, inf, -inf.

    >>> bl.linalg.matrix_norm(bl.tensor([[1.0, -2.0], [3.0, 4.0]]), ord=1)
    tensor(6.)
    """

    exports = "linalg"

    def expand(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
        A = A if dtype is None else to(A, dtype)
        if A.ndim < 2 or len(dim) != 2:
            raise ShapeError(f"matrix_norm: expected matrices, got {tuple(A.shape)}, dim={dim}")
        rows, columns = (normalize_axis(d, A.ndim) for d in dim)
        if rows == columns:
            raise ArgumentError(f"matrix_norm: dim {tuple(dim)} names an axis twice")
        if ord == "fro":
            return p_norm(A, 2, (rows, columns), keepdim)
        if ord in ("nuc", 2, -2):
            s = svdvals(A.movedim((rows, columns), (-2, -1)))
            found = s.sum(-1) if ord == "nuc" else s.amax(-1) if ord == 2 else s.amin(-1)
        elif ord in (1, -1, math.inf, -math.inf):
            along, over = (columns, rows) if abs(ord) == 1 else (rows, columns)
            sums = A.abs().sum(over)
            rest = along - (along > over)
            found = sums.amax(rest) if ord > 0 else sums.amin(rest)
        else:
            raise ArgumentError(f"matrix_norm: no norm {ord!r}",
                                hint="'fro', 'nuc', 1, -1, 2, -2, inf, -inf")  # fmt: skip
        for d in sorted((rows, columns)) if keepdim else ():
            found = found.unsqueeze(d)
        return found


@export("linalg")
def norm(A, ord=None, dim=None, keepdim=False, *, out=None, dtype=None):
    """A vector or matrix norm, as `ord` and `dim` say; without both, of all elements.

    >>> bl.linalg.norm(bl.tensor([[3.0, 4.0]]))
    tensor(5.)
    """
    pair = isinstance(dim, (tuple, list)) and len(dim) == 2
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if pair or (dim is None and A.ndim == 2) or isinstance(ord, str):
        if dim is None and A.ndim != 2:
            raise ShapeError(f"norm: ord={ord!r} without dim needs a vector or matrix, got"
                             f" {A.ndim} axes")  # fmt: skip
        return MatrixNorm.call(A, ord, dim or (-2, -1), keepdim, dtype=dtype)
    if dim is None and A.ndim != 1:
        raise ShapeError(f"norm: ord={ord!r} without dim needs a vector or matrix, got"
                         f" {A.ndim} axes")  # fmt: skip
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)


class Cond(Composite):
    """The condition number: the norm of a matrix times that of its inverse; p=None: 2-norm.

    >>> bl.linalg.cond(bl.tensor([[2.0, 0.0], [0.0, 1.0]]))
    tensor(2.)
    """

    exports = "linalg"

    def expand(A, p=None):
        if p in (None, 2, -2):
            s = svdvals(A)
            large, small = s.amax(-1), s.amin(-1)
            return small / large if p == -2 else large / small
        return MatrixNorm.call(A, p) * MatrixNorm.call(apply(Inv, A), p)
