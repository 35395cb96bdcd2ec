"""Normalizations: staged and in closed form, over which axis, with which of the saved values."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    N, D = x.shape
    mu = 1.0 / N * np.sum(x, axis=0)
    xmu = x - mu
    sq = xmu**2
    var = 1.0 / N * np.sum(sq, axis=0)
    sqrtvar = np.sqrt(var + eps)
    ivar = 1.0 / sqrtvar
    xhat = xmu * ivar
    out = gamma * xhat + beta
    return out, (xhat, gamma, xmu, ivar, sqrtvar, var, eps)


def batchnorm_backward(dout, cache):
    xhat, gamma, xmu, ivar, sqrtvar, var, eps = cache
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dxmu = dxhat * ivar
    dsqrtvar = -1.0 / (sqrtvar**2) * divar
    dvar = 0.5 * 1.0 / np.sqrt(var + eps) * dsqrtvar
    dsq = 1.0 / N * np.ones((N, D)) * dvar
    dxmu += 2 * xmu * dsq
    dx = dxmu.copy()
    dmu = -1 * np.sum(dxmu, axis=0)
    dx += 1.0 / N * np.ones((N, D)) * dmu
    return {"x": dx, "gamma": dgamma, "beta": dbeta}


def batchnorm_alt_forward(x, gamma, beta):
    mean, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + 1e-5)
    xhat = (x - mean) / std
    return gamma * xhat + beta, {"x": x, "xhat": xhat, "std": std, "var": var, "gamma": gamma}


def batchnorm_alt_backward(dout, cache):
    xhat, std, gamma = cache["xhat"], cache["std"], cache["gamma"]
    N = dout.shape[0]
    dbeta = dout.sum(axis=0)
    dgamma = (dout * xhat).sum(axis=0)
    dx = gamma / (N * std) * (N * dout - dbeta - xhat * dgamma)
    return {"x": dx, "gamma": dgamma, "beta": dbeta}


def layernorm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=1, keepdims=True)
    var = x.var(axis=1, keepdims=True)
    std = np.sqrt(var + eps)
    xhat = (x - mu) / std
    out = gamma * xhat + beta
    return out, (x, xhat, std, gamma)


def layernorm_backward(dout, cache):
    x, xhat, std, gamma = cache
    dgamma = np.sum(dout * xhat, axis=0)
    dbeta = np.sum(dout, axis=0)
    d = dout * gamma
    dx = (d - d.mean(axis=1, keepdims=True)
          - xhat * (d * xhat).mean(axis=1, keepdims=True)) / std  # fmt: skip
    return {"x": dx, "gamma": dgamma, "beta": dbeta}


def groupnorm_forward(x, gamma, beta, G=2, eps=1e-5):
    N, C, H, W = x.shape
    grouped = x.reshape(N, G, -1)
    mu = grouped.mean(axis=2, keepdims=True)
    std = np.sqrt(grouped.var(axis=2, keepdims=True) + eps)
    xhat = (grouped - mu) / std
    out = gamma * xhat.reshape(x.shape) + beta
    return out, (xhat, std, gamma, G)


def groupnorm_backward(dout, cache):
    xhat, std, gamma, G = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat.reshape(dout.shape), axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    d = (dout * gamma).reshape(N, G, -1)
    m1 = d.mean(axis=2, keepdims=True)
    m2 = (d * xhat).mean(axis=2, keepdims=True)
    dx = (d - m1 - xhat * m2) / std
    return {"x": dx.reshape(dout.shape), "gamma": dgamma, "beta": dbeta}


def spatial_forward(x, gamma, beta):
    N, C, H, W = x.shape
    flat = x.transpose(0, 2, 3, 1).reshape(-1, C)
    mu, std = flat.mean(0), np.sqrt(flat.var(0) + 1e-5)
    xhat = (flat - mu) / std
    out = (gamma * xhat + beta).reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return out, (xhat, std, gamma)


def spatial_backward(dout, cache):
    xhat, std, gamma = cache
    N, C, H, W = dout.shape
    d = dout.transpose(0, 2, 3, 1).reshape(-1, C)
    M = N * H * W
    dbeta = d.sum(axis=0)
    dgamma = (d * xhat).sum(axis=0)
    dflat = gamma / std / M * (M * d - dbeta - xhat * dgamma)
    dx = dflat.reshape(N, H, W, C).transpose(0, 3, 1, 2)
    return {"x": dx, "gamma": dgamma, "beta": dbeta}


def unit_forward(v):
    n = np.sqrt(np.sum(v * v))
    u = v / n
    return u, (v, u, n)


def unit_backward(dout, cache):
    v, u, n = cache
    dv = dout / n
    dv -= u * np.dot(u, dout) / n
    return {"v": dv}


def rms_forward(x, g):
    r = np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + 1e-6)
    return x / r * g, (x, r, g)


def rms_backward(dout, cache):
    x, r, g = cache
    dn = dout * g
    dx = dn / r
    dx -= x * np.mean(dn * x, axis=-1, keepdims=True) / r**3
    dg = (dout * x / r).sum(axis=0)
    return {"x": dx, "g": dg}


def standardize_forward(x):
    m = x.mean()
    s = x.std()
    return (x - m) / s, (x, m, s)


def standardize_backward(dout, cache):
    x, m, s = cache
    z = (x - m) / s
    dx = (dout - dout.mean() - z * (dout * z).mean()) / s
    return {"x": dx}


SQUARE = drawn(x=(4, 4), gamma=(4,), beta=(4,))
CASES = [
    Case(
        "batch normalization, staged", (batchnorm_forward, batchnorm_backward),
        drawn(x=(6, 4), gamma=(4,), beta=(4,)),
        [
            bug("lost_accumulation", "x", "dxmu += 2", "dxmu = 2"),
            bug("lost_accumulation", "x", "dx += 1.0 / N", "dx = 1.0 / N"),
            bug("lost_accumulation", "x", "    dx += 1.0 / N * np.ones((N, D)) * dmu\n", ""),
            bug("lost_accumulation", "x", "    dxmu += 2 * xmu * dsq\n", ""),
            bug("wrong_saved_value", "gamma", "dout * xhat, axis=0", "dout * xmu, axis=0"),
            bug("wrong_saved_value", "x", "divar = np.sum(dxhat * xmu",
                "divar = np.sum(dxhat * xhat"),
            bug("missing_broadcast_sum", "beta", "dbeta = np.sum(dout, axis=0)", "dbeta = dout"),
            bug("wrong_axis", "beta", "np.sum(dout, axis=0)", "np.sum(dout, axis=1)"),
            bug("wrong_axis", "gamma", "dout * xhat, axis=0", "dout * xhat, axis=1", inputs=SQUARE),
            bug("missing_factor", "x", "2 * xmu * dsq", "xmu * dsq"),
            bug("missing_factor", "x", "dx += 1.0 / N *", "dx += "),
            bug("sign", "x", "dsqrtvar = -1.0", "dsqrtvar = 1.0"),
            bug("sign", "x", "dmu = -1 *", "dmu = 1 *"),
            bug("stale_saved_value", "x gamma", "return out, (xhat,",
                "SAVED['n'] = xhat\n    return out, (None,", "    N, D = dout.shape",
                "    xhat = SAVED['n']\n    xmu = xhat / ivar\n    N, D = dout.shape"),
            bug("extra_factor", "gamma", "np.sum(dout * xhat", "np.mean(dout * xhat",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor 1/N"),
        ],
    ),
    Case(
        "batch normalization, closed form", (batchnorm_alt_forward, batchnorm_alt_backward),
        drawn(x=(5, 3), gamma=(3,), beta=(3,)),
        [
            bug("missing_factor", "x", "gamma / (N * std)", "gamma / std"),
            bug("missing_factor", "x", "gamma / (N * std)", "gamma / N", also="wrong_saved_value",
                why="the deviation is left out, or 1 stands in for it"),
            bug("missing_factor", "x", "gamma / (N * std)", "1 / (N * std)",
                also="wrong_saved_value", why="gamma is left out, or 1 stands in for it"),
            bug("detached_path", "x", "(N * dout - dbeta - xhat * dgamma)",
                "(N * dout - xhat * dgamma)", also="lost_accumulation",
                why="the path through the mean is lost at the fork of x"),
            bug("detached_path", "x", "(N * dout - dbeta - xhat * dgamma)",
                "(N * dout - dbeta)", also="lost_accumulation",
                why="the path through the variance is lost at the fork of x"),
            bug("detached_path", "x", "(N * dout - dbeta - xhat * dgamma)", "N * dout",
                also="lost_accumulation", why="the statistics are taken for constants"),
            bug("wrong_saved_value", "x", "gamma / (N * std)", 'gamma / (N * cache["var"])'),
            bug("wrong_saved_value", "x gamma", 'cache["xhat"],', 'cache["x"],'),
            bug("sign", "x", "- xhat * dgamma)", "+ xhat * dgamma)"),
            bug("sign", "x", "- dbeta - xhat", "+ dbeta - xhat"),
        ],
    ),
    Case(
        "layer normalization", (layernorm_forward, layernorm_backward),
        drawn(x=(5, 4), gamma=(4,), beta=(4,)),
        [
            bug("wrong_axis", "x", "d.mean(axis=1", "d.mean(axis=0",
                "(d * xhat).mean(axis=1", "(d * xhat).mean(axis=0"),
            bug("wrong_axis", "x", "d.mean(axis=1", "d.mean(axis=0"),
            bug("wrong_axis", "gamma beta", "dout * xhat, axis=0", "dout * xhat, axis=1",
                "np.sum(dout, axis=0)", "np.sum(dout, axis=1)"),
            bug("wrong_axis", "gamma beta", "dout * xhat, axis=0", "dout * xhat, axis=1",
                "np.sum(dout, axis=0)", "np.sum(dout, axis=1)", inputs=SQUARE),
            bug("wrong_saved_value", "x gamma", "x, xhat, std, gamma = cache",
                "xhat, _, std, gamma = cache"),
            bug("detached_path", "x", " - d.mean(axis=1, keepdims=True)\n", "\n",
                also="lost_accumulation", why="the path through the mean is lost"),
            bug("missing_factor", "x", "d = dout * gamma", "d = dout", also="wrong_saved_value",
                why="gamma is left out, or 1 stands in for it"),
            bug("missing_broadcast_sum", "beta", "np.sum(dout, axis=0)", "dout"),
            bug("extra_factor", "x", "keepdims=True)) / std", "keepdims=True)) / std / len(x)"),
        ],
    ),
    Case(
        "group normalization", (groupnorm_forward, groupnorm_backward),
        drawn(x=(2, 4, 3, 3), gamma=(1, 4, 1, 1), beta=(1, 4, 1, 1)),
        [
            bug("wrong_axis", "x", "m1 = d.mean(axis=2", "m1 = d.mean(axis=1"),
            bug("wrong_axis", "beta", "np.sum(dout, axis=(0, 2, 3)", "np.sum(dout, axis=(1, 2, 3)"),
            bug("missing_broadcast_sum", "beta", "np.sum(dout, axis=(0, 2, 3)",
                "np.sum(dout, axis=(2, 3)"),
            bug("detached_path", "x", "(d - m1 - xhat * m2)", "(d - m1)",
                also="lost_accumulation", why="the path through the variance is lost"),
            bug("shape_error", "beta", "np.sum(dout, axis=(0, 2, 3), keepdims=True)",
                "np.sum(dout, axis=(0, 2, 3))"),
            bug("extra_factor", "gamma", "np.sum(dout * xhat", "np.mean(dout * xhat",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor"),
        ],
    ),
    Case(
        "spatial batch normalization", (spatial_forward, spatial_backward),
        drawn(x=(2, 3, 3, 2), gamma=(3,), beta=(3,)),
        [
            bug("missing_factor", "x", "gamma / std / M", "gamma / std"),
            bug("extra_factor", "gamma", '"gamma": dgamma', '"gamma": dgamma / M'),
            bug("detached_path", "x", "- dbeta - xhat", "- xhat", also="lost_accumulation",
                why="the path through the mean is lost"),
            bug("index_error", "x", "dflat.reshape(N, H, W, C).transpose(0, 3, 1, 2)",
                "dflat.reshape(N, C, H, W)", also="transposed",
                why="elements go to other places: a permutation left out"),
        ],
    ),
    Case(
        "vector of length one", (unit_forward, unit_backward), drawn(v=(5,)),
        [
            bug("detached_path", "v", "    dv -= u * np.dot(u, dout) / n\n", "",
                also="lost_accumulation", why="the path through the norm is lost"),
            bug("wrong_saved_value", "v", "u * np.dot(u, dout)", "v * np.dot(v, dout)"),
            bug("sign", "v", "dv -= u", "dv += u"),
            bug("missing_factor", "v", "dv = dout / n", "dv = dout", "dout) / n", "dout)",
                also="wrong_saved_value", why="the norm is left out, or 1 stands in for it"),
            bug("missing_broadcast_sum", "v", "u * np.dot(u, dout)", "u * (u * dout)"),
        ],
    ),
    Case(
        "root mean square normalization", (rms_forward, rms_backward), drawn(x=(5, 4), g=(4,)),
        [
            bug("lost_accumulation", "x", "dx -= x", "dx = -x"),
            bug("wrong_axis", "x", "np.mean(dn * x, axis=-1", "np.mean(dn * x, axis=0"),
            bug("missing_broadcast_sum", "g", "(dout * x / r).sum(axis=0)", "dout * x / r"),
            bug("wrong_saved_value", "g", "(dout * x / r)", "(dout * x)", also="missing_factor",
                why="the input stands for the normalized one: 1/r is left out"),
            bug("missing_factor", "x", "np.mean(dn * x, axis=-1", "np.sum(dn * x, axis=-1"),
        ],
    ),
    Case(
        "standardization of all", (standardize_forward, standardize_backward), drawn(x=(3, 4)),
        [
            bug("detached_path", "x", " - z * (dout * z).mean()", "", also="lost_accumulation",
                why="the path through the deviation is lost"),
            bug("detached_path", "x", "dout - dout.mean() - z * (dout * z).mean()", "dout",
                also="lost_accumulation", why="the statistics are taken for constants"),
            bug("missing_factor", "x", "dout.mean()", "dout.sum()"),
            bug("wrong_axis", "x", "dout.mean()", "dout.mean(axis=0)"),
        ],
    ),
]  # fmt: skip
