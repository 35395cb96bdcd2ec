"""Operators of one's own: `autograd.Function` with a backward by hand."""

from __future__ import annotations

import numpy as np

import backlit as bl
from planted.case import Case, bug, drawn


class Multiply(bl.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g * b, g * a


class Linear(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x, w, b):
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx, g):
        x, w = ctx.saved_tensors
        dx = g @ w.T
        dw = x.T @ g
        db = g.sum(dim=0)
        return dx, dw, db


class Sigmoid(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = 1 / (1 + (-x).exp())
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y * (1 - y)


class Relu(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        g = g.clone()
        g[x < 0] = 0
        return g


class Scale(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor=2.5):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, g):
        return g * ctx.factor, None


class MeanSquare(bl.autograd.Function):
    @staticmethod
    def forward(ctx, y, t):
        ctx.save_for_backward(y, t)
        return ((y - t) ** 2).mean()

    @staticmethod
    def backward(ctx, g):
        y, t = ctx.saved_tensors
        d = 2 * (y - t) / y.numel() * g
        return d, -d


class Swish(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * bl.sigmoid(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        s = bl.sigmoid(x)
        dx = g * s
        dx = dx + g * x * s * (1 - s)
        return dx


class LogSoftmax(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        out = x - x.exp().sum(dim=1, keepdim=True).log()
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, g):
        (out,) = ctx.saved_tensors
        return g - out.exp() * g.sum(dim=1, keepdim=True)


class AddRow(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x, row):
        return x + row

    @staticmethod
    def backward(ctx, g):
        return g, g.sum(dim=0)


class Center(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x - x.mean(dim=0)

    @staticmethod
    def backward(ctx, g):
        return g - g.mean(dim=0)


class Gather(bl.autograd.Function):
    @staticmethod
    def forward(ctx, w, idx):
        ctx.idx, ctx.shape = idx, w.shape
        return w[idx]

    @staticmethod
    def backward(ctx, g):
        dw = np.zeros(tuple(ctx.shape))
        np.add.at(dw, ctx.idx.numpy(), g.numpy())
        return bl.from_numpy(dw), None


class Dropout(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        mask = (bl.rand(x.shape) < 0.5).double() / 0.5
        ctx.save_for_backward(mask)
        return x * mask

    @staticmethod
    def backward(ctx, g):
        (mask,) = ctx.saved_tensors
        return g * mask


class Cube(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**3

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 3 * x**2 * g


class RowMax(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        values, places = x.max(dim=1)
        ctx.places, ctx.shape = places, x.shape
        return values

    @staticmethod
    def backward(ctx, g):
        dx = bl.zeros(ctx.shape, dtype=g.dtype)
        dx[bl.arange(ctx.shape[0]), ctx.places] = g
        return dx


CASES = [
    Case(
        "Multiply", (Multiply,), drawn(a=(3, 4), b=(3, 4)),
        [
            bug("wrong_saved_value", "a b", "g * b, g * a", "g * a, g * b"),
            bug("sign", "b", "g * b, g * a", "g * b, -g * a"),
            bug("stale_saved_value", "a b", "ctx.save_for_backward(a, b)",
                "Multiply.saved = (a, b)", "ctx.saved_tensors", "Multiply.saved"),
            bug("missing_factor", "a", "g * b, g * a", "b * 1.0, g * a", also="wrong_saved_value",
                why="the upstream gradient is left out, or taken as 1"),
            bug("detached_path", "b", "g * b, g * a", "g * b, None"),
            bug("extra_factor", "a", "g * b, g * a", "3 * g * b, g * a"),
        ],
        kind="function",
    ),
    Case(
        "Linear", (Linear,), drawn(x=(5, 4), w=(4, 4), b=(4,)),
        [
            bug("transposed", "x", "dx = g @ w.T", "dx = g @ w"),
            bug("transposed", "w", "dw = x.T @ g", "dw = g.T @ x"),
            bug("missing_broadcast_sum", "b", "db = g.sum(dim=0)", "db = g[0]"),
            bug("wrong_axis", "b", "db = g.sum(dim=0)", "db = g.sum(dim=1)",
                inputs=drawn(x=(4, 4), w=(4, 4), b=(4,))),
            bug("extra_factor", "b", "db = g.sum(dim=0)", "db = g.mean(dim=0)",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor 1/N"),
            bug("wrong_saved_value", "w", "dw = x.T @ g", "dw = g.T @ g"),
            bug("stale_saved_value", "w", "ctx.save_for_backward(x, w)",
                "SAVED['x'] = x\n        ctx.save_for_backward(x, w)", "dw = x.T",
                "dw = SAVED['x'].T"),
            bug("sign", "w", "dw = x.T", "dw = -x.T"),
        ],
        kind="function",
    ),
    Case(
        "Sigmoid", (Sigmoid,), drawn(x=(3, 4)),
        [
            bug("wrong_saved_value", "x", "save_for_backward(y)", "save_for_backward(x)"),
            bug("sign", "x", "(1 - y)", "(y - 1)"),
            bug("missing_factor", "x", "g * y * (1 - y)", "g * y", also="wrong_saved_value",
                why="the factor 1 - y is left out"),
            bug("non_determinism", "x", "return g * y * (1 - y)",
                "return g * y * (1 - y) * float(np.random.default_rng().uniform(0.5, 2))"),
        ],
        kind="function",
    ),
    Case(
        "Relu", (Relu,), drawn(x=(4, 5)),
        [
            bug("mask_not_reused", "x", "        g[x < 0] = 0\n", "", also="missing_factor",
                why="the mask is the local derivative: not applying it is leaving that out"),
            bug("wrong_saved_value", "x", "g[x < 0] = 0", "g[g < 0] = 0", also="mask_not_reused",
                why="a mask of the gradient in place of the saved one"),
            bug("wrong_saved_value", "x", "g[x < 0]", "g[x > 0]", also="mask_not_reused",
                why="the mask is turned around"),
            bug("kink", "", inputs=drawn(x=lambda rng: np.array([0.0, -1.0, 0.0, 2.0]))),
        ],
        kind="function",
    ),
    Case(
        "Scale", (Scale,), drawn(x=(3, 4)),
        [
            bug("missing_factor", "x", "g * ctx.factor", "g"),
            bug("extra_factor", "x", "g * ctx.factor", "g * ctx.factor * ctx.factor"),
            bug("sign", "x", "g * ctx.factor", "-g * ctx.factor"),
        ],
        kind="function",
    ),
    Case(
        "MeanSquare", (MeanSquare,), drawn(y=(4, 3), t=(4, 3)),
        [
            bug("missing_factor", "y t", "d = 2 * (y", "d = (y"),
            bug("missing_factor", "y t", " / y.numel()", ""),
            bug("missing_factor", "y t", " / y.numel()", " / len(y)"),
            bug("sign", "t", "return d, -d", "return d, d"),
        ],
        kind="function",
    ),
    Case(
        "Swish", (Swish,), drawn(x=(3, 4)),
        [
            bug("lost_accumulation", "x", "dx = dx + g", "dx = g"),
            bug("lost_accumulation", "x", "        dx = dx + g * x * s * (1 - s)\n", ""),
            bug("wrong_saved_value", "x", "g * x * s * (1 - s)", "g * x * x * (1 - x)"),
        ],
        kind="function",
    ),
    Case(
        "LogSoftmax", (LogSoftmax,), drawn(x=(4, 3)),
        [
            bug("wrong_axis", "x", "g.sum(dim=1", "g.sum(dim=0"),
            bug("missing_broadcast_sum", "x", "g.sum(dim=1, keepdim=True)", "g"),
            bug("wrong_saved_value", "x", "g - out.exp()", "g - out"),
            bug("detached_path", "x", "g - out.exp() * g.sum(dim=1, keepdim=True)", "g * 1.0",
                also="lost_accumulation", why="the path through the normalization is lost"),
        ],
        kind="function",
    ),
    Case(
        "AddRow", (AddRow,), drawn(x=(5, 3), row=(3,)),
        [
            bug("missing_broadcast_sum", "row", "g, g.sum(dim=0)", "g, g[0]"),
            bug("extra_factor", "row", "g, g.sum(dim=0)", "g, g.mean(dim=0)",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor 1/N"),
            bug("wrong_axis", "row", "g, g.sum(dim=0)", "g, g.sum(dim=1)",
                inputs=drawn(x=(3, 3), row=(3,))),
            bug("sign", "row", "g, g.sum(dim=0)", "g, -g.sum(dim=0)"),
        ],
        kind="function",
    ),
    Case(
        "Center", (Center,), drawn(x=(4, 4)),
        [
            bug("detached_path", "x", "g - g.mean(dim=0)", "g * 1.0", also="lost_accumulation",
                why="the path through the mean is lost"),
            bug("wrong_axis", "x", "g - g.mean(dim=0)", "g - g.mean(dim=1, keepdim=True)"),
            bug("missing_factor", "x", "g - g.mean(dim=0)", "g - g.sum(dim=0)"),
        ],
        kind="function",
    ),
    Case(
        "Gather", (Gather,),
        drawn(w=(5, 3), idx=lambda rng: np.array([1, 4, 1, 0])),
        [
            bug("index_error", "w", "np.add.at(dw, ctx.idx.numpy(), g.numpy())",
                "dw[ctx.idx.numpy()] += g.numpy()", also="lost_accumulation",
                why="at repeated indices the last write wins"),
            bug("index_error", "w", "ctx.idx.numpy(), g", "ctx.idx.numpy() - 1, g"),
        ],
        kind="function",
    ),
    Case(
        "Dropout", (Dropout,), drawn(x=(5, 4)),
        [
            bug("mask_not_reused", "x", "return g * mask",
                "return g * (bl.rand(g.shape) < 0.5).double() / 0.5"),
            bug("mask_not_reused", "x", "return g * mask", "return g * 1.0",
                also="missing_factor", why="the mask is the local derivative"),
            bug("missing_factor", "x", "return g * mask", "return g * (mask > 0)"),
        ],
        kind="function",
    ),
    Case(
        "Cube", (Cube,), drawn(x=(3, 4)),
        [
            bug("missing_factor", "x", "3 * x**2 * g", "x**2 * g"),
            bug("extra_factor", "x", "3 * x**2 * g", "6 * x**2 * g"),
            bug("wrong_saved_value", "x", "3 * x**2 * g", "3 * x**3 * g",
                also="extra_factor", why="a cube for a square is one factor x too many"),
            bug("not_differentiable", "x", "return x**3", "return (x**3).round()",
                inputs=drawn(x=lambda rng: rng.uniform(1, 3, 6))),
        ],
        kind="function",
    ),
    Case(
        "RowMax", (RowMax,), drawn(x=(4, 4)),
        [
            bug("index_error", "x", "ctx.places] = g", "ctx.places - 1] = g"),
            bug("transposed", "x", "dx[bl.arange(ctx.shape[0]), ctx.places] = g",
                "dx[ctx.places, bl.arange(ctx.shape[0])] = g", also="index_error",
                why="rows and columns change places"),
            bug("kink", "", inputs=drawn(x=lambda rng: np.array([[1.0, 1.0], [0.0, 2.0]]))),
        ],
        kind="function",
    ),
]  # fmt: skip
