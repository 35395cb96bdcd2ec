"""Convolutions with naive loops, with stride and padding, and by columns."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def conv_forward(x, w, b, conv_param):
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    Ho = 1 + (H + 2 * pad - HH) // stride
    Wo = 1 + (W + 2 * pad - WW) // stride
    out = np.zeros((N, F, Ho, Wo))
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    hs, ws = i * stride, j * stride
                    window = xp[n, :, hs : hs + HH, ws : ws + WW]
                    out[n, f, i, j] = np.sum(window * w[f]) + b[f]
    return out, (x, w, b, conv_param)


def conv_backward(dout, cache):
    x, w, b, conv_param = cache
    stride, pad = conv_param["stride"], conv_param["pad"]
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    _, _, Ho, Wo = dout.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    dxp = np.zeros_like(xp)
    dw = np.zeros_like(w)
    db = np.sum(dout, axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    top, left = i * stride, j * stride
                    dw[f] += xp[n, :, top : top + HH, left : left + WW] * dout[n, f, i, j]
                    dxp[n, :, top : top + HH, left : left + WW] += w[f] * dout[n, f, i, j]
    dx = dxp[:, :, pad : pad + H, pad : pad + W]
    return {"x": dx, "w": dw, "b": db}


def conv1d_forward(x, k):
    n, m = len(x), len(k)
    out = np.array([np.dot(x[i : i + m], k) for i in range(n - m + 1)])
    return out, (x, k)


def conv1d_backward(dout, cache):
    x, k = cache
    m = len(k)
    dx = np.zeros_like(x)
    dk = np.zeros_like(k)
    for i in range(len(dout)):
        dx[i : i + m] += dout[i] * k
        dk += dout[i] * x[i : i + m]
    return {"x": dx, "k": dk}


def im2col(x, size, stride=1):
    N, C, H, W = x.shape
    Ho, Wo = (H - size) // stride + 1, (W - size) // stride + 1
    cols = np.empty((N, Ho, Wo, C, size, size))
    for i in range(Ho):
        for j in range(Wo):
            a, b = i * stride, j * stride
            cols[:, i, j] = x[:, :, a : a + size, b : b + size]
    return cols.reshape(N * Ho * Wo, -1)


def col2im(dcols, shape, size, stride=1):
    N, C, H, W = shape
    Ho, Wo = (H - size) // stride + 1, (W - size) // stride + 1
    dcols = dcols.reshape(N, Ho, Wo, C, size, size)
    dx = np.zeros(shape)
    for i in range(Ho):
        for j in range(Wo):
            r, c = i * stride, j * stride
            dx[:, :, r : r + size, c : c + size] += dcols[:, i, j]
    return dx


def columns_forward(x, w):
    N, C, H, W = x.shape
    F, _, size, _ = w.shape
    cols = im2col(x, size)
    out = cols @ w.reshape(F, -1).T
    out = out.reshape(N, H - size + 1, W - size + 1, F).transpose(0, 3, 1, 2)
    return out, (x.shape, w, cols)


def columns_backward(dout, cache):
    shape, w, cols = cache
    F = w.shape[0]
    d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape)
    dcols = d @ w.reshape(F, -1)
    dx = col2im(dcols, shape, w.shape[2])
    return {"x": dx, "w": dw}


def depthwise_forward(x, w):
    C, H, W = x.shape
    k = w.shape[1]
    out = np.zeros((C, H - k + 1, W - k + 1))
    for i in range(k):
        for j in range(k):
            out += w[:, i, j, None, None] * x[:, i : i + H - k + 1, j : j + W - k + 1]
    return out, (x, w)


def depthwise_backward(dout, cache):
    x, w = cache
    k = w.shape[1]
    _, Ho, Wo = dout.shape
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(k):
        for j in range(k):
            dw[:, i, j] = (dout * x[:, i : i + Ho, j : j + Wo]).sum(axis=(1, 2))
            dx[:, i : i + Ho, j : j + Wo] += w[:, i, j, None, None] * dout
    return {"x": dx, "w": dw}


def pad_forward(x, p=1):
    out = np.zeros((x.shape[0] + 2 * p, x.shape[1] + 2 * p))
    out[p:-p, p:-p] = x
    return out, p


def pad_backward(dout, p):
    return {"x": dout[p:-p, p:-p]}


CONV = drawn(x=(2, 2, 3, 3), w=(3, 2, 3, 3), b=(3,), conv_param={"stride": 1, "pad": 1})
STRIDE = drawn(x=(2, 2, 5, 5), w=(2, 2, 3, 3), b=(2,), conv_param={"stride": 2, "pad": 1})
CASES = [
    Case(
        "convolution with loops", (conv_forward, conv_backward), CONV,
        [
            bug("index_error", "x", "dx = dxp[:, :, pad : pad + H, pad : pad + W]",
                "dx = dxp[:, :, pad - 1 : pad - 1 + H, pad - 1 : pad - 1 + W]"),
            bug("index_error", "x", "dx = dxp[:, :, pad : pad + H, pad : pad + W]",
                "dx = dxp[:, :, 2 * pad :, 2 * pad :]"),
            bug("shape_error", "x", "dx = dxp[:, :, pad : pad + H, pad : pad + W]", "dx = dxp",
                also="index_error", why="the padding is not cropped: shape and place are wrong"),
            bug("lost_accumulation", "w", "dw[f] += ", "dw[f] = "),
            bug("lost_accumulation", "x", "left : left + WW] += w[f]", "left : left + WW] = w[f]"),
            bug("index_error", "x", "+= w[f] *", "+= w[f, :, ::-1, ::-1] *", also="transposed",
                why="a kernel turned around is one with both axes reversed"),
            bug("missing_broadcast_sum", "b", "db = np.sum(dout, axis=(0, 2, 3))",
                "db = np.sum(dout, axis=(0, 2))"),
            bug("missing_broadcast_sum", "b", "db = np.sum(dout, axis=(0, 2, 3))",
                "db = dout[0].sum(axis=(1, 2))"),
            bug("wrong_axis", "b", "np.sum(dout, axis=(0, 2, 3))", "np.sum(dout, axis=(1, 2, 3))"),
            bug("extra_factor", "b", "np.sum(dout, axis=(0, 2, 3))",
                "np.mean(dout, axis=(0, 2, 3))", also="missing_broadcast_sum",
                why="the mean in place of the sum is a factor 1/(N H W)"),
            bug("extra_factor", "b", "np.sum(dout, axis=(0, 2, 3))",
                "np.sum(dout, axis=(0, 2, 3)) / (Ho * Wo)"),
            bug("sign", "w", "dw[f] += ", "dw[f] -= "),
        ],
    ),
    Case(
        "convolution with stride 2", (conv_forward, conv_backward), STRIDE,
        [
            bug("index_error", "x w", "top, left = i * stride, j * stride", "top, left = i, j"),
            bug("index_error", "x", "dx = dxp[:, :, pad : pad + H, pad : pad + W]",
                "dx = dxp[:, :, :H, :W]"),
            bug("lost_accumulation", "x", "left : left + WW] += w[f]", "left : left + WW] = w[f]"),
            bug("wrong_axis", "b", "np.sum(dout, axis=(0, 2, 3))", "np.sum(dout, axis=(1, 2, 3))"),
            bug("index_error", "w", "dw[f] += xp[n, :, top : top + HH, left : left + WW]",
                "dw[f] += xp[n, :, left : left + HH, top : top + WW]", also="transposed",
                why="rows and columns of the window change places"),
            bug("stale_saved_value", "w", "return out, (x, w, b, conv_param)",
                "SAVED['x'] = x\n    return out, (x, w, b, conv_param)",
                "    dxp = np.zeros_like(xp)",
                "    dxp = np.zeros_like(xp)\n"
                "    xp = np.pad(SAVED['x'], ((0, 0), (0, 0), (pad, pad), (pad, pad)))"),
        ],
        systematic=False,
    ),
    Case(
        "convolution of a row", (conv1d_forward, conv1d_backward), drawn(x=(8,), k=(3,)),
        [
            bug("index_error", "x", "+= dout[i] * k", "+= dout[i] * k[::-1]", also="transposed",
                why="the kernel turned around"),
            bug("lost_accumulation", "k", "dk += dout", "dk = dout"),
            bug("lost_accumulation", "x", "dx[i : i + m] += ", "dx[i : i + m] = "),
            bug("index_error", "k", "dk += dout[i] * x[i : i + m]",
                "dk += dout[i] * np.roll(x, -1)[i : i + m]"),
            bug("index_error", "x k", "for i in range(len(dout)):", "for i in range(1, len(dout)):",
                also="lost_accumulation detached_path", why="the first window is left out"),
        ],
    ),
    Case(
        "convolution by columns", (im2col, col2im, columns_forward, columns_backward),
        drawn(x=(2, 2, 4, 4), w=(3, 2, 2, 2)),
        [
            bug("lost_accumulation", "x", "c : c + size] += dcols", "c : c + size] = dcols"),
            bug("index_error", "x", "dx[:, :, r : r + size, c : c + size] += dcols[:, i, j]",
                "dx[:, :, c : c + size, r : r + size] += dcols[:, i, j]", also="transposed",
                why="rows and columns of the window change places"),
            bug("index_error", "x w", "dout.transpose(0, 2, 3, 1).reshape(-1, F)",
                "dout.reshape(-1, F)", also="transposed",
                why="elements go to other places: a permutation left out"),
            bug("index_error", "w", "(d.T @ cols).reshape(w.shape)",
                "(d.T @ cols).reshape(w.transpose(0, 1, 3, 2).shape).transpose(0, 1, 3, 2)",
                also="transposed", why="the kernel's two axes change places"),
        ],
    ),
    Case(
        "depthwise convolution", (depthwise_forward, depthwise_backward),
        drawn(x=(2, 4, 4), w=(2, 2, 2)),
        [
            bug("lost_accumulation", "x", "j : j + Wo] += w", "j : j + Wo] = w"),
            bug("transposed", "w", "dw[:, i, j] = ", "dw[:, j, i] = ", also="index_error",
                why="the kernel's two axes change places"),
            bug("extra_factor", "w", ".sum(axis=(1, 2))", ".mean(axis=(1, 2))",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor"),
            bug("index_error", "x", "+= w[:, i, j, None, None] * dout",
                "+= w[:, k - 1 - i, k - 1 - j, None, None] * dout", also="transposed",
                why="the kernel turned around"),
        ],
    ),
    Case(
        "padding", (pad_forward, pad_backward), drawn(x=(4, 4)),
        [
            bug("index_error", "x", "dout[p:-p, p:-p]", "dout[: -2 * p, : -2 * p]"),
            bug("index_error", "x", "dout[p:-p, p:-p]", "dout[2 * p :, p:-p]"),
            bug("shape_error", "x", "return {\"x\": dout[p:-p, p:-p]}", "return {\"x\": dout}",
                also="index_error", why="the padding is not cropped: shape and place are wrong"),
        ],
    ),
]  # fmt: skip
