"""What is saved for the backward: the engine's own arrays, why, and their bytes; C12."""

from __future__ import annotations

import numpy as np
import pytest
from families import FAMILIES

import backlit as bl
from backlit import nn
from backlit.nn import functional as F


def t64(value):
    return bl.tensor(value, dtype=bl.float64, requires_grad=True)


def arrays_of(saved):
    for value in saved.values():
        yield from (v for v in (value if isinstance(value, tuple) else (value,)))


@pytest.mark.parametrize("name", FAMILIES)
def test_rows_are_what_the_nodes_of_every_model_keep(name):
    bl.manual_seed(0)
    make, shape, _ = FAMILIES[name]
    model = make()
    out = model(bl.randn(2, *shape[1:]))
    recorded = bl.see.record((out * out).mean())
    table = bl.see.saved(recorded)
    kept, roots = 0, {}
    for gate in recorded.graph.gates:
        for a in arrays_of(gate.node.saved if gate.node is not None else {}):
            if isinstance(a, np.ndarray):
                kept += 1
                while isinstance(a.base, np.ndarray):
                    a = a.base
                roots[id(a)] = a.nbytes
    assert kept == len(table.rows) > 0
    assert sum(roots.values()) == table.bytes
    assert 0 < table.held_bytes < table.bytes


def staged():
    """C8 of the contract."""
    x, y = t64(3.0), t64(-4.0)
    sigy = y.sigmoid()
    num = x + sigy
    sigx = x.sigmoid()
    xpy = x + y
    den = sigx + xpy**2
    return num / den


def test_c12_the_backward_computes_no_exponential_again():
    table = bl.see.saved(staged())
    assert table.program.forward["exp"] == 2 and "exp" not in table.program.backward
    assert {(r.name, r.operator) for r in table.rows} >= {("sigy", "sigmoid"), ("sigx", "sigmoid")}
    assert "the gradient of xpy reads xpy" in {r.why for r in table.rows}


def test_a_backward_that_needs_the_function_again_is_counted():
    x = t64([1.0, 2.0])
    table = bl.see.saved(F.silu(x).sum())
    assert table.program.backward == {"exp": 1}  # silu keeps its input, not its sigmoid


def test_shared_arrays_count_once():
    x = bl.ones(10, requires_grad=True)
    h = x.exp()
    table = bl.see.saved((h * h.sin()).sum())
    rows = {(r.operator, r.name): r for r in table.rows}
    assert rows["exp", "h"].bytes == 40 and rows["sin", "h"].shared == "exp"
    assert rows["mul", "h"].bytes == rows["sin", "h"].bytes == 0
    assert table.bytes == 80 and table.held_bytes == 0  # h, and its sine


def test_parameters_and_inputs_are_there_anyway():
    layer, x = nn.Linear(3, 2), bl.ones(4, 3)
    table = bl.see.saved((layer(x).relu() * 2).sum())
    assert [(r.name, r.held) for r in table.rows if r.operator == "linear"] == [("x", True)]
    assert table.held_bytes == 48
    assert "48 in parameters and inputs" in str(table)


def test_a_view_of_a_parameter_is_the_parameter():
    w = bl.ones(2, 3, requires_grad=True)
    x = bl.ones(4, 3, requires_grad=True)
    table = bl.see.saved((x @ w.T).sum())
    assert {r.name: r.held for r in table.rows} == {"x": True, "permute": True}
    assert table.bytes == table.held_bytes == 48 + 24


def test_a_users_function_and_a_backward_inside():
    class Scale(bl.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.mask = bl.ones(2, dtype=bl.float64)
            return x * x

        @staticmethod
        def backward(ctx, g):
            return g * 2 * ctx.saved_tensors[0] * ctx.mask

    x = t64([1.0, 2.0])

    def step():
        loss = Scale.apply(x).sum()
        loss.backward()
        return loss

    table = bl.see.saved(step)
    assert [(r.name, r.bytes) for r in table.rows] == [("x", 16), ("ctx.mask", 16)]
    assert x.grad is None


def test_recomputed_values_are_not_kept():
    x = bl.ones(100, requires_grad=True)
    plain = bl.see.saved(x.exp().sin().sum())
    again = bl.see.saved(bl.recompute(lambda x: x.exp().sin(), x).sum())
    assert plain.bytes == 400 and again.bytes == 0


def test_a_compiled_step_has_its_arena():
    bl.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Sigmoid(), nn.Linear(4, 2))
    optimizer = bl.optim.SGD(model.parameters(), lr=0.1)

    @bl.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    batch = bl.randn(5, 3), bl.tensor([0, 1, 0, 1, 0])
    before = bl.see.saved(step, *batch)
    assert before.program.arena_bytes is None
    step(*batch)
    after = bl.see.saved(step, *batch)
    assert after.rows == before.rows
    assert after.program.arena_bytes == step.executable.arena_bytes > 0
    assert "sigmoid_0" in {v.name for v in after.program.values}
    assert after.program.forward == {"exp": 2, "log": 1} and after.program.backward == {}
    assert "arena of the compiled step" in after._repr_html_()
