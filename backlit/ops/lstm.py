"""One LSTM layer in one direction over a whole sequence, and its gradient.

Gates stand in the order i, f, g, o as in PyTorch's weights. The operator keeps its gates and cell
states; `lstm_grad` walks back through time with them, and its `expand` is the same walk in plain
operators. Public functions are in recurrent.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ShapeError
from backlit.ops import steps as st
from backlit.ops.op import Operator, Spec, apply

_INPUTS = ("x", "h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh", "w_hr")


class Lstm(Operator):
    """c' = f c + i g and h' = o tanh(c'), step by step; h' is projected where w_hr is given.

    Source: Hochreiter and Schmidhuber (1997); the forget gate: Gers et al. (2000).
    """

    exports = ""
    inputs = _INPUTS
    outputs = ("y", "h", "c", "gates", "cells", "squashed")
    nondifferentiable = ("gates", "cells", "squashed")

    def infer(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, *, reverse):
        size = w_ih.shape[0] // 4
        out = size if w_hr is None else w_hr.shape[0]
        states = (("h_0", h0, out), ("c_0", c0, size))
        st.check_layer(4, x, w_ih, w_hh, (b_ih, b_hh), states)
        if (w_hr is not None and w_hr.shape[1] != size) or w_hh.shape[1] != out:
            raise ShapeError(f"weight_hh {w_hh.shape} does not fit a hidden state of {out}")
        lead, kind = x.shape[:2], x.dtype
        kept = Spec((*lead, size), kind)
        return (Spec((*lead, out), kind), h0, c0, Spec((*lead, 4 * size), kind), kept, kept)

    def forward(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, *, reverse):
        given = x
        x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr = st.wide(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr)
        gates = st.projected(x, w_ih, st.joint_bias(b_ih, b_hh))
        steps, batch, size = len(x), x.shape[1], c.shape[1]
        cells, squashed = (np.empty((steps, batch, size), x.dtype) for _ in range(2))
        y = np.empty((steps, batch, h.shape[1]), x.dtype)
        back = np.ascontiguousarray(w_hh.T)
        for t in st.order(steps, reverse):
            z = gates[t]
            z += h @ back
            st.sigmoid_(z[:, : 2 * size])
            np.tanh(z[:, 2 * size : 3 * size], out=z[:, 2 * size : 3 * size])
            st.sigmoid_(z[:, 3 * size :])
            new = np.multiply(z[:, size : 2 * size], c, out=cells[t])
            new += z[:, :size] * z[:, 2 * size : 3 * size]
            c, s = new, np.tanh(new, out=squashed[t])
            h = y[t]
            if w_hr is None:
                np.multiply(z[:, 3 * size :], s, out=h)
            else:
                np.matmul(z[:, 3 * size :] * s, w_hr.T, out=h)
        return st.narrow(given, y, h.copy(), c.copy(), gates, cells, squashed)

    def backward(g_y, g_h, g_c, x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, y, gates, cells,
                 squashed, reverse, needs):  # fmt: skip
        found = apply(LstmGrad, g_y, g_h, g_c, x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, y,
                      gates, cells, squashed, reverse=reverse, by_input=needs[0])  # fmt: skip
        gx, gh, gc, gw_ih, gw_hh, gb, gw_hr = found
        return gx, gh, gc, gw_ih, gw_hh, gb, gb, gw_hr

    def latex(*names, reverse):
        return rf"\operatorname{{LSTM}}\left({names[0]}\right)"


class LstmGrad(Operator):
    """The gradients of `lstm` in one walk back; differentiated through `expand`."""

    exports = ""
    inputs = ("g_y", "g_h", "g_c", *_INPUTS, "y", "gates", "cells", "squashed")
    outputs = ("gx", "gh0", "gc0", "gw_ih", "gw_hh", "gb", "gw_hr")

    def infer(g_y, g_h, g_c, x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, y, gates, cells, squashed,
              *, reverse, by_input):  # fmt: skip
        gb = b_ih if b_hh is None else b_hh
        return x if by_input else None, h0, c0, w_ih, w_hh, gb, w_hr

    def forward(g_y, g_h, g_c, x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, y, gates, cells,
                squashed, *, reverse, by_input):  # fmt: skip
        given = x
        g_y, x, h0, c0, w_ih, w_hh, w_hr, y, gates, cells, squashed = st.wide(
            g_y, x, h0, c0, w_ih, w_hh, w_hr, y, gates, cells, squashed
        )
        dh = np.zeros_like(h0) if g_h is None else g_h.astype(h0.dtype)
        dc = np.zeros_like(c0) if g_c is None else g_c.astype(c0.dtype)
        before, d, slope = st.earlier(cells, c0, reverse), np.empty_like(gates), None
        dhs = None if w_hr is None else np.empty_like(y)
        for t in reversed(st.order(len(x), reverse)):
            dh = dh if g_y is None else dh + g_y[t]
            if dhs is not None:
                dhs[t] = dh
                dh = dh @ w_hr
            slope = np.subtract(1, gates[t], out=slope)
            dc = _step_back(dh, dc, gates[t], squashed[t], before[t], d[t], slope)
            dh = d[t] @ w_hh
        biased = b_ih is not None or b_hh is not None
        heads = None if dhs is None else gates[:, :, 3 * c0.shape[1] :] * squashed
        return st.narrow(
            given, st.input_grad(d, w_ih) if by_input else None, dh, dc,
            st.weight_grad(d, x), st.weight_grad(d, st.earlier(y, h0, reverse)),
            st.bias_grad(d) if biased else None,
            None if dhs is None else st.weight_grad(dhs, heads),
        )  # fmt: skip

    def expand(g_y, g_h, g_c, x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, y, gates, cells, squashed,
               *, reverse, by_input):  # fmt: skip
        steps = unrolled(x, h0, c0, w_ih, w_hh, b_ih, b_hh, w_hr, reverse)
        dh, dc = h0 * 0 if g_h is None else g_h, c0 * 0 if g_c is None else g_c
        d, dhs = [None] * x.shape[0], [None] * x.shape[0]
        for t in reversed(st.order(x.shape[0], reverse)):
            i, f, g, o, before, s, _, _ = steps[t]
            dhs[t] = dh = dh if g_y is None else dh + g_y[t]
            dh = dh if w_hr is None else dh @ w_hr
            dc = dc + dh * o * (1 - s * s)
            d[t] = st.cat([dc * g * i * (1 - i), dc * before * f * (1 - f),
                           dc * i * (1 - g * g), dh * s * o * (1 - o)], 1)  # fmt: skip
            dh, dc = d[t] @ w_hh, dc * f
        d = st.stack(d)
        biased = b_ih is not None or b_hh is not None
        outputs = [step[7] for step in steps]
        heads = None if w_hr is None else st.stack([s[3] * s[5] for s in steps])
        return (
            d @ w_ih if by_input else None, dh, dc, st.summed_products(d, x),
            st.summed_products(d, st.earlier_steps(outputs, h0, reverse)),
            d.sum((0, 1)) if biased else None,
            None if w_hr is None else st.summed_products(st.stack(dhs), heads),
        )  # fmt: skip

    def latex(*names, reverse, by_input):
        g, x = names[0], names[3]
        return rf"\frac{{\partial \operatorname{{LSTM}}}}{{\partial {x}}}^{{\top}} {g}"


def _step_back(dh: Any, dc: Any, gates: Any, squashed: Any, before: Any, d: Any,
               slope: Any) -> Any:  # fmt: skip
    """Gradients of one step's gates, into `d`; returns the earlier cell state's.

    `slope` holds 1 - gates and is overwritten.
    """
    size = dc.shape[1]
    i, f, g, o = (gates[:, k * size : (k + 1) * size] for k in range(4))
    inner = squashed * squashed
    np.subtract(1, inner, out=inner)
    inner *= o
    inner *= dh
    inner += dc
    np.multiply(inner, g, out=d[:, :size])
    np.multiply(inner, before, out=d[:, size : 2 * size])
    np.multiply(inner, i, out=d[:, 2 * size : 3 * size])
    np.multiply(dh, squashed, out=d[:, 3 * size :])
    slope *= gates  # s (1 - s) for the sigmoids; tanh has 1 - g^2
    tangent = slope[:, 2 * size : 3 * size]
    np.multiply(g, g, out=tangent)
    np.subtract(1, tangent, out=tangent)
    d *= slope
    inner *= f
    return inner


def unrolled(x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any,
             reverse: bool) -> list[Any]:  # fmt: skip
    """The layer in differentiable operators: (i, f, g, o, c before, tanh c, c, h) per step."""
    steps: list[Any] = [None] * x.shape[0]
    for t in st.order(x.shape[0], reverse):
        z = st.affine(x[t], w_ih, b_ih) + st.affine(h, w_hh, b_hh)
        i, f, g, o = z.chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        before, c = c, f * c + i * g
        s = c.tanh()
        h = o * s if w_hr is None else (o * s) @ w_hr.mT
        steps[t] = (i, f, g, o, before, s, c, h)
    return steps
