"""Pairs whose inputs come in a list and whose gradients come in a tuple, in the same order."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def mlp_forward(x, w1, w2):
    h = np.tanh(x @ w1)
    return h @ w2, (x, w1, w2, h)


def mlp_backward(dout, cache):
    x, w1, w2, h = cache
    dw2 = h.T @ dout
    dz = (dout @ w2.T) * (1 - h * h)
    return dz @ w1.T, x.T @ dz, dw2


def poly_forward(x, a, b):
    return a * x**2 + b * x, (x, a, b)


def poly_backward(dout, cache):
    x, a, b = cache
    dx = dout * (2 * a * x + b)
    da = np.sum(dout * x**2)
    db = np.sum(dout * x)
    return dx, da, db


def mean_forward(x, y):
    d = x - y
    return (d * d).mean(axis=0), d


def mean_backward(dout, d):
    dx = 2 * d * dout / len(d)
    return dx, -dx


def attend_forward(q, keys):
    s = keys @ q
    e = np.exp(s - s.max())
    a = e / e.sum()
    return a @ keys, (q, keys, a, s)


def attend_backward(dout, cache):
    q, keys, a, s = cache
    dkeys = np.outer(a, dout)
    da = keys @ dout
    ds = a * (da - a @ da)
    dkeys += np.outer(ds, q)
    return keys.T @ ds, dkeys


def shift_forward(x, w):
    out = np.zeros_like(x)
    out[1:] = w * x[:-1]
    out += x
    return out, (x, w)


def shift_backward(dout, cache):
    x, w = cache
    dx = dout.copy()
    dx[:-1] += w * dout[1:]
    dw = np.sum(dout[1:] * x[:-1])
    return dx, dw


CASES = [
    Case(
        "two layers, in a list", (mlp_forward, mlp_backward),
        drawn(x=(5, 4), w1=(4, 4), w2=(4, 4)),
        [
            bug("transposed", "x", "dz @ w1.T", "dz @ w1"),
            bug("transposed", "w2", "dw2 = h.T @ dout", "dw2 = dout.T @ h"),
            bug("sign", "w1", "x.T @ dz", "-x.T @ dz"),
            bug("wrong_saved_value", "w2", "dw2 = h.T @ dout", "dw2 = x.T @ dout"),
            bug("wrong_saved_value", "x w1", "(1 - h * h)", "(1 - x * x)"),
            bug("stale_saved_value", "w1", "    return h @ w2, (x",
                "    SAVED['x'] = x\n    return h @ w2, (x",
                "dz @ w1.T, x.T @ dz", "dz @ w1.T, SAVED['x'].T @ dz"),
            bug("detached_path", "w1", "x.T @ dz, dw2", "None, dw2"),
            bug("extra_factor", "w1", "x.T @ dz, dw2", "x.T @ dz / len(x), dw2"),
        ],
        kind="positional",
    ),
    Case(
        "parabola, in a list", (poly_forward, poly_backward), drawn(x=(5,), a=0.7, b=-1.2),
        [
            bug("lost_accumulation", "x", "(2 * a * x + b)", "(2 * a * x)"),
            bug("lost_accumulation", "x", "(2 * a * x + b)", "b"),
            bug("missing_factor", "x", "(2 * a * x + b)", "(a * x + b)"),
            bug("missing_broadcast_sum", "a", "np.sum(dout * x**2)", "dout * x**2"),
            bug("extra_factor", "b", "np.sum(dout * x)", "np.mean(dout * x)",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor 1/N"),
        ],
        kind="positional",
    ),
    Case(
        "mean of squares, in a list", (mean_forward, mean_backward), drawn(x=(5, 3), y=(5, 3)),
        [
            bug("sign", "y", "dx, -dx", "dx, dx"),
            bug("missing_factor", "x y", " / len(d)", ""),
            bug("missing_factor", "x y", "2 * d * dout", "d * dout"),
        ],
        kind="positional",
    ),
    Case(
        "attention of one query, in a list", (attend_forward, attend_backward),
        drawn(q=(4,), keys=(4, 4)),
        [
            bug("lost_accumulation", "keys", "dkeys += ", "dkeys = "),
            bug("lost_accumulation", "keys", "    dkeys += np.outer(ds, q)\n", ""),
            bug("lost_accumulation", "q keys", "(da - a @ da)", "da"),
            bug("transposed", "q", "return keys.T @ ds", "return keys @ ds"),
            bug("transposed", "keys", "dkeys = np.outer(a, dout)", "dkeys = np.outer(dout, a)"),
            bug("wrong_saved_value", "q keys", "ds = a * (da - a @ da)", "ds = s * (da - a @ da)"),
        ],
        kind="positional",
    ),
    Case(
        "echo, in a list", (shift_forward, shift_backward), drawn(x=(6,), w=0.6),
        [
            bug("lost_accumulation", "x", "dx[:-1] += w", "dx[:-1] = w"),
            bug("lost_accumulation", "x", "    dx[:-1] += w * dout[1:]\n", ""),
            bug("index_error", "x", "dx[:-1] += w * dout[1:]", "dx[1:] += w * dout[:-1]",
                also="transposed", why="the shift goes the wrong way: its transpose is left out"),
            bug("index_error", "w", "dout[1:] * x[:-1]", "dout[1:] * x[1:]",
                also="wrong_saved_value", why="another element of the saved value"),
            bug("missing_factor", "x", "+= w * dout[1:]", "+= dout[1:]", also="wrong_saved_value",
                why="the factor w is left out, or 1 stands in for it"),
        ],
        kind="positional",
    ),
]  # fmt: skip
