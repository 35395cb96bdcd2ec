"""One plain recurrent layer (tanh or ReLU) in one direction over a sequence, and its gradient.

The output is all that the walk back needs; `expand` is the same walk in plain operators. Public
functions are in recurrent.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ShapeError
from backlit.ops import steps as st
from backlit.ops.op import Operator, Spec, apply

_INPUTS = ("x", "h0", "w_ih", "w_hh", "b_ih", "b_hh")


class Rnn(Operator):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or ReLU of it, step by step.

    Source: Elman (1990).
    """

    exports = ""
    inputs = _INPUTS
    outputs = ("y", "h")

    def infer(x, h0, w_ih, w_hh, b_ih, b_hh, *, relu, reverse):
        size = w_ih.shape[0]
        st.check_layer(1, x, w_ih, w_hh, (b_ih, b_hh), (("h_0", h0, size),))
        if w_hh.shape[1] != size:
            raise ShapeError(f"weight_hh has shape {w_hh.shape}, expected {(size, size)}")
        return Spec((*x.shape[:2], size), x.dtype), h0

    def forward(x, h0, w_ih, w_hh, b_ih, b_hh, *, relu, reverse):
        given = x
        x, h, w_ih, w_hh, b_ih, b_hh = st.wide(x, h0, w_ih, w_hh, b_ih, b_hh)
        y = st.projected(x, w_ih, st.joint_bias(b_ih, b_hh))
        back = np.ascontiguousarray(w_hh.T)
        for t in st.order(len(x), reverse):
            z = y[t]
            z += h @ back
            h = np.maximum(z, 0, out=z) if relu else np.tanh(z, out=z)
        return st.narrow(given, y, h.copy())

    def backward(g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, relu, reverse, needs):
        found = apply(RnnGrad, g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, relu=relu,
                      reverse=reverse, by_input=needs[0])  # fmt: skip
        gx, gh, gw_ih, gw_hh, gb = found
        return gx, gh, gw_ih, gw_hh, gb, gb

    def latex(*names, relu, reverse):
        return rf"\operatorname{{RNN}}\left({names[0]}\right)"


class RnnGrad(Operator):
    """The gradients of `rnn` in one walk back; differentiated through `expand`."""

    exports = ""
    inputs = ("g_y", "g_h", *_INPUTS, "y")
    outputs = ("gx", "gh0", "gw_ih", "gw_hh", "gb")

    def infer(g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, *, relu, reverse, by_input):
        return x if by_input else None, h0, w_ih, w_hh, b_ih if b_hh is None else b_hh

    def forward(g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, *, relu, reverse, by_input):
        given = x
        g_y, x, h0, w_ih, w_hh, y = st.wide(g_y, x, h0, w_ih, w_hh, y)
        dh = np.zeros_like(h0) if g_h is None else g_h.astype(h0.dtype)
        d = (y > 0).astype(y.dtype) if relu else 1 - y * y
        for t in reversed(st.order(len(x), reverse)):
            d[t] *= dh if g_y is None else dh + g_y[t]
            dh = d[t] @ w_hh
        biased = b_ih is not None or b_hh is not None
        return st.narrow(
            given, st.input_grad(d, w_ih) if by_input else None, dh, st.weight_grad(d, x),
            st.weight_grad(d, st.earlier(y, h0, reverse)), st.bias_grad(d) if biased else None,
        )  # fmt: skip

    def expand(g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, *, relu, reverse, by_input):
        states = unrolled(x, h0, w_ih, w_hh, b_ih, b_hh, relu, reverse)
        dh, d = h0 * 0 if g_h is None else g_h, [None] * x.shape[0]
        for t in reversed(st.order(x.shape[0], reverse)):
            h = states[t]
            slope = (h > 0).to(x.dtype) if relu else 1 - h * h
            d[t] = (dh if g_y is None else dh + g_y[t]) * slope
            dh = d[t] @ w_hh
        d = st.stack(d)
        biased = b_ih is not None or b_hh is not None
        earlier = st.earlier_steps(states, h0, reverse)
        return (d @ w_ih if by_input else None, dh, st.summed_products(d, x),
                st.summed_products(d, earlier), d.sum((0, 1)) if biased else None)  # fmt: skip

    def latex(*names, relu, reverse, by_input):
        return rf"\frac{{\partial \operatorname{{RNN}}}}{{\partial {names[2]}}}^{{\top}} {names[0]}"


def unrolled(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, relu: bool,
             reverse: bool) -> list[Any]:  # fmt: skip
    """The layer in differentiable operators: the state after each step."""
    steps: list[Any] = [None] * x.shape[0]
    for t in st.order(x.shape[0], reverse):
        z = st.affine(x[t], w_ih, b_ih) + st.affine(h, w_hh, b_hh)
        steps[t] = h = z.relu() if relu else z.tanh()
    return steps
