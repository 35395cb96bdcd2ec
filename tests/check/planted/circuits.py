"""Scalar circuits in staged code: one line per gate, and every gradient by hand."""

from __future__ import annotations

import math

import numpy as np

from planted.case import Case, bug, drawn


def product_of_sum_forward(x, y, z):
    q = x + y
    f = q * z
    return f, (q, z)


def product_of_sum_backward(dout, cache):
    q, z = cache
    dq = z * dout
    dz = q * dout
    dx = 1.0 * dq
    dy = 1.0 * dq
    return {"x": dx, "y": dy, "z": dz}


def staged_forward(x, y):
    sigy = 1.0 / (1 + math.exp(-y))
    num = x + sigy
    sigx = 1.0 / (1 + math.exp(-x))
    xpy = x + y
    xpysqr = xpy**2
    den = sigx + xpysqr
    invden = 1.0 / den
    f = num * invden
    return f, (sigy, num, sigx, xpy, den, invden)


def staged_backward(dout, cache):
    sigy, num, sigx, xpy, den, invden = cache
    dnum = invden * dout
    dinvden = num * dout
    dden = (-1.0 / (den**2)) * dinvden
    dsigx = 1 * dden
    dxpysqr = 1 * dden
    dxpy = (2 * xpy) * dxpysqr
    dx = 1 * dxpy
    dy = 1 * dxpy
    dx += ((1 - sigx) * sigx) * dsigx
    dx += 1 * dnum
    dsigy = 1 * dnum
    dy += ((1 - sigy) * sigy) * dsigy
    return {"x": dx, "y": dy}


def gates_forward(x, y, z, w):
    xy = x * y
    m = max(z, w)
    total = xy + m
    return 2 * total, {"x": x, "y": y, "z": z, "w": w}


def gates_backward(dout, cache):
    dtotal = 2 * dout
    dx = cache["y"] * dtotal
    dy = cache["x"] * dtotal
    dz = dtotal if cache["z"] > cache["w"] else 0.0
    dw = dtotal if cache["w"] >= cache["z"] else 0.0
    return {"x": dx, "y": dy, "z": dz, "w": dw}


def neuron_forward(w, x):
    dot = w[0] * x[0] + w[1] * x[1] + w[2]
    f = 1.0 / (1 + math.exp(-dot))
    return f, (w, x, dot, f)


def neuron_backward(dout, cache):
    w, x, dot, f = cache
    ddot = (1 - f) * f * dout
    dx = [w[0] * ddot, w[1] * ddot]
    dw = [x[0] * ddot, x[1] * ddot, 1.0 * ddot]
    return {"w": np.array(dw), "x": np.array(dx)}


def quartic_forward(x):
    a = x * x
    b = a + x
    c = a * b
    return c.sum(), (x, a, b)


def quartic_backward(dout, cache):
    x, a, b = cache
    dc = dout * np.ones_like(x)
    da = dc * b
    db = dc * a
    da += db
    dx = db.copy()
    dx += da * x
    dx += da * x
    return {"x": dx}


CASES = [
    Case(
        "product of a sum", (product_of_sum_forward, product_of_sum_backward),
        drawn(x=-2.0, y=5.0, z=-4.0),
        [
            bug("sign", "y", "dy = 1.0 * dq", "dy = -1.0 * dq"),
            bug("wrong_saved_value", "x y", "dq = z * dout", "dq = q * dout"),
            bug("wrong_saved_value", "z", "dz = q * dout", "dz = z * dout"),
            bug("stale_saved_value", "z", "return f, (q, z)",
                "SAVED.setdefault('q', q)\n    return f, (SAVED['q'], z)"),
            bug("detached_path", "x", "dx = 1.0 * dq", "dx = 0.0 * dq"),
            bug("missing_factor", "x y", "dq = z * dout", "dq = dout", also="wrong_saved_value",
                why="the local derivative z is left out, or 1 is used for it"),
        ],
    ),
    Case(
        "staged code", (staged_forward, staged_backward), drawn(x=3.0, y=-4.0),
        [
            bug("lost_accumulation", "x", "dx += ((1 - sigx)", "dx = ((1 - sigx)"),
            bug("lost_accumulation", "x", "dx += 1 * dnum", "dx = 1 * dnum"),
            bug("lost_accumulation", "y", "dy += ((1 - sigy)", "dy = ((1 - sigy)"),
            bug("lost_accumulation", "x y", "dx += ((1 - sigx)", "dx = ((1 - sigx)",
                "dx += 1 * dnum", "dx = 1 * dnum", "dy += ((1 - sigy)", "dy = ((1 - sigy)"),
            bug("detached_path", "x y", "dden = (-1.0 / (den**2)) * dinvden", "dden = 0.0",
                also="lost_accumulation", why="the path through the denominator is one of two"),
            bug("wrong_saved_value", "x y", "dnum = invden * dout", "dnum = den * dout"),
        ],
    ),
    Case(
        "add, max and multiply", (gates_forward, gates_backward),
        drawn(x=3.0, y=-4.0, z=2.0, w=-1.0),
        [
            bug("missing_factor", "x y z", "dtotal = 2 * dout", "dtotal = dout"),
            bug("wrong_saved_value", "x", 'dx = cache["y"]', 'dx = cache["x"]'),
            bug("wrong_saved_value", "x y", 'dx = cache["y"]', 'dx = cache["x"]',
                'dy = cache["x"]', 'dy = cache["y"]'),
            bug("mask_not_reused", "w", 'dw = dtotal if cache["w"] >= cache["z"] else 0.0',
                "dw = dtotal", also="index_error",
                why="max routes to one input: both is no mask, or a wrong choice"),
            bug("mask_not_reused", "z w", 'dz = dtotal if cache["z"] > cache["w"] else 0.0',
                'dz = dtotal if cache["z"] < cache["w"] else 0.0',
                'dw = dtotal if cache["w"] >= cache["z"] else 0.0',
                'dw = dtotal if cache["w"] < cache["z"] else 0.0', also="index_error",
                why="the mask of the other input is used: the gradient is routed to the wrong one"),
        ],
        systematic=False,
    ),
    Case(
        "sigmoid neuron", (neuron_forward, neuron_backward),
        drawn(w=lambda rng: np.array([2.0, -3.0, -3.0]), x=lambda rng: np.array([-1.0, -2.0])),
        [
            bug("wrong_saved_value", "w x", "(1 - f) * f * dout", "(1 - dot) * dot * dout"),
            bug("wrong_saved_value", "x", "dx = [w[0] * ddot, w[1] * ddot]",
                "dx = [x[0] * ddot, x[1] * ddot]"),
            bug("index_error", "x", "dx = [w[0] * ddot, w[1] * ddot]",
                "dx = [w[1] * ddot, w[2] * ddot]", also="wrong_saved_value",
                why="another element of the saved weights is another saved value"),
            bug("detached_path", "w", "1.0 * ddot]", "0.0]", also="lost_accumulation",
                why="the path through the bias is lost"),
            bug("sign", "w x", "(1 - f) * f * dout", "(f - 1) * f * dout"),
        ],
    ),
    Case(
        "forks within forks", (quartic_forward, quartic_backward), drawn(x=(5,)),
        [
            bug("lost_accumulation", "x", "da += db", "pass"),
            bug("lost_accumulation", "x", "dx = db.copy()\n    dx += da * x", "dx = da * x"),
            bug("lost_accumulation", "x", "dx = db.copy()", "dx = np.zeros_like(x)"),
            bug("wrong_saved_value", "x", "da = dc * b", "da = dc * a"),
            bug("wrong_saved_value", "x", "db = dc * a", "db = dc * b"),
        ],
    ),
]  # fmt: skip
