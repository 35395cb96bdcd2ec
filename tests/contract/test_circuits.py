"""Contract section 1: scalar circuits, gates and staged code, with their checked numbers."""

import math

import pytest

import backlit as bl
from backlit.autograd import Observer, observe
from backlit.program import capture


def leaf(value):
    return bl.tensor(float(value), dtype=bl.float64, requires_grad=True)


def grads(*tensors):
    return [t.grad.item() for t in tensors]


def test_c1_add_and_multiply():
    x, y, z = leaf(-2), leaf(5), leaf(-4)
    q = x + y
    q.retain_grad()
    f = q * z
    f.retain_grad()
    f.backward()
    assert (q.item(), f.item()) == (3, -12)
    assert grads(x, y, z) == [-4, -4, 3] and q.grad.item() == -4 and f.grad.item() == 1


def test_c2_staged_code_gives_the_same():
    x, y, z = -2.0, 5.0, -4.0
    q = x + y
    dfdz, dfdq = q, z
    dfdx, dfdy = 1.0 * dfdq, 1.0 * dfdq
    X, Y, Z = leaf(x), leaf(y), leaf(z)
    ((X + Y) * Z).backward()
    assert grads(X, Y, Z) == [dfdx, dfdy, dfdz]


def test_c3_the_gradient_says_which_way_f_grows():
    f = lambda x: (x + 5.0) * -4.0
    x = leaf(-2)
    f(x).backward()
    assert x.grad.item() == -4 and f(-2 - 1e-3) > f(-2)


W, X = [2.0, -3.0, -3.0], [-1.0, -2.0]


def neuron():
    w, x = [leaf(v) for v in W], [leaf(v) for v in X]
    return w, x, w[0] * x[0] + w[1] * x[1] + w[2]


def test_c4_c6_the_sigmoid_neuron():
    w, x, dot = neuron()
    f = dot.sigmoid()
    f.backward()
    assert dot.item() == 1 and f.item() == pytest.approx(0.7310585786300049, abs=1e-15)
    assert grads(*x) == pytest.approx([0.3932238664829637, -0.5898357997244456], abs=1e-15)
    assert grads(*w) == pytest.approx(
        [-0.19661193324148185, -0.3932238664829637, 0.19661193324148185], abs=1e-15
    )


def test_c5_its_gates_one_by_one():
    w, x, _ = neuron()
    a, b = w[0] * x[0], w[1] * x[1]
    gates = [a, b, a + b]
    gates.append(gates[-1] + w[2])
    gates.append(-gates[-1])
    gates.append(gates[-1].exp())
    gates.append(gates[-1] + 1)
    gates.append(1 / gates[-1])
    for gate in gates:
        gate.retain_grad()
    gates[-1].backward()
    forward = [-2, 6, 4, 1, -1, 0.36787944, 1.36787944, 0.73105858]
    assert [g.item() for g in gates] == pytest.approx(forward, abs=5e-9)
    back = [1, -0.53444665, -0.53444665, -0.19661193, 0.19661193]
    assert [g.grad.item() for g in reversed(gates[3:])] == pytest.approx(back, abs=5e-9)


def test_c7_one_gate_or_many_give_the_same():
    one, many = leaf(1.0), leaf(1.0)
    one.sigmoid().backward()
    (1 / (1 + (-many).exp())).backward()
    assert one.grad.item() == pytest.approx(0.19661193324148185, abs=1e-16)
    assert many.grad.item() == pytest.approx(one.grad.item(), abs=2e-16)


def staged(x, y):
    """f = (x + sigma(y)) / (sigma(x) + (x + y)^2), every intermediate kept."""
    s = {}
    s["sigy"] = 1.0 / (1 + (-y).exp())
    s["num"] = x + s["sigy"]
    s["sigx"] = 1.0 / (1 + (-x).exp())
    s["xpy"] = x + y
    s["xpysqr"] = s["xpy"] ** 2
    s["den"] = s["sigx"] + s["xpysqr"]
    s["invden"] = 1.0 / s["den"]
    s["f"] = s["num"] * s["invden"]
    return s


def test_c8_c9_staged_backpropagation():
    x, y = leaf(3), leaf(-4)
    s = staged(x, y)
    for value in s.values():
        value.retain_grad()
    s["f"].backward()
    forward = {
        "sigy": 0.01798620996209156, "num": 3.0179862099620918, "sigx": 0.9525741268224334,
        "xpy": -1, "xpysqr": 1, "den": 1.9525741268224333, "invden": 0.5121444488396316,
        "f": 1.5456448841066441,
    }  # fmt: skip
    for name, value in forward.items():
        assert s[name].item() == pytest.approx(value, abs=1e-15), name
    backward = {
        "num": 0.5121444488, "invden": 3.0179862100, "den": -0.7915934473, "sigx": -0.7915934473,
        "xpysqr": -0.7915934473, "xpy": 1.5831868945, "sigy": 0.5121444488,
    }  # fmt: skip
    for name, value in backward.items():
        assert s[name].grad.item() == pytest.approx(value, abs=1e-10), name
    assert grads(x, y) == pytest.approx([2.0595697955721652, 1.5922327514838093], abs=1e-14)


def test_c10_second_derivatives():
    h = bl.func.hessian(lambda x, y: staged(x, y)["f"], (0, 1))(
        bl.tensor(3.0, dtype=bl.float64), bl.tensor(-4.0, dtype=bl.float64)
    )
    assert h[0][0].item() == pytest.approx(2.57306712741091, abs=1e-13)
    assert h[0][1].item() == pytest.approx(2.12047446076243, abs=1e-13)
    assert h[1][0].item() == pytest.approx(2.12047446076243, abs=1e-13)
    assert h[1][1].item() == pytest.approx(1.68734622076141, abs=1e-13)


def test_c11_contributions_at_forks_add_up():
    """Assignment in place of `+=` keeps the last contribution only, and is wrong."""
    x, y = leaf(3), leaf(-4)
    s = staged(x, y)
    last = {}
    for t, name in ((x, "dx"), (y, "dy")):
        for key in ("xpysqr", "sigx", "num", "sigy"):
            (g,) = bl.autograd.grad(s["f"], s[key], retain_graph=True)
            (part,) = bl.autograd.grad(s[key], t, g, retain_graph=True, allow_unused=True)
            if part is not None and not (key == "num" and name == "dy"):
                last[name] = part.item()
    assert last["dx"] == pytest.approx(0.5121444488, abs=1e-10)
    assert last["dy"] == pytest.approx(0.0090458569, abs=1e-10)
    s["f"].backward()
    assert x.grad.item() != pytest.approx(last["dx"], abs=0.1)


def test_c12_backward_reuses_what_forward_computed():
    class Count(Observer):
        exps = 0

        def after_forward(self, op, inputs, params, outputs, node):
            self.exps += op.name == "exp"

    x, y, count = leaf(3), leaf(-4), Count()
    with observe(count):
        f = staged(x, y)["f"]
        forward = count.exps
        f.backward()
    assert forward == 2 and count.exps == 2
    assert f.node.op.name == "mul"


def test_c13_add_max_and_mul_gates():
    x, y, z, w = leaf(3), leaf(-4), leaf(2), leaf(-1)
    product, larger = x * y, bl.maximum(z, w)
    f = (product + larger) * 2
    f.backward()
    assert (product.item(), larger.item(), f.item()) == (-12, 2, -20)
    assert grads(x, y, z, w) == [-8, 6, 2, 0]


@pytest.mark.parametrize("g", [1.0, -2.5])
def test_c14_patterns_of_gradient_flow(g):
    a, b = leaf(3), leaf(-4)
    seed = bl.tensor(g, dtype=bl.float64)
    assert [t.item() for t in bl.autograd.grad(a + b, [a, b], seed)] == [g, g]  # add distributes
    assert [t.item() for t in bl.autograd.grad(a * b, [a, b], seed)] == [-4 * g, 3 * g]  # swaps
    assert [t.item() for t in bl.autograd.grad(bl.maximum(a, b), [a, b], seed)] == [g, 0]  # routes
    assert bl.autograd.grad(a + a, [a], seed)[0].item() == 2 * g  # copies add
    tie, other = leaf(1), leaf(1)
    shared = bl.autograd.grad(bl.maximum(tie, other), [tie, other], seed)
    assert [t.item() for t in shared] == [g / 2, g / 2]  # the documented choice at a tie


def test_c15_large_inputs_scale_the_weight_gradient():
    bl.manual_seed(0)
    x, w = bl.randn(8, 5, dtype=bl.float64), bl.randn(5, 3, dtype=bl.float64)
    v = bl.randn(8, 3, dtype=bl.float64)
    norms, paths = [], []
    for scale in (1.0, 1000.0):
        data, weight = (x * scale).requires_grad_(), w.clone().requires_grad_()
        ((data @ weight) * v).sum().backward()
        norms.append(weight.grad.norm().item())
        paths.append(data.grad)
    assert norms[1] / norms[0] == pytest.approx(1000.0, rel=1e-14)
    assert bool((paths[0] == paths[1]).all())


def test_c16_gradients_by_the_data():
    image = bl.randn(1, 1, 28, 28, requires_grad=True)
    logits = bl.models.LeNet()(image)
    logits[0, 3].backward()
    assert image.grad.shape == image.shape and bool((image.grad != 0).any())


def test_c17_upstream_times_local_is_downstream():
    class Log(Observer):
        rows = []

        def after_backward(self, node, grads, input_grads):
            self.rows.append((node.op.name, grads[0].item(), [g and g.item() for g in input_grads]))

    x, y, z = leaf(-2), leaf(5), leaf(-4)
    with observe(Log()):
        ((x + y) * z).backward()
    assert Log.rows == [("mul", 1.0, [-4.0, 3.0]), ("add", -4.0, [-4.0, -4.0])]
    assert Log.rows[0][1] * z.item() == Log.rows[0][2][0]


def test_the_staged_circuit_is_a_program_that_runs_backwards():
    x = bl.tensor(3.0, dtype=bl.float64)

    def f(x):
        y = staged(x.requires_grad_(), bl.tensor(-4.0, dtype=bl.float64))["f"]
        return bl.autograd.grad(y, x)[0]

    program = capture(f, x).program
    backward = [i for i in program.instrs if i.backward_of]
    assert backward and backward[0].backward_of == "mul_0"
    assert math.isfinite(f(x).item())
