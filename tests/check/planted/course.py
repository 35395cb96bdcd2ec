"""Exercises in other styles: caches within caches, modes, loops over samples, in-place masks."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn, whole


def affine(x, w, b):
    return x.dot(w) + b, (x, w)


def affine_back(dout, cache):
    x, w = cache
    return dout.dot(w.T), x.T.dot(dout), dout.sum(0)


def affine_relu_forward(x, w, b):
    a, fc_cache = affine(x, w, b)
    out = np.maximum(0, a)
    relu_cache = a
    return out, (fc_cache, relu_cache)


def affine_relu_backward(dout, cache):
    fc_cache, relu_cache = cache
    da = dout * (relu_cache > 0)
    dx, dw, db = affine_back(da, fc_cache)
    return {"x": dx, "w": dw, "b": db}


def batchnorm_mode_forward(x, gamma, beta, bn_param):
    if bn_param["mode"] == "train":
        mu, var = np.mean(x, axis=0), np.var(x, axis=0)
    else:
        mu, var = bn_param["running_mean"], bn_param["running_var"]
    inv = 1 / np.sqrt(var + bn_param.get("eps", 1e-5))
    xhat = (x - mu) * inv
    return gamma * xhat + beta, (xhat, gamma, inv, bn_param["mode"])


def batchnorm_mode_backward(dout, cache):
    xhat, gamma, inv, mode = cache
    dgamma = np.einsum("nd,nd->d", dout, xhat)
    dbeta = np.einsum("nd->d", dout)
    dxhat = dout * gamma
    dx = dxhat * inv
    if mode == "train":
        dx = inv * (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0))
    return {"x": dx, "gamma": dgamma, "beta": dbeta}


def dropout_param_forward(x, dropout_param):
    p, mode = dropout_param["p"], dropout_param["mode"]
    if "seed" in dropout_param:
        np.random.seed(dropout_param["seed"])
    mask = None
    out = x
    if mode == "train":
        mask = (np.random.rand(*x.shape) < p) / p
        out = x * mask
    return out, (dropout_param, mask)


def dropout_param_backward(dout, cache):
    dropout_param, mask = cache
    dx = dout
    if dropout_param["mode"] == "train":
        dx = dout * mask
    return {"x": dx}


def logistic_forward(w, b, X, y, C=0.1):
    loss = 0.0
    p = np.zeros(len(y))
    for i in range(len(y)):
        z = 0.0
        for j in range(len(w)):
            z += w[j] * X[i, j]
        p[i] = 1 / (1 + np.exp(-(z + b)))
        loss -= y[i] * np.log(p[i]) + (1 - y[i]) * np.log(1 - p[i])
    return loss / len(y) + C * np.dot(w, w), (w, X, y, p, C)


def logistic_backward(dout, cache):
    w, X, y, p, C = cache
    dw, db = np.zeros_like(w), 0.0
    for i in range(len(y)):
        error = p[i] - y[i]
        for j in range(len(w)):
            dw[j] += error * X[i, j]
        db += error
    dw /= len(y)
    db /= len(y)
    dw += 2 * C * w
    return {"w": dout * dw, "b": dout * db}


def word2vec_forward(center, outside, negatives):
    def sig(z):
        return 1 / (1 + np.exp(-z))

    pos = sig(outside @ center)
    neg = sig(-negatives @ center)
    return -np.log(pos) - np.log(neg).sum(), (center, outside, negatives, pos, neg)


def word2vec_backward(dout, cache):
    center, outside, negatives, pos, neg = cache
    dcenter = (pos - 1) * outside
    dcenter += (1 - neg) @ negatives
    doutside = (pos - 1) * center
    dnegatives = np.outer(1 - neg, center)
    return {"center": dout * dcenter, "outside": dout * doutside, "negatives": dout * dnegatives}


def kernel_forward(x, centers, sigma):
    diff = x[:, None, :] - centers[None, :, :]
    sq = np.sum(diff**2, axis=2)
    k = np.exp(-sq / (2 * sigma**2))
    return k, (diff, sq, k, sigma)


def kernel_backward(dk, cache):
    diff, sq, k, sigma = cache
    dsq = -dk * k / (2 * sigma**2)
    ddiff = 2 * dsq[:, :, None] * diff
    dx = ddiff.sum(axis=1)
    dcenters = -ddiff.sum(axis=0)
    dsigma = np.sum(dk * k * sq / sigma**3)
    return {"x": dx, "centers": dcenters, "sigma": dsigma}


def perceptron_forward(w, X, t):
    margin = -t * (X @ w)
    return np.maximum(margin, 0).mean(), (X, t, margin)


def perceptron_backward(dout, cache):
    X, t, margin = cache
    active = margin > 0
    dmargin = active / len(t)
    return {"w": dout * (X.T @ (-t * dmargin))}


def conv_relu_pool_forward(x, w):
    n, k = len(x), len(w)
    a = np.zeros(n - k + 1)
    for i in range(n - k + 1):
        a[i] = x[i : i + k] @ w
    r = a * (a > 0)
    pairs = r.reshape(-1, 2)
    return pairs.max(axis=1), (x, w, a, pairs)


def conv_relu_pool_backward(dout, cache):
    x, w, a, pairs = cache
    dpairs = np.zeros_like(pairs)
    dpairs[np.arange(len(pairs)), pairs.argmax(axis=1)] = dout
    da = dpairs.reshape(-1)
    da[a <= 0] = 0
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(len(a)):
        dx[i : i + len(w)] += da[i] * w
        dw += da[i] * x[i : i + len(w)]
    return {"x": dx, "w": dw}


def triplet_forward(a, p, n, margin=1.0):
    dp, dn = ((a - p) ** 2).sum(1), ((a - n) ** 2).sum(1)
    hinge = np.maximum(0, dp - dn + margin)
    return hinge.mean(), {"a": a, "p": p, "n": n, "on": hinge > 0}


def triplet_backward(dout, c):
    scale = 2 * dout * c["on"][:, None] / len(c["a"])
    da = scale * (c["n"] - c["p"])
    dp = scale * (c["p"] - c["a"])
    dn = scale * (c["a"] - c["n"])
    return {"a": da, "p": dp, "n": dn}


def mixture_forward(logits, values):
    e = np.exp(logits - logits.max())
    pi = e / e.sum()
    return np.log(pi @ np.exp(values)), (pi, values)


def mixture_backward(dout, cache):
    pi, values = cache
    total = pi @ np.exp(values)
    post = pi * np.exp(values) / total
    dvalues = post
    dlogits = post - pi
    return {"logits": dout * dlogits, "values": dout * dvalues}


def power_forward(x, w):
    h = x
    states = [h]
    for _ in range(3):
        h = h @ w
        states.append(h)
    return h, (states, w)


def power_backward(dout, cache):
    states, w = cache
    dw = np.zeros_like(w)
    dh = dout
    for h in states[-2::-1]:
        dw += h.T @ dh
        dh = dh @ w.T
    return {"x": dh, "w": dw}


TRAIN = {"mode": "train", "p": 0.7, "seed": 3}
RUNNING = {"mode": "test", "running_mean": np.array([0.1, -0.2, 0.3]),
           "running_var": np.array([1.5, 0.7, 1.1])}  # fmt: skip
CASES = [
    Case(
        "affine and relu", (affine, affine_back, affine_relu_forward, affine_relu_backward),
        drawn(x=(5, 4), w=(4, 4), b=(4,)),
        [
            bug("mask_not_reused", "x w b", "dout * (relu_cache > 0)", "dout",
                also="missing_factor", why="the mask is the local derivative"),
            bug("transposed", "x", "dout.dot(w.T)", "dout.dot(w)"),
            bug("missing_broadcast_sum", "b", "dout.sum(0)", "dout"),
            bug("wrong_saved_value", "w", "return x.dot(w) + b, (x, w)",
                "out = x.dot(w) + b\n    return out, (out, w)"),
            bug("stale_saved_value", "x w b", "relu_cache = a\n",
                "SAVED['a'] = a\n    relu_cache = SAVED\n", "(relu_cache > 0)",
                "(relu_cache['a'] > 0)"),
            bug("stale_saved_value", "w", "relu_cache = a\n",
                "relu_cache = a\n    SAVED['fc'] = fc_cache\n", "affine_back(da, fc_cache)",
                "affine_back(da, (SAVED['fc'][0], w_of(fc_cache)))", "def affine(x, w, b):",
                "def w_of(cache):\n    return cache[1]\n\n\ndef affine(x, w, b):"),
        ],
    ),
    Case(
        "batch normalization with modes", (batchnorm_mode_forward, batchnorm_mode_backward),
        drawn(x=(5, 3), gamma=(3,), beta=(3,), bn_param={"mode": "train", "eps": 1e-5}),
        [
            bug("detached_path", "x", 'if mode == "train":', 'if mode == "test":',
                also="lost_accumulation", why="the statistics are taken for constants"),
            bug("missing_factor", "x", "dxhat = dout * gamma", "dxhat = dout",
                also="wrong_saved_value", why="gamma is left out, or 1 stands in for it"),
            bug("wrong_axis", "beta", '"nd->d", dout)', '"nd->n", dout)'),
            bug("extra_factor", "x", "xhat * (dxhat * xhat).mean(axis=0))",
                "xhat * (dxhat * xhat).mean(axis=0)) / len(xhat)"),
            bug("missing_factor", "x", "inv * (dxhat - dxhat.mean(axis=0)",
                "inv * (dxhat - dxhat.sum(axis=0)"),
        ],
    ),
    Case(
        "batch normalization at test time", (batchnorm_mode_forward, batchnorm_mode_backward),
        drawn(x=(4, 3), gamma=(3,), beta=(3,), bn_param=RUNNING),
        [
            bug("missing_factor", "x", "dx = dxhat * inv\n", "dx = dxhat\n",
                also="wrong_saved_value", why="the deviation is left out"),
            bug("extra_factor", "x", "dx = dxhat * inv\n", "dx = dxhat * inv**2\n",
                also="wrong_saved_value", why="the deviation twice: its square in its place"),
        ],
        systematic=False,
    ),
    Case(
        "dropout with modes", (dropout_param_forward, dropout_param_backward),
        drawn(x=(5, 5), dropout_param=TRAIN),
        [
            bug("mask_not_reused", "x", "dx = dout * mask", "dx = dout * 1.0",
                also="missing_factor", why="the mask is the local derivative"),
            bug("mask_not_reused", "x", "dx = dout * mask",
                "p = dropout_param['p']\n"
                "        dx = dout * (np.random.rand(*dout.shape) < p) / p"),
            bug("missing_factor", "x", "dx = dout * mask", "dx = dout * mask * dropout_param['p']"),
            bug("extra_factor", "x", "dx = dout * mask", "dx = dout * mask / dropout_param['p']"),
        ],
    ),
    Case(
        "logistic regression with loops", (logistic_forward, logistic_backward),
        drawn(w=(3,), b=0.4, X=(6, 3), y=whole(2, 6)),
        [
            bug("lost_accumulation", "w", "dw[j] += error", "dw[j] = error"),
            bug("lost_accumulation", "b", "db += error", "db = error",
                also="missing_broadcast_sum", why="the last sample stands for the sum over all"),
            bug("missing_factor", "b", "    db /= len(y)\n", ""),
            bug("missing_regularization", "w", "    dw += 2 * C * w\n", ""),
            bug("sign", "w b", "error = p[i] - y[i]", "error = y[i] - p[i]", "dw += 2", "dw -= 2"),
            bug("wrong_saved_value", "w", "error * X[i, j]", "error * w[j]"),
            bug("extra_factor", "w b", "error = p[i] - y[i]", "error = 3 * (p[i] - y[i])",
                "2 * C * w", "6 * C * w"),
        ],
        claims="w b",
    ),
    Case(
        "negative sampling", (word2vec_forward, word2vec_backward),
        drawn(center=(4,), outside=(4,), negatives=(4, 4)),
        [
            bug("lost_accumulation", "center", "dcenter += ", "dcenter = "),
            bug("lost_accumulation", "center", "    dcenter += (1 - neg) @ negatives\n", ""),
            bug("sign", "outside", "doutside = (pos - 1)", "doutside = (1 - pos)"),
            bug("transposed", "negatives", "np.outer(1 - neg, center)",
                "np.outer(center, 1 - neg)"),
            bug("wrong_saved_value", "negatives", "np.outer(1 - neg, center)",
                "np.outer(1 - neg, outside)"),
            bug("wrong_saved_value", "outside", "doutside = (pos - 1) * center",
                "doutside = (pos - 1) * outside"),
            bug("transposed", "center", "(1 - neg) @ negatives", "negatives @ (1 - neg)"),
        ],
    ),
    Case(
        "gaussian kernel", (kernel_forward, kernel_backward),
        drawn(x=(4, 3), centers=(4, 3), sigma=1.3),
        [
            bug("missing_factor", "x centers", "ddiff = 2 * dsq", "ddiff = dsq"),
            bug("sign", "centers", "-ddiff.sum(axis=0)", "ddiff.sum(axis=0)"),
            bug("wrong_axis", "x", "ddiff.sum(axis=1)", "ddiff.sum(axis=0)"),
            bug("wrong_saved_value", "sigma", "dk * k * sq", "dk * sq * sq"),
            bug("missing_broadcast_sum", "sigma", "np.sum(dk * k * sq / sigma**3)",
                "dk * k * sq / sigma**3"),
            bug("sign", "x centers", "dsq = -dk", "dsq = dk"),
        ],
    ),
    Case(
        "perceptron", (perceptron_forward, perceptron_backward),
        drawn(w=(3,), X=(8, 3), t=lambda rng: rng.choice([-1, 1], 8)),
        [
            bug("mask_not_reused", "w", "dmargin = active / len(t)", "dmargin = 1 / len(t)",
                also="missing_factor", why="the mask is the local derivative"),
            bug("missing_factor", "w", "active / len(t)", "active * 1.0"),
            bug("sign", "w", "(-t * dmargin)", "(t * dmargin)"),
        ],
        claims="w",
    ),
    Case(
        "convolution, relu and pooling", (conv_relu_pool_forward, conv_relu_pool_backward),
        drawn(x=(8,), w=(3,)),
        [
            bug("index_error", "x w", "pairs.argmax(axis=1)]", "pairs.argmin(axis=1)]"),
            bug("lost_accumulation", "w", "dw += da[i]", "dw = da[i]"),
            bug("lost_accumulation", "x", "dx[i : i + len(w)] += ", "dx[i : i + len(w)] = "),
            bug("index_error", "x", "+= da[i] * w\n", "+= da[i] * w[::-1]\n", also="transposed",
                why="the kernel turned around"),
        ],
    ),
    Case(
        "triplet loss", (triplet_forward, triplet_backward),
        drawn(a=(5, 3), p=(5, 3), n=(5, 3)),
        [
            bug("mask_not_reused", "a p n", ' * c["on"][:, None]', "", also="missing_factor",
                why="the mask is the local derivative"),
            bug("missing_factor", "a p n", "scale = 2 * dout", "scale = dout"),
            bug("sign", "a", '(c["n"] - c["p"])', '(c["p"] - c["n"])'),
            bug("missing_factor", "a p n", ' / len(c["a"])', ""),
            bug("stale_saved_value", "a p n", '"on": hinge > 0}', '"on": SAVED}',
                "hinge = np.maximum(0, dp - dn + margin)",
                "hinge = np.maximum(0, dp - dn + margin)\n    SAVED['on'] = hinge > 0",
                'c["on"][:', 'c["on"]["on"][:'),
        ],
    ),
    Case(
        "mixture of experts", (mixture_forward, mixture_backward), drawn(logits=(4,), values=(4,)),
        [
            bug("detached_path", "logits", "post - pi", "post", also="lost_accumulation",
                why="the path through the normalization is lost"),
            bug("sign", "logits", "post - pi", "pi - post"),
            bug("wrong_saved_value", "values", "dvalues = post", "dvalues = pi"),
            bug("missing_factor", "logits values", "pi * np.exp(values) / total",
                "pi * np.exp(values)", "dlogits = post - pi", "dlogits = post - pi * total",
                also="wrong_saved_value", why="the total is left out, or 1 stands in for it"),
        ],
    ),
    Case(
        "power of a matrix", (power_forward, power_backward), drawn(x=(4, 4), w=(4, 4)),
        [
            bug("lost_accumulation", "w", "dw += ", "dw = "),
            bug("transposed", "x w", "dh = dh @ w.T", "dh = dh @ w"),
            bug("transposed", "w", "h.T @ dh", "dh.T @ h"),
            bug("index_error", "w", "    for h in states[-2::-1]:\n        dw += h.T @ dh",
                "    for k, h in enumerate(states[-2::-1]):\n        dw += states[-1 - k].T @ dh",
                also="wrong_saved_value", why="the state one step later: another saved value"),
        ],
    ),
]  # fmt: skip
