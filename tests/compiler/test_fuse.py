"""What the passes make of Programs: the same values, fewer kernels, no path out and back in."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.backends import reference
from backlit.compiler.passes.decompose import RULES, decompose
from backlit.compiler.passes.fuse import fuse
from backlit.compiler.passes.simplify import simplify
from backlit.nn import functional as F
from backlit.program import Program, Value, capture, parse, write


def through(function, *tensors):
    """Programs after each pass, each checked and interpreted against the first."""
    found = capture(function, *tensors)
    arrays = [np.array(a, order="C") for a in found.arrays]
    expected = reference.run(found.program, arrays)
    made = [found.program]
    for step in (decompose, simplify, fuse):
        made.append(reference.check(step(made[-1])))
        for a, b in zip(reference.run(made[-1], arrays), expected):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)
    assert parse(write(made[-1])) == made[-1]
    return made


def ops(program):
    return [i.op for i in program.instrs]


def bodies(program):
    return [ops(i.params["body"]) for i in program.instrs if i.op == "fused"]


def test_a_chain_is_one_kernel():
    *_, made = through(lambda x, y: bl.tanh(x * y + 1) - y, bl.randn(4, 5), bl.randn(5))
    assert bodies(made) == [["mul", "add", "tanh", "sub"]] and len(made.instrs) == 1


def test_a_reduction_ends_a_chain_and_rows_go_on():
    *_, made = through(lambda x: ((x * x).sum(0) * 2, (x * x).mean()), bl.randn(8, 5))
    assert len(made.instrs) == 1
    *_, made = through(lambda x: F.softmax(x * 2, dim=-1), bl.randn(8, 5))
    assert bodies(made) == [["mul", "amax", "sub", "exp", "sum", "div"]]


def test_what_every_row_needs_of_all_rows_is_a_kernel_before():
    *_, made = through(lambda x: x * 2 - (x * 2).sum(0), bl.randn(40, 50))
    assert len(made.instrs) <= 2
    *_, made = through(lambda x: x - x.mean(), bl.randn(400, 500))
    assert len(made.instrs) == 2, "one worker would walk all of it twice"


def test_renaming_views_are_seen_through():
    def function(x):
        y = (x + 1).transpose(0, 1)
        return y.exp() * 2, (x + 1).sum(1).reshape(-1, 1) + x

    *_, made = through(function, bl.randn(4, 5))
    assert all(op in ("fused", "reshape", "permute") for op in ops(made))


def test_a_value_beside_its_own_transpose_is_not_one_nest():
    *_, made = through(lambda x: (x * 2) + (x * 2).T, bl.randn(6, 6))
    assert "fused" not in ops(made) or all("permute" not in b for b in bodies(made))


def test_sums_over_either_axis_of_a_square_do_not_meet_in_one_nest():
    def function(x):
        y = x * 2
        return (y.sum(0) + y.sum(1)).exp(), y

    *_, made = through(function, bl.randn(6, 6))
    assert all(b.count("sum") < 2 or "exp" not in b for b in bodies(made))


def test_no_path_leads_out_of_a_group_and_back():
    def function(x, w):
        h = x * 2
        s = (h @ w).relu()
        return h + s, s.sum()

    *_, made = through(function, bl.randn(4, 4), bl.randn(4, 4))
    known = {v.name for v in made.inputs}
    for i in made.instrs:
        assert all(x.name in known for x in i.inputs if isinstance(x, Value))
        known |= {v.name for v in i.outputs if v is not None}


def test_a_product_takes_what_follows():
    *_, made = through(lambda x, w, b: F.linear(x, w, b).relu() * 2,
                       bl.randn(4, 6), bl.randn(5, 6), bl.randn(5))  # fmt: skip
    assert bodies(made) == [["linear", "relu", "mul"]]


def test_scalars_are_one_straight_line():
    def function(a, b):
        c = a * b + 1
        for _ in range(20):
            c = c.tanh() * a - b
        return c, a.exp() - 2, b / 3

    *_, made = through(function, bl.tensor(0.5), bl.tensor(-0.25))
    assert len(made.instrs) == 1


def test_a_mask_waits_for_the_gradient():
    x, w = bl.randn(8, 6), bl.randn(6, 7, requires_grad=True)

    def step(x):
        loss = (x @ w).relu().sum()
        (g,) = bl.autograd.grad(loss, [w])
        return loss, g

    *_, made = through(step, x)
    first = next(i for i in made.instrs if i.op == "fused")
    assert all(v is None or v.dtype is not bl.bool for v in first.outputs)


def test_a_whole_step_of_a_classifier():
    bl.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 5))
    optimizer = bl.optim.Adam(model.parameters(), lr=1e-2)
    x, y = bl.randn(32, 12), bl.randint(0, 5, (32,))

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return [loss, *model.parameters()]

    step(x, y)
    before, _, _, after = through(step, x, y)
    assert len(after.instrs) < len(before.instrs) // 4
    assert any("amax" in b and "log" in b and "eq" in b for b in bodies(after))


SAMPLES = {
    "softmax": lambda x: F.softmax(x, dim=1),
    "log_softmax": lambda x: F.log_softmax(x, dim=0),
    "logsumexp": lambda x: bl.logsumexp(x, dim=1),
    "var": lambda x: bl.var(x, 1),
    "std": lambda x: bl.std(x, 0, keepdim=True),
    "nll_loss": lambda x: F.nll_loss(x, bl.tensor([1, 0, -100, 4])),
    "layer_norm": lambda x: F.layer_norm(x, (5,)),
    "rms_norm": lambda x: F.rms_norm(x, (5,)),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_rules_spell_out_operators(name):
    before, after, _, _ = through(SAMPLES[name], bl.randn(4, 5))
    assert name in ops(before) and name not in ops(after)


def test_the_gradient_of_log_softmax_needs_no_second_exponential():
    x = bl.randn(6, 5, requires_grad=True)

    def step(x):
        y = F.log_softmax(x, dim=1)
        return y, *bl.autograd.grad((y * y).sum(), [x])

    *_, made = through(step, x)
    assert sum(b.count("exp") for b in bodies(made)) == 1


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_over_classes_and_their_gradients(reduction, weighted):
    x = bl.randn(4, 5, 3, requires_grad=True)
    target = bl.randint(0, 5, (4, 3))
    weight = bl.rand(5) if weighted else None

    def step(x, target):
        loss = F.cross_entropy(x, target, weight, ignore_index=2, reduction=reduction)
        return loss, *bl.autograd.grad(loss.sum(), [x])

    made = through(step, x, target)
    assert "nll_loss" in ops(made[0]) and not set(ops(made[1])) & set(RULES)


def test_gradients_of_row_normalizations():
    x, w, b = (bl.randn(*s, requires_grad=True) for s in ((2, 3, 4, 5), (4, 5), (4, 5)))

    def step(x):
        y = F.layer_norm(x, (4, 5), w, b) + F.rms_norm(x, (4, 5), w)
        return bl.autograd.grad((y * y).sum(), [x, w, b])

    made = through(step, x)
    assert not set(ops(made[1])) & set(RULES)


def test_the_gradient_of_layer_norm_computes_normal_rows_again():
    x, w = bl.randn(6, 8, requires_grad=True), bl.randn(8, 8)

    def step(x):
        y = F.layer_norm(x, (8,)) @ w
        return bl.autograd.grad((y * y).sum(), [x])

    *_, made = through(step, x)
    first = next(i for i in made.instrs if i.op == "fused")
    assert [v.shape for v in first.outputs if v is not None].count((6, 8)) == 1


def test_one_kernel_computes_equal_things_once():
    x = bl.randn(6, 8, requires_grad=True)

    def step(x):
        y = (x * 3) * x
        (g,) = bl.autograd.grad(y.sum(), [x])
        return y, g + (x * 3)

    *_, made = through(step, x)
    texts = [str(i.params["body"]).count("mul(x0, 3)") for i in made.instrs if i.op == "fused"]
    assert all(n <= 1 for n in texts)


def test_simplify_merges_equals_and_drops_the_rest():
    def function(x):
        y = x.exp() * 1
        z = x.exp()
        (x * 3).sum()
        return y + z, x.reshape(2, 3).float()

    found = capture(function, bl.randn(2, 3)).program
    made = reference.check(simplify(found))
    assert sorted(ops(made)) == ["add", "exp"]


def test_simplify_keeps_what_is_computed_again_apart():
    text = """
    program p(x: float32[3]):
      a: float32[3] = exp(x)
      b: float32[3] = exp(x)  # scope "recompute"
      c: float32[3] = mul(a, b)
      return c
    """
    made = simplify(parse(text))
    assert isinstance(made, Program) and ops(made) == ["exp", "exp", "mul"]
