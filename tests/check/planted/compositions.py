"""Functions on tensors: recorded by the engine, cut somewhere, or with a wrong Function inside."""

from __future__ import annotations

import backlit as bl
from planted.case import Case, bug, drawn, whole


class Square(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return 2 * x * g


class Matmul(bl.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a @ b

    @staticmethod
    def backward(ctx, g):
        a, b = ctx.saved_tensors
        return g @ b.mT, a.mT @ g


class Tanh(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        y = x.tanh()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - y * y)


def gated(x):
    s = x.sigmoid()
    return x * s


def residual(x, w):
    h = (x @ w).tanh()
    return x + h


def attention(q, k, v):
    a = (q @ k.mT / 3**0.5).softmax(-1)
    return a @ v


def network(x, w1, w2):
    h = Tanh.apply(Matmul.apply(x, w1))
    return Square.apply(Matmul.apply(h, w2)).sum()


def loss(w, x, y):
    scores = x @ w
    data = bl.nn.functional.cross_entropy(scores, y)
    return data + 0.3 * (w * w).sum()


def twice(x):
    return Square.apply(x) + Square.apply(x.sin())


def normalized(x):
    mean = x.mean(0)
    centred = x - mean
    scale = centred.square().mean(0).sqrt()
    return centred / scale


def rounded(x):
    return (x * 3).exp()


def noisy(x):
    return x.exp()


def unrolled(h, w, x):
    for t in range(3):
        h = (h @ w + x[t]).tanh()
    return h


CASES = [
    Case(
        "gate by itself", (gated,), drawn(x=(3, 4)),
        [
            bug("detached_path", "x", "s = x.sigmoid()", "s = x.detach().sigmoid()",
                also="lost_accumulation", why="a path that is cut at a fork"),
            bug("detached_path", "x", "return x * s", "return x * s.detach()",
                also="lost_accumulation", why="a path that is cut at a fork"),
            bug("detached_path", "x", "    s = x.sigmoid()\n",
                "    with bl.no_grad():\n        s = x.sigmoid()\n",
                also="lost_accumulation", why="a path that is cut at a fork"),
            bug("detached_path", "x", "s = x.sigmoid()",
                "s = bl.from_numpy(1 / (1 + np.exp(-x.detach().numpy())))",
                also="lost_accumulation", why="a path that is cut at a fork"),
        ],
        kind="callable",
    ),
    Case(
        "residual", (residual,), drawn(x=(3, 4), w=(4, 4)),
        [
            bug("detached_path", "x", "(x @ w)", "(x.detach() @ w)", also="lost_accumulation",
                why="a path that is cut at a fork"),
            bug("detached_path", "x w", "x + h", "x + h.detach()", also="lost_accumulation",
                why="a path that is cut at a fork"),
            bug("detached_path", "w", "(x @ w)", "(x @ w.detach())"),
        ],
        kind="callable",
    ),
    Case(
        "attention on tensors", (attention,), drawn(q=(4, 3), k=(4, 3), v=(4, 3)),
        [
            bug("detached_path", "k", "k.mT", "k.detach().mT"),
            bug("detached_path", "q k", "a @ v", "a.detach() @ v"),
            bug("detached_path", "v", "a @ v", "a @ bl.tensor(v.detach().numpy())"),
        ],
        kind="callable",
    ),
    Case(
        "network of Functions", (Square, Matmul, Tanh, network),
        drawn(x=(5, 4), w1=(4, 4), w2=(4, 4)),
        [
            bug("missing_factor", "x w1 w2", "2 * x * g", "x * g"),
            bug("transposed", "x w1", "g @ b.mT, a.mT @ g", "g @ b, a.mT @ g"),
            bug("transposed", "w1 w2", "g @ b.mT, a.mT @ g", "g @ b.mT, g.mT @ a"),
            bug("wrong_saved_value", "x w1", "save_for_backward(y)", "save_for_backward(x)"),
            bug("sign", "x w1", "(1 - y * y)", "(y * y - 1)"),
            bug("missing_factor", "x w1", "g * (1 - y * y)", "g * 1.0", also="wrong_saved_value",
                why="the derivative of tanh is left out"),
        ],
        kind="callable",
    ),
    Case(
        "loss with a penalty", (loss,), drawn(w=(4, 3), x=(6, 4), y=whole(3, 6)),
        [
            bug("missing_regularization", "w", "(w * w)", "(w * w).detach()",
                also="detached_path lost_accumulation", why="the path of the penalty is cut"),
            bug("detached_path", "w x", "data + 0.3", "data.detach() + 0.3",
                also="lost_accumulation", why="the path of the data is cut"),
            bug("detached_path", "x", "x @ w", "x.detach() @ w"),
        ],
        kind="callable",
    ),
    Case(
        "Function used twice", (Square, twice), drawn(x=(5,)),
        [
            bug("stale_saved_value", "x", "ctx.save_for_backward(x)", "Square.saved = x",
                "(x,) = ctx.saved_tensors", "x = Square.saved", also="wrong_saved_value",
                why="the value saved by the other use is another value of the graph"),
            bug("missing_factor", "x", "2 * x * g", "x * g"),
            bug("detached_path", "x", "Square.apply(x.sin())", "Square.apply(x.sin().detach())",
                also="lost_accumulation", why="a path that is cut at a fork"),
        ],
        kind="callable",
    ),
    Case(
        "normalization on tensors", (normalized,), drawn(x=(5, 3)),
        [
            bug("detached_path", "x", "mean = x.mean(0)", "mean = x.detach().mean(0)",
                also="lost_accumulation", why="a path that is cut at a fork"),
            bug("detached_path", "x", "return centred / scale", "return centred / scale.detach()",
                also="lost_accumulation", why="a path that is cut at a fork"),
        ],
        kind="callable",
    ),
    Case(
        "exponential of tensors", (rounded,), drawn(x=(3, 4)),
        [
            bug("not_differentiable", "x", "(x * 3).exp()", "(x * 3).round()", either=True),
            bug("not_differentiable", "x", "(x * 3).exp()", "(x * 3).floor()", either=True),
            bug("not_differentiable", "x", "(x * 3).exp()", "x.sign()", either=True),
            bug("not_differentiable", "x", "(x * 3).exp()", "(x > 0).double()", either=True),
            bug("not_differentiable", "x", "(x * 3).exp()", "x.argmax(dim=1).double()",
                either=True),
            bug("not_differentiable", "x", "return (x * 3).exp()",
                "return x + (x.round() - x).detach()"),
        ],
        kind="callable",
    ),
    Case(
        "exponential with chance", (noisy,), drawn(x=(3, 4)),
        [
            bug("non_determinism", "x", "x.exp()",
                "x.exp() * float(np.random.default_rng().uniform(1, 2))", either=True),
            bug("non_determinism", "x", "return x.exp()",
                "SAVED['n'] = SAVED.get('n', 0) + 1\n    return x.exp() * SAVED['n']", either=True),
            bug("float32_noise", "", "x.exp()", "(x.float().exp() * 1e4 + 1e4) - 1e4", either=True),
        ],
        kind="callable",
    ),
    Case(
        "unrolled recurrence", (unrolled,), drawn(h=(2, 3), w=(3, 3), x=(3, 2, 3)),
        [
            bug("detached_path", "h w x", "h @ w", "h.detach() @ w", also="lost_accumulation",
                why="a path that is cut at a fork: w is used at every step"),
            bug("detached_path", "w", "h @ w", "h @ (w if t == 0 else w.detach())",
                also="lost_accumulation", why="a path that is cut at a fork"),
        ],
        kind="callable",
    ),
]  # fmt: skip
