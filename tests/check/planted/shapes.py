"""Moving elements: joining, splitting, transposing, and sums and means over axes."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def concat_forward(a, b):
    return np.concatenate([a, b], axis=1), (a.shape[1], b.shape[1])


def concat_backward(dout, cache):
    na, nb = cache
    da = dout[:, :na]
    db = dout[:, na:]
    return {"a": da, "b": db}


def split_forward(x):
    left, right = np.split(x, 2, axis=1)
    return left * right, (left, right)


def split_backward(dout, cache):
    left, right = cache
    dleft = dout * right
    dright = dout * left
    dx = np.concatenate([dleft, dright], axis=1)
    return {"x": dx}


def transpose_forward(x, w):
    y = x.transpose(0, 2, 1)
    return y * w, (y, w)


def transpose_backward(dout, cache):
    y, w = cache
    dx = (dout * w).transpose(0, 2, 1)
    dw = np.sum(dout * y, axis=(0, 1))
    return {"x": dx, "w": dw}


def reshape_forward(x, w):
    N = x.shape[0]
    y = x.reshape(N, -1)
    return y @ w, (x.shape, y, w)


def reshape_backward(dout, cache):
    shape, y, w = cache
    dx = (dout @ w.T).reshape(shape)
    dw = y.T @ dout
    return {"x": dx, "w": dw}


def sum_forward(x):
    return (x**2).sum(axis=0), x


def sum_backward(dout, x):
    dx = 2 * x * dout
    return {"x": dx}


def mean_forward(x):
    return x.mean(axis=1), x.shape


def mean_backward(dout, shape):
    dx = np.ones(shape) * dout[:, None] / shape[1]
    return {"x": dx}


def variance_forward(x):
    mu = x.mean(axis=0)
    var = ((x - mu) ** 2).sum(axis=0) / (len(x) - 1)
    return var, (x, mu)


def variance_backward(dout, cache):
    x, mu = cache
    dx = dout * 2 * (x - mu) / (len(x) - 1)
    return {"x": dx}


def stack_forward(a, b, c):
    return np.stack([a, b, c]).prod(axis=0), (a, b, c)


def stack_backward(dout, cache):
    a, b, c = cache
    return {"a": dout * b * c, "b": dout * a * c, "c": dout * a * b}


def weighted_forward(x, w):
    total = w.sum()
    out = (x * w[:, None]).sum(axis=0) / total
    return out, (x, w, total, out)


def weighted_backward(dout, cache):
    x, w, total, out = cache
    dx = w[:, None] * dout / total
    dw = (x * dout).sum(axis=1) / total
    dw -= np.dot(dout, out) / total
    return {"x": dx, "w": dw}


def flip_forward(x):
    return x[:, ::-1] * np.exp(x), (x, np.exp(x))


def flip_backward(dout, cache):
    x, e = cache
    dx = (dout * e)[:, ::-1].copy()
    dx += dout * x[:, ::-1] * e
    return {"x": dx}


def channels_forward(x, scale):
    return x * scale.reshape(1, -1, 1, 1), (x, scale)


def channels_backward(dout, cache):
    x, scale = cache
    dx = dout * scale.reshape(1, -1, 1, 1)
    dscale = (dout * x).sum(axis=(0, 2, 3))
    return {"x": dx, "scale": dscale}


CASES = [
    Case(
        "concatenation", (concat_forward, concat_backward), drawn(a=(3, 2), b=(3, 2)),
        [
            bug("index_error", "a b", "da = dout[:, :na]", "da = dout[:, nb:]",
                "db = dout[:, na:]", "db = dout[:, :nb]"),
            bug("wrong_axis", "a b", "da = dout[:, :na]", "da = dout[:na]",
                "db = dout[:, na:]", "db = dout[na:]", inputs=drawn(a=(4, 2), b=(4, 2))),
            bug("index_error", "b", "db = dout[:, na:]", "db = dout[:, na - 1 : -1]"),
            bug("detached_path", "b", "db = dout[:, na:]", "db = 0 * dout[:, na:]"),
        ],
    ),
    Case(
        "split and multiply", (split_forward, split_backward), drawn(x=(3, 6)),
        [
            bug("wrong_saved_value", "x", "dleft = dout * right", "dleft = dout * left",
                "dright = dout * left", "dright = dout * right", also="index_error",
                why="the halves change places: as values, or as places"),
            bug("index_error", "x", "[dleft, dright], axis=1", "[dright, dleft], axis=1",
                also="wrong_saved_value", why="the halves change places: as values, or as places"),
            bug("detached_path", "x", "[dleft, dright]", "[dleft, 0 * dright]",
                also="lost_accumulation", why="the path through the right half is lost"),
            bug("shape_error", "x", "[dleft, dright], axis=1", "[dleft, dright], axis=0",
                also="wrong_axis", why="joined along the wrong axis the shape is wrong, too"),
        ],
    ),
    Case(
        "transpose and weigh", (transpose_forward, transpose_backward),
        drawn(x=(2, 3, 3), w=(3,)),
        [
            bug("transposed", "x", "(dout * w).transpose(0, 2, 1)", "(dout * w)"),
            bug("wrong_axis", "w", "np.sum(dout * y, axis=(0, 1))",
                "np.sum(dout * y, axis=(0, 2))"),
            bug("transposed", "w", "return y * w, (y, w)", "return y * w, (x, w)",
                also="wrong_saved_value", why="the saved value is the one before transposing"),
            bug("missing_broadcast_sum", "w", "axis=(0, 1))", "axis=0)"),
        ],
    ),
    Case(
        "flatten and multiply", (reshape_forward, reshape_backward),
        drawn(x=(3, 2, 2), w=(4, 4)),
        [
            bug("shape_error", "x", ".reshape(shape)\n", "\n"),
            bug("transposed", "x", "(dout @ w.T)", "(dout @ w)"),
            bug("transposed", "x", ".reshape(shape)\n", ".reshape(shape).swapaxes(1, 2)\n",
                also="index_error", why="rows and columns change places"),
            bug("index_error", "x", "(dout @ w.T).reshape(shape)",
                "(dout @ w.T).reshape(shape, order='F')", also="transposed",
                why="elements are laid out in the other order"),
        ],
    ),
    Case(
        "sum of squares by column", (sum_forward, sum_backward), drawn(x=(4, 4)),
        [
            bug("missing_factor", "x", "2 * x * dout", "x * dout"),
            bug("wrong_axis", "x", "2 * x * dout", "2 * x * dout[:, None]"),
            bug("wrong_saved_value", "x", "return (x**2).sum(axis=0), x",
                "return (x**2).sum(axis=0), x**2",
                also="extra_factor", why="a square for x is one factor x too many"),
        ],
    ),
    Case(
        "mean of each row", (mean_forward, mean_backward), drawn(x=(4, 4)),
        [
            bug("missing_factor", "x", " / shape[1]", ""),
            bug("wrong_axis", "x", "dout[:, None]", "dout[None, :]", also="transposed",
                why="along the other axis of a square: the transposed gradient"),
            bug("extra_factor", "x", " / shape[1]", " / shape[1] ** 2"),
            bug("missing_factor", "x", " / shape[1]", " / shape[0]", inputs=drawn(x=(6, 4)),
                also="wrong_axis", why="the count of the other axis: the factor is 4/6"),
        ],
    ),
    Case(
        "variance of each column", (variance_forward, variance_backward), drawn(x=(5, 3)),
        [
            bug("missing_factor", "x", "dout * 2 *", "dout *"),
            bug("missing_factor", "x", " / (len(x) - 1)\n    return {", "\n    return {"),
            bug("wrong_saved_value", "x", "(x - mu) / (len", "x / (len", also="detached_path",
                why="the mean left out: the value before centring, or its path"),
            bug("sign", "x", "2 * (x - mu)", "2 * (mu - x)"),
        ],
    ),
    Case(
        "product of three", (stack_forward, stack_backward), drawn(a=(4,), b=(4,), c=(4,)),
        [
            bug("wrong_saved_value", "a", "dout * b * c", "dout * a * c"),
            bug("missing_factor", "c", "dout * a * b", "dout * b", also="wrong_saved_value",
                why="the factor a is left out, or 1 stands in for it"),
            bug("wrong_saved_value", "b", "dout * a * c", "dout * a * b"),
        ],
    ),
    Case(
        "weighted mean", (weighted_forward, weighted_backward),
        drawn(x=(4, 3), w=lambda rng: rng.uniform(0.5, 2, 4)),
        [
            bug("lost_accumulation", "w", "    dw -= np.dot(dout, out) / total\n", ""),
            bug("missing_factor", "x", "dout / total\n    dw", "dout\n    dw"),
            bug("missing_broadcast_sum", "w", "(x * dout).sum(axis=1)", "(x * dout)[:, 0]"),
        ],
    ),
    Case(
        "mirror and multiply", (flip_forward, flip_backward), drawn(x=(3, 4)),
        [
            bug("lost_accumulation", "x", "dx += dout", "dx = dout"),
            bug("lost_accumulation", "x", "    dx += dout * x[:, ::-1] * e\n", ""),
            bug("index_error", "x", "(dout * e)[:, ::-1]", "(dout * e)"),
            bug("wrong_axis", "x", "(dout * e)[:, ::-1]", "(dout * e)[::-1]", also="index_error",
                why="mirrored along the other axis: other places"),
        ],
    ),
    Case(
        "scale of channels", (channels_forward, channels_backward),
        drawn(x=(2, 3, 2, 2), scale=(3,)),
        [
            bug("missing_broadcast_sum", "scale", "axis=(0, 2, 3))", "axis=(0, 2))"),
            bug("missing_broadcast_sum", "scale", ".sum(axis=(0, 2, 3))", "[0, :, 0, 0]"),
            bug("shape_error", "scale", "axis=(0, 2, 3))", "axis=(0, 2, 3), keepdims=True)"),
            bug("extra_factor", "scale", ".sum(axis=(0, 2, 3))", ".sum(axis=(0, 2, 3)) / len(x)"),
            bug("wrong_axis", "scale", "axis=(0, 2, 3))", "axis=(1, 2, 3))",
                inputs=drawn(x=(3, 3, 2, 2), scale=(3,))),
        ],
    ),
]  # fmt: skip
