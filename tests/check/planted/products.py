"""Products of matrices and vectors, distances, and quadratic forms."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def matmul_forward(W, X):
    return W.dot(X), (W, X)


def matmul_backward(dD, cache):
    W, X = cache
    dW = dD.dot(X.T)
    dX = W.T.dot(dD)
    return {"W": dW, "X": dX}


def batched_forward(a, b):
    return a @ b, (a, b)


def batched_backward(dout, cache):
    a, b = cache
    da = dout @ b.transpose(0, 2, 1)
    db = a.transpose(0, 2, 1) @ dout
    return {"a": da, "b": db}


def shared_forward(x, w):
    return np.einsum("ntd,de->nte", x, w), (x, w)


def shared_backward(dout, cache):
    x, w = cache
    dx = np.einsum("nte,de->ntd", dout, w)
    dw = np.einsum("ntd,nte->de", x, dout)
    return {"x": dx, "w": dw}


def dot_forward(u, v):
    return np.dot(u, v), (u, v)


def dot_backward(dout, cache):
    u, v = cache
    return {"u": dout * v, "v": dout * u}


def outer_forward(u, v):
    return np.outer(u, v), (u, v)


def outer_backward(dout, cache):
    u, v = cache
    return {"u": dout @ v, "v": dout.T @ u}


def quadratic_forward(x, A):
    return x @ A @ x, (x, A)


def quadratic_backward(dout, cache):
    x, A = cache
    dx = dout * (A @ x + A.T @ x)
    dA = dout * np.outer(x, x)
    return {"x": dx, "A": dA}


def distance_forward(x, y):
    d = (x**2).sum(1)[:, None] + (y**2).sum(1)[None, :] - 2 * x @ y.T
    return d, (x, y)


def distance_backward(dout, cache):
    x, y = cache
    dx = 2 * x * dout.sum(axis=1)[:, None]
    dx -= 2 * dout @ y
    dy = 2 * y * dout.sum(axis=0)[:, None]
    dy -= 2 * dout.T @ x
    return {"x": dx, "y": dy}


def gram_forward(x):
    return x @ x.T, x


def gram_backward(dout, x):
    dx = dout @ x
    dx += dout.T @ x
    return {"x": dx}


def bilinear_forward(a, W, b):
    mid = a @ W
    return (mid * b).sum(axis=1), (a, W, b, mid)


def bilinear_backward(dout, cache):
    a, W, b, mid = cache
    dmid = dout[:, None] * b
    db = dout[:, None] * mid
    da = dmid @ W.T
    dW = a.T @ dmid
    return {"a": da, "W": dW, "b": db}


def cosine_forward(u, v):
    nu, nv = np.linalg.norm(u), np.linalg.norm(v)
    c = u @ v / (nu * nv)
    return c, (u, v, nu, nv, c)


def cosine_backward(dout, cache):
    u, v, nu, nv, c = cache
    du = v / (nu * nv) - c * u / nu**2
    dv = u / (nu * nv) - c * v / nv**2
    return {"u": dout * du, "v": dout * dv}


def chain_forward(A, B, C):
    AB = A @ B
    return AB @ C, dict(A=A, B=B, C=C, AB=AB)


def chain_backward(dout, k):
    dC = k["AB"].T @ dout
    dAB = dout @ k["C"].T
    dA = dAB @ k["B"].T
    dB = k["A"].T @ dAB
    return {"A": dA, "B": dB, "C": dC}


def euclidean_forward(x, c):
    diff = x - c
    return np.sqrt((diff**2).sum(axis=1)), (diff, x, c)


def euclidean_backward(dout, cache):
    diff, x, c = cache
    r = np.sqrt((diff**2).sum(axis=1))
    dx = (dout / r)[:, None] * diff
    dc = -dx.sum(axis=0)
    return {"x": dx, "c": dc}


S = (4, 4)
CASES = [
    Case(
        "W times X", (matmul_forward, matmul_backward), drawn(W=(5, 6), X=(6, 3)),
        [
            bug("transposed", "W", "dD.dot(X.T)", "X.dot(dD.T)"),
            bug("transposed", "X", "W.T.dot(dD)", "W.dot(dD)", inputs=drawn(W=S, X=S)),
            bug("transposed", "W", "dD.dot(X.T)", "dD.dot(X)", inputs=drawn(W=S, X=S)),
            bug("wrong_saved_value", "W", "dD.dot(X.T)", "dD.dot(W.T)", inputs=drawn(W=S, X=S)),
            bug("stale_saved_value", "W X", "return W.dot(X), (W, X)",
                "SAVED['c'] = (W, X)\n    return W.dot(X), 'c'", "W, X = cache",
                "W, X = SAVED[cache]"),
            bug("extra_factor", "W", "dW = dD.dot(X.T)", "dW = dD.dot(X.T) / X.shape[1]"),
            bug("wrong_saved_value", "W X", "dW = dD.dot(X.T)\n    dX = W.T.dot(dD)",
                "dW = W.T.dot(dD)\n    dX = dD.dot(X.T)", inputs=drawn(W=S, X=S)),
        ],
    ),
    Case(
        "matrix products of a batch", (batched_forward, batched_backward),
        drawn(a=(3, 4, 4), b=(3, 4, 4)),
        [
            bug("transposed", "a", "dout @ b.transpose(0, 2, 1)", "dout @ b"),
            bug("transposed", "b", "a.transpose(0, 2, 1) @ dout", "a @ dout"),
            bug("index_error", "a", "b.transpose(0, 2, 1)", "b[::-1].transpose(0, 2, 1)",
                also="wrong_saved_value", why="the factor of another sample"),
            bug("wrong_axis", "a", "b.transpose(0, 2, 1)", "b.transpose(2, 0, 1)",
                inputs=drawn(a=(4, 4, 4), b=(4, 4, 4)), also="transposed",
                why="another permutation of the axes"),
        ],
    ),
    Case(
        "einsum with shared weights", (shared_forward, shared_backward),
        drawn(x=(3, 3, 4), w=(4, 4)),
        [
            bug("transposed", "x", '"nte,de->ntd"', '"nte,ed->ntd"'),
            bug("transposed", "w", '"ntd,nte->de"', '"ntd,nte->ed"'),
            bug("missing_broadcast_sum", "w", '"ntd,nte->de"', '"ntd,nte->nde"'),
            bug("wrong_axis", "w", '"ntd,nte->de"', '"ntd,tne->de"', also="transposed",
                why="samples and steps change places"),
        ],
    ),
    Case(
        "dot product", (dot_forward, dot_backward), drawn(u=(5,), v=(5,)),
        [
            bug("wrong_saved_value", "u v", '"u": dout * v, "v": dout * u',
                '"u": dout * u, "v": dout * v'),
            bug("missing_factor", "u", '"u": dout * v', '"u": dout * np.ones(5)',
                also="wrong_saved_value", why="the factor v is left out"),
        ],
    ),
    Case(
        "outer product", (outer_forward, outer_backward), drawn(u=(4,), v=(4,)),
        [
            bug("transposed", "u", '"u": dout @ v', '"u": dout.T @ v'),
            bug("transposed", "v", '"v": dout.T @ u', '"v": dout @ u'),
            bug("missing_broadcast_sum", "u", '"u": dout @ v', '"u": dout * v'),
            bug("missing_factor", "u", '"u": dout @ v', '"u": dout.sum(axis=1)',
                also="wrong_saved_value", why="the factor v is left out"),
            bug("wrong_saved_value", "v", '"v": dout.T @ u', '"v": dout.T @ v'),
        ],
    ),
    Case(
        "quadratic form", (quadratic_forward, quadratic_backward), drawn(x=(4,), A=S),
        [
            bug("lost_accumulation", "x", "(A @ x + A.T @ x)", "(A @ x)"),
            bug("lost_accumulation", "x", "(A @ x + A.T @ x)", "(A.T @ x)"),
            bug("transposed", "x", "(A @ x + A.T @ x)", "(2 * A @ x)",
                also="wrong_saved_value", why="A stands for its transpose in one of two terms"),
        ],
    ),
    Case(
        "distances of all pairs", (distance_forward, distance_backward),
        drawn(x=(4, 3), y=(4, 3)),
        [
            bug("lost_accumulation", "x", "dx -= 2", "dx = -2"),
            bug("lost_accumulation", "y", "    dy -= 2 * dout.T @ x\n", ""),
            bug("transposed", "y", "dy -= 2 * dout.T @ x", "dy -= 2 * dout @ x"),
            bug("wrong_axis", "x", "dout.sum(axis=1)", "dout.sum(axis=0)"),
            bug("missing_factor", "x", "dx = 2 * x", "dx = x", "dx -= 2 * dout", "dx -= dout"),
            bug("sign", "x", "dx -= 2", "dx += 2"),
            bug("wrong_saved_value", "x", "dx -= 2 * dout @ y", "dx -= 2 * dout @ x"),
        ],
    ),
    Case(
        "gram matrix", (gram_forward, gram_backward), drawn(x=S),
        [
            bug("lost_accumulation", "x", "dx += dout.T", "dx = dout.T"),
            bug("lost_accumulation", "x", "    dx += dout.T @ x\n", ""),
            bug("transposed", "x", "dx += dout.T @ x", "dx += dout @ x"),
            bug("transposed", "x", "dx = dout @ x", "dx = dout @ x.T",
                "dx += dout.T @ x", "dx += dout.T @ x.T"),
        ],
    ),
    Case(
        "bilinear form", (bilinear_forward, bilinear_backward),
        drawn(a=(5, 4), W=S, b=(5, 4)),
        [
            bug("transposed", "a", "dmid @ W.T", "dmid @ W"),
            bug("transposed", "W", "a.T @ dmid", "dmid.T @ a"),
            bug("wrong_saved_value", "b", "dout[:, None] * mid", "dout[:, None] * a"),
            bug("wrong_saved_value", "a W", "dmid = dout[:, None] * b",
                "dmid = dout[:, None] * mid"),
        ],
    ),
    Case(
        "cosine similarity", (cosine_forward, cosine_backward), drawn(u=(4,), v=(4,)),
        [
            bug("lost_accumulation", "u", "du = v / (nu * nv) - c * u / nu**2",
                "du = v / (nu * nv)"),
            bug("wrong_saved_value", "u", "c * u / nu**2", "c * v / nu**2"),
            bug("missing_factor", "v", "- c * v / nv**2", "- v / nv**2", also="wrong_saved_value",
                why="the cosine is left out, or 1 stands in for it"),
            bug("sign", "v", "(nu * nv) - c * v", "(nu * nv) + c * v"),
        ],
    ),
    Case(
        "product of three matrices", (chain_forward, chain_backward),
        drawn(A=S, B=S, C=S),
        [
            bug("transposed", "A B", 'dout @ k["C"].T', 'dout @ k["C"]'),
            bug("transposed", "C", 'k["AB"].T @ dout', 'k["AB"] @ dout'),
            bug("wrong_saved_value", "C", 'k["AB"].T', 'k["B"].T'),
            bug("wrong_saved_value", "A", 'dAB @ k["B"].T', 'dAB @ k["C"].T'),
            bug("stale_saved_value", "C", "return AB @ C, dict(A=A, B=B, C=C, AB=AB)",
                "SAVED['AB'] = AB\n    return AB @ C, dict(A=A, B=B, C=C, AB=SAVED)",
                'k["AB"].T', 'k["AB"]["AB"].T'),
        ],
    ),
    Case(
        "distances to a centre", (euclidean_forward, euclidean_backward),
        drawn(x=(4, 4), c=(4,)),
        [
            bug("sign", "c", "dc = -dx", "dc = dx"),
            bug("missing_broadcast_sum", "c", "dc = -dx.sum(axis=0)", "dc = -dx"),
            bug("wrong_axis", "c", "dx.sum(axis=0)", "dx.sum(axis=1)"),
            bug("missing_factor", "x c", "(dout / r)[:, None]", "dout[:, None]",
                also="wrong_saved_value", why="the distance is left out, or 1 stands in for it"),
            bug("wrong_axis", "x c", "(dout / r)[:, None]", "(dout / r)[None, :]"),
        ],
    ),
]  # fmt: skip
