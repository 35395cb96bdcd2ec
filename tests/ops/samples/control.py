"""Samples of the operators whose instruction holds Programs."""

from __future__ import annotations

import numpy as np
from rows import Row, T

import backlit as bl
from backlit.errors import ArgumentError, ArgumentTypeError, ShapeError
from backlit.ops.fused import Fused, Positions
from backlit.ops.op import apply
from backlit.program.ir import Instr, Program, Value


def scan(h, w, xs, reverse=False):
    """A small recurrent net: bl.scan here, a plain loop in the oracle."""

    def step(h, x):
        h = (h @ w + x).tanh()
        return h, {"square": h * h, "sum": h.sum()}

    carry, ys = bl.scan(step, h, xs, reverse=reverse)
    return carry, ys["square"], ys["sum"]


def _loop(h, w, xs, reverse=False):
    squares, sums = [None] * len(xs), [None] * len(xs)
    for t in reversed(range(len(xs))) if reverse else range(len(xs)):
        h = np.tanh(h @ w + xs[t])
        squares[t], sums[t] = h * h, h.sum()
    none = np.zeros((0, *h.shape))
    return h, np.stack(squares) if len(xs) else none, np.array(sums, w.dtype).reshape(len(xs))


def bad_scan(init, xs, f=lambda h, x: (h, x), **settings):
    return bl.scan(f, init, xs, **settings)


def detach_within(x):
    """Where a loop's code ends a gradient."""
    return bl.scan(lambda h, _: (h * x.detach() + h.detach(), None), x, length=3)[0]


class _Watching(bl.autograd.Observer):
    pass


def branch(x, w, positive):
    """As in a capture: both branches in one instruction."""
    with bl.autograd.observe(_Watching()):
        pred = bl.tensor(1.0 if positive else -1.0) > 0
        return bl.cond(pred, lambda x: (x * w).sin(), lambda x: x * x + w[0], x)


def bad_branch(pred, f, g, *operands):
    with bl.autograd.observe(_Watching()):
        return bl.cond(pred, f, g, *operands)


def fused(x):
    """An instruction made of others."""
    inner, outer = (Value(n, tuple(x.shape), x.dtype) for n in "xy")
    body = Program("body", (inner,), (Instr("exp", (inner,), (outer,)),), (outer,))
    return apply(Fused, x, body=body)[0]


def positions(x):
    """Where each column stands, which class losses compare labels with."""
    return apply(Positions, shape=(1, x.shape[1]), dim=1, dtype=bl.int64) + x * 0


YES = T(values=True, dtype="bool")
H, W = T((2, 3)), T((3, 3))

ROWS = [
    Row(scan, op="scan", torch=None, numpy=_loop, grad=True,
        args=[(H, W, T((4, 2, 3))), (H, W, T((4, 2, 3)), {"reverse": True}),
              (H, W, T((1, 2, 3))), (H, W, T((0, 2, 3)))]),
    Row(bad_scan, op=(), torch=None, numpy=lambda h, x: (h, x), grad=True,
        args=[(T(()), T((3,)))],
        bad=[((H, T(())), ShapeError, "needs a first axis"),
             ((H, None), ArgumentError, "give xs or length"),
             ((H, (T((2,)), T((3,)))), ShapeError, "different numbers of steps: [2, 3]"),
             ((H, T((2,)), {"length": 3}), ShapeError, "different numbers of steps"),
             ((H, None, {"length": -1}), ArgumentError, "negative"),
             ((H, T((2,)), {"f": lambda h, x: h}), ArgumentTypeError, "must return"),
             ((H, T((2,)), {"f": lambda h, x: (h[0], x)}), ShapeError, "got a carry of"),
             (("zero", T((2,))), ArgumentTypeError, "init: expected tensors")]),
    Row(detach_within, op="detach", torch=None, numpy=lambda x: x * (x + 1) ** 3, grad=False,
        args=[(T((3,)),)]),
    Row(branch, op="branch", torch=None, grad=True,
        numpy=lambda x, w, p: np.sin(x * w) if p else x * x + w[0],
        args=[(T((3,)), T((3,)), True), (T((3,)), T((3,)), False)]),
    Row(bad_branch, op=(), torch=None, numpy=lambda p, f, g, x: np.where(p, 2 * x, x),
        args=[(YES, lambda x: x * 2, lambda x: x, T((2,)))], grad=True,
        bad=[((T((2,)), abs, abs, T((2,))), ShapeError, "expected one element"),
             (("yes", abs, abs, T((2,))), ArgumentTypeError, "must be a bool"),
             ((YES, lambda x: x, lambda x: x[0], T((2,))), ShapeError,
              "one branch returns"),
             ((YES, bl.nn.functional.dropout, lambda x: x, T((2,))),
              ArgumentError, "random")]),
    Row(positions, op="positions", torch=None, grad=False, args=[(T((2, 3)),)],
        numpy=lambda x: np.broadcast_to(np.arange(x.shape[1], dtype=x.dtype), x.shape)),
    Row(fused, op="fused", torch=None, numpy=np.exp, grad=False, args=[(T((2, 3)),)]),
]  # fmt: skip
