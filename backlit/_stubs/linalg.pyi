"""Written by tools/stubs.py from the operator registry; a test keeps it fresh."""

from typing import Any

from backlit.tensor import Tensor

def cholesky(input: Any, upper: Any = False) -> Tensor:
    """The lower triangular L with L Lᵀ = A, for symmetric positive definite A."""

def cond(A: Any, p: Any = None) -> Tensor:
    """The condition number: the norm of a matrix times that of its inverse; p=None: 2-norm."""

def cross(input: Any, other: Any, *, dim: Any = -1, out: Any = None) -> Any:
    """The cross product of vectors of three elements."""

def det(input: Any) -> Tensor:
    """The determinant of square matrices; its gradient is the matrix of cofactors."""

def diagonal(A: Any, *, offset: Any = 0, dim1: Any = -2, dim2: Any = -1) -> Any:
    """The diagonals of matrices, as a view."""

def eigh(A: Any, UPLO: Any = 'L', *, out: Any = None) -> Any:
    """Eigenvalues, in rising order, and eigenvectors of symmetric matrices."""

def eigvalsh(A: Any, UPLO: Any = 'L', *, out: Any = None) -> Any:
    """Eigenvalues, in rising order, of symmetric matrices."""

def inv(input: Any) -> Tensor:
    """The inverse of square matrices."""

def inverse(input: Any) -> Tensor:
    """The inverse of square matrices."""

def lstsq(A: Any, B: Any, rcond: Any = None, *, driver: Any = None) -> Tensor:
    """X that minimizes the length of A X - B, of least length itself."""

def lu(A: Any, *, pivot: Any = True, out: Any = None) -> Any:
    """P, L, U with P L U = A: a permutation, unit lower and upper triangular matrices."""

def lu_factor(A: Any, *, pivot: Any = True, out: Any = None) -> Any:
    """L and U in one matrix, and the row that each row was swapped with, counted from 1."""

def lu_solve(LU: Any, pivots: Any, B: Any, *, left: Any = True, adjoint: Any = False, out: Any = None) -> Any:
    """X with A X = B, given lu_factor(A)."""

def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
    """The matrix product, as bl.matmul."""

def matrix_exp(input: Any) -> Tensor:
    """The exponential of square matrices, by scaling, a Taylor series and squaring."""

def matrix_norm(A: Any, ord: Any = 'fro', dim: Any = ..., keepdim: Any = False, *, dtype: Any = None) -> Tensor:
    """The norm of matrices: 'fro', 'nuc', or 1, -1, 2, -2, inf, -inf."""

def matrix_power(input: Any, n: Any) -> Tensor:
    """A square matrix multiplied with itself n times; of a negative n the inverse."""

def matrix_rank(A: Any, tol: Any = None, hermitian: Any = False, *, atol: Any = None, rtol: Any = None, out: Any = None) -> Tensor:
    """The number of singular values above a tolerance."""

def multi_dot(tensors: Any) -> Tensor:
    """The product of a chain of matrices, in the order that needs the fewest multiplications."""

def norm(A: Any, ord: Any = None, dim: Any = None, keepdim: Any = False, *, out: Any = None, dtype: Any = None) -> Any:
    """A vector or matrix norm, as `ord` and `dim` say; without both, of all elements."""

def pinv(A: Any, rcond: Any = None, hermitian: Any = False, *, atol: Any = None, rtol: Any = None, out: Any = None) -> Tensor:
    """The Moore-Penrose inverse. Gradient after Golub and Pereyra (1973), constant rank."""

def qr(A: Any, mode: Any = 'reduced', *, out: Any = None) -> Any:
    """Q with orthonormal columns and upper triangular R with Q R = A."""

def slogdet(A: Any) -> Any:
    """The sign of the determinant and the natural logarithm of its absolute value."""

def solve(A: Any, B: Any, *, left: Any = True, out: Any = None) -> Any:
    """X with A X = B (or X A = B with left=False); B may be a vector, or one for each matrix."""

def solve_triangular(A: Any, B: Any, *, upper: Any, left: Any = True, unitriangular: Any = False, out: Any = None) -> Any:
    """X with A X = B (or X A = B with left=False), for a triangular A."""

def svd(A: Any, full_matrices: Any = True, *, driver: Any = None, out: Any = None) -> Any:
    """U, S and Vh with A = U diag(S) Vh; S falls."""

def svdvals(A: Any, *, driver: Any = None, out: Any = None) -> Any:
    """The singular values, in falling order."""

def tensorinv(A: Any, ind: Any = 2, *, out: Any = None) -> Any:
    """The inverse of A as a map between its first `ind` axes and the others."""

def tensorsolve(A: Any, B: Any, dims: Any = None, *, out: Any = None) -> Any:
    """X with tensordot(A, X, X.ndim) = B."""

def vander(x: Any, *, N: Any = None) -> Any:
    """The powers 0 to N - 1 of each element, as a new last axis."""

def vecdot(x: Any, y: Any, *, dim: Any = -1, out: Any = None) -> Any:
    """The sums of the products of two tensors along an axis."""

def vector_norm(x: Any, ord: Any = 2, dim: Any = None, keepdim: Any = False, *, dtype: Any = None, out: Any = None) -> Any:
    """The p-norm of all elements, or of vectors along axes."""

