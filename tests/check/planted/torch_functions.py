"""PyTorch's functions: `torch.autograd.Function` by hand, and calls that cut a path."""

from __future__ import annotations

import numpy as np
import torch

from planted.case import Case, bug, drawn


class Exp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * y


class LinearLayer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x.mm(weight.t()) + bias

    @staticmethod
    def backward(ctx, g):
        x, weight = ctx.saved_tensors
        dx = g.mm(weight)
        dweight = g.t().mm(x)
        dbias = g.sum(0)
        return dx, dweight, dbias


class LeakyRelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.where(x > 0, x, 0.1 * x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, g, 0.1 * g)


class Softmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = torch.softmax(x, dim=1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return y * (g - (g * y).sum(dim=1, keepdim=True))


class SquaredError(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, t):
        ctx.save_for_backward(y, t)
        return ((y - t) ** 2).mean()

    @staticmethod
    def backward(ctx, g):
        y, t = ctx.saved_tensors
        d = 2 * g * (y - t) / y.numel()
        return d, -d


def gate(x, w):
    h = x @ w
    return h * torch.sigmoid(h)


def penalized(w, x):
    error = (x @ w).tanh().mean()
    return error + 0.1 * (w**2).sum()


CASES = [
    Case(
        "torch: Exp", (Exp,), drawn(x=(3, 4)),
        [
            bug("wrong_saved_value", "x", "ctx.save_for_backward(y)", "ctx.save_for_backward(x)"),
            bug("sign", "x", "return g * y", "return -g * y"),
            bug("extra_factor", "x", "return g * y", "return 2 * g * y"),
            bug("missing_factor", "x", "return g * y", "return 1.0 * y", also="wrong_saved_value",
                why="the upstream gradient is left out, or taken as 1"),
        ],
        kind="function",
    ),
    Case(
        "torch: LinearLayer", (LinearLayer,), drawn(x=(5, 4), weight=(4, 4), bias=(4,)),
        [
            bug("transposed", "x", "g.mm(weight)", "g.mm(weight.t())"),
            bug("transposed", "weight", "g.t().mm(x)", "x.t().mm(g)"),
            bug("extra_factor", "bias", "g.sum(0)", "g.mean(0)", also="missing_broadcast_sum",
                why="the mean in place of the sum is a factor 1/N"),
            bug("missing_broadcast_sum", "bias", "g.sum(0)", "g[0]"),
            bug("wrong_axis", "bias", "g.sum(0)", "g.sum(1)",
                inputs=drawn(x=(4, 4), weight=(4, 4), bias=(4,))),
        ],
        kind="function",
    ),
    Case(
        "torch: LeakyRelu", (LeakyRelu,), drawn(x=(4, 5)),
        [
            bug("mask_not_reused", "x", "torch.where(x > 0, g, 0.1 * g)", "g * 1.0",
                also="missing_factor", why="the mask is the local derivative"),
            bug("kink", "", inputs=drawn(x=lambda rng: np.array([0.0, 1.0, -1.0]))),
        ],
        kind="function",
    ),
    Case(
        "torch: Softmax", (Softmax,), drawn(x=(4, 3)),
        [
            bug("lost_accumulation", "x", "y * (g - (g * y).sum(dim=1, keepdim=True))", "y * g"),
            bug("wrong_axis", "x", "(g * y).sum(dim=1", "(g * y).sum(dim=0"),
            bug("wrong_saved_value", "x", "ctx.save_for_backward(y)", "ctx.save_for_backward(x)"),
        ],
        kind="function",
    ),
    Case(
        "torch: SquaredError", (SquaredError,), drawn(y=(4, 3), t=(4, 3)),
        [
            bug("missing_factor", "y t", "d = 2 * g", "d = g"),
            bug("missing_factor", "y t", " / y.numel()", ""),
            bug("sign", "t", "return d, -d", "return d, d"),
        ],
        kind="function",
    ),
    Case(
        "torch: gate", (gate,), drawn(x=(3, 4), w=(4, 4)),
        [
            bug("detached_path", "x w", "torch.sigmoid(h)", "torch.sigmoid(h.detach())",
                also="lost_accumulation", why="a path that is cut at a fork"),
            bug("detached_path", "x", "x @ w", "x.detach() @ w"),
        ],
        kind="callable",
    ),
    Case(
        "torch: loss with a penalty", (penalized,), drawn(w=(4,), x=(5, 4)),
        [
            bug("missing_regularization", "w", "(w**2).sum()", "(w.detach() ** 2).sum()",
                also="detached_path lost_accumulation", why="the path of the penalty is cut"),
            bug("detached_path", "w x", "error = (x @ w)", "error = (x @ w).detach()",
                also="lost_accumulation", why="the path of the data is cut"),
        ],
        kind="callable",
    ),
]  # fmt: skip
