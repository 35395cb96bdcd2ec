"""Elementwise arithmetic of two inputs, with and without broadcasting."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def add_forward(a, b):
    return a + b, (a.shape, b.shape)


def add_backward(dout, cache):
    da = dout
    db = dout.sum(axis=0)
    return {"a": da, "b": db}


def column_forward(a, c):
    return a * c, (a, c)


def column_backward(dout, cache):
    a, c = cache
    da = dout * c
    dc = (dout * a).sum(axis=1, keepdims=True)
    return {"a": da, "c": dc}


def multiply_forward(a, b):
    return a * b, (a, b)


def multiply_backward(dout, cache):
    a, b = cache
    da = dout * b
    db = dout * a
    return {"a": da, "b": db}


def divide_forward(a, b):
    q = a / b
    return q, (a, b, q)


def divide_backward(dout, cache):
    a, b, q = cache
    da = dout / b
    db = -dout * a / b**2
    return {"a": da, "b": db}


def scale_forward(x, s, t):
    return s * x + t, (x, s)


def scale_backward(dout, cache):
    x, s = cache
    ds = np.sum(dout * x)
    dt = np.sum(dout)
    return {"x": dout * s, "s": ds, "t": dt}


def lerp_forward(a, b, w):
    return a + w * (b - a), {"a": a, "b": b, "w": w}


def lerp_backward(dout, c):
    da = dout * (1 - c["w"])
    db = dout * c["w"]
    dw = np.sum(dout * (c["b"] - c["a"]))
    return {"a": da, "b": db, "w": dw}


def minimum_forward(a, b):
    mask = a < b
    return np.where(mask, a, b), mask


def minimum_backward(dout, mask):
    da = dout * mask
    db = dout * ~mask
    return {"a": da, "b": db}


def clip_forward(x, low=-0.5, high=0.8):
    return np.clip(x, low, high), (x, low, high)


def clip_backward(dout, cache):
    x, low, high = cache
    dx = dout * ((x > low) & (x < high))
    return {"x": dx}


def outer_sum_forward(a, b):
    table = a[:, None] + b[None, :]
    return np.tanh(table), np.tanh(table)


def outer_sum_backward(dout, t):
    d = dout * (1 - t * t)
    return {"a": d.sum(axis=1), "b": d.sum(axis=0)}


def log_ratio_forward(p, q):
    return np.sum(p * (np.log(p) - np.log(q))), (p, q)


def log_ratio_backward(dout, cache):
    p, q = cache
    dp = np.log(p) - np.log(q)
    dp += 1
    dq = -p / q
    return {"p": dout * dp, "q": dout * dq}


def norms_forward(x, t):
    r = x - t
    l1 = np.abs(r).sum()
    l2 = (r**2).sum()
    return l1 + 0.5 * l2, (x, t, r)


def norms_backward(dout, cache):
    x, t, r = cache
    dr = np.sign(r)
    dr += r
    return {"x": dout * dr, "t": -dout * dr}


def positive(*shape):
    return lambda rng: rng.uniform(0.5, 2, shape)


CASES = [
    Case(
        "add a row", (add_forward, add_backward), drawn(a=(5, 3), b=(3,)),
        [
            bug("missing_broadcast_sum", "b", "db = dout.sum(axis=0)", "db = dout"),
            bug("missing_broadcast_sum", "b", "db = dout.sum(axis=0)", "db = dout[-1]"),
            bug("wrong_axis", "b", "dout.sum(axis=0)", "dout.sum(axis=1)",
                inputs=drawn(a=(3, 3), b=(3,))),
            bug("shape_error", "b", "dout.sum(axis=0)", "dout.sum(axis=0, keepdims=True)"),
            bug("extra_factor", "b", "dout.sum(axis=0)", "dout.mean(axis=0)",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor 1/N"),
            bug("shape_error", "a", "da = dout\n", "da = dout[0]\n", also="missing_broadcast_sum",
                why="one row stands for all: it happens to broadcast"),
        ],
    ),
    Case(
        "multiply by a column", (column_forward, column_backward), drawn(a=(5, 3), c=(5, 1)),
        [
            bug("missing_broadcast_sum", "c", "(dout * a).sum(axis=1, keepdims=True)", "dout * a"),
            bug("wrong_axis", "c", "sum(axis=1, keepdims=True)", "sum(axis=0, keepdims=True)"),
            bug("wrong_axis", "c", "sum(axis=1, keepdims=True)", "sum(axis=0, keepdims=True).T",
                inputs=drawn(a=(4, 4), c=(4, 1))),
            bug("shape_error", "c", "sum(axis=1, keepdims=True)", "sum(axis=1)"),
            bug("wrong_saved_value", "c", "(dout * a)", "(dout * c)"),
            bug("missing_broadcast_sum", "c", "(dout * a).sum(axis=1, keepdims=True)",
                "(dout * a)[:, :1]"),
        ],
    ),
    Case(
        "multiply", (multiply_forward, multiply_backward), drawn(a=(3, 4), b=(3, 4)),
        [
            bug("wrong_saved_value", "a b", "da = dout * b", "da = dout * a",
                "db = dout * a", "db = dout * b"),
            bug("wrong_saved_value", "b", "db = dout * a", "db = dout * b"),
            bug("stale_saved_value", "a b", "return a * b, (a, b)",
                "SAVED.update(a=a, b=b)\n    return a * b, SAVED", "a, b = cache",
                "a, b = cache['a'], cache['b']"),
            bug("wrong_saved_value", "b", "return a * b, (a, b)",
                "out = a.copy()\n    out *= b\n    return out, (out, b)",
                also="extra_factor", why="the product for a is one factor b too many"),
            bug("missing_factor", "a", "da = dout * b", "da = b", also="wrong_saved_value",
                why="the upstream gradient is left out, or taken as 1"),
        ],
    ),
    Case(
        "divide", (divide_forward, divide_backward), drawn(a=(3, 4), b=positive(3, 4)),
        [
            bug("sign", "b", "db = -dout", "db = dout"),
            bug("wrong_saved_value", "b", "-dout * a / b**2", "-dout * q / b**2",
                also="extra_factor", why="the quotient for a is one factor 1/b too many"),
            bug("missing_factor", "b", "-dout * a / b**2", "-dout * a / b",
                also="wrong_saved_value", why="one of two factors 1/b is left out"),
            bug("missing_factor", "b", "-dout * a / b**2", "-dout / b**2",
                also="wrong_saved_value", why="the factor a is left out, or 1 stands in for it"),
        ],
    ),
    Case(
        "scale and shift by numbers", (scale_forward, scale_backward),
        drawn(x=(3, 4), s=1.5, t=-0.5),
        [
            bug("missing_broadcast_sum", "s", "np.sum(dout * x)", "dout * x"),
            bug("missing_broadcast_sum", "t", "dt = np.sum(dout)", "dt = np.sum(dout, axis=0)"),
            bug("extra_factor", "t", "dt = np.sum(dout)", "dt = np.mean(dout)",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor"),
            bug("missing_factor", "s", "np.sum(dout * x)", "np.sum(dout)",
                also="wrong_saved_value", why="the factor x is left out, or 1 stands in for it"),
        ],
    ),
    Case(
        "interpolation", (lerp_forward, lerp_backward), drawn(a=(4,), b=(4,), w=0.3),
        [
            bug("lost_accumulation", "a", 'dout * (1 - c["w"])', "dout", also="missing_factor",
                why="the lost term -w makes the factor 1 - w"),
            bug("sign", "w", '(c["b"] - c["a"])', '(c["a"] - c["b"])'),
            bug("missing_broadcast_sum", "w", 'np.sum(dout * (c["b"] - c["a"]))',
                'dout * (c["b"] - c["a"])'),
            bug("wrong_saved_value", "w", '(c["b"] - c["a"])', '(c["b"])'),
        ],
    ),
    Case(
        "minimum", (minimum_forward, minimum_backward), drawn(a=(3, 4), b=(3, 4)),
        [
            bug("mask_not_reused", "b", "db = dout * ~mask", "db = dout", also="missing_factor",
                why="the mask is the local derivative"),
            bug("wrong_saved_value", "a b", "da = dout * mask", "da = dout * ~mask",
                "db = dout * ~mask", "db = dout * mask", also="mask_not_reused",
                why="the mask is turned around"),
            bug("mask_not_reused", "a b", "da = dout * mask", "da = dout / 2",
                "db = dout * ~mask", "db = dout / 2", also="missing_factor",
                why="half to each: the mask is not applied"),
        ],
    ),
    Case(
        "clip", (clip_forward, clip_backward), drawn(x=(4, 5)),
        [
            bug("mask_not_reused", "x", "dx = dout * ((x > low) & (x < high))", "dx = dout",
                also="missing_factor", why="the mask is the local derivative"),
            bug("wrong_saved_value", "x", "((x > low) & (x < high))", "(x < high)",
                also="mask_not_reused", why="half of the mask"),
            bug("wrong_saved_value", "x", "return np.clip(x, low, high), (x,",
                "return np.clip(x, low, high), (2 * x,", also="mask_not_reused",
                why="the mask of another value"),
        ],
    ),
    Case(
        "table of sums", (outer_sum_forward, outer_sum_backward), drawn(a=(4,), b=(4,)),
        [
            bug("wrong_axis", "a b", "d.sum(axis=1)", "d.sum(axis=-2)",
                "d.sum(axis=0)", "d.sum(axis=-1)"),
            bug("wrong_axis", "b", "d.sum(axis=0)", "d.sum(axis=1)"),
            bug("wrong_saved_value", "a b", "return np.tanh(table), np.tanh(table)",
                "return np.tanh(table), table"),
            bug("missing_broadcast_sum", "a", "d.sum(axis=1)", "d"),
        ],
    ),
    Case(
        "divergence", (log_ratio_forward, log_ratio_backward),
        drawn(p=positive(5), q=positive(5)),
        [
            bug("lost_accumulation", "p", "    dp += 1\n", ""),
            bug("lost_accumulation", "p", "dp += 1", "dp = np.ones_like(p)"),
            bug("sign", "q", "dq = -p / q", "dq = p / q"),
            bug("missing_factor", "q", "dq = -p / q", "dq = -1 / q", also="wrong_saved_value",
                why="the factor p is left out, or 1 stands in for it"),
        ],
    ),
    Case(
        "elastic net of a residual", (norms_forward, norms_backward), drawn(x=(6,), t=(6,)),
        [
            bug("lost_accumulation", "x t", "dr += r", "dr = r"),
            bug("lost_accumulation", "x t", "    dr += r\n", ""),
            bug("wrong_saved_value", "x t", "dr = np.sign(r)", "dr = np.sign(x)"),
            bug("extra_factor", "x t", "dr = np.sign(r)\n    dr += r",
                "dr = 2 * np.sign(r)\n    dr += 2 * r"),
        ],
    ),
]  # fmt: skip
