"""Linear algebra of square matrices: inverse, determinant, solving, Cholesky. Batches in front.

NumPy computes. Gradients after M. Giles, "An extended collection of matrix derivative results"
(2008). Decompositions and norms are in spectral.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, DTypeError, LinAlgError, ShapeError
from backlit.ops.index import values_of
from backlit.ops.matmul import Matmul
from backlit.ops.op import Composite, Operator, Spec, apply, broadcast_shapes, export, slot
from backlit.returns import named


def need_matrix(x: Spec, square: bool = False) -> None:
    """Refuse what LAPACK does not take: vectors, whole numbers, 16-bit floats."""
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        what = "square matrices" if square else "matrices"
        raise ShapeError(f"expected {what} (..., {'n, n' if square else 'm, n'}), got {x.shape}")
    if not x.dtype.is_floating_point or x.dtype.itemsize == 2:
        raise DTypeError(f"expected float32 or float64, got {x.dtype.name}", hint="x.float()")


def lapack(function: Callable[..., Any], problem: str, *args: Any) -> Any:
    """Call NumPy's linear algebra; what it can't do is the user's matrix, said clearly."""
    try:
        return function(*args)
    except np.linalg.LinAlgError:
        raise LinAlgError(problem, hint=_which(args[0])) from None


def _which(x: np.ndarray) -> str:
    """The matrix of a batch that looks worst."""
    if not np.isfinite(x).all():
        return "it holds NaN or infinity"
    if x.ndim > 2 and x.shape[-1] == x.shape[-2]:
        determinants = np.abs(np.linalg.det(x)).reshape(-1)
        return f"of the batch, matrix {int(determinants.argmin())} is nearest to singular"
    return "add a small multiple of the identity, or use pinv or lstsq"


class Inv(Operator):
    """The inverse of square matrices.

    >>> bl.linalg.inv(bl.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """

    exports = "bl Tensor linalg"
    aliases = ("inverse",)

    def call(input):
        return apply(Inv, input)

    def infer(x):
        need_matrix(x, square=True)
        return x

    def forward(x):
        return lapack(np.linalg.inv, "the matrix is singular, it has no inverse", x)

    def grad_x(g, y):
        return -(y.mT @ g @ y.mT)

    def latex(x):
        return rf"{{{x}}}^{{-1}}"


class Det(Operator):
    """The determinant of square matrices; its gradient is the matrix of cofactors.

    >>> bl.linalg.det(bl.tensor([[2.0, 0.0], [7.0, 4.0]]))
    tensor(8.)
    """

    exports = "bl Tensor linalg"

    def call(input):
        return apply(Det, input)

    def infer(x):
        need_matrix(x, square=True)
        return Spec(x.shape[:-2], x.dtype)

    def forward(x):
        return np.asarray(np.linalg.det(x))

    def grad_x(g, x):
        return g.unsqueeze(-1).unsqueeze(-1) * apply(Cofactor, x)

    def latex(x):
        return rf"\det {x}"


class Cofactor(Operator):
    """det(x) times the transposed inverse, defined for singular matrices too."""

    exports = ""
    inputs = ("x",)

    def infer(x):
        need_matrix(x, square=True)
        return x

    def forward(x):
        u, s, vh = np.linalg.svd(x)
        n = s.shape[-1]
        rest = np.where(np.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1)  # all but its own
        sign = np.linalg.det(u) * np.linalg.det(vh)
        return (sign[..., None, None] * (u * rest[..., None, :]) @ vh).astype(x.dtype)

    def expand(x):
        return apply(Det, x).unsqueeze(-1).unsqueeze(-1) * apply(Inv, x).mT


class SlogdetParts(Operator):
    """The sign of the determinant and the logarithm of its size."""

    name = "slogdet"
    exports = ""
    outputs = ("sign", "logabsdet")
    nondifferentiable = ("sign",)

    def infer(x):
        need_matrix(x, square=True)
        return (Spec(x.shape[:-2], x.dtype),) * 2

    def forward(x):
        sign, logabs = np.linalg.slogdet(x)
        return np.asarray(sign), np.asarray(logabs)

    def grad_x(g_logabsdet, x):
        return g_logabsdet.unsqueeze(-1).unsqueeze(-1) * apply(Inv, x).mT

    def latex(x):
        return rf"\ln \left|\det {x}\right|"


@export("bl Tensor linalg")
def slogdet(A):
    """The sign of the determinant and the natural logarithm of its absolute value.

    >>> bl.linalg.slogdet(-bl.eye(3)).sign
    tensor(-1.)
    """
    sign, logabsdet = apply(SlogdetParts, A)
    return named("slogdet", sign=sign, logabsdet=logabsdet)


class Logdet(Composite):
    """The logarithm of the determinant: NaN where it is negative, -inf where it is 0.

    >>> bl.logdet(bl.eye(3))
    tensor(0.)
    """

    def expand(input):
        sign, logabsdet = apply(SlogdetParts, input)
        return logabsdet.where(sign >= 0, math.nan)


# ----- solving -----


class Solve(Operator):
    """X with A X = B, for square A; B holds columns."""

    exports = ""
    inputs = ("a", "b")

    def infer(a, b):
        need_matrix(a, square=True)
        need_matrix(b)
        if a.dtype is not b.dtype:
            raise DTypeError(f"A is {a.dtype.name}, B {b.dtype.name}", hint="convert one")
        if a.shape[-1] != b.shape[-2]:
            raise ShapeError(f"A {a.shape} and B {b.shape} differ in their number of rows")
        return Spec((*broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:]), a.dtype)

    def forward(a, b):
        return lapack(np.linalg.solve, "the matrix is singular, there is no one solution", a, b)

    def backward(g, a, y, needs):
        grad_b = apply(Solve, a.mT, g)
        return (-(grad_b @ y.mT) if needs[0] else None, grad_b)

    def latex(a, b):
        return rf"{{{a}}}^{{-1}} {b}"


@export("linalg")
def solve(A, B, *, left=True, out=None):
    """X with A X = B (or X A = B with left=False); B may be a vector, or one for each matrix.

    >>> bl.linalg.solve(bl.tensor([[2.0, 0.0], [0.0, 4.0]]), bl.tensor([2.0, 2.0]))
    tensor([1.0000, 0.5000])
    """
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))
    if vector:
        return apply(Solve, A if left else A.mT, B.unsqueeze(-1)).squeeze(-1)
    return apply(Solve, A, B) if left else apply(Solve, A.mT, B.mT).mT


class SolveTriangular(Operator):
    """X with A X = B, for triangular A: only that triangle is read, its diagonal may count as 1."""

    exports = ""
    inputs = ("a", "b")

    def infer(a, b, *, upper, unitriangular):
        return Solve.infer(a, b)

    def forward(a, b, *, upper, unitriangular):
        a = np.triu(a) if upper else np.tril(a)
        if unitriangular:
            unit = np.eye(a.shape[-1], dtype=bool)
            a = np.where(unit, a.dtype.type(1), a)
        return lapack(np.linalg.solve, "a triangular matrix with a 0 on its diagonal", a, b)

    def backward(g, a, y, upper, unitriangular, needs):
        grad_b = apply(SolveTriangular, a.mT, g, upper=not upper, unitriangular=unitriangular)
        if not needs[0]:
            return None, grad_b
        full, skip = -(grad_b @ y.mT), int(unitriangular)
        return full.triu(skip) if upper else full.tril(-skip), grad_b

    def latex(a, b, *, upper, unitriangular):
        return rf"{{{a}}}^{{-1}} {b}"


@export("linalg")
def solve_triangular(A, B, *, upper, left=True, unitriangular=False, out=None):
    """X with A X = B (or X A = B with left=False), for a triangular A.

    >>> bl.linalg.solve_triangular(bl.tensor([[2.0, 9.0], [0.0, 4.0]]), bl.ones(2, 1),
    ...                            upper=False).flatten()
    tensor([0.5000, 0.2500])
    """
    how = {"upper": bool(upper), "unitriangular": bool(unitriangular)}
    if left:
        return apply(SolveTriangular, A, B, **how)
    how["upper"] = not upper
    return apply(SolveTriangular, A.mT, B.mT, **how).mT


@export("bl Tensor")
def triangular_solve(input, A, upper=True, transpose=False, unitriangular=False):
    """X with A X = input for a triangular A, and A itself.

    >>> bl.triangular_solve(bl.ones(1, 1), bl.tensor([[2.0]])).solution.tolist()
    [[0.5]]
    """
    matrix, side = (A.mT, not upper) if transpose else (A, upper)
    found = apply(SolveTriangular, matrix, input, upper=bool(side), unitriangular=unitriangular)
    return named("triangular_solve", solution=found, cloned_coefficient=A)


# ----- Cholesky -----


class Cholesky(Operator):
    """The lower triangular L with L Lᵀ = A, for symmetric positive definite A.

    `upper=True` gives Lᵀ. Only the lower triangle of A is read; the gradient is symmetric.

    >>> bl.linalg.cholesky(bl.tensor([[4.0, 2.0], [2.0, 2.0]]))
    tensor([[2., 0.],
            [1., 1.]])
    """

    exports = "bl Tensor linalg"

    def call(input, upper=False):
        factor = apply(Cholesky, input)
        return factor.mT if upper else factor

    def infer(x):
        need_matrix(x, square=True)
        return x

    def forward(x):
        return lapack(np.linalg.cholesky, "the matrix is not positive definite", x)

    def grad_x(g, y):
        inner = y.mT @ g
        inner = (inner.tril() + inner.tril(-1)) * 0.5  # the lower triangle, its diagonal halved
        half = apply(SolveTriangular, y.mT, inner, upper=True, unitriangular=False)
        found = apply(SolveTriangular, y.mT, half.mT, upper=True, unitriangular=False)
        return (found + found.mT) * 0.5

    def latex(x):
        return rf"\operatorname{{chol}}\left({x}\right)"


class CholeskySolve(Composite):
    """X with A X = input, given the Cholesky factor of A.

    >>> bl.cholesky_solve(bl.ones(1, 1), bl.tensor([[2.0]])).tolist()
    [[0.25]]
    """

    def expand(input, L, upper=False):
        lower = L.mT if upper else L
        half = apply(SolveTriangular, lower, input, upper=False, unitriangular=False)
        return apply(SolveTriangular, lower.mT, half, upper=True, unitriangular=False)


class CholeskyInverse(Composite):
    """The inverse of A, given its Cholesky factor.

    >>> bl.cholesky_inverse(bl.tensor([[2.0]])).tolist()
    [[0.25]]
    """

    def expand(L, upper=False):
        unit = np.eye(L.shape[-1], dtype=L.cell.array.dtype)
        return CholeskySolve.call(slot.wrap(np.broadcast_to(unit, L.shape)), L, upper)


# ----- plain forms -----


@export("linalg")
def matmul(input, other, *, out=None):
    """The matrix product, as bl.matmul.

    >>> bl.linalg.matmul(bl.ones(2, 3), bl.ones(3, 2))
    tensor([[3., 3.],
            [3., 3.]])
    """
    return Matmul.call(input, other)


@export("linalg")
def vecdot(x, y, *, dim=-1, out=None):
    """The sums of the products of two tensors along an axis.

    >>> bl.linalg.vecdot(bl.ones(2, 3), bl.ones(3))
    tensor([3., 3.])
    """
    return (x * y).sum(dim)


@export("linalg")
def diagonal(A, *, offset=0, dim1=-2, dim2=-1):
    """The diagonals of matrices, as a view.

    >>> bl.linalg.diagonal(bl.tensor([[[1, 2], [3, 4]]]))
    tensor([[1, 4]])
    """
    return A.diagonal(offset, dim1, dim2)


@export("linalg")
def cross(input, other, *, dim=-1, out=None):
    """The cross product of vectors of three elements.

    >>> bl.linalg.cross(bl.tensor([1.0, 0.0, 0.0]), bl.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    from backlit.ops.products import cross_along

    return cross_along(input, other, dim)


@export("linalg")
def vander(x, *, N=None):
    """The powers 0 to N - 1 of each element, as a new last axis.

    >>> bl.linalg.vander(bl.tensor([2.0, 3.0]), N=3)
    tensor([[1., 2., 4.],
            [1., 3., 9.]])
    """
    if not x.ndim:
        raise ShapeError("vander: expected at least one axis, got a 0-dim tensor")
    count = x.shape[-1] if N is None else N
    if count < 1:
        raise ArgumentError(f"vander: N must be positive, got {count}")
    powers = slot.wrap(np.arange(count))
    return x.unsqueeze(-1) ** powers


def vander_decreasing(x, N=None, increasing=False):
    """The powers N - 1 to 0 of each element of a vector; `increasing` turns them round.

    >>> bl.vander(bl.tensor([2, 3]), 3)
    tensor([[4, 2, 1],
            [9, 3, 1]])
    """
    if x.ndim != 1:
        raise ShapeError(f"vander: expected a vector, got {x.ndim} axes")
    found = vander(x, N=N)
    return found if increasing else found.flip(-1)


vander_decreasing.__name__ = "vander"
export("bl")(vander_decreasing)


def _square_of(x: Any, ind: int, name: str) -> tuple[tuple, tuple, int]:
    lead, trail = tuple(x.shape[:ind]), tuple(x.shape[ind:])
    if ind < 1 or math.prod(lead) != math.prod(trail):
        raise ShapeError(f"{name}: shape {tuple(x.shape)} cut at {ind} is not square")
    return lead, trail, math.prod(lead)


@export("linalg")
def tensorinv(A, ind=2, *, out=None):
    """The inverse of A as a map between its first `ind` axes and the others.

    >>> bl.linalg.tensorinv(bl.eye(6).reshape(2, 3, 6)).shape
    backlit.Size([6, 2, 3])
    """
    lead, trail, n = _square_of(A, ind, "tensorinv")
    return apply(Inv, A.reshape(n, n)).reshape(*trail, *lead)


@export("linalg")
def tensorsolve(A, B, dims=None, *, out=None):
    """X with tensordot(A, X, X.ndim) = B.

    >>> bl.linalg.tensorsolve(bl.eye(6).reshape(2, 3, 6), bl.ones(2, 3)).shape
    backlit.Size([6])
    """
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(-len(dims), 0)))
    _, trail, n = _square_of(A, B.ndim, "tensorsolve")
    return solve(A.reshape(n, n), B.reshape(n)).reshape(trail)


class MatrixExp(Composite):
    """The exponential of square matrices, by scaling, a Taylor series and squaring.

    >>> bl.linalg.matrix_exp(bl.zeros(2, 2))
    tensor([[1., 0.],
            [0., 1.]])
    """

    exports = "bl Tensor linalg"

    def expand(input):
        need_matrix(Spec(tuple(input.shape), input.dtype), square=True)
        array = values_of(input)
        size = float(np.abs(array).sum(-1).max()) if array.size else 0.0
        if not math.isfinite(size):
            raise LinAlgError("matrix_exp: the matrix holds NaN or infinity")
        halvings = max(0, math.ceil(math.log2(size / 0.5))) if size else 0
        scaled = input * 0.5**halvings
        one = slot.wrap(np.broadcast_to(np.eye(array.shape[-1], dtype=array.dtype), array.shape))
        total = one
        for k in range(_TERMS[input.dtype.itemsize], 0, -1):  # Horner's scheme
            total = one + (scaled @ total) / k
        for _ in range(halvings):
            total = total @ total
        return total

    def latex(x):
        return f"e^{{{x}}}"


_TERMS = {4: 9, 8: 15}  # a row sum of 0.5: the next term is below the last digit
