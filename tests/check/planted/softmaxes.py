"""Softmax alone, its logarithm, and with cross-entropy: along which axis, and less what."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn, whole


def softmax_forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, (x, y)


def softmax_backward(dout, cache):
    x, y = cache
    inner = np.sum(dout * y, axis=1, keepdims=True)
    dx = y * (dout - inner)
    return {"x": dx}


def softmax_jacobian_forward(z):
    e = np.exp(z)
    return e / e.sum(), e / e.sum()


def softmax_jacobian_backward(dout, y):
    J = np.diag(y) - np.outer(y, y)
    return {"z": J.T @ dout}


def log_softmax_forward(x):
    shifted = x - x.max(axis=-1, keepdims=True)
    logsum = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    out = shifted - logsum
    return out, out


def log_softmax_backward(dout, out):
    probs = np.exp(out)
    dx = dout - probs * dout.sum(axis=-1, keepdims=True)
    return {"x": dx}


def softmax_loss_forward(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted), axis=1, keepdims=True)
    log_probs = shifted - np.log(Z)
    probs = np.exp(log_probs)
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    return loss, (probs, y)


def softmax_loss_backward(dout, cache):
    probs, y = cache
    N = probs.shape[0]
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return {"x": dout * dx}


def linear_softmax_forward(W, X, Y, decay=0.01):
    scores = X @ W
    e = np.exp(scores)
    P = e / e.sum(axis=1, keepdims=True)
    loss = -np.mean(np.sum(Y * np.log(P), axis=1)) + decay / 2 * np.sum(W**2)
    return loss, (W, X, Y, P, scores, decay)


def linear_softmax_backward(dout, cache):
    W, X, Y, P, scores, decay = cache
    dscores = (P - Y) / X.shape[0]
    dW = X.T @ dscores
    dW = dW + decay * W
    return {"W": dW * dout}


def cross_entropy_forward(p, y):
    picked = p[np.arange(len(y)), y]
    return -np.log(picked).mean(), (p, y)


def cross_entropy_backward(dout, cache):
    p, y = cache
    dp = np.zeros_like(p)
    rows = np.arange(len(y))
    dp[rows, y] = -1.0 / p[rows, y]
    dp /= len(y)
    return {"p": dout * dp}


def logsumexp_forward(x):
    m = x.max(axis=0)
    s = np.exp(x - m).sum(axis=0)
    return np.log(s) + m, (x, m, s)


def logsumexp_backward(dout, cache):
    x, m, s = cache
    return {"x": dout * np.exp(x - m) / s}


def smoothed_forward(z, y, eps=0.2):
    N, K = z.shape
    target = np.full((N, K), eps / K)
    target[np.arange(N), y] += 1 - eps
    logp = z - np.log(np.exp(z).sum(1, keepdims=True))
    return -(target * logp).sum() / N, (z, target, logp)


def smoothed_backward(dout, cache):
    z, target, logp = cache
    dz = (np.exp(logp) - target) / z.shape[0]
    return {"z": dout * dz}


def one_hot(rng):
    return np.eye(4)[rng.integers(0, 4, 6)]


def rows_of_probabilities(rng):
    e = np.exp(rng.standard_normal((5, 4)))
    return e / e.sum(axis=1, keepdims=True)


CASES = [
    Case(
        "softmax", (softmax_forward, softmax_backward), drawn(x=(5, 3)),
        [
            bug("lost_accumulation", "x", "(dout - inner)", "dout"),
            bug("wrong_axis", "x", "y, axis=1, keepdims=True)", "y, axis=0, keepdims=True)"),
            bug("wrong_saved_value", "x", "dx = y * (dout - inner)", "dx = x * (dout - inner)"),
            bug("wrong_saved_value", "x", "return y, (x, y)", "return y, (x, e)"),
            bug("sign", "x", "(dout - inner)", "(inner - dout)"),
            bug("sign", "x", "(dout - inner)", "(dout + inner)"),
            bug("stale_saved_value", "x", "return y, (x, y)", "SAVED['y'] = y\n    return y, x",
                "x, y = cache", "x, y = cache, SAVED['y']"),
        ],
    ),
    Case(
        "softmax by its Jacobian", (softmax_jacobian_forward, softmax_jacobian_backward),
        drawn(z=(4,)),
        [
            bug("lost_accumulation", "z", " - np.outer(y, y)", ""),
            bug("sign", "z", "np.diag(y) - np.outer(y, y)", "np.outer(y, y) - np.diag(y)"),
            bug("wrong_saved_value", "z", "e / e.sum(), e / e.sum()", "e / e.sum(), e"),
            bug("shape_error", "z", "J.T @ dout", "J * dout", also="missing_broadcast_sum",
                why="a matrix for a vector: the sum over the outputs is left out"),
        ],
    ),
    Case(
        "log-softmax", (log_softmax_forward, log_softmax_backward), drawn(x=(5, 3)),
        [
            bug("missing_broadcast_sum", "x", "dout.sum(axis=-1, keepdims=True)", "dout"),
            bug("wrong_axis", "x", "dout.sum(axis=-1, keepdims=True)",
                "dout.sum(axis=0, keepdims=True)"),
            bug("wrong_saved_value", "x", "probs = np.exp(out)", "probs = out"),
            bug("lost_accumulation", "x",
                " - probs * dout.sum(axis=-1, keepdims=True)", ""),
            bug("extra_factor", "x", "dx = dout - probs", "dx = dout - probs.shape[1] * probs"),
        ],
    ),
    Case(
        "softmax loss", (softmax_loss_forward, softmax_loss_backward),
        drawn(x=(6, 4), y=whole(4, 6)),
        [
            bug("missing_factor", "x", "    dx /= N\n", ""),
            bug("detached_path", "x", "    dx[np.arange(N), y] -= 1\n", "",
                also="lost_accumulation", why="the path by the score of the right class is lost"),
            bug("index_error", "x", "dx[np.arange(N), y] -= 1", "dx[:, y] -= 1"),
            bug("index_error", "x", "dx[np.arange(N), y] -= 1", "dx[np.arange(N), y - 1] -= 1"),
            bug("sign", "x", "dx[np.arange(N), y] -= 1", "dx[np.arange(N), y] += 1"),
            bug("extra_factor", "x", "dx /= N", "dx /= dx.size"),
            bug("wrong_saved_value", "x", "return loss, (probs, y)",
                "return loss, (np.exp(shifted), y)"),
            bug("wrong_saved_value", "x", "return loss, (probs, y)", "return loss, (log_probs, y)"),
            bug("stale_saved_value", "x", "return loss, (probs, y)",
                "SAVED['p'] = probs\n    return loss, (SAVED, y)", "    N = probs",
                "    probs = probs['p']\n    N = probs"),
        ],
    ),
    Case(
        "linear softmax classifier", (linear_softmax_forward, linear_softmax_backward),
        drawn(W=(4, 4), X=(6, 4), Y=one_hot),
        [
            bug("missing_regularization", "W", "    dW = dW + decay * W\n", ""),
            bug("sign", "W", "dW + decay * W", "dW - decay * W"),
            bug("sign", "W", "(P - Y)", "(Y - P)", "dW + decay * W", "dW - decay * W"),
            bug("transposed", "W", "X.T @ dscores", "(X.T @ dscores).T"),
            bug("wrong_saved_value", "W", "(P - Y)", "(scores - Y)"),
            bug("missing_factor", "W", "(P - Y) / X.shape[0]", "(P - Y)",
                "decay * W", "decay * X.shape[0] * W"),
        ],
        claims="W",
    ),
    Case(
        "cross-entropy of probabilities", (cross_entropy_forward, cross_entropy_backward),
        drawn(p=rows_of_probabilities, y=whole(4, 5)),
        [
            bug("missing_factor", "p", "    dp /= len(y)\n", ""),
            bug("index_error", "p", "dp[rows, y] = -1.0 / p[rows, y]",
                "dp[rows, (y + 1) % 4] = -1.0 / p[rows, y]"),
            bug("sign", "p", "= -1.0 / p", "= 1.0 / p"),
        ],
    ),
    Case(
        "logsumexp over columns", (logsumexp_forward, logsumexp_backward), drawn(x=(4, 4)),
        [
            bug("wrong_axis", "x", "return {\"x\": dout * np.exp(x - m) / s}",
                "return {\"x\": dout[:, None] * np.exp(x - m) / s}"),
            bug("missing_factor", "x", " / s}", "}", also="wrong_saved_value",
                why="the normalization s is left out, or 1 stands in for it"),
        ],
    ),
    Case(
        "cross-entropy with smoothing", (smoothed_forward, smoothed_backward),
        drawn(z=(6, 4), y=whole(4, 6)),
        [
            bug("missing_factor", "z", " / z.shape[0]", ""),
            bug("wrong_saved_value", "z", "np.exp(logp) - target", "logp - target"),
            bug("wrong_saved_value", "z", "np.exp(logp) - target", "np.exp(z) - target"),
            bug("detached_path", "z", "np.exp(logp) - target", "-target",
                also="lost_accumulation", why="the path through the normalization is lost"),
        ],
    ),
]  # fmt: skip
