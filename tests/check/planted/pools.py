"""Pooling, upsampling and dropout: who took part in the forward pass, and with which weight."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def maxpool_forward(x, pool_param):
    N, C, H, W = x.shape
    s, ph, pw = pool_param["stride"], pool_param["pool_height"], pool_param["pool_width"]
    Ho, Wo = (H - ph) // s + 1, (W - pw) // s + 1
    out = np.zeros((N, C, Ho, Wo))
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    out[n, c, i, j] = x[n, c, i * s : i * s + ph, j * s : j * s + pw].max()
    return out, (x, pool_param)


def maxpool_backward(dout, cache):
    x, pool_param = cache
    s, ph, pw = pool_param["stride"], pool_param["pool_height"], pool_param["pool_width"]
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i * s : i * s + ph, j * s : j * s + pw]
                    a, b = np.unravel_index(window.argmax(), window.shape)
                    dx[n, c, i * s + a, j * s + b] += dout[n, c, i, j]
    return {"x": dx}


def maxpool_reshape_forward(x):
    N, C, H, W = x.shape
    blocks = x.reshape(N, C, H // 2, 2, W // 2, 2)
    out = blocks.max(axis=3).max(axis=4)
    return out, (x, blocks, out)


def maxpool_reshape_backward(dout, cache):
    x, blocks, out = cache
    mask = blocks == out[:, :, :, None, :, None]
    dblocks = mask * dout[:, :, :, None, :, None]
    return {"x": dblocks.reshape(x.shape)}


def avgpool_forward(x, size=2):
    N, C, H, W = x.shape
    out = x.reshape(N, C, H // size, size, W // size, size).mean(axis=(3, 5))
    return out, (x.shape, size)


def avgpool_backward(dout, cache):
    shape, size = cache
    dx = np.repeat(np.repeat(dout, size, axis=2), size, axis=3)
    dx = dx / (size * size)
    return {"x": dx}


def global_average_forward(x):
    return x.mean(axis=(2, 3)), x.shape


def global_average_backward(dout, shape):
    pixels = shape[2] * shape[3]
    dx = np.ones(shape) * dout[:, :, None, None] / pixels
    return {"x": dx}


def upsample_forward(x):
    return x.repeat(2, axis=0).repeat(2, axis=1), x.shape


def upsample_backward(dout, shape):
    H, W = shape
    dx = dout.reshape(H, 2, W, 2).sum(axis=(1, 3))
    return {"x": dx}


def dropout_forward(x, p=0.6, seed=12):
    np.random.seed(seed)
    mask = (np.random.rand(*x.shape) < p) / p
    out = x * mask
    return out, (p, mask)


def dropout_backward(dout, cache):
    p, mask = cache
    dx = dout * mask
    return {"x": dx}


def dropout_global_forward(x, w, keep=0.75):
    h = np.tanh(x @ w)
    mask = np.random.rand(*h.shape) < keep
    return h * mask / keep, (x, w, h, mask, keep)


def dropout_global_backward(dout, cache):
    x, w, h, mask, keep = cache
    dh = dout * mask / keep
    dz = dh * (1 - h**2)
    return {"x": dz @ w.T, "w": x.T @ dz}


def average_1d_forward(x):
    out = (x[:-2] + x[1:-1] + x[2:]) / 3
    return out, len(x)


def average_1d_backward(dout, n):
    dx = np.zeros(n)
    dx[:-2] += dout / 3
    dx[1:-1] += dout / 3
    dx[2:] += dout / 3
    return {"x": dx}


def peak(rng):
    x = rng.standard_normal((1, 2, 5, 5))
    x[..., 2, 2] = 4.0  # seen by every window
    return x


OVERLAP = drawn(x=peak, pool_param={"pool_height": 3, "pool_width": 3, "stride": 2})
CASES = [
    Case(
        "max pooling with loops", (maxpool_forward, maxpool_backward),
        drawn(x=(2, 2, 4, 4), pool_param={"pool_height": 2, "pool_width": 2, "stride": 2}),
        [
            bug("index_error", "x", "window.argmax()", "window.argmin()"),
            bug("index_error", "x", "a, b = np.unravel_index(window.argmax(), window.shape)",
                "a, b = 0, 0"),
            bug("index_error", "x", "i * s + a, j * s + b", "i * s + b, j * s + a",
                also="transposed", why="rows and columns within the window change places"),
            bug("lost_accumulation", "x", "j * s + b] += dout", "j * s + b] = dout",
                inputs=OVERLAP, also="index_error",
                why="for windows that overlap the last write wins at repeated places"),
            bug("mask_not_reused", "x", "dx[n, c, i * s + a, j * s + b] += dout[n, c, i, j]",
                "dx[n, c, i * s : i * s + ph, j * s : j * s + pw] += dout[n, c, i, j]",
                also="missing_factor", why="every element of the window gets it: no mask"),
            bug("stale_saved_value", "x", "return out, (x, pool_param)",
                "SAVED['x'] = x\n    return out, pool_param", "x, pool_param = cache",
                "x, pool_param = SAVED['x'], cache"),
        ],
    ),
    Case(
        "max pooling by blocks", (maxpool_reshape_forward, maxpool_reshape_backward),
        drawn(x=(2, 2, 4, 4)),
        [
            bug("mask_not_reused", "x", "dblocks = mask * dout",
                "dblocks = np.ones_like(blocks) * dout",
                also="missing_factor", why="every element of the block gets it: no mask"),
            bug("mask_not_reused", "x", "dblocks = mask * dout",
                "dblocks = np.ones_like(blocks) / 4 * dout", also="wrong_saved_value index_error",
                why="the gradient of the mean of the block"),
            bug("wrong_saved_value", "x", "dblocks = mask * dout",
                "dblocks = mask * blocks * dout",
                also="extra_factor", why="the saved values are a factor too many"),
        ],
    ),
    Case(
        "average pooling", (avgpool_forward, avgpool_backward), drawn(x=(2, 1, 4, 4)),
        [
            bug("missing_factor", "x", "    dx = dx / (size * size)\n", ""),
            bug("missing_factor", "x", "dx / (size * size)", "dx / size"),
            bug("index_error", "x", "np.repeat(np.repeat(dout, size, axis=2), size, axis=3)",
                "np.tile(dout, (1, 1, size, size))", also="transposed",
                why="within the axis of blocks and places the two change places"),
            bug("index_error", "x", "np.repeat(np.repeat(dout, size, axis=2), size, axis=3)",
                "np.repeat(np.repeat(dout, size, axis=2), size, axis=3).swapaxes(2, 3)",
                also="transposed", why="rows and columns of the image change places"),
        ],
    ),
    Case(
        "global average", (global_average_forward, global_average_backward),
        drawn(x=(2, 3, 4, 5)),
        [
            bug("missing_factor", "x", " / pixels\n", "\n"),
            bug("extra_factor", "x", " / pixels\n", " / pixels / shape[0]\n"),
            bug("missing_factor", "x", "pixels = shape[2] * shape[3]", "pixels = shape[2]"),
            bug("shape_error", "x", "np.ones(shape) * dout[:, :, None, None]",
                "dout[:, :, None, None]"),
        ],
    ),
    Case(
        "upsampling", (upsample_forward, upsample_backward), drawn(x=(3, 2)),
        [
            bug("missing_broadcast_sum", "x", "dout.reshape(H, 2, W, 2).sum(axis=(1, 3))",
                "dout[::2, ::2]"),
            bug("extra_factor", "x", ".sum(axis=(1, 3))", ".mean(axis=(1, 3))",
                also="missing_broadcast_sum", why="the mean in place of the sum is a factor"),
            bug("index_error", "x", "dout.reshape(H, 2, W, 2).sum(axis=(1, 3))",
                "dout.reshape(2, H, 2, W).sum(axis=(0, 2))", also="wrong_axis transposed",
                why="the blocks are taken for repetitions: their axes change places"),
        ],
    ),
    Case(
        "dropout", (dropout_forward, dropout_backward), drawn(x=(5, 6)),
        [
            bug("mask_not_reused", "x", "dx = dout * mask", "dx = dout", also="missing_factor",
                why="the mask is the local derivative: not applying it is leaving that out"),
            bug("mask_not_reused", "x", "dx = dout * mask",
                "dx = dout * (np.random.rand(*dout.shape) < p) / p"),
            bug("mask_not_reused", "x", "dx = dout * mask",
                "dx = dout * (np.random.default_rng(5).random(dout.shape) < p) / p"),
            bug("mask_not_reused", "x", "dx = dout * mask",
                "dx = dout * (np.random.default_rng().random(dout.shape) < p) / p"),
            bug("mask_not_reused", "x", "dx = dout * mask", "dx = dout * mask.mean()"),
            bug("missing_factor", "x", "dx = dout * mask", "dx = dout * (mask > 0)"),
            bug("extra_factor", "x", "dx = dout * mask", "dx = dout * mask / p"),
            bug("wrong_saved_value", "x", "dx = dout * mask", "dx = dout * (mask == 0) / p",
                also="mask_not_reused", why="the mask is turned around"),
        ],
    ),
    Case(
        "dropout without a seed", (dropout_global_forward, dropout_global_backward),
        drawn(x=(5, 4), w=(4, 4)),
        [
            bug("mask_not_reused", "x w", "dh = dout * mask / keep",
                "dh = dout * (np.random.rand(*dout.shape) < keep) / keep"),
            bug("mask_not_reused", "x w", "dh = dout * mask / keep", "dh = dout",
                also="missing_factor", why="the mask is the local derivative"),
            bug("missing_factor", "x w", "dh = dout * mask / keep", "dh = dout * mask"),
            bug("transposed", "x", "dz @ w.T", "dz @ w"),
            bug("non_determinism", "x w", "mask = np.random.rand(*h.shape)",
                "mask = np.random.default_rng().random(h.shape)", either=True),
        ],
    ),
    Case(
        "moving average", (average_1d_forward, average_1d_backward), drawn(x=(7,)),
        [
            bug("lost_accumulation", "x", "dx[1:-1] += ", "dx[1:-1] = "),
            bug("lost_accumulation", "x", "dx[2:] += ", "dx[2:] = "),
            bug("lost_accumulation", "x", "    dx[1:-1] += dout / 3\n", ""),
            bug("missing_factor", "x", "dx[:-2] += dout / 3\n    dx[1:-1] += dout / 3\n"
                "    dx[2:] += dout / 3",
                "dx[:-2] += dout\n    dx[1:-1] += dout\n    dx[2:] += dout"),
            bug("index_error", "x", "dx[2:] += dout / 3", "dx[1:-1] += dout / 3"),
        ],
    ),
]  # fmt: skip
