"""Losses: what is averaged over what, and which element is the right class."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn, whole


def svm_forward(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, np.newaxis] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    return loss, (x, y, margins)


def svm_backward(dout, cache):
    x, y, margins = cache
    N = x.shape[0]
    num_pos = np.sum(margins > 0, axis=1)
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[np.arange(N), y] -= num_pos
    dx /= N
    return {"x": dout * dx}


def svm_naive_forward(W, X, y, reg=0.05):
    loss = 0.0
    for i in range(X.shape[0]):
        scores = X[i].dot(W)
        for j in range(W.shape[1]):
            if j != y[i]:
                loss += max(0.0, scores[j] - scores[y[i]] + 1)
    loss /= X.shape[0]
    loss += reg * np.sum(W * W)
    return loss, (W, X, y, reg)


def svm_naive_backward(dout, cache):
    W, X, y, reg = cache
    dW = np.zeros(W.shape)
    for i in range(X.shape[0]):
        scores = X[i].dot(W)
        for j in range(W.shape[1]):
            if j != y[i] and scores[j] - scores[y[i]] + 1 > 0:
                dW[:, j] += X[i]
                dW[:, y[i]] -= X[i]
    dW /= X.shape[0]
    dW += 2 * reg * W
    return {"W": dout * dW}


def mse_forward(pred, target):
    diff = pred - target
    return np.mean(diff**2), diff


def mse_backward(dout, diff):
    d = 2 * diff / diff.size * dout
    return {"pred": d, "target": -d}


def half_mse_forward(y, t):
    return np.sum((y - t) ** 2) / (2 * len(y)), (y, t)


def half_mse_backward(dout, cache):
    y, t = cache
    dy = dout * (y - t) / len(y)
    return {"y": dy}


def sse_forward(y, t):
    return 0.5 * ((y - t) ** 2).sum(axis=1), (y, t)


def sse_backward(dout, cache):
    y, t = cache
    return {"y": dout[:, None] * (y - t)}


def bce_forward(p, t):
    loss = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    return loss, (p, t)


def bce_backward(dout, cache):
    p, t = cache
    dp = -(t / p - (1 - t) / (1 - p)) / p.size
    return {"p": dout * dp}


def bce_logits_forward(z, t):
    loss = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return loss.mean(), (z, t)


def bce_logits_backward(dout, cache):
    z, t = cache
    s = 1 / (1 + np.exp(-z))
    return {"z": dout * (s - t) / z.size}


def huber_forward(y, t):
    r = y - t
    small = np.abs(r) < 1.0
    loss = np.where(small, 0.5 * r * r, np.abs(r) - 0.5)
    return loss.sum(), (r, small)


def huber_backward(dout, cache):
    r, small = cache
    dr = np.where(small, r, np.sign(r))
    return {"y": dout * dr, "t": -dout * dr}


def probabilities(rng):
    return rng.uniform(0.1, 0.9, (4, 3))


def bits(rng):
    return rng.integers(0, 2, (4, 3))


CASES = [
    Case(
        "svm loss", (svm_forward, svm_backward), drawn(x=(6, 4), y=whole(4, 6)),
        [
            bug("missing_factor", "x", "    dx /= N\n", ""),
            bug("detached_path", "x", "    dx[np.arange(N), y] -= num_pos\n", "",
                also="lost_accumulation", why="the path by the right class is lost"),
            bug("index_error", "x", "dx[np.arange(N), y] -= num_pos",
                "dx[:, y] -= num_pos[:, None]"),
            bug("extra_factor", "x", "    dx /= N\n", "    dx /= N * N\n"),
            bug("mask_not_reused", "x", "dx[margins > 0] = 1", "dx[:] = 1",
                also="missing_factor", why="the mask of margins is the local derivative"),
            bug("stale_saved_value", "x", "return loss, (x, y, margins)",
                "SAVED['m'] = margins\n    return loss, (x, y, SAVED)",
                "    num_pos = np.sum", "    margins = margins['m']\n    num_pos = np.sum"),
        ],
    ),
    Case(
        "svm loss with loops", (svm_naive_forward, svm_naive_backward),
        drawn(W=(3, 4), X=(5, 3), y=whole(4, 5)),
        [
            bug("missing_regularization", "W", "    dW += 2 * reg * W\n", ""),
            bug("lost_accumulation", "W", "dW[:, j] += X[i]", "dW[:, j] = X[i]"),
            bug("lost_accumulation", "W", "                dW[:, y[i]] -= X[i]\n", ""),
            bug("missing_factor", "W", "    dW /= X.shape[0]\n    dW += 2 * reg * W",
                "    dW += 2 * reg * W * X.shape[0]"),
            bug("missing_regularization", "W", "dW += 2 * reg * W", "dW += reg * W",
                also="missing_factor", why="half of the term is missing: a factor 2 within it"),
        ],
        claims="W",
    ),
    Case(
        "mean squared error over all", (mse_forward, mse_backward),
        drawn(pred=(5, 3), target=(5, 3)),
        [
            bug("missing_factor", "pred target", "2 * diff", "diff"),
            bug("missing_factor", "pred target", "2 * diff / diff.size", "2 * diff"),
            bug("missing_factor", "pred target", "diff / diff.size", "diff / len(diff)"),
            bug("sign", "target", '"target": -d', '"target": d'),
            bug("extra_factor", "pred target", "2 * diff", "4 * diff"),
            bug("wrong_saved_value", "pred target", "np.mean(diff**2), diff",
                "np.mean(diff**2), pred"),
        ],
    ),
    Case(
        "half squared error over the batch", (half_mse_forward, half_mse_backward),
        drawn(y=(5, 3), t=(5, 3)),
        [
            bug("extra_factor", "y", "(y - t) / len(y)", "2 * (y - t) / len(y)"),
            bug("extra_factor", "y", "dy = dout * (y - t) / len(y)",
                "dy = dout * (y - t) / y.size"),
            bug("missing_factor", "y", "dy = dout * (y - t) / len(y)", "dy = dout * (y - t)"),
            bug("sign", "y", "dy = dout * (y - t)", "dy = dout * (t - y)"),
        ],
        claims="y",
    ),
    Case(
        "squared error of each sample", (sse_forward, sse_backward), drawn(y=(4, 3), t=(4, 3)),
        [
            bug("missing_factor", "y", "dout[:, None] * (y - t)", "0.5 * dout[:, None] * (y - t)"),
            bug("extra_factor", "y", "dout[:, None] * (y - t)",
                "dout[:, None] * (y - t) / len(y)"),
            bug("missing_factor", "y", "dout[:, None] * (y - t)", "y - t",
                also="wrong_saved_value", why="the upstream gradient is left out, or taken as 1"),
        ],
        claims="y",
    ),
    Case(
        "binary cross-entropy", (bce_forward, bce_backward), drawn(p=probabilities, t=bits),
        [
            bug("missing_factor", "p", " / p.size", ""),
            bug("missing_factor", "p", " / p.size", " / len(p)"),
            bug("sign", "p", "dp = -(t / p", "dp = (t / p"),
            bug("detached_path", "p", "(t / p - (1 - t) / (1 - p))", "(t / p)",
                also="lost_accumulation", why="the path through log(1 - p) is lost"),
            bug("sign", "p", "t / p - (1 - t)", "t / p + (1 - t)"),
        ],
        claims="p",
    ),
    Case(
        "binary cross-entropy of logits", (bce_logits_forward, bce_logits_backward),
        drawn(z=(4, 3), t=bits),
        [
            bug("wrong_saved_value", "z", "s = 1 / (1 + np.exp(-z))", "s = z"),
            bug("missing_factor", "z", " / z.size", ""),
            bug("sign", "z", "(s - t)", "(t - s)"),
            bug("detached_path", "z", "dout * (s - t)", "dout * s",
                also="lost_accumulation", why="the path through z * t is lost"),
        ],
        claims="z",
    ),
    Case(
        "huber", (huber_forward, huber_backward), drawn(y=(4, 4), t=(4, 4)),
        [
            bug("mask_not_reused", "y t", "np.where(small, r, np.sign(r))", "r",
                also="wrong_saved_value", why="without the mask the large residuals are used"),
            bug("wrong_saved_value", "y t", "np.where(small, r, np.sign(r))",
                "np.where(small, np.sign(r), r)", also="mask_not_reused",
                why="the mask is turned around"),
            bug("sign", "t", '"t": -dout', '"t": dout'),
        ],
    ),
]  # fmt: skip
