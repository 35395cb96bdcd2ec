"""Attention and its parts: scale, softmax over keys, and three inputs from one."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def attention_forward(q, k, v):
    scale = 1 / np.sqrt(q.shape[1])
    scores = q @ k.T * scale
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    a = e / e.sum(axis=1, keepdims=True)
    return a @ v, (q, k, v, scores, a, scale)


def attention_backward(dout, cache):
    q, k, v, scores, a, scale = cache
    da = dout @ v.T
    dv = a.T @ dout
    ds = a * (da - np.sum(da * a, axis=1, keepdims=True))
    dq = ds @ k * scale
    dk = ds.T @ q * scale
    return {"q": dq, "k": dk, "v": dv}


def self_attention_forward(x, Wq, Wk, Wv):
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    s = q @ k.T / np.sqrt(x.shape[1])
    s = np.where(np.tril(np.ones(s.shape)) > 0, s, -1e9)
    e = np.exp(s - s.max(1, keepdims=True))
    a = e / e.sum(1, keepdims=True)
    out = a @ v
    return out, (x, Wq, Wk, Wv, q, k, v, a)


def self_attention_backward(dout, cache):
    x, Wq, Wk, Wv, q, k, v, a = cache
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - (da * a).sum(1, keepdims=True))
    ds = ds / np.sqrt(x.shape[1])
    dq = ds @ k
    dk = ds.T @ q
    dx = dq @ Wq.T
    dx += dk @ Wk.T
    dx += dv @ Wv.T
    return {"x": dx, "Wq": x.T @ dq, "Wk": x.T @ dk, "Wv": x.T @ dv}


def additive_forward(h, w, u):
    e = np.tanh(h @ w) @ u
    a = np.exp(e) / np.exp(e).sum()
    context = a @ h
    return context, dict(h=h, w=w, u=u, t=np.tanh(h @ w), a=a)


def additive_backward(dout, c):
    h, w, u, t, a = c["h"], c["w"], c["u"], c["t"], c["a"]
    da = h @ dout
    de = a * (da - np.sum(a * da))
    dt = np.outer(de, u)
    dz = dt * (1 - t**2)
    dh = np.outer(a, dout)
    dh += dz @ w.T
    return {"h": dh, "w": h.T @ dz, "u": t.T @ de}


def heads_forward(x, W):
    T, D = x.shape
    y = x @ W
    heads = y.reshape(T, 2, D // 2).transpose(1, 0, 2)
    s = heads @ heads.transpose(0, 2, 1)
    return s, (x, W, heads)


def heads_backward(dout, cache):
    x, W, heads = cache
    T, D = x.shape
    dheads = dout @ heads
    dheads += dout.transpose(0, 2, 1) @ heads
    dy = dheads.transpose(1, 0, 2).reshape(T, D)
    return {"x": dy @ W.T, "W": x.T @ dy}


def gate_forward(x, g):
    s = 1 / (1 + np.exp(-g))
    return x * s, (x, s)


def gate_backward(dout, cache):
    x, s = cache
    return {"x": dout * s, "g": dout * x * s * (1 - s)}


CASES = [
    Case(
        "attention", (attention_forward, attention_backward),
        drawn(q=(4, 3), k=(4, 3), v=(4, 3)),
        [
            bug("missing_factor", "q k", "dq = ds @ k * scale", "dq = ds @ k",
                "dk = ds.T @ q * scale", "dk = ds.T @ q"),
            bug("missing_factor", "k", "dk = ds.T @ q * scale", "dk = ds.T @ q"),
            bug("extra_factor", "q", "dq = ds @ k * scale", "dq = ds @ k * scale * scale"),
            bug("transposed", "k", "ds.T @ q", "ds @ q"),
            bug("transposed", "v", "dv = a.T @ dout", "dv = a @ dout"),
            bug("wrong_axis", "q k", "da * a, axis=1", "da * a, axis=0"),
            bug("detached_path", "q k", "(da - np.sum(da * a, axis=1, keepdims=True))", "da",
                also="lost_accumulation", why="the path through the normalization is lost"),
            bug("wrong_saved_value", "q k", "ds = a * (da - np.sum(da * a",
                "ds = scores * (da - np.sum(da * a"),
            bug("wrong_saved_value", "v", "dv = a.T", "dv = scores.T"),
            bug("wrong_saved_value", "q", "dq = ds @ k", "dq = ds @ q"),
            bug("wrong_saved_value", "q k", "da = dout @ v.T", "da = dout @ k.T"),
        ],
    ),
    Case(
        "causal self-attention", (self_attention_forward, self_attention_backward),
        drawn(x=(4, 4), Wq=(4, 4), Wk=(4, 4), Wv=(4, 4)),
        [
            bug("lost_accumulation", "x", "dx += dk", "dx = dk"),
            bug("lost_accumulation", "x", "dx += dv", "dx = dv"),
            bug("lost_accumulation", "x", "    dx += dk @ Wk.T\n", ""),
            bug("missing_factor", "x Wq Wk", "    ds = ds / np.sqrt(x.shape[1])\n", ""),
            bug("transposed", "Wq", '"Wq": x.T @ dq', '"Wq": dq.T @ x'),
            bug("transposed", "x", "dx = dq @ Wq.T", "dx = dq @ Wq"),
            bug("wrong_saved_value", "x Wq Wk", "dq = ds @ k", "dq = ds @ q",
                "dk = ds.T @ q", "dk = ds.T @ k"),
        ],
    ),
    Case(
        "additive attention", (additive_forward, additive_backward),
        drawn(h=(4, 3), w=(3, 3), u=(3,)),
        [
            bug("lost_accumulation", "h", "dh += dz", "dh = dz"),
            bug("lost_accumulation", "h", "    dh += dz @ w.T\n", ""),
            bug("lost_accumulation", "h w u", "(da - np.sum(a * da))", "da"),
            bug("missing_broadcast_sum", "h w u", "np.sum(a * da)", "a * da"),
            bug("missing_factor", "h w", "dz = dt * (1 - t**2)", "dz = dt",
                also="wrong_saved_value", why="the derivative of tanh is left out"),
        ],
    ),
    Case(
        "products of heads", (heads_forward, heads_backward), drawn(x=(3, 4), W=(4, 4)),
        [
            bug("lost_accumulation", "x W", "dheads += dout", "dheads = dout"),
            bug("lost_accumulation", "x W", "    dheads += dout.transpose(0, 2, 1) @ heads\n", ""),
            bug("index_error", "x W", "dheads.transpose(1, 0, 2).reshape(T, D)",
                "dheads.reshape(T, D)", also="transposed",
                why="elements go to other places: a permutation left out"),
            bug("extra_factor", "x W", "    dheads += dout.transpose(0, 2, 1) @ heads\n",
                "    dheads = 2 * (dheads + dout.transpose(0, 2, 1) @ heads)\n"),
        ],
    ),
    Case(
        "gate", (gate_forward, gate_backward), drawn(x=(3, 4), g=(3, 4)),
        [
            bug("wrong_saved_value", "g", "dout * x * s * (1 - s)", "dout * s * s * (1 - s)"),
            bug("missing_factor", "g", "dout * x * s * (1 - s)", "dout * x",
                also="wrong_saved_value", why="the derivative of the sigmoid is left out"),
            bug("missing_factor", "g", "dout * x * s * (1 - s)", "dout * s * (1 - s)",
                also="wrong_saved_value", why="the factor x is left out, or 1 stands in for it"),
            bug("stale_saved_value", "x g", "return x * s, (x, s)",
                "SAVED['s'] = s\n    return x * s, x", "x, s = cache",
                "x, s = cache, SAVED['s']"),
        ],
    ),
]  # fmt: skip
