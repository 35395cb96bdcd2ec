"""Single layers as course exercises have them: affine, and activations with or without a mask."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def affine_forward(x, w, b):
    flat = x.reshape(x.shape[0], -1)
    out = flat.dot(w) + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, b = cache
    flat = x.reshape(x.shape[0], -1)
    dx = dout.dot(w.T)
    dx = dx.reshape(x.shape)
    dw = flat.T.dot(dout)
    db = np.sum(dout, axis=0)
    return {"x": dx, "w": dw, "b": db}


def dense_forward(x, w, b):
    return w @ x + b[:, None], {"x": x, "w": w}


def dense_backward(dout, cache):
    dw = dout @ cache["x"].T
    dx = cache["w"].T @ dout
    db = dout.sum(axis=1)
    return {"x": dx, "w": dw, "b": db}


def relu_forward(x):
    out = np.maximum(0, x)
    return out, x


def relu_backward(dout, cache):
    dx = dout.copy()
    dx[cache <= 0] = 0
    return {"x": dx}


def leaky_relu_forward(x, slope=0.1):
    mask = np.where(x > 0, 1.0, slope)
    return mask * x, mask


def leaky_relu_backward(dout, mask):
    return {"x": dout * mask}


def sigmoid_forward(x):
    s = 1 / (1 + np.exp(-x))
    return s, s


def sigmoid_backward(dout, s):
    return {"x": dout * s * (1 - s)}


def tanh_forward(x):
    out = np.tanh(x)
    return out, (x, out)


def tanh_backward(dout, cache):
    x, out = cache
    return {"x": dout * (1 - out**2)}


def softplus_forward(x):
    return np.log1p(np.exp(x)), x


def softplus_backward(dout, x):
    dx = dout / (1 + np.exp(-x))
    return {"x": dx}


def swish_forward(x):
    s = 1 / (1 + np.exp(-x))
    return x * s, (x, s)


def swish_backward(dout, cache):
    x, s = cache
    dx = dout * s
    ds = dout * x
    dx += ds * s * (1 - s)
    return {"x": dx}


def gelu_forward(x):
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t, c)


def gelu_backward(dout, cache):
    x, t, c = cache
    dt = dout * 0.5 * x
    du = dt * (1 - t * t)
    dx = dout * 0.5 * (1 + t)
    dx += du * c * (1 + 3 * 0.044715 * x**2)
    return {"x": dx}


def elu_forward(x, alpha=0.7):
    out = np.where(x > 0, x, alpha * (np.exp(x) - 1))
    return out, (x, out, alpha)


def elu_backward(dout, cache):
    x, out, alpha = cache
    dx = dout * np.where(x > 0, 1.0, out + alpha)
    return {"x": dx}


def power_forward(x):
    out = x**3 / 6
    return out, x


def power_backward(dout, x):
    return {"x": dout * x**2 / 2}


SQUARE = drawn(x=(5, 2, 2), w=(4, 4), b=(4,))
ALL_SQUARE = drawn(x=(4, 4), w=(4, 4), b=(4,))
CASES = [
    Case(
        "affine", (affine_forward, affine_backward), drawn(x=(5, 2, 3), w=(6, 4), b=(4,)),
        [
            bug("transposed", "x", "dx = dout.dot(w.T)", "dx = dout.dot(w)", inputs=SQUARE),
            bug("transposed", "w", "dw = flat.T.dot(dout)", "dw = dout.T.dot(flat)"),
            bug("transposed", "w", "dw = flat.T.dot(dout)", "dw = dout.T.dot(flat)", inputs=SQUARE),
            bug("missing_broadcast_sum", "b", "db = np.sum(dout, axis=0)", "db = dout"),
            bug("missing_broadcast_sum", "b", "db = np.sum(dout, axis=0)", "db = dout[0]"),
            bug("wrong_axis", "b", "db = np.sum(dout, axis=0)", "db = np.sum(dout, axis=1)"),
            bug("wrong_axis", "b", "db = np.sum(dout, axis=0)", "db = np.sum(dout, axis=1)",
                inputs=ALL_SQUARE),
            bug("shape_error", "b", "db = np.sum(dout, axis=0)",
                "db = np.sum(dout, axis=0, keepdims=True)"),
            bug("shape_error", "b", "db = np.sum(dout, axis=0)", "db = np.sum(dout)",
                also="wrong_axis", why="a sum over all axes is a sum over one axis too many"),
            bug("shape_error", "x", "    dx = dx.reshape(x.shape)\n", ""),
            bug("shape_error", "b", "db = np.sum(dout, axis=0)",
                "db = np.sum(dout, axis=0).reshape(-1, 1)"),
            bug("extra_factor", "b", "np.sum(dout, axis=0)", "np.mean(dout, axis=0)",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor 1/N"),
            bug("extra_factor", "w", "flat.T.dot(dout)", "flat.T.dot(dout) / x.shape[0]"),
            bug("stale_saved_value", "x w", "return out, (x, w, b)",
                "SAVED['x'], SAVED['w'] = x, w\n    return out, b", "x, w, b = cache",
                "x, w, b = SAVED['x'], SAVED['w'], cache"),
            bug("stale_saved_value", "w", "return out, (x, w, b)",
                "return out, (SAVED.setdefault('x', x), w, b)"),
            bug("wrong_saved_value", "w", "return out, (x, w, b)", "return out, (out, w, b)",
                inputs=ALL_SQUARE),
            bug("detached_path", "b", "db = np.sum(dout, axis=0)", "db = np.zeros_like(b)"),
            bug("detached_path", "x", '{"x": dx, "w"', '{"x": None, "w"'),
        ],
    ),
    Case(
        "dense, samples in columns", (dense_forward, dense_backward),
        drawn(x=(4, 6), w=(4, 4), b=(4,)),
        [
            bug("transposed", "x", 'cache["w"].T @ dout', 'cache["w"] @ dout'),
            bug("transposed", "w", 'dout @ cache["x"].T', 'cache["x"] @ dout.T'),
            bug("wrong_axis", "b", "dout.sum(axis=1)", "dout.sum(axis=0)"),
            bug("wrong_axis", "b", "dout.sum(axis=1)", "dout.sum(axis=0)",
                inputs=drawn(x=(3, 3), w=(3, 3), b=(3,))),
            bug("shape_error", "b", "dout.sum(axis=1)", "dout.sum(axis=1, keepdims=True)"),
            bug("extra_factor", "w", 'dout @ cache["x"].T', 'dout @ cache["x"].T / dout.shape[1]'),
        ],
    ),
    Case(
        "relu", (relu_forward, relu_backward), drawn(x=(4, 5)),
        [
            bug("mask_not_reused", "x", "    dx[cache <= 0] = 0\n", "", also="missing_factor",
                why="the mask is the local derivative: not applying it is leaving that out"),
            bug("wrong_saved_value", "x", "dx[cache <= 0] = 0", "dx[dout <= 0] = 0",
                also="mask_not_reused", why="a mask of the gradient in place of the saved one"),
            bug("wrong_saved_value", "x", "dx[cache <= 0] = 0", "dx[cache > 0] = 0",
                also="mask_not_reused", why="the mask is turned around"),
            bug("stale_saved_value", "x", "return out, x", "SAVED['x'] = x\n    return out, None",
                "dx[cache <= 0]", "dx[SAVED['x'] <= 0]"),
            bug("wrong_saved_value", "x", "dx = dout.copy()", "dx = dout * cache"),
        ],
    ),
    Case(
        "leaky relu", (leaky_relu_forward, leaky_relu_backward), drawn(x=(4, 5)),
        [
            bug("mask_not_reused", "x", "dout * mask", "dout", also="missing_factor",
                why="the mask is the local derivative: not applying it is leaving that out"),
            bug("mask_not_reused", "x", "dout * mask", "dout * (mask == 1)",
                why="the mask of relu is applied", also="detached_path wrong_saved_value"),
            bug("extra_factor", "x", "dout * mask", "dout * mask * mask", also="wrong_saved_value",
                why="the mask's own values multiply twice"),
        ],
    ),
    Case(
        "sigmoid", (sigmoid_forward, sigmoid_backward), drawn(x=(4, 3)),
        [
            bug("wrong_saved_value", "x", "return s, s", "return s, x"),
            bug("stale_saved_value", "x", "return s, s", "SAVED['s'] = s\n    return s, None",
                "dout * s * (1 - s)", "dout * SAVED['s'] * (1 - SAVED['s'])"),
            bug("sign", "x", "(1 - s)", "(s - 1)"),
            bug("missing_factor", "x", "dout * s * (1 - s)", "dout * (1 - s)",
                also="wrong_saved_value", why="the factor s is left out, or 1 stands in for it"),
            bug("missing_factor", "x", "dout * s * (1 - s)", "dout * s",
                also="wrong_saved_value", why="the factor 1 - s is left out"),
        ],
    ),
    Case(
        "tanh", (tanh_forward, tanh_backward), drawn(x=(6,)),
        [
            bug("wrong_saved_value", "x", "1 - out**2", "1 - x**2"),
            bug("sign", "x", "(1 - out**2)", "(out**2 - 1)"),
            bug("non_determinism", "x", "return out, (x, out)",
                "out = out + 0.01 * np.random.default_rng().standard_normal(x.shape)\n"
                "    return out, (x, np.tanh(x))", either=True),
            bug("non_determinism", "x", "dout * (1 - out**2)",
                "dout * (1 - out**2) + np.random.default_rng().standard_normal(x.shape)"),
        ],
    ),
    Case(
        "softplus", (softplus_forward, softplus_backward), drawn(x=(3, 4)),
        [
            bug("sign", "x", "dx = dout /", "dx = -dout /"),
            bug("wrong_saved_value", "x", "np.log1p(np.exp(x)), x",
                "np.log1p(np.exp(x)), np.log1p(np.exp(x))"),
            bug("extra_factor", "x", "dx = dout /", "dx = 2 * dout /"),
        ],
    ),
    Case(
        "swish", (swish_forward, swish_backward), drawn(x=(3, 4)),
        [
            bug("lost_accumulation", "x", "dx += ds", "dx = ds"),
            bug("lost_accumulation", "x", "    dx += ds * s * (1 - s)\n", ""),
            bug("wrong_saved_value", "x", "ds * s * (1 - s)", "ds * x * (1 - x)"),
            bug("wrong_saved_value", "x", "ds = dout * x", "ds = dout * s"),
        ],
    ),
    Case(
        "gelu", (gelu_forward, gelu_backward), drawn(x=(3, 4)),
        [
            bug("lost_accumulation", "x", "dx += du", "dx = du"),
            bug("lost_accumulation", "x", "    dx += du * c * (1 + 3 * 0.044715 * x**2)\n", ""),
            bug("wrong_saved_value", "x", "1 - t * t", "1 - x * x"),
        ],
    ),
    Case(
        "elu", (elu_forward, elu_backward), drawn(x=(3, 4)),
        [
            bug("mask_not_reused", "x", "np.where(x > 0, 1.0, out + alpha)", "(out + alpha)",
                also="wrong_saved_value", why="without the mask the saved output is used above 0"),
            bug("wrong_saved_value", "x", "np.where(x > 0, 1.0, out + alpha)",
                "np.where(x < 0, 1.0, out + alpha)", also="mask_not_reused",
                why="the mask is turned around"),
            bug("wrong_saved_value", "x", "out + alpha)", "x + alpha)"),
        ],
    ),
    Case(
        "cube", (power_forward, power_backward), drawn(x=(3, 4)),
        [
            bug("missing_factor", "x", "x**2 / 2", "x**2 / 6"),
            bug("extra_factor", "x", "x**2 / 2", "x**2"),
            bug("wrong_saved_value", "x", "return out, x", "return out, out"),
        ],
    ),
]  # fmt: skip
