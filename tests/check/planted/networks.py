"""Small networks with a loss: affine, activation, affine, and a penalty on the weights."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn, whole


def two_layer_forward(X, y, W1, b1, W2, b2, reg=0.1):
    N = X.shape[0]
    hidden = np.maximum(0, X.dot(W1) + b1)
    scores = hidden.dot(W2) + b2
    shifted = scores - scores.max(axis=1, keepdims=True)
    probs = np.exp(shifted)
    probs /= probs.sum(axis=1, keepdims=True)
    loss = -np.log(probs[np.arange(N), y]).sum() / N
    loss += 0.5 * reg * (np.sum(W1 * W1) + np.sum(W2 * W2))
    return loss, (X, y, hidden, probs, W1, W2, reg)


def two_layer_backward(dout, cache):
    X, y, hidden, probs, W1, W2, reg = cache
    N = X.shape[0]
    dscores = probs.copy()
    dscores[np.arange(N), y] -= 1
    dscores /= N
    grads = {}
    grads["W2"] = hidden.T.dot(dscores)
    grads["b2"] = np.sum(dscores, axis=0)
    dhidden = dscores.dot(W2.T)
    dhidden[hidden <= 0] = 0
    grads["W1"] = X.T.dot(dhidden)
    grads["b1"] = np.sum(dhidden, axis=0)
    grads["W1"] += reg * W1
    grads["W2"] += reg * W2
    for name in grads:
        grads[name] = grads[name] * dout
    return grads


def ridge_forward(X, t, w, lam=0.3):
    residual = X @ w - t
    loss = np.mean(residual**2) + lam * np.sum(w**2)
    return loss, (X, residual, w, lam)


def ridge_backward(dout, cache):
    X, residual, w, lam = cache
    dw = 2 * X.T @ residual / len(residual)
    dw += 2 * lam * w
    return {"w": dout * dw}


def sigmoid_net_forward(x, t, W1, b1, W2, b2):
    z1 = W1 @ x + b1
    a1 = 1 / (1 + np.exp(-z1))
    z2 = W2 @ a1 + b2
    a2 = 1 / (1 + np.exp(-z2))
    return 0.5 * np.sum((a2 - t) ** 2), (x, t, z1, a1, z2, a2, W1, W2)


def sigmoid_net_backward(dout, cache):
    x, t, z1, a1, z2, a2, W1, W2 = cache
    delta2 = dout * (a2 - t) * a2 * (1 - a2)
    dW2 = np.outer(delta2, a1)
    delta1 = (W2.T @ delta2) * a1 * (1 - a1)
    dW1 = np.outer(delta1, x)
    return {"W1": dW1, "b1": delta1, "W2": dW2, "b2": delta2}


def lasso_forward(X, t, w, b, lam=0.2):
    r = X @ w + b - t
    return 0.5 * np.sum(r * r) / len(t) + lam * np.abs(w).sum(), (X, r, w, lam)


def lasso_backward(dout, cache):
    X, r, w, lam = cache
    dr = dout * r / len(r)
    dw = X.T @ dr
    dw += dout * lam * np.sign(w)
    db = dr.sum()
    return {"w": dw, "b": db}


def residual_forward(x, W1, W2):
    h = np.tanh(x @ W1)
    out = x + h @ W2
    return out, (x, h, W1, W2)


def residual_backward(dout, cache):
    x, h, W1, W2 = cache
    dW2 = h.T @ dout
    dh = dout @ W2.T
    dz = dh * (1 - h * h)
    dW1 = x.T @ dz
    dx = dout.copy()
    dx += dz @ W1.T
    return {"x": dx, "W1": dW1, "W2": dW2}


def tied_forward(x, W, b):
    code = np.tanh(x @ W + b)
    out = code @ W.T
    return ((out - x) ** 2).sum() / x.size, dict(x=x, W=W, code=code, out=out)


def tied_backward(dout, c):
    dy = 2 * dout * (c["out"] - c["x"]) / c["x"].size
    dW = dy.T @ c["code"]
    dcode = dy @ c["W"]
    dz = dcode * (1 - c["code"] ** 2)
    dW += c["x"].T @ dz
    db = dz.sum(axis=0)
    dx = dz @ c["W"].T
    dx -= dy
    return {"x": dx, "W": dW, "b": db}


CASES = [
    Case(
        "two-layer net with L2", (two_layer_forward, two_layer_backward),
        drawn(X=(5, 4), y=whole(3, 5), W1=(4, 6), b1=(6,), W2=(6, 3), b2=(3,)),
        [
            bug("missing_regularization", "W1", '    grads["W1"] += reg * W1\n', ""),
            bug("missing_regularization", "W2", '    grads["W2"] += reg * W2\n', ""),
            bug("missing_regularization", "W1 W2", '    grads["W1"] += reg * W1\n', "",
                '    grads["W2"] += reg * W2\n', ""),
            bug("missing_regularization", "W1", '+= reg * W1', '+= 0.5 * reg * W1',
                also="missing_factor", why="half of the term is missing: a factor 2 within it"),
            bug("extra_factor", "W1 W2", '+= reg * W1', '+= 2 * reg * W1',
                '+= reg * W2', '+= 2 * reg * W2'),
            bug("missing_factor", "W1 b1 W2 b2", "    dscores /= N\n", ""),
            bug("mask_not_reused", "W1 b1", "    dhidden[hidden <= 0] = 0\n", "",
                also="missing_factor", why="the mask is the local derivative of relu"),
            bug("detached_path", "W1 b1 W2 b2", "    dscores[np.arange(N), y] -= 1\n", "",
                also="lost_accumulation", why="the path by the score of the right class is lost"),
            bug("index_error", "W1 b1 W2 b2", "dscores[np.arange(N), y] -= 1",
                "dscores[:, y] -= 1"),
            bug("wrong_axis", "b2", 'np.sum(dscores, axis=0)', 'np.sum(dscores, axis=1)'),
            bug("missing_broadcast_sum", "b1", 'np.sum(dhidden, axis=0)', 'dhidden'),
            bug("transposed", "W1", 'X.T.dot(dhidden)', 'dhidden.T.dot(X)',
                'grads["W1"] += reg * W1', 'grads["W1"] += reg * W1.T'),
        ],
        claims="W1 b1 W2 b2",
    ),
    Case(
        "ridge regression", (ridge_forward, ridge_backward),
        drawn(X=(7, 3), t=(7,), w=(3,)),
        [
            bug("missing_regularization", "w", "    dw += 2 * lam * w\n", ""),
            bug("missing_regularization", "w", "dw += 2 * lam * w", "dw += lam * w",
                also="missing_factor", why="half of the term is missing: a factor 2 within it"),
            bug("missing_factor", "w", " / len(residual)\n    dw += 2 * lam * w",
                "\n    dw += 2 * lam * w * len(residual)"),
            bug("lost_accumulation", "w", "dw += 2", "dw = 2"),
            bug("sign", "w", "residual = X @ w - t\n", "residual = t - X @ w\n",
                "dw += 2", "dw -= 2"),
        ],
        claims="w",
    ),
    Case(
        "sigmoid net of Nielsen", (sigmoid_net_forward, sigmoid_net_backward),
        drawn(x=(3,), t=(4,), W1=(4, 3), b1=(4,), W2=(4, 4), b2=(4,)),
        [
            bug("transposed", "W1 b1", "(W2.T @ delta2)", "(W2 @ delta2)"),
            bug("transposed", "W2", "np.outer(delta2, a1)", "np.outer(a1, delta2)"),
            bug("wrong_saved_value", "W1 b1", "* a1 * (1 - a1)", "* z1 * (1 - z1)"),
            bug("wrong_saved_value", "W2", "np.outer(delta2, a1)", "np.outer(delta2, z1)"),
            bug("wrong_saved_value", "W1 b1 W2 b2", "* a2 * (1 - a2)", "* z2 * (1 - z2)"),
            bug("missing_factor", "W1 b1", " * a1 * (1 - a1)", "", also="wrong_saved_value",
                why="the derivative of the activation is left out, or 1 stands in for it"),
            bug("sign", "W1 b1 W2 b2", "dout * (a2 - t)", "dout * (t - a2)"),
            bug("stale_saved_value", "W2", "return 0.5", "SAVED['a1'] = a1\n    return 0.5",
                "np.outer(delta2, a1)", "np.outer(delta2, SAVED['a1'])"),
        ],
        claims="W1 b1 W2 b2",
    ),
    Case(
        "lasso", (lasso_forward, lasso_backward),
        drawn(X=(6, 4), t=(6,), w=lambda rng: rng.choice([-1, 1], 4) * rng.uniform(0.3, 1, 4),
              b=0.25),
        [
            bug("missing_regularization", "w", "    dw += dout * lam * np.sign(w)\n", ""),
            bug("missing_broadcast_sum", "b", "dr.sum()", "dr"),
            bug("missing_factor", "w b", "dout * r / len(r)", "dout * r",
                "dout * lam * np.sign(w)", "dout * lam * np.sign(w) * len(r)"),
            bug("extra_factor", "b", "dr.sum()", "dr.mean()", also="missing_broadcast_sum",
                why="the mean in place of the sum is a factor 1/N"),
        ],
        claims="w b",
    ),
    Case(
        "residual block", (residual_forward, residual_backward),
        drawn(x=(5, 4), W1=(4, 4), W2=(4, 4)),
        [
            bug("lost_accumulation", "x", "dx += dz", "dx = dz"),
            bug("lost_accumulation", "x", "    dx += dz @ W1.T\n", ""),
            bug("transposed", "x", "dz @ W1.T", "dz @ W1"),
            bug("transposed", "W2", "h.T @ dout", "dout.T @ h"),
            bug("wrong_saved_value", "W1", "x.T @ dz", "h.T @ dz"),
            bug("wrong_saved_value", "W2", "h.T @ dout", "x.T @ dout"),
            bug("wrong_saved_value", "x W1", "(1 - h * h)", "(1 - x * x)"),
            bug("missing_factor", "x W1", "dz = dh * (1 - h * h)", "dz = dh",
                also="wrong_saved_value", why="the derivative of tanh is left out"),
        ],
    ),
    Case(
        "autoencoder with tied weights", (tied_forward, tied_backward),
        drawn(x=(6, 4), W=(4, 4), b=(4,)),
        [
            bug("lost_accumulation", "W", 'dW += c["x"].T', 'dW = c["x"].T'),
            bug("lost_accumulation", "W", '    dW += c["x"].T @ dz\n', ""),
            bug("lost_accumulation", "x", "    dx -= dy\n", ""),
            bug("sign", "x", "dx -= dy", "dx += dy"),
            bug("transposed", "W", 'dy.T @ c["code"]', 'c["code"].T @ dy'),
            bug("extra_factor", "b", "dz.sum(axis=0)", "dz.mean(axis=0)",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor 1/N"),
            bug("missing_factor", "x W b", 'c["x"].size\n    dW', 'len(c["x"])\n    dW'),
        ],
    ),
]  # fmt: skip
