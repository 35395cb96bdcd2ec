"""Rows of backlit/ops/linalg.py and spectral.py.

Singular and eigenvectors have no sign of their own, so only what does not depend on it is
compared. Symmetric inputs are made inside the row: one triangle is read, the gradient is of both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from rows import Row, T

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, LinAlgError, ShapeError


def regular(*shape: int) -> T:
    """Matrices far from singular: random ones, and a multiple of the identity."""
    return T(shape, make=lambda rng: rng.uniform(-1, 1, shape) + 3 * np.eye(shape[-2], shape[-1]))


def apart(*shape: int) -> T:
    """Matrices with singular values well apart."""

    def make(rng: np.random.Generator) -> np.ndarray:
        values = np.zeros(shape)
        k = min(shape[-2:])
        values[..., range(k), range(k)] = np.arange(1, k + 1)
        return values + rng.uniform(-0.3, 0.3, shape)

    return T(shape, make=make)


A, MANY = regular(3, 3), regular(2, 3, 3)
SINGULAR = T((2, 2), values=[[1.0, 2.0], [2.0, 4.0]])
WIDE = T((2, 3))
WHOLE = T((2, 2), dtype="int64")
SQUARE_BAD = [((WIDE,), ShapeError, "square"), ((T((3,)),), ShapeError, "square"),
              ((WHOLE,), DTypeError, "int64")]  # fmt: skip
IS_SINGULAR = ((SINGULAR,), LinAlgError, "singular")


def framework(x: Any) -> Any:
    if isinstance(x, bl.Tensor):
        return bl
    import torch

    return torch


def same(function: Any, op: Any, *args: tuple, **kw: Any) -> Row:
    return Row(function, op=op, args=list(args), torch=function, half=False, **kw)


def definite(x):
    return x @ x.mT + 0.5 * framework(x).eye(x.shape[-1], dtype=x.dtype)


def cholesky(x):
    return framework(x).linalg.cholesky(definite(x))


def cholesky_upper(x):
    return framework(x).linalg.cholesky(definite(x), upper=True)


def cholesky_solve(b, x):
    lower = framework(x).linalg.cholesky(definite(x))
    return framework(x).cholesky_solve(b, lower), framework(x).cholesky_solve(b, lower.mT, True)


def cholesky_inverse(x):
    return framework(x).cholesky_inverse(framework(x).linalg.cholesky(definite(x)))


def solve_lower(a, b):
    solve = framework(a).linalg.solve_triangular
    lone = solve(a, b, upper=True, unitriangular=True)
    return (solve(a, b, upper=False), solve(a, b, upper=True), lone,
            solve(a, b.mT, upper=False, left=False))  # fmt: skip


def solve_triangular_old(b, a, upper=True, transpose=False, unitriangular=False):
    import torch

    triangle = a.triu() if upper else a.tril()
    if unitriangular:
        unit = torch.eye(len(a), dtype=a.dtype)
        triangle = triangle * (1 - unit) + unit
    return torch.linalg.solve(triangle.mT if transpose else triangle, b), a * 1


def qr(x):
    return tuple(framework(x).linalg.qr(x))


def qr_complete(x):
    return tuple(framework(x).linalg.qr(x, mode="complete"))


def qr_r(x):
    return framework(x).linalg.qr(x, mode="r").R


def qr_old(x):
    return tuple(x.qr())


def svd_invariants(x):
    u, s, vh = framework(x).linalg.svd(x, full_matrices=False)
    return (u * s.unsqueeze(-2).cos()) @ vh, s, u**2, vh**2


def svd_full(x):
    u, s, vh = framework(x).linalg.svd(x)
    k = s.shape[-1]
    return u[..., :k] ** 2, s, vh[..., :k, :] ** 2


def svd_old(x):
    u, s, v = framework(x).svd(x)
    return u**2, s, v**2


def symmetric(x):
    return x + x.mT


def eigh_invariants(x):
    values, vectors = framework(x).linalg.eigh(symmetric(x))
    return values, vectors**2, (vectors * values.sin().unsqueeze(-2)) @ vectors.mT


def eigvalsh(x):
    return framework(x).linalg.eigvalsh(symmetric(x), "U")


def lu(x):
    return tuple(framework(x).linalg.lu(x))


def lu_factor(x):
    return tuple(framework(x).linalg.lu_factor(x))


def lu_solve(a, b):
    factors = framework(a).linalg.lu_factor(a.flip(-1))
    solve = framework(a).linalg.lu_solve
    return (solve(*factors, b), solve(*factors, b, adjoint=True),
            solve(*factors, b.mT, left=False))  # fmt: skip


def slogdet(x):
    sign, logabsdet = framework(x).linalg.slogdet(x)
    return sign.detach(), logabsdet


def lstsq(a, b):
    return framework(a).linalg.lstsq(a, b).solution


def lstsq_rest(a, b, driver=None):
    found = framework(a).linalg.lstsq(a, b, driver=driver)
    return found.residuals, found.rank, found.singular_values


def singular_det(x):
    return framework(x).linalg.det(x @ x.mT)


ORDERS = ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)

ROWS = [
    Row(
        "linalg.inv",
        op="inv",
        args=[(A,), (MANY,), (T((0, 0)),)],
        half=False,
        bad=[*SQUARE_BAD, IS_SINGULAR],
    ),
    Row("inverse", op=(), args=[(A,)], half=False),
    Row(
        "linalg.det",
        op=("det", "cofactor"),
        args=[(A,), (MANY,), (T((1, 1)),)],
        half=False,
        bad=SQUARE_BAD,
    ),
    same(singular_det, "cofactor", (T((3, 2)),), double=False, tol=1e-9, tol32=1e-4),
    same(slogdet, "slogdet", (A,), (MANY,)),
    Row("logdet", args=[(A,), (MANY,)], half=False, bad=SQUARE_BAD),
    Row(
        "linalg.solve",
        op="solve",
        half=False,
        args=[
            (A, T((3, 2))),
            (A, T((3,))),
            (MANY, T((3, 2))),
            (A, T((2, 3, 2))),
            (MANY, T((2, 3))),
            (A, T((2, 3)), {"left": False}),
        ],
        bad=[
            ((SINGULAR, T((2, 1))), LinAlgError, "no one solution"),
            ((WIDE, WIDE), ShapeError, "square"),
            ((A, T((2, 2))), ShapeError, "number of rows"),
        ],
    ),
    same(solve_lower, "solve_triangular", (A, T((3, 2))), (MANY, T((2, 3, 2)))),
    Row(
        "linalg.solve_triangular",
        op="solve_triangular",
        args=[(A, T((3, 2)), {"upper": True})],
        half=False,
        bad=[
            (
                (T((2, 2), values=[[0.0, 1], [0, 1]]), T((2, 1)), {"upper": True}),
                LinAlgError,
                "0 on its",
            )
        ],
    ),
    Row(
        "triangular_solve",
        op=(),
        args=[(T((3, 2)), A), (T((3, 2)), A, False, True, True)],
        half=False,
        torch=solve_triangular_old,
    ),
    same(cholesky, "cholesky", (A,), (MANY,)),
    same(cholesky_upper, "cholesky", (A,)),
    Row(
        "linalg.cholesky",
        op="cholesky",
        args=[(T((2, 2), values=[[4.0, 1], [1, 3]]),)],
        grad=False,
        half=False,
        bad=[((T((2, 2), values=-np.eye(2)),), LinAlgError, "positive"), *SQUARE_BAD],
    ),
    same(cholesky_solve, "cholesky_solve", (T((3, 2)), A)),
    same(cholesky_inverse, "cholesky_inverse", (A,)),
    Row("linalg.matmul", op=(), args=[(A, MANY)], half=False),
    Row("linalg.vecdot", op=(), args=[(T((2, 3)), T((3,)))]),
    Row("linalg.diagonal", op=(), args=[(MANY,), (MANY, {"offset": 1})]),
    Row("linalg.cross", op=(), args=[(T((2, 3)), T((2, 3))), (T((3, 2)), T((3, 1)), {"dim": 0})]),
    Row(
        "linalg.vander",
        op=(),
        args=[(T((3,), domain=(0.5, 2)),), (T((2, 3)), {"N": 4})],
        bad=[((T(()),), ShapeError, "0-dim"), ((T((3,)), {"N": 0}), ArgumentError, "positive")],
    ),
    Row("vander", op=(), args=[(T((3,)),), (T((3,)), 2, True)], torch=None, numpy=np.vander),
    Row(
        "linalg.tensorinv",
        op=(),
        half=False,
        args=[
            (
                T(
                    (2, 3, 6),
                    make=lambda rng: rng.uniform(-1, 1, (2, 3, 6)) + 3 * np.eye(6).reshape(2, 3, 6),
                ),
            )
        ],
        bad=[((T((2, 3, 5)),), ShapeError, "not square")],
    ),
    Row(
        "linalg.tensorsolve",
        op=(),
        half=False,
        args=[
            (
                T(
                    (2, 3, 6),
                    make=lambda rng: rng.uniform(-1, 1, (2, 3, 6)) + 3 * np.eye(6).reshape(2, 3, 6),
                ),
                T((2, 3)),
            )
        ],
    ),
    Row(
        "linalg.matrix_exp",
        op="matrix_exp",
        args=[(A,), (MANY,), (T((2, 2)),), (T((2, 2), values=[[0.0, 0], [0, 0]]),)],
        half=False,
        bad=SQUARE_BAD,
    ),
    same(lu, ("lu_factors", "lu_pivots"), (A,), (MANY,), (T((3, 3)),), grad=True),
    same(lu, "lu_factors", (T((2, 4, 3)),), (T((2, 4)),), grad=False),
    same(lu_factor, (), (T((3, 3)),), (T((2, 4, 4)),)),
    same(lu_solve, (), (A, T((3, 2))), (MANY, T((2, 3, 2)))),
    # decompositions
    same(qr, "qr", (A,), (apart(4, 3),), (apart(2, 3, 4),), (regular(2, 3, 3),)),
    same(qr_complete, "qr", (A,)),
    same(qr_complete, "qr", (apart(4, 3),), grad=False),
    same(qr_r, "qr", (apart(4, 3),), grad=False),
    Row(qr_old, op=(), args=[(apart(4, 3),)], torch=qr, half=False),
    Row(
        "linalg.qr",
        op="qr",
        args=[],
        bad=[((A, "thin"), ArgumentError, "mode"), ((T((3,)),), ShapeError, "matrices")],
    ),
    same(svd_invariants, "svd", (apart(3, 3),), (apart(4, 3),), (apart(2, 2, 4),)),
    same(svd_full, "svd", (apart(3, 3),), (apart(4, 2),)),
    same(svd_old, (), (apart(4, 3),)),
    Row("linalg.svdvals", op=(), args=[(apart(3, 4),), (apart(2, 3, 3),)], half=False),
    same(eigh_invariants, "eigh", (apart(3, 3),), (apart(2, 3, 3),)),
    same(eigvalsh, "eigh", (apart(3, 3),)),
    Row("linalg.eigh", op="eigh", args=[], bad=[*SQUARE_BAD, ((A, "X"), ArgumentError, "UPLO")]),
    Row(
        "linalg.pinv",
        op="pinv",
        args=[(apart(3, 3),), (apart(4, 3),), (apart(2, 2, 3),), (T((0, 3)),)],
        half=False,
        bad=[((T((3,)),), ShapeError, "matrices")],
    ),
    Row(
        "linalg.pinv",
        op="pinv",
        args=[(SINGULAR,), (apart(3, 3), {"rtol": 0.5})],
        half=False,
        grad=False,
    ),
    Row("pinverse", op=(), args=[(apart(4, 3),)], half=False),
    Row(
        "linalg.matrix_rank",
        op="matrix_rank",
        args=[(A,), (SINGULAR,), (MANY,), (apart(4, 3), {"atol": 1.5})],
        half=False,
        bad=[((WHOLE,), DTypeError, "int64")],
    ),
    same(lstsq, "lstsq", (apart(4, 3), T((4, 2))), (A, T((3, 1)))),
    same(
        lstsq_rest,
        "lstsq",
        *((apart(4, 3), T((4, 2)), how) for how in (None, "gels", "gelsd")),
        (A, T((3, 1))),
        grad=False,
    ),
    Row("linalg.lstsq", op="lstsq", args=[], bad=[((A, T((2, 1))), ShapeError, "do not fit")]),
    # norms
    Row(
        "linalg.vector_norm",
        op=(),
        args=[(WIDE,), (WIDE, 3), (WIDE, math.inf, 1), (WIDE, 1, 0, True)],
    ),
    Row(
        "linalg.matrix_norm",
        op="matrix_norm",
        half=False,
        args=[
            *((apart(2, 3, 4), order) for order in ORDERS),
            (apart(3, 4, 2), 1, (0, 1), True),
            (apart(3, 2, 4), "nuc", (2, 0), True),
        ],
        bad=[((A, 3), ArgumentError, "no norm"), ((T((3,)),), ShapeError, "matrices")],
    ),
    Row(
        "linalg.norm",
        op=(),
        half=False,
        args=[
            (WIDE,),
            (T((3,)), 1),
            (WIDE, "nuc"),
            (WIDE, 2),
            (apart(2, 3, 4), 2, (1, 2)),
            (WIDE, 2, 1),
            (WIDE, None, 1),
        ],
        bad=[((T((2, 2, 2)), 2), ShapeError, "3 axes")],
    ),
    Row("linalg.cond", op="cond", half=False, args=[(apart(3, 3), p) for p in (None, 2, -2)]),
    Row(
        "linalg.cond",
        op="cond",
        half=False,
        args=[(apart(3, 3), p) for p in (1, "fro", math.inf, "nuc")],
        torch=None,
        numpy=np.linalg.cond,
        bad=[((SINGULAR, 1), LinAlgError, "singular")],
    ),
]
