"""Choosing elements: gathering, the largest, sorting, running sums."""

from __future__ import annotations

import numpy as np

from planted.case import Case, bug, drawn


def gather_forward(x, idx):
    return x[idx] ** 2, (x, idx)


def gather_backward(dout, cache):
    x, idx = cache
    dx = np.zeros_like(x)
    np.add.at(dx, idx, 2 * x[idx] * dout)
    return {"x": dx}


def loop_gather_forward(x, idx):
    out = np.empty((len(idx), x.shape[1]))
    for k in range(len(idx)):
        out[k] = x[idx[k]]
    return out, (idx, x.shape)


def loop_gather_backward(dout, cache):
    idx, shape = cache
    dx = np.zeros(shape)
    for k in range(len(idx)):
        dx[idx[k]] += dout[k]
    return {"x": dx}


def pick_forward(x, rows, cols):
    return x[rows, cols], (rows, cols, x.shape)


def pick_backward(dout, cache):
    rows, cols, shape = cache
    dx = np.zeros(shape)
    np.add.at(dx, (rows, cols), dout)
    return {"x": dx}


def max_forward(x):
    arg = np.argmax(x, axis=1)
    return x[np.arange(len(x)), arg], (arg, x.shape)


def max_backward(dout, cache):
    arg, shape = cache
    dx = np.zeros(shape)
    dx[np.arange(shape[0]), arg] = dout
    return {"x": dx}


def maxout_forward(x):
    halves = np.stack([x[:, ::2], x[:, 1::2]])
    which = halves.argmax(axis=0)
    return halves.max(axis=0), (which, x.shape)


def maxout_backward(dout, cache):
    which, shape = cache
    dx = np.zeros(shape)
    dx[:, ::2] = dout * (which == 0)
    dx[:, 1::2] = dout * (which == 1)
    return {"x": dx}


def cumsum_forward(x):
    return np.cumsum(x, axis=1), None


def cumsum_backward(dout, cache):
    return {"x": np.cumsum(dout[:, ::-1], axis=1)[:, ::-1]}


def difference_forward(x):
    return x[1:] - x[:-1], len(x)


def difference_backward(dout, n):
    dx = np.zeros(n)
    dx[1:] += dout
    dx[:-1] -= dout
    return {"x": dx}


def sort_forward(x):
    order = np.argsort(x)
    return x[order] * np.arange(1.0, len(x) + 1), order


def sort_backward(dout, order):
    dx = np.empty(len(order))
    dx[order] = dout * np.arange(1.0, len(order) + 1)
    return {"x": dx}


def roll_forward(x):
    return np.roll(x, 1) * x, x


def roll_backward(dout, x):
    dx = dout * np.roll(x, 1)
    dx += np.roll(dout * x, -1)
    return {"x": dx}


def segment_forward(x, group):
    out = np.zeros(3)
    for value, g in zip(x, group):
        out[g] += value
    return out / np.bincount(group, minlength=3), (group, np.bincount(group, minlength=3))


def segment_backward(dout, cache):
    group, counts = cache
    dx = (dout / counts)[group]
    return {"x": dx}


def topk_forward(x, k=2):
    keep = np.argsort(-x, axis=1)[:, :k]
    return np.take_along_axis(x, keep, axis=1), (keep, x.shape)


def topk_backward(dout, cache):
    keep, shape = cache
    dx = np.zeros(shape)
    np.put_along_axis(dx, keep, dout, axis=1)
    return {"x": dx}


def these(*values):
    return lambda rng: np.array(values)


CASES = [
    Case(
        "gather and square", (gather_forward, gather_backward),
        drawn(x=(5,), idx=these(0, 2, 2, 4, 0, 2)),
        [
            bug("index_error", "x", "np.add.at(dx, idx, 2 * x[idx] * dout)",
                "dx[idx] += 2 * x[idx] * dout", also="lost_accumulation",
                why="at repeated indices the last write wins"),
            bug("missing_factor", "x", "2 * x[idx] * dout", "x[idx] * dout"),
            bug("wrong_saved_value", "x", "2 * x[idx] * dout", "2 * x[idx] ** 2 * dout",
                also="extra_factor", why="a square for x is one factor x too many"),
            bug("index_error", "x", "np.add.at(dx, idx,", "np.add.at(dx, idx - 1,"),
        ],
    ),
    Case(
        "gather rows with a loop", (loop_gather_forward, loop_gather_backward),
        drawn(x=(4, 3), idx=these(1, 3, 1, 0)),
        [
            bug("lost_accumulation", "x", "dx[idx[k]] += dout[k]", "dx[idx[k]] = dout[k]",
                also="index_error", why="at repeated indices the last write wins"),
            bug("index_error", "x", "dx[idx[k]] += dout[k]", "dx[k] += dout[k]"),
            bug("index_error", "x", "dx[idx[k]] += dout[k]", "dx[idx[k]] += dout[k - 1]"),
        ],
    ),
    Case(
        "pick elements", (pick_forward, pick_backward),
        drawn(x=(4, 4), rows=these(0, 1, 1, 3), cols=these(2, 0, 0, 1)),
        [
            bug("index_error", "x", "np.add.at(dx, (rows, cols), dout)", "dx[rows, cols] += dout",
                also="lost_accumulation", why="at repeated indices the last write wins"),
            bug("index_error", "x", "(rows, cols), dout)", "(cols, rows), dout)",
                also="transposed", why="rows and columns change places"),
        ],
    ),
    Case(
        "largest of each row", (max_forward, max_backward), drawn(x=(4, 4)),
        [
            bug("wrong_axis", "x", "return x[np.arange(len(x)), arg], (arg, x.shape)",
                "return x[np.arange(len(x)), arg], (np.argmax(x, axis=0), x.shape)",
                also="index_error wrong_saved_value",
                why="the largest of each column: another saved index, another place"),
            bug("mask_not_reused", "x", "dx[np.arange(shape[0]), arg] = dout",
                "dx[:] = dout[:, None]", also="missing_factor index_error",
                why="every element gets it: the choice is not applied"),
            bug("index_error", "x", "dx[np.arange(shape[0]), arg] = dout",
                "dx[arg, np.arange(shape[0])] = dout", also="transposed",
                why="rows and columns change places"),
            bug("index_error", "x", "dx[np.arange(shape[0]), arg] = dout",
                "dx[np.arange(shape[0]), arg - 1] = dout"),
        ],
    ),
    Case(
        "maxout", (maxout_forward, maxout_backward), drawn(x=(4, 6)),
        [
            bug("index_error", "x", "dx[:, ::2] = dout * (which == 0)\n    dx[:, 1::2]",
                "dx[:, 1::2] = dout * (which == 0)\n    dx[:, ::2]", also="mask_not_reused",
                why="the gradient goes to the other half, as with a mask turned around"),
            bug("index_error", "x", "dx[:, ::2] = dout * (which == 0)\n    dx[:, 1::2]",
                "dx[:, :3] = dout * (which == 0)\n    dx[:, 3:]", also="transposed",
                why="within the axis of pairs and places the two change places"),
            bug("mask_not_reused", "x", "dout * (which == 1)", "dout", also="missing_factor",
                why="the mask is the local derivative"),
        ],
    ),
    Case(
        "running sum", (cumsum_forward, cumsum_backward), drawn(x=(4, 4)),
        [
            bug("transposed", "x", "np.cumsum(dout[:, ::-1], axis=1)[:, ::-1]",
                "np.cumsum(dout, axis=1)", also="index_error",
                why="the sum runs the other way: the triangular matrix is transposed"),
            bug("wrong_axis", "x", "np.cumsum(dout[:, ::-1], axis=1)[:, ::-1]",
                "np.cumsum(dout[::-1], axis=0)[::-1]"),
            bug("index_error", "x", "axis=1)[:, ::-1]", "axis=1)"),
            bug("detached_path", "x", "np.cumsum(dout[:, ::-1], axis=1)[:, ::-1]", "dout",
                also="lost_accumulation", why="only the last use of each element is left"),
        ],
    ),
    Case(
        "differences", (difference_forward, difference_backward), drawn(x=(6,)),
        [
            bug("lost_accumulation", "x", "dx[:-1] -= dout", "dx[:-1] = -dout"),
            bug("sign", "x", "dx[:-1] -= dout", "dx[:-1] += dout"),
            bug("sign", "x", "dx[1:] += dout", "dx[1:] -= dout", "dx[:-1] -= dout",
                "dx[:-1] += dout", also="index_error", why="the two places change signs"),
            bug("lost_accumulation", "x", "    dx[:-1] -= dout\n", ""),
        ],
    ),
    Case(
        "weighted order", (sort_forward, sort_backward), drawn(x=(5,)),
        [
            bug("index_error", "x", "dx[order] = dout * np.arange(1.0, len(order) + 1)",
                "dx = (dout * np.arange(1.0, len(order) + 1))[order]", also="transposed",
                why="a permutation in place of its inverse, which is its transpose"),
            bug("index_error", "x", "dx[order] = dout", "dx[:] = dout"),
            bug("missing_factor", "x", "dout * np.arange(1.0, len(order) + 1)", "dout",
                also="wrong_saved_value", why="the weights are left out"),
        ],
    ),
    Case(
        "product with the neighbour", (roll_forward, roll_backward), drawn(x=(6,)),
        [
            bug("lost_accumulation", "x", "dx += np.roll", "dx = np.roll"),
            bug("lost_accumulation", "x", "    dx += np.roll(dout * x, -1)\n", ""),
            bug("index_error", "x", "np.roll(dout * x, -1)", "np.roll(dout * x, 1)",
                also="transposed", why="the shift goes the wrong way: its inverse is left out"),
        ],
    ),
    Case(
        "means of groups", (segment_forward, segment_backward),
        drawn(x=(7,), group=these(0, 1, 1, 2, 2, 2, 0)),
        [
            bug("missing_factor", "x", "(dout / counts)[group]", "dout[group]"),
            bug("extra_factor", "x", "(dout / counts)[group]", "(dout / counts / 3)[group]"),
            bug("index_error", "x", "(dout / counts)[group]", "(dout / counts)[np.sort(group)]"),
        ],
    ),
    Case(
        "largest two", (topk_forward, topk_backward), drawn(x=(3, 4)),
        [
            bug("index_error", "x", "keep, dout, axis=1)", "keep[:, ::-1], dout, axis=1)"),
            bug("index_error", "x", "np.put_along_axis(dx, keep, dout, axis=1)",
                "dx[:, :2] = dout"),
        ],
    ),
]  # fmt: skip
