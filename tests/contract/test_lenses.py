"""The contract's rows that the lenses show: Jacobians, saved values, nudges, saturation, depth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit import nn
from backlit.errors import ProgramError
from backlit.nn import functional as F
from backlit.program import parse, verify
from backlit.program.ir import Instr, Program, Value


@pytest.fixture(autouse=True)
def _seed():
    bl.manual_seed(0)


def draw(*shape, grad=True):
    return bl.randn(*shape, dtype=bl.float64).requires_grad_(grad)


def t64(value, grad=True):
    return bl.tensor(value, dtype=bl.float64, requires_grad=grad)


def test_c3_the_add_gate_wants_its_output_smaller():
    x, y, z = t64(-2.0), t64(5.0), t64(-4.0)
    q = x + y
    recorded = bl.see.record(q * z)
    moved = bl.see.nudge(q, of=recorded)
    assert moved.delta == -4.0  # the force: a larger q lowers f, four times as much
    lower = bl.see.nudge(x, dz=-1e-3, of=recorded)
    assert lower.actual > 0 and lower.actual == pytest.approx(4e-3, rel=1e-12)


# ----- vectors and matrices -----


def test_v1_shape_and_the_three_ways():
    x = draw(5)
    z = (draw(3, 5, grad=False) @ x).sigmoid()
    found = bl.see.jacobian(z.sum(), z, x)
    assert found.matrix.shape == (3, 5) and "3 x 5 (D_z x D_x)" in str(found)
    assert all(d < 1e-12 for k, d in found.differences.items() if k != "central differences")


def test_v2_the_jacobians_of_a_product_are_kronecker_products():
    X, W = draw(2, 3), draw(3, 4)
    Y = X @ W
    recorded = bl.see.record((Y * Y).sum())
    x, w = X.detach().numpy(), W.detach().numpy()
    by_x, by_w = bl.see.jacobian(recorded, Y, X), bl.see.jacobian(recorded, Y, W)
    np.testing.assert_allclose(by_x.matrix, np.kron(np.eye(2), w.T), atol=1e-14)
    np.testing.assert_allclose(by_w.matrix, np.kron(x, np.eye(4)), atol=1e-14)
    wire = recorded.graph.wire
    np.testing.assert_allclose(wire(X).grad, wire(Y).grad @ w.T, atol=1e-12)
    np.testing.assert_allclose(wire(W).grad, x.T @ wire(Y).grad, atol=1e-12)


def test_v3_shapes_at_the_gate():
    W, X = draw(5, 10), draw(10, 3)
    D = W @ X
    gate = bl.see.record((D * draw(5, 3, grad=False)).sum()).graph.wire(D).maker
    dW, dX = gate.downstream
    assert dW.shape == (5, 10) and dX.shape == (10, 3)
    dD = gate.upstream[0]
    np.testing.assert_allclose(dW, dD @ X.detach().numpy().T, atol=1e-12)
    np.testing.assert_allclose(dX, W.detach().numpy().T @ dD, atol=1e-12)


def test_v4_a_value_with_three_readers():
    x = t64(2.0)
    g = x * x
    wire = bl.see.record(g.exp() + g.sin() + 3 * g).graph.wire(g)
    parts = sorted(float(p) for _, _, p in wire.contributions)
    np.testing.assert_allclose(parts, sorted([math.exp(4), math.cos(4), 3.0]), rtol=1e-14)
    assert float(wire.grad) == pytest.approx(sum(parts), rel=1e-14)


class Multiply(bl.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        return grad * b, grad * a


def test_v5_a_users_operator_in_every_lens():
    a, b = t64(3.0), t64(-4.0)
    f = Multiply.apply(a, b) + 1
    recorded = bl.see.record(f)
    assert {w.name: float(w.grad) for w in recorded.graph.leaves} == {"a": -4, "b": 3}
    assert bl.see.nudge("a", of=recorded).actual == pytest.approx(-4e-3, rel=1e-12)
    assert bl.see.jacobian(recorded, "f", "b").matrix.tolist() == [[3.0]]
    assert [r.name for r in bl.see.saved(f).rows] == ["a", "b"]


def test_v6_hadamard():
    a, b = t64([1.0, 2.0]), t64([3.0, 4.0])
    h = a * b
    recorded = bl.see.record(h.sum())
    assert recorded.graph.wire("h").value.tolist() == [3, 8]
    assert bl.see.jacobian(recorded, h, a).matrix.tolist() == [[3, 0], [0, 4]]


def test_v7_a_gradient_has_the_shape_of_its_variable():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())
    graph = bl.see.record((net(draw(2, 1, 5, 5).float()) ** 2).mean()).graph
    for wire in graph.wires:
        assert wire.grad is None or wire.grad.shape == wire.shape
    for gate in graph.gates:
        for wire, part in zip(gate.inputs, gate.downstream):
            assert part is None or part.shape == wire.shape


@settings(max_examples=10, deadline=None)
@given(st.floats(-3, 3), st.floats(-3, 3))
def test_v8_linearity_and_the_chain_rule(a, b):
    x = t64([0.3, -0.7, 1.1])
    u, v = x.sin(), x**3
    z = a * u + b * v
    y = z.tanh()
    recorded = bl.see.record((y + u + v).sum())
    jacobian = lambda of, wrt: bl.see.jacobian(recorded, of, wrt).matrix
    whole = a * jacobian(u, x) + b * jacobian(v, x)
    np.testing.assert_allclose(jacobian(z, x), whole, atol=1e-12)
    np.testing.assert_allclose(jacobian(y, x), jacobian(y, z) @ jacobian(z, x), atol=1e-12)
    total = recorded.graph.wire(x).grad
    rows = jacobian(y, x) + jacobian(u, x) + jacobian(v, x)
    np.testing.assert_allclose(total, rows.sum(0), atol=1e-12)


# ----- properties of the system -----


def test_p1_and_p13_rounding_is_reported_per_step_and_layer():
    net = nn.Sequential(nn.Linear(4, 6), nn.Sigmoid(), nn.Linear(6, 2))
    y = bl.tensor([0, 1, 1])
    found = bl.see.precision(
        net, bl.randn(3, 4), loss=lambda out: F.cross_entropy(out, y), steps=3,
        optimizer=lambda parameters: bl.optim.SGD(parameters, lr=0.5),
    )  # fmt: skip
    assert [s.step for s in found.steps] == [0, 1, 2]
    for step in range(3):
        layers = {layer.name: layer for layer in found.of_step(step)}
        assert layers.keys() == {"0", "1", "2", "loss"}
        assert all(0 < layers[str(i)].gradient < 1e-5 for i in range(3))


OPERATORS = (
    lambda x: x.sin(), lambda x: x.tanh(), lambda x: x.sigmoid() * x, lambda x: x.T @ x / 3,
    lambda x: x - x.mean(0), lambda x: x.softmax(1), lambda x: bl.cat([x, x * x], 0)[::2],
    lambda x: (x * x + 1).sqrt(), lambda x: x.cumsum(1) / 2, lambda x: F.layer_norm(x, x.shape[1:]),
    lambda x: F.gelu(x), lambda x: x.flip(1) * 0.5,
)  # fmt: skip


# No regular grid: its rows less their mean are constant, and softmax of those has no slope at all.
GENERIC = [[-1.0, -0.62, 0.31], [0.93, -0.27, 0.58], [0.14, 1.2, -0.45]]


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, len(OPERATORS) - 1), min_size=1, max_size=5))
@example([4, 5, 3])
def test_p3_any_composition_differentiates(chosen):
    y = x = t64(GENERIC)
    for i in chosen:
        y = OPERATORS[i](y)
    assert bl.see.jacobian((y * y).sum(), y, x).ok


def test_p7_a_recorded_graph_has_no_cycle():
    h, w = draw(3), draw(3, 3)
    for _ in range(5):
        h = (w @ h).tanh()  # the same name, and a new value each time
    graph = bl.see.record(h.sum()).graph
    order = {id(g): i for i, g in enumerate(graph.gates)}
    for gate in graph.gates:
        for wire in gate.inputs:
            maker = wire.maker if wire is not None else None
            assert maker is None or order[id(maker)] < order[id(gate)]


def test_p7_a_program_with_a_cycle_is_refused_naming_it():
    text = """program step(x: float32[2]):
  a: float32[2] = add(c, x)
  b: float32[2] = mul(a, x)
  c: float32[2] = exp(b)
  return c"""
    with pytest.raises(ProgramError, match="a cycle: c from b from a from c"):
        parse(text)
    x, a, b = (Value(n, (2,), bl.float32) for n in "xab")
    instrs = (Instr("add", (b, x), (a,)), Instr("mul", (a, x), (b,)))
    from backlit.ops.op import REGISTRY, Spec

    with pytest.raises(ProgramError, match="a cycle: b from a from b"):
        verify(Program("step", (x,), instrs, (b,)), REGISTRY, Spec)


# ----- sick networks -----

SLOPES = {0: 0.25, 2: 0.104994, 5: 6.64806e-3, 10: 4.53958e-5, 20: 2.06115e-9}


@pytest.mark.parametrize("z", SLOPES)
def test_n20_the_slope_of_a_sigmoid(z):
    x = t64(float(z))
    gate = bl.see.record(x.sigmoid()).graph.gates[0]
    exact = math.exp(-z) / (1 + math.exp(-z)) ** 2
    assert float(gate.local(0)) == pytest.approx(exact, abs=1e-12)
    assert float(gate.downstream[0]) == float(gate.upstream[0]) * float(gate.local(0))
    assert exact == pytest.approx(SLOPES[z], rel=1e-5)
    report = bl.check.health(t64([[float(z)] * 4] * 2).sigmoid().sum())
    assert [a.name for a in report.alarms] == (["saturated"] if exact < 0.01 else [])


@pytest.mark.parametrize("depth, bound", [(10, 9.54e-7), (20, 9.09e-13)])
def test_n21_the_bound_is_met_where_every_z_is_zero(depth, bound):
    x = t64(0.0)
    a = x.sigmoid()
    for _ in range(depth - 1):
        a = (a - 0.5).sigmoid()
    assert float(bl.see.record(a).graph.wire(x).grad) == 0.25**depth
    assert 0.25**depth == pytest.approx(bound, rel=1e-3)


def plain_and_residual(depth):
    layers = [nn.Linear(8, 8).double() for _ in range(depth)]
    x = draw(4, 8, grad=False)
    found = []
    for skip in (0, 1):
        h = x
        for layer in layers:
            h = skip * h + layer(h).sigmoid()
        graph = bl.see.record((h * h).mean()).graph
        found.append(float(np.linalg.norm(graph.wire(layers[0].weight).grad)))
    return found


def test_n22_skips_carry_the_gradient_to_the_first_layer():
    ratios = [b / a for a, b in (plain_and_residual(d) for d in (5, 10, 20))]
    assert ratios[0] > 10 and ratios[1] > 1e3 * ratios[0] and ratios[2] > 1e6 * ratios[1]


@pytest.mark.parametrize("rho", [0.9, 1.0, 1.1, 1.3])
def test_n23_a_linear_recurrence_grows_as_rho_to_the_t(rho):
    weight = (rho * nn.init.orthogonal_(bl.empty(6, 6, dtype=bl.float64))).requires_grad_()
    start = h = draw(6)
    for _ in range(40):
        h = weight @ h
    graph = bl.see.record(h.sum() / math.sqrt(6)).graph
    norms = [np.linalg.norm(graph.wire(w).grad) for w in (start, h)]
    assert norms[1] == pytest.approx(1.0, rel=1e-12)
    assert norms[0] == pytest.approx(rho**40, rel=1e-12)
    names = [a.name for a in bl.check.health(h.sum()).alarms]
    assert names == (["exploding"] if rho == 1.3 else [])
