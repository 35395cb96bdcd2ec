"""Recurrent steps and sequences: what flows back through time, and from which state."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn, whole


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    dz = dnext_h * (1 - next_h**2)
    dx = dz.dot(Wx.T)
    dprev_h = dz.dot(Wh.T)
    dWx = x.T.dot(dz)
    dWh = prev_h.T.dot(dz)
    db = dz.sum(axis=0)
    return {"x": dx, "prev_h": dprev_h, "Wx": dWx, "Wh": dWh, "b": db}


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, D = x.shape
    h = np.zeros((N, T, h0.shape[1]))
    prev = h0
    for t in range(T):
        prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
        h[:, t] = prev
    return h, (x, h0, Wx, Wh, h)


def rnn_backward(dh, cache):
    x, h0, Wx, Wh, h = cache
    N, T, D = x.shape
    dx = np.zeros_like(x)
    dWx, dWh = np.zeros_like(Wx), np.zeros_like(Wh)
    db = np.zeros(Wx.shape[1])
    dprev = np.zeros_like(h0)
    for t in reversed(range(T)):
        dcur = dh[:, t] + dprev
        dz = dcur * (1 - h[:, t] ** 2)
        before = h[:, t - 1] if t > 0 else h0
        dx[:, t] = dz @ Wx.T
        dprev = dz @ Wh.T
        dWx += x[:, t].T @ dz
        dWh += before.T @ dz
        db += dz.sum(axis=0)
    return {"x": dx, "h0": dprev, "Wx": dWx, "Wh": dWh, "b": db}


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x @ Wx + prev_h @ Wh + b
    i, f = sigmoid(a[:, :H]), sigmoid(a[:, H : 2 * H])
    o, g = sigmoid(a[:, 2 * H : 3 * H]), np.tanh(a[:, 3 * H :])
    next_c = f * prev_c + i * g
    next_h = o * np.tanh(next_c)
    return next_h, (x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c)


def lstm_step_backward(dnext_h, cache):
    x, prev_h, prev_c, Wx, Wh, i, f, o, g, next_c = cache
    tc = np.tanh(next_c)
    do = dnext_h * tc
    dc = dnext_h * o * (1 - tc**2)
    di = dc * g
    df = dc * prev_c
    dg = dc * i
    dprev_c = dc * f
    da = np.hstack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
    return {
        "x": da @ Wx.T,
        "prev_h": da @ Wh.T,
        "prev_c": dprev_c,
        "Wx": x.T @ da,
        "Wh": prev_h.T @ da,
        "b": np.sum(da, axis=0),
    }


def gru_step_forward(x, h, Wz, Uz, Wr, Ur, Wn, Un):
    z = sigmoid(x @ Wz + h @ Uz)
    r = sigmoid(x @ Wr + h @ Ur)
    rh = r * h
    n = np.tanh(x @ Wn + rh @ Un)
    out = (1 - z) * n + z * h
    return out, dict(x=x, h=h, z=z, r=r, rh=rh, n=n, W=(Wz, Wr, Wn), U=(Uz, Ur, Un))


def gru_step_backward(dout, c):
    x, h, z, r, rh, n = (c[k] for k in ("x", "h", "z", "r", "rh", "n"))
    Wz, Wr, Wn = c["W"]
    Uz, Ur, Un = c["U"]
    dz = dout * (h - n) * z * (1 - z)
    dn = dout * (1 - z) * (1 - n**2)
    drh = dn @ Un.T
    dr = drh * h * r * (1 - r)
    dh = dout * z
    dh += drh * r
    dh += dz @ Uz.T
    dh += dr @ Ur.T
    dx = dz @ Wz.T + dr @ Wr.T + dn @ Wn.T
    return {"x": dx, "h": dh, "Wz": x.T @ dz, "Uz": h.T @ dz, "Wr": x.T @ dr,
            "Ur": h.T @ dr, "Wn": x.T @ dn, "Un": rh.T @ dn}  # fmt: skip


def counter_forward(x, w):
    state = 0.0
    states = []
    for value in x:
        states.append(state)
        state = w * state + value
    return state, (x, w, states)


def counter_backward(dout, cache):
    x, w, states = cache
    dx, dw, d = np.zeros_like(x), 0.0, dout
    for t in reversed(range(len(x))):
        dx[t] = d
        dw += d * states[t]
        d = d * w
    return {"x": dx, "w": dw}


def embedding_forward(x, W):
    return W[x], (x, W.shape)


def embedding_backward(dout, cache):
    x, shape = cache
    dW = np.zeros(shape)
    np.add.at(dW, x, dout)
    return {"W": dW}


def temporal_forward(x, w, b):
    N, T, D = x.shape
    out = x.reshape(N * T, D).dot(w).reshape(N, T, -1) + b
    return out, (x, w)


def temporal_backward(dout, cache):
    x, w = cache
    N, T, D = x.shape
    M = w.shape[1]
    flat = dout.reshape(N * T, M)
    dx = flat.dot(w.T).reshape(N, T, D)
    dw = flat.T.dot(x.reshape(N * T, D)).T
    db = dout.sum(axis=(0, 1))
    return {"x": dx, "w": dw, "b": db}


def temporal_softmax_forward(x, y, mask):
    N, T, V = x.shape
    flat = x.reshape(-1, V)
    e = np.exp(flat - flat.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    m = mask.reshape(-1)
    loss = -np.sum(m * np.log(p[np.arange(N * T), y.reshape(-1)])) / N
    return loss, (p, y.reshape(-1), m, x.shape)


def temporal_softmax_backward(dout, cache):
    p, y, m, shape = cache
    d = p.copy()
    d[np.arange(len(y)), y] -= 1
    d /= shape[0]
    d *= m[:, None]
    return {"x": dout * d.reshape(shape)}


def some_steps(rng):
    return rng.random((3, 4)) < 0.6


GRU = dict.fromkeys(("Wz", "Uz", "Wr", "Ur", "Wn", "Un"), (3, 3))
ALL = "x prev_h Wx Wh b"
CASES = [
    Case(
        "rnn step", (rnn_step_forward, rnn_step_backward),
        drawn(x=(5, 3), prev_h=(5, 3), Wx=(3, 3), Wh=(3, 3), b=(3,)),
        [
            bug("wrong_saved_value", ALL, "(1 - next_h**2)", "(1 - prev_h**2)"),
            bug("wrong_saved_value", "Wh", "prev_h.T.dot(dz)", "next_h.T.dot(dz)"),
            bug("transposed", "prev_h", "dz.dot(Wh.T)", "dz.dot(Wh)"),
            bug("transposed", "Wx", "x.T.dot(dz)", "dz.T.dot(x)"),
            bug("missing_broadcast_sum", "b", "dz.sum(axis=0)", "dz"),
            bug("missing_factor", ALL, "dz = dnext_h * (1 - next_h**2)", "dz = dnext_h",
                also="wrong_saved_value", why="the derivative of tanh is left out"),
            bug("wrong_saved_value", "x", "dz.dot(Wx.T)", "dz.dot(Wh.T)"),
            bug("wrong_saved_value", "x", "dx = dz.dot(Wx.T)", "dx = dnext_h.dot(Wx.T)",
                also="missing_factor", why="the gradient before tanh: its derivative is left out"),
        ],
    ),
    Case(
        "rnn over a sequence", (rnn_forward, rnn_backward),
        drawn(x=(4, 3, 2), h0=(4, 3), Wx=(2, 3), Wh=(3, 3), b=(3,)),
        [
            bug("lost_accumulation", "x h0 Wx Wh b", "dcur = dh[:, t] + dprev", "dcur = dh[:, t]"),
            bug("lost_accumulation", "Wx", "dWx += ", "dWx = "),
            bug("lost_accumulation", "Wh", "dWh += ", "dWh = "),
            bug("lost_accumulation", "b", "db += ", "db = "),
            bug("wrong_saved_value", "Wh", "dWh += before.T", "dWh += h[:, t].T",
                also="index_error", why="the state one step later is another value of the loop"),
            bug("transposed", "x h0 Wx Wh b", "dprev = dz @ Wh.T", "dprev = dz @ Wh"),
            bug("index_error", "Wx", "x[:, t].T", "x[:, t - 1].T", also="wrong_saved_value",
                why="the input one step earlier is another value of the loop"),
            bug("detached_path", "h0", '"h0": dprev', '"h0": np.zeros_like(h0)'),
            bug("index_error", "Wh", "if t > 0 else h0", "if t > 0 else 0 * h0",
                also="lost_accumulation detached_path",
                why="the state before the first step is taken for zero: its term is lost"),
        ],
        systematic=False,
    ),
    Case(
        "lstm step", (sigmoid, lstm_step_forward, lstm_step_backward),
        drawn(x=(4, 2), prev_h=(4, 3), prev_c=(4, 3), Wx=(2, 12), Wh=(3, 12), b=(12,)),
        [
            bug("wrong_saved_value", "prev_c", "dprev_c = dc * f", "dprev_c = dc * i"),
            bug("wrong_saved_value", "x prev_h Wx Wh b", "df = dc * prev_c", "df = dc * next_c"),
            bug("wrong_saved_value", "x prev_h Wx Wh b", "di = dc * g", "di = dc * i",
                "dg = dc * i", "dg = dc * g"),
            bug("wrong_saved_value", "x prev_h prev_c Wx Wh b", "tc = np.tanh(next_c)",
                "tc = next_c"),
            bug("detached_path", "x prev_h Wx Wh b", "do = dnext_h * tc", "do = 0 * dnext_h",
                also="lost_accumulation", why="the path through the output gate is lost"),
            bug("missing_factor", "x prev_h prev_c Wx Wh b", "dc = dnext_h * o * (1 - tc**2)",
                "dc = dnext_h * o", also="wrong_saved_value",
                why="the derivative of tanh is left out"),
            bug("wrong_saved_value", "x prev_h Wx Wh b",
                "np.hstack([di * i * (1 - i), df * f * (1 - f)",
                "np.hstack([df * f * (1 - f), di * i * (1 - i)", also="index_error",
                why="two gates change places: other values, or other columns"),
            bug("wrong_axis", "b", "np.sum(da, axis=0)", "np.sum(da, axis=1)"),
            bug("stale_saved_value", "Wh", "return next_h, (x, prev_h,",
                "SAVED['h'] = prev_h\n    return next_h, (x, None,",
                '"Wh": prev_h.T', '"Wh": SAVED["h"].T'),
        ],
        systematic=False,
    ),
    Case(
        "gru step", (sigmoid, gru_step_forward, gru_step_backward),
        drawn(x=(4, 3), h=(4, 3), **GRU),
        [
            bug("lost_accumulation", "h", "dh += drh * r", "dh = drh * r"),
            bug("lost_accumulation", "h", "    dh += dz @ Uz.T\n", ""),
            bug("lost_accumulation", "h", "dh += dr @", "dh = dr @"),
            bug("lost_accumulation", "x", "dz @ Wz.T + dr @ Wr.T + dn @ Wn.T",
                "dz @ Wz.T + dn @ Wn.T"),
            bug("wrong_saved_value", "Un", "rh.T @ dn", "h.T @ dn"),
            bug("sign", "x h Wz Uz", "(h - n)", "(n - h)"),
            bug("wrong_saved_value", "x h Wr Ur", "drh * h * r * (1 - r)", "drh * h * z * (1 - z)"),
            bug("transposed", "h Wr Ur x", "drh = dn @ Un.T", "drh = dn @ Un"),
        ],
        systematic=False,
    ),
    Case(
        "running sum with decay", (counter_forward, counter_backward), drawn(x=(5,), w=0.8),
        [
            bug("lost_accumulation", "w", "dw += d", "dw = d"),
            bug("detached_path", "x w", "        d = d * w\n", "        d = 0.0\n",
                also="lost_accumulation", why="nothing flows to earlier steps"),
            bug("missing_factor", "x w", "        d = d * w\n", "", also="wrong_saved_value",
                why="the decay is left out, or 1 stands in for it"),
            bug("index_error", "w", "d * states[t]", "d * states[t - 1]", also="wrong_saved_value",
                why="the state one step earlier is another value of the loop"),
        ],
    ),
    Case(
        "embedding", (embedding_forward, embedding_backward),
        drawn(x=lambda rng: np.array([[0, 3, 1], [0, 2, 0]]), W=(5, 4)),
        [
            bug("index_error", "W", "np.add.at(dW, x, dout)", "dW[x] += dout",
                also="lost_accumulation", why="at repeated indices the last write wins"),
            bug("index_error", "W", "np.add.at(dW, x, dout)", "dW[x] = dout",
                also="lost_accumulation", why="at repeated indices the last write wins"),
            bug("index_error", "W", "np.add.at(dW, x, dout)", "np.add.at(dW, x + 1, dout)"),
            bug("index_error", "W", "np.add.at(dW, x, dout)", "np.add.at(dW, x[::-1], dout)"),
            bug("extra_factor", "W", "dout)\n    return", "dout / x.size)\n    return"),
        ],
    ),
    Case(
        "temporal affine", (temporal_forward, temporal_backward),
        drawn(x=(3, 4, 4), w=(4, 4), b=(4,)),
        [
            bug("transposed", "x", "flat.dot(w.T)", "flat.dot(w)"),
            bug("transposed", "w", "(N * T, D)).T", "(N * T, D))"),
            bug("missing_broadcast_sum", "b", "axis=(0, 1))", "axis=0)"),
            bug("wrong_axis", "b", "axis=(0, 1))", "axis=(0, 2))"),
            bug("extra_factor", "b", "dout.sum(axis=(0, 1))", "dout.sum(axis=(0, 1)) / T"),
            bug("shape_error", "x", ".reshape(N, T, D)\n    dw", "\n    dw"),
        ],
    ),
    Case(
        "temporal softmax loss", (temporal_softmax_forward, temporal_softmax_backward),
        drawn(x=(3, 4, 4), y=whole(4, 3, 4), mask=some_steps),
        [
            bug("mask_not_reused", "x", "    d *= m[:, None]\n", ""),
            bug("missing_factor", "x", "    d /= shape[0]\n", ""),
            bug("extra_factor", "x", "d /= shape[0]", "d /= len(y)"),
            bug("index_error", "x", "d[np.arange(len(y)), y] -= 1", "d[:, y] -= 1"),
            bug("detached_path", "x", "    d[np.arange(len(y)), y] -= 1\n", "",
                also="lost_accumulation", why="the path by the score of the right class is lost"),
        ],
    ),
]  # fmt: skip
