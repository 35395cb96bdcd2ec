"""The pass about casts: what it drops, what it moves, and that every bit stays."""

import numpy as np
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit import nn
from backlit.backends import reference
from backlit.compiler.passes.precision import precision
from backlit.compiler.pipeline import optimize
from backlit.program import capture

LOW = bl.bfloat16


def passed(function, *args):
    """The Program after the pass; the reference gives the same bits before and after."""
    found = capture(function, *args)
    after = reference.check(precision(found.program))
    for a, b in zip(reference.run(found.program, found.arrays), reference.run(after, found.arrays)):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a.astype(np.float64), b.astype(np.float64))
    return after


def casts(program):
    return [(i.inputs[0].dtype, i.outputs[0].dtype) for i in program.instrs if i.op == "cast"]


def test_a_cast_of_a_widened_value_starts_from_the_value():
    x = bl.randn(3).to(LOW)
    assert casts(passed(lambda x: x.float().to(LOW) * 2, x)) == []
    found = passed(lambda x: x.float().double().half(), x)
    assert casts(found)[-1] == (LOW, bl.float16)


def test_a_cast_that_rounds_stays():
    x = bl.randn(50)
    assert casts(passed(lambda x: x.to(LOW).float(), x)) == [(bl.float32, LOW), (LOW, bl.float32)]
    whole = bl.tensor([2**24 + 1])
    assert len(casts(passed(lambda x: x.float().long(), whole))) == 2


def test_a_cast_goes_before_views_of_what_was_just_made():
    def f(x):
        return x.exp().reshape(6).unsqueeze(0).expand(4, 6).to(LOW)

    ops = [i.op for i in passed(f, bl.randn(2, 3)).instrs]
    assert ops[:2] == ["exp", "cast"] and "cast" not in ops[2:]

    def seen_twice(x):
        y = x.exp()
        return y.reshape(6).to(LOW), y

    assert [i.op for i in passed(seen_twice, bl.randn(2, 3)).instrs] == ["exp", "reshape", "cast"]


@pytest.mark.parametrize("dtype", [LOW, bl.float16])
def test_products_of_16_bits_run_in_float32_between_casts(dtype):
    def f(x, w, v):
        y = ((x @ w) @ v).sum()
        return y, *bl.autograd.grad(y.float(), [w, v])

    args = (bl.randn(10, 30), bl.randn(30, 7), bl.randn(7, 2))
    args = [a.to(dtype).requires_grad_() for a in args]
    found = passed(f, *args)
    products = [i for i in found.instrs if i.op == "matmul"]
    assert len(products) >= 4
    assert all(i.outputs[0].dtype is bl.float32 for i in products)


def test_convolutions_and_batch_norms_take_16_bits_as_they_are():
    layer = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)).to(LOW)
    found = passed(lambda x: layer(x), bl.randn(4, 2, 5, 7).to(LOW))
    heads = [i for i in found.instrs if i.op in ("conv", "batch_norm")]
    assert len(heads) == 2 and all(i.outputs[0].dtype is LOW for i in heads)


LAYERS = {
    "lstm": (lambda: nn.LSTM(4, 3), (5, 2, 4)),
    "gru": (lambda: nn.GRU(4, 3), (5, 2, 4)),
    "rnn": (lambda: nn.RNN(4, 3), (5, 2, 4)),
    "attention": (lambda: nn.MultiheadAttention(4, 2), None),
    "layer_norm": (lambda: nn.LayerNorm(4), (5, 4)),
    "rms_norm": (lambda: nn.RMSNorm(4), (5, 4)),
    "group_norm": (lambda: nn.GroupNorm(2, 4), (3, 4, 5)),
    "dropout": (lambda: nn.Dropout(0.3), (30, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_that_compute_in_float32_anyway(name):
    make, shape = LAYERS[name]
    layer = make()
    x = bl.randn(*(shape or (3, 2, 4))).to(LOW).requires_grad_()
    args, more = ((x, x, x), {"need_weights": False}) if shape is None else ((x,), {})

    def f():
        with bl.autocast("cpu"):
            y = layer(*args, **more)
        y = y[0] if isinstance(y, tuple) else y
        return y, *bl.autograd.grad((y.float() ** 2).sum(), [x, *layer.parameters()])

    found = passed(f)
    heads = [i for i in found.instrs if i.op.startswith(name)]
    assert heads and not any(v.dtype is LOW for i in heads for v in i.inputs if hasattr(v, "dtype"))


def test_a_step_under_autocast_needs_no_python():
    model = nn.Sequential(nn.Linear(12, 32), nn.LayerNorm(32), nn.GELU(), nn.Linear(32, 4))
    x, labels = bl.randn(8, 12), bl.randint(0, 4, (8,))

    def step():
        with bl.autocast("cpu"):
            loss = F.cross_entropy(model(x), labels)
        return loss, *bl.autograd.grad(loss, list(model.parameters()))

    found = capture(step)
    optimized = reference.check(optimize(found.program))
    for a, b in zip(reference.run(optimized, found.arrays), found.result):
        np.testing.assert_allclose(a, b.array, rtol=2e-2, atol=1e-2)
    from backlit.backends.cpu.plans.executable import build

    executable = build(optimized, {}, {})
    assert not [t.label for t in executable.tasks if t.label in ("matmul", "linear", "cast")
                and t.implementation == "callback"]  # fmt: skip
    for a, b in zip(executable.run(found.arrays), found.result):
        np.testing.assert_allclose(a, b.array, rtol=2e-2, atol=1e-2)
