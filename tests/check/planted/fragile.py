"""Where a gradient is doubtful: kinks, rounding, chance, and functions without a slope.

A planted "kink" or "float32_noise" without wrong inputs is a right gradient at a bad place.
"""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, x):
    return {"x": dout * (x > 0)}


def absolute_forward(x):
    return np.abs(x), x


def absolute_backward(dout, x):
    return {"x": dout * np.sign(x)}


def hinge_forward(s, t):
    margin = 1 - s * t
    return np.maximum(0, margin).sum(), (margin, t)


def hinge_backward(dout, cache):
    margin, t = cache
    ds = -t * (margin > 0)
    return {"s": dout * ds}


def largest_forward(x):
    return x.max(), x


def largest_backward(dout, x):
    dx = np.zeros_like(x)
    dx[np.argmax(x)] = dout
    return {"x": dx}


def round_forward(x):
    return x * x, x


def round_backward(dout, x):
    return {"x": 2 * x * dout}


def quantize_forward(x):
    return np.tanh(x), np.tanh(x)


def quantize_backward(dout, y):
    return {"x": dout * (1 - y * y)}


def spread_forward(x):
    mean = x.mean()
    return ((x - mean) ** 2).mean(), x


def spread_backward(dout, x):
    return {"x": 2 * dout * (x - x.mean()) / len(x)}


def softsign_forward(x):
    return x / (1 + np.abs(x)), x


def softsign_backward(dout, x):
    return {"x": dout / (1 + np.abs(x)) ** 2}


def single(*shape, scale=1.0, shift=0.0):
    return lambda rng: (shift + scale * rng.standard_normal(shape)).astype(np.float32)


def at(*values):
    return lambda rng: np.array(values)


CASES = [
    Case(
        "relu at a kink", (relu_forward, relu_backward), drawn(x=(5,)),
        [
            bug("kink", "", inputs=drawn(x=at(-1.0, 0.0, 2.0))),
            bug("kink", "", "(x > 0)", "(x >= 0)", inputs=drawn(x=at(0.0, 0.0, 1.5))),
            bug("kink", "", "(x > 0)", "np.heaviside(x, 0.5)", inputs=drawn(x=at(0.5, 0.0))),
        ],
    ),
    Case(
        "absolute value at a kink", (absolute_forward, absolute_backward), drawn(x=(5,)),
        [
            bug("kink", "", inputs=drawn(x=at(1.0, 0.0, -2.0))),
            bug("kink", "", "np.sign(x)", "np.where(x >= 0, 1.0, -1.0)",
                inputs=drawn(x=at(0.0, 0.25))),
        ],
    ),
    Case(
        "hinge at a kink", (hinge_forward, hinge_backward),
        drawn(s=(4,), t=lambda rng: rng.choice([-1, 1], 4)),
        [
            bug("kink", "", inputs=drawn(s=at(1.0, 0.5, 2.0), t=at(1, 1, -1))),
            bug("kink", "", "(margin > 0)", "(margin >= 0)",
                inputs=drawn(s=at(-1.0, 0.5, 2.0), t=at(-1, 1, -1))),
        ],
    ),
    Case(
        "maximum at a tie", (largest_forward, largest_backward), drawn(x=(5,)),
        [
            bug("kink", "", inputs=drawn(x=at(1.0, 3.0, 3.0, -1.0))),
            bug("kink", "", "dx[np.argmax(x)] = dout",
                "dx = dout * (x == x.max()) / np.sum(x == x.max())",
                inputs=drawn(x=at(0.5, 0.5, 0.0))),
        ],
    ),
    Case(
        "square, or its rounding", (round_forward, round_backward), drawn(x=(3, 4)),
        [
            bug("not_differentiable", "x", "return x * x, x", "return np.round(4 * x) / 4, x",
                "2 * x * dout", "dout"),
            bug("not_differentiable", "x", "return x * x, x", "return np.floor(3 * x), x",
                "2 * x * dout", "3 * dout"),
            bug("not_differentiable", "x", "return x * x, x", "return np.sign(x), x",
                "2 * x * dout", "dout * (np.abs(x) < 1)"),
            bug("not_differentiable", "x", "return x * x, x", "return (x > 0).astype(float), x",
                "2 * x * dout", "dout"),
            bug("not_differentiable", "x", "return x * x, x",
                "return np.argmax(x, axis=1).astype(float), x",
                "2 * x * dout", "dout[:, None] * np.ones_like(x)"),
            bug("not_differentiable", "x", "return x * x, x",
                "return (10 * x).astype(int) / 10.0, x", "2 * x * dout", "dout"),
        ],
    ),
    Case(
        "tanh, with chance", (quantize_forward, quantize_backward), drawn(x=(3, 4)),
        [
            bug("non_determinism", "x", "dout * (1 - y * y)",
                "dout * (1 - y * y) * np.random.default_rng().uniform(0.5, 2, y.shape)"),
            bug("non_determinism", "x", "dout * (1 - y * y)",
                "SAVED.setdefault('n', []).append(0) or dout * len(SAVED['n']) * (1 - y * y)"),
            bug("non_determinism", "x", "return np.tanh(x), np.tanh(x)",
                "SAVED['n'] = SAVED.get('n', 0) + 1\n"
                "    return np.tanh(x) * SAVED['n'], np.tanh(x)",
                either=True),
            bug("non_determinism", "x", "return np.tanh(x), np.tanh(x)",
                "noise = np.random.default_rng().normal(size=x.shape)\n"
                "    return np.tanh(x + noise), np.tanh(x + noise)", either=True),
        ],
    ),
    Case(
        "variance in float32", (spread_forward, spread_backward), drawn(x=(6,)),
        [
            bug("float32_noise", "", "return ((x - mean) ** 2).mean(), x",
                "return (x**2).mean() - mean**2, x", either=True,
                inputs=drawn(x=single(8, shift=300.0))),
            bug("float32_noise", "", "2 * dout * (x - x.mean()) / len(x)",
                "2 * dout * (x * len(x) - x.sum()) / len(x) ** 2", either=True,
                inputs=drawn(x=single(8, scale=0.01, shift=1000.0))),
        ],
    ),
    Case(
        "softsign in float32", (softsign_forward, softsign_backward), drawn(x=(6,)),
        [
            bug("float32_noise", "", "return x / (1 + np.abs(x)), x",
                "x = x.astype(np.float32)\n    return x / (1 + np.abs(x)), x", either=True),
            bug("float32_noise", "", "return x / (1 + np.abs(x)), x",
                "x = x.astype(np.float32)\n    return (x + 1000) - 1000 - x * np.abs(x) / "
                "(1 + np.abs(x)), x", either=True),
        ],
    ),
]  # fmt: skip
