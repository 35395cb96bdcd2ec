"""One GRU layer in one direction over a whole sequence, and its gradient.

Gates stand in the order r, z, n as in PyTorch's weights; the reset gate acts on W_hn h + b_hn.
The operator keeps r, z, n and that term; `gru_grad` walks back with them, and its `expand`
is the same walk in plain operators. Public functions are in recurrent.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ShapeError
from backlit.ops import steps as st
from backlit.ops.op import Operator, Spec, apply

_INPUTS = ("x", "h0", "w_ih", "w_hh", "b_ih", "b_hh")


class Gru(Operator):
    """h' = (1 - z) n + z h, step by step.

    Source: Cho et al. (2014).
    """

    exports = ""
    inputs = _INPUTS
    outputs = ("y", "h", "gates")
    nondifferentiable = ("gates",)

    def infer(x, h0, w_ih, w_hh, b_ih, b_hh, *, reverse):
        size = w_ih.shape[0] // 3
        st.check_layer(3, x, w_ih, w_hh, (b_ih, b_hh), (("h_0", h0, size),))
        if w_hh.shape[1] != size:
            raise ShapeError(f"weight_hh has shape {w_hh.shape}, expected {(3 * size, size)}")
        lead, kind = x.shape[:2], x.dtype
        return Spec((*lead, size), kind), h0, Spec((*lead, 4 * size), kind)

    def forward(x, h0, w_ih, w_hh, b_ih, b_hh, *, reverse):
        given = x
        x, h, w_ih, w_hh, b_ih, b_hh = st.wide(x, h0, w_ih, w_hh, b_ih, b_hh)
        entered = st.projected(x, w_ih, b_ih)
        steps, batch, size = len(x), x.shape[1], h.shape[1]
        y, gates = (np.empty((steps, batch, k * size), x.dtype) for k in (1, 4))
        back = np.ascontiguousarray(w_hh.T)
        for t in st.order(steps, reverse):
            z, inner = gates[t], h @ back
            if b_hh is not None:
                inner += b_hh
            turned, new = z[:, : 2 * size], z[:, 2 * size : 3 * size]
            st.sigmoid_(np.add(entered[t, :, : 2 * size], inner[:, : 2 * size], out=turned))
            z[:, 3 * size :] = inner[:, 2 * size :]
            np.multiply(z[:, :size], z[:, 3 * size :], out=new)
            new += entered[t, :, 2 * size :]
            np.tanh(new, out=new)
            after = np.subtract(h, new, out=y[t])
            after *= z[:, size : 2 * size]
            after += new
            h = after
        return st.narrow(given, y, h.copy(), gates)

    def backward(g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, gates, reverse, needs):
        return apply(GruGrad, g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, gates,
                     reverse=reverse, by_input=needs[0])  # fmt: skip

    def latex(*names, reverse):
        return rf"\operatorname{{GRU}}\left({names[0]}\right)"


class GruGrad(Operator):
    """The gradients of `gru` in one walk back; differentiated through `expand`."""

    exports = ""
    inputs = ("g_y", "g_h", *_INPUTS, "y", "gates")
    outputs = ("gx", "gh0", "gw_ih", "gw_hh", "gb_ih", "gb_hh")

    def infer(g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, gates, *, reverse, by_input):
        return x if by_input else None, h0, w_ih, w_hh, b_ih, b_hh

    def forward(g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, gates, *, reverse, by_input):
        given = x
        g_y, x, h0, w_ih, w_hh, y, gates = st.wide(g_y, x, h0, w_ih, w_hh, y, gates)
        size = h0.shape[1]
        dh = np.zeros_like(h0) if g_h is None else g_h.astype(h0.dtype)
        before = st.earlier(y, h0, reverse)
        by_entered, by_inner = (np.empty((*x.shape[:2], 3 * size), x.dtype) for _ in range(2))
        for t in reversed(st.order(len(x), reverse)):
            dh = dh if g_y is None else dh + g_y[t]
            dh = _step_back(dh, gates[t], before[t], by_entered[t], by_inner[t])
            dh += by_inner[t] @ w_hh
        return st.narrow(
            given, st.input_grad(by_entered, w_ih) if by_input else None, dh,
            st.weight_grad(by_entered, x), st.weight_grad(by_inner, before),
            None if b_ih is None else st.bias_grad(by_entered),
            None if b_hh is None else st.bias_grad(by_inner),
        )  # fmt: skip

    def expand(g_y, g_h, x, h0, w_ih, w_hh, b_ih, b_hh, y, gates, *, reverse, by_input):
        steps = unrolled(x, h0, w_ih, w_hh, b_ih, b_hh, reverse)
        dh = h0 * 0 if g_h is None else g_h
        entered, inner = [None] * x.shape[0], [None] * x.shape[0]
        for t in reversed(st.order(x.shape[0], reverse)):
            r, z, n, m, before, _ = steps[t]
            dh = dh if g_y is None else dh + g_y[t]
            dn = dh * (1 - z) * (1 - n * n)
            turned = [dn * m * r * (1 - r), dh * (before - n) * z * (1 - z)]
            entered[t], inner[t] = st.cat([*turned, dn], 1), st.cat([*turned, dn * r], 1)
            dh = dh * z + inner[t] @ w_hh
        entered, inner = st.stack(entered), st.stack(inner)
        earlier = st.earlier_steps([step[5] for step in steps], h0, reverse)
        return (
            entered @ w_ih if by_input else None, dh, st.summed_products(entered, x),
            st.summed_products(inner, earlier), None if b_ih is None else entered.sum((0, 1)),
            None if b_hh is None else inner.sum((0, 1)),
        )  # fmt: skip

    def latex(*names, reverse, by_input):
        return rf"\frac{{\partial \operatorname{{GRU}}}}{{\partial {names[2]}}}^{{\top}} {names[0]}"


def _step_back(dh: Any, gates: Any, before: Any, entered: Any, inner: Any) -> Any:
    """Gradients of one step's two affine maps, into `entered` and `inner`; returns dh z."""
    size = dh.shape[1]
    r, z, n, m = (gates[:, k * size : (k + 1) * size] for k in range(4))
    dn = n * n
    np.subtract(1, dn, out=dn)
    dn *= dh
    dn *= 1 - z
    turned = 1 - gates[:, : 2 * size]
    turned *= gates[:, : 2 * size]
    turned[:, :size] *= m
    turned[:, :size] *= dn
    turned[:, size:] *= before - n
    turned[:, size:] *= dh
    entered[:, : 2 * size], entered[:, 2 * size :] = turned, dn
    inner[:, : 2 * size] = turned
    np.multiply(dn, r, out=inner[:, 2 * size :])
    return dh * z


def unrolled(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any,
             reverse: bool) -> list[Any]:  # fmt: skip
    """The layer in differentiable operators: (r, z, n, W_hn h + b_hn, h before, h) per step."""
    steps: list[Any] = [None] * x.shape[0]
    for t in st.order(x.shape[0], reverse):
        (xr, xz, xn) = st.affine(x[t], w_ih, b_ih).chunk(3, 1)
        (hr, hz, m) = st.affine(h, w_hh, b_hh).chunk(3, 1)
        r, z = (xr + hr).sigmoid(), (xz + hz).sigmoid()
        n = (xn + r * m).tanh()
        before, h = h, n + z * (h - n)
        steps[t] = (r, z, n, m, before, h)
    return steps
