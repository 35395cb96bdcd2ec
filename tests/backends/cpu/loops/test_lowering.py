"""Generated loop nests against the reference: maps, rows, columns, strides, widths, workers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import backlit as bl
from backlit.backends import reference
from backlit.backends.cpu.native import features
from backlit.backends.cpu.plans import executable
from backlit.compiler.passes.decompose import decompose
from backlit.compiler.passes.fuse import fuse
from backlit.compiler.passes.simplify import simplify
from backlit.nn import functional as F
from backlit.program import capture

PASSES = {"plain": (), "fused": (decompose, simplify, fuse)}


def normalized(x):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-5).sqrt()


BODIES = {
    "map": lambda x: bl.tanh(x) * x + 1,
    "several": lambda x: (x.exp(), x * 2, (x.exp() * x).cos()),
    "masks": lambda x: (x > 0, bl.where(x > 0, x, -x), (x > 0).sum(), bl.isnan(x).any()),
    "row sums": lambda x: (x.sum(-1), x.mean(-1, keepdim=True), x.amax(-1), x.prod(-1) * 0),
    "column sums": lambda x: ((x * x).sum(0), x.amin(0), x.mean(0)),
    "full sums": lambda x: ((x * x).sum(), x.mean(), x.amax(), x.sum() * 2 + 1),
    "softmax": lambda x: F.softmax(x, dim=-1),
    "log softmax, first axis": lambda x: F.log_softmax(x, dim=0),
    "rows and columns": lambda x: (
        normalized(x),
        normalized(x).sum(0) + 9,
        normalized(x * x).exp().sum(),
    ),
    "broadcast": lambda x: x * x.amax(-1, keepdim=True) + x[0],
    "turned": lambda x: x.transpose(0, -1) * 2 + x.transpose(0, -1).exp(),
    "turned sums": lambda x: (x.transpose(0, -1).sum(0), (x.transpose(0, -1) * 2).sum(-1)),
    "slices": lambda x: x[..., -1:] - x[..., :1] + x,
    "casts": lambda x: (x.double() * 2, x.long() + 3, (x > 0).float() * x, (x * 10).int().sum()),
    "whole numbers": lambda x: ((x * 9).long() // 2, ((x * 9).long() + 1).amax(0)),
    "half": lambda x: (x.bfloat16().float() * 2).bfloat16(),
    "late": lambda x: x.sum(0) * x[0] + x.sum(),
}
SHAPES = [(1, 1), (3, 5), (17, 31), (33, 2), (64, 10), (100, 20), (5, 1000), (2, 3, 7), (4, 6, 1)]


def program_of(function, *tensors):
    found = capture(function, *tensors)
    return found.program, [np.array(a, order="C") for a in found.arrays]


def compare(found, expected, tolerance):
    assert len(found) == len(expected)
    for f, e in zip(found, expected):
        assert f.dtype == e.dtype and f.shape == e.shape
        if e.dtype.kind == "f":
            scale = max(1.0, float(np.abs(np.nan_to_num(e)).max(initial=0.0)))
            np.testing.assert_allclose(f, e, rtol=tolerance, atol=tolerance * scale)
        else:
            np.testing.assert_array_equal(np.asarray(f, e.dtype), e)


def callbacks(made):
    return [t.label for t in made.tasks if t.implementation == "callback"]


@pytest.mark.parametrize("passes", PASSES)
@pytest.mark.parametrize("name", BODIES)
def test_bodies_compute_what_the_reference_does(name, passes):
    # one Program holds all shapes: its kernels are compiled side by side
    inputs = [bl.randn(*shape) for shape in SHAPES]

    def everything(*xs):
        return [BODIES[name](x) for x in xs]

    program, arrays = program_of(everything, *inputs)
    expected = reference.run(program, arrays)
    for step in PASSES[passes]:
        program = reference.check(step(program))
    compare(reference.run(program, arrays), expected, 1e-5)
    made = executable.build(program, {}, {}, 1)
    compare(made.run(arrays), expected, 1e-5)
    assert passes == "plain" or not callbacks(made)


@pytest.mark.parametrize("width", [16, 4, 1])
def test_other_widths(width):
    features.set_vector_width(width)
    try:
        x = bl.randn(17, 31)

        def everything(x):
            return [body(x) for body in BODIES.values()]

        program, arrays = program_of(everything, x)
        expected = reference.run(program, arrays)
        for step in PASSES["fused"]:
            program = step(program)
        made = executable.build(program, {}, {}, 1)
        compare(made.run(arrays), expected, 1e-5)
        assert not callbacks(made)
    finally:
        features.set_vector_width(None)


def test_float64_to_its_precision():
    x = bl.randn(37, 29, dtype=bl.float64)
    program, arrays = program_of(
        lambda x: [BODIES[n](x) for n in ("map", "softmax", "rows and columns", "full sums")], x
    )
    expected = reference.run(program, arrays)
    made = executable.build(fuse(simplify(decompose(program))), {}, {}, 1)
    compare(made.run(arrays), expected, 1e-12)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_any_order_of_axes(order):
    x = bl.randn(3, 4, 5, 6)

    def function(x):
        y = x.permute(*order)
        return [y.exp() * 2, y.sum((0, 2)), y.mean((2, 3)), F.softmax(y, dim=1), y + y[:1]]

    program, arrays = program_of(function, x)
    expected = reference.run(program, arrays)
    made = executable.build(fuse(simplify(decompose(program))), {}, {}, 1)
    compare(made.run(arrays), expected, 1e-5)
    assert not callbacks(made)


LARGE = [(300, 400), (40000,), (7, 9000), (5000, 7), (3, 50, 40, 16)]


@pytest.mark.parametrize("shape", LARGE)
def test_two_workers_change_no_bit(shape):
    x = bl.randn(*shape)
    names = ("map", "row sums", "column sums", "full sums", "softmax", "rows and columns")
    program, arrays = program_of(lambda x: [BODIES[n](x) for n in names], x)
    expected = reference.run(program, arrays)
    program = fuse(simplify(decompose(program)))
    alone = executable.build(program, {}, {}, 1).run(arrays)
    made = executable.build(program, {}, {}, 2)
    for _ in range(2):
        for a, b in zip(alone, made.run(arrays)):
            np.testing.assert_array_equal(a, b)
    for a, e in zip(alone, expected):
        rounding = 1e-7 * x.numel() if e.ndim == 0 else 1e-6 * np.sqrt(x.numel())
        np.testing.assert_allclose(a, e, rtol=1e-5, atol=rounding)  # a full sum may cancel


def test_sums_of_many_floats_stay_near_their_value():
    x = bl.rand(1_000_000) + 1
    program, arrays = program_of(lambda x: (x.sum(), x.reshape(1000, 1000).sum(0)), x)
    total, columns = executable.build(program, {}, {}, 1).run(arrays)
    wide = arrays[0].astype(np.float64)
    np.testing.assert_allclose(total, wide.sum(), rtol=2e-6)
    np.testing.assert_allclose(columns, wide.reshape(1000, 1000).sum(0), rtol=2e-6)


def test_nan_and_infinity_pass_through():
    x = bl.tensor([[1.0, float("nan"), 2.0], [float("inf"), -float("inf"), 0.0]])
    program, arrays = program_of(
        lambda x: (x.amax(1), x.amin(0), x.sum(0), bl.maximum(x, x * 0 + 1), x.isfinite()), x
    )
    made = executable.build(program, {}, {}, 1)
    for found, expected in zip(made.run(arrays), reference.run(program, arrays)):
        np.testing.assert_array_equal(found, expected)


def test_state_is_updated_where_it_lies():
    def update(p, g, m):
        new = 0.9 * m + g
        return p - 0.1 * new, new

    program, arrays = program_of(update, bl.randn(50, 40), bl.randn(50, 40), bl.randn(50, 40))
    p, g, m = (a.copy() for a in arrays)
    made = executable.build(fuse(program), {0: p, 2: m}, {0: p, 1: m}, 1)
    assert [t.label for t in made.tasks] == ["mul+add+sub"]
    made.run([g])
    expected = reference.run(program, arrays)
    compare([p, m], expected, 1e-6)


def test_equal_loops_of_other_sizes_share_a_kernel():
    from backlit.backends.cpu.native import jit

    def function(x, y):
        return x.sin() * 2.5 + 0.125, y.sin() * 2.5 + 0.125

    program, _ = program_of(function, bl.randn(300, 40), bl.randn(77, 51))
    names = []
    jit.set_watch(lambda name, text, machine: names.append(text))
    try:
        made = executable.build(fuse(program), {}, {}, 1)
    finally:
        jit.set_watch(None)
    kernels = {t.kernel for t in made.tasks}
    assert len(made.tasks) == 2 and len(kernels) == 1


@pytest.mark.parametrize("dtype", [bl.float32, bl.float64])
def test_scalar_gates_share_lanes(dtype):
    def function(a, b):
        listed = [a, b]
        for i in range(60):
            x, y = listed[(i * 7) % len(listed)], listed[(i * 5 + 1) % len(listed)]
            gates = (x.tanh(), x * y, (y * 0.5).exp(), x - y, (x * x + 1).log(), x.sigmoid())
            listed.append(gates[i % 6])
        return listed[-20:]

    a, b = bl.tensor(0.3, dtype=dtype), bl.tensor(-0.7, dtype=dtype)
    program, arrays = program_of(function, a, b)
    expected = reference.run(program, arrays)
    made = executable.build(fuse(program), {}, {}, 1)
    assert len(made.tasks) == 1
    compare(made.run(arrays), expected, 1e-5 if dtype is bl.float32 else 1e-12)
