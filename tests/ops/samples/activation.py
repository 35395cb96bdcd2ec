"""Rows of backlit/ops/activation.py."""

from __future__ import annotations

from rows import Row, T

import backlit as bl
from backlit.errors import ArgumentError, DTypeError, ShapeError

X = T((3, 4), domain=(-4.0, 4.0))
FAR = T((9,), values=[-1e4, -700.0, -100.0, -30.0, 0.7, 30.0, 100.0, 700.0, 1e4])
WHOLE = T((2, 3), domain=(-5, 5), dtype="int64")
REFUSED = [((WHOLE,), DTypeError, "floating point")]


def smooth(name: str, *more: tuple, kink: tuple = (), **kw) -> Row:
    """A function of one tensor, also far out, empty and 0-dim."""
    x = T((3, 4), domain=(-4.0, 4.0), kink=kink)
    kw.setdefault("bad", REFUSED)
    return Row(name, args=[(x,), (FAR,), (T((0, 3)),), (T((), kink=kink),), *more], **kw)


def rrelu_at_random(x):
    bl.manual_seed(3)
    return bl.rrelu(x, 0.1, 0.3, training=True)


def gumbel_at_random(x):
    bl.manual_seed(3)
    return bl.api.NAMESPACES["F"]["gumbel_softmax"](x, tau=0.7)


ROWS = [
    smooth("sigmoid", (WHOLE,), bad=[]),
    smooth("F.sigmoid", torch="sigmoid", bad=[]),
    smooth("F.logsigmoid"),
    smooth("relu", (WHOLE,), kink=(0,), bad=[((T((2,), dtype="bool"),), DTypeError, "of numbers")]),
    smooth("F.relu", (X, {"inplace": False}), bad=[]),
    smooth("F.relu6", kink=(0, 6), bad=[]),
    smooth("F.softplus", (X, 2.0), (X, {"beta": 0.5, "threshold": 1.0})),
    smooth("F.leaky_relu", (X, 0.2), (X, {"negative_slope": 1.5}), (X, -0.5), kink=(0,)),
    Row("F.prelu", args=[
        (X, T((1,))), (X, T((4,))), (T((2, 3, 2, 2)), T((3,))), (T((5,)), T((1,))), (X, T(())),
        (T((0, 4)), T((4,))), (T(()), T((1,))),
    ], bad=[
        ((X, T((3,))), ShapeError, "4 channels"),
        ((X, T((1, 4))), ShapeError, "weight of shape"),
        ((X, T((4,), dtype="float32")), DTypeError, "weight is float32"),
    ]),
    smooth("F.elu", (X, 0.5), (X, {"alpha": 2.0}), kink=(0,)),
    smooth("F.celu", (X, 0.5), (X, {"alpha": 2.0}), kink=(0,)),
    smooth("F.selu", kink=(0,)),
    smooth("F.gelu", (X, {"approximate": "tanh"}), (FAR, {"approximate": "tanh"}),
           bad=[*REFUSED, ((X, {"approximate": "no"}), ArgumentError, "'none' or 'tanh'")]),
    smooth("F.silu"),
    smooth("F.mish"),
    smooth("F.hardtanh", (X, -2.0, 0.5), (WHOLE, -2, 2), kink=(-1, 1),
           bad=[((X, 2.0, 1.0), ArgumentError, "exceeds max_val")]),
    smooth("F.hardsigmoid", kink=(-3, 3), tol=1e-7),  # PyTorch keeps its 1/6 in single
    smooth("F.hardswish", kink=(-3, 3)),
    smooth("F.softsign", bad=[]),
    smooth("F.tanhshrink", bad=[]),
    smooth("F.softshrink", (X, 1.0), kink=(-0.5, 0.5),
           bad=[((X, -1.0), ArgumentError, "must not be negative")]),
    smooth("F.hardshrink", (X, 1.0), kink=(-0.5, 0.5)),
    Row("F.threshold", args=[(X, 0.5, -1.0), (FAR, 0.0, 0.0), (WHOLE, 1, 0)]),
    Row("F.glu", args=[(X,), (T((4, 3)), 0), (T((2, 0)),), (T((2, 6, 3)), {"dim": -2}),
                       (T((4,), domain=(-1e4, 1e4)),)],
        bad=[((T((2, 3)),), ShapeError, "has no halves"), ((T(()),), ShapeError, "0-dim")]),
    Row("F.rrelu", args=[(X,), (X, 0.1, 0.9)], op="rrelu",
        bad=[((X, 0.5, 0.1), ArgumentError, "exceeds upper")]),
    Row(rrelu_at_random, op="rrelu", args=[(X,)], torch=None, half=False),
    Row(gumbel_at_random, op="gumbel_softmax", args=[(X,)], torch=None, half=False,
        bad=[]),
    Row("F.gumbel_softmax", bad=[((X, 0.0), ArgumentError, "tau must be positive")]),
]  # fmt: skip
