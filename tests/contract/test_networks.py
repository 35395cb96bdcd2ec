"""Contract section 3: networks, losses and training, with their checked numbers."""

import numpy as np
import pytest

import backlit as bl
from backlit import nn, optim
from backlit.nn import functional as F


def t64(value, grad=False):
    return bl.tensor(value, dtype=bl.float64, requires_grad=grad)


def near(tensor, expected, digits=8):
    np.testing.assert_allclose(tensor.detach().numpy(), expected, atol=10.0**-digits)


# ----- perceptron and support vector machine -----

X1, T1 = [[2, 1], [1, 3], [-1, -2]], [1, 1, -1]


def test_n1_perceptron():
    x, target, w = t64(X1), t64(T1), t64([1, -1], True)
    margins = target * (x @ w)
    assert margins.tolist() == [1, -2, -1]
    loss = F.relu(-margins).mean()
    loss.backward()
    assert loss.item() == 1.0
    near(w.grad, [-2 / 3, -5 / 3])
    assert bl.sign(t64([3.0, -2.0, 0.0])).tolist() == [1, -1, 0]


def test_n2_hinge_and_the_kkt_conditions_of_its_optimum():
    x, target, w = t64(X1), t64(T1), t64([1, -1])
    assert F.relu(1 - target * (x @ w)).mean().item() == pytest.approx(5 / 3)
    for kernel in ("linear", "rbf"):
        _check_svm(kernel)


def _check_svm(kernel):
    """Solve the dual by projected gradient on the engine's gradients; check KKT."""
    bl.manual_seed(4)
    x = bl.randn(20, 2, dtype=bl.float64)
    y = bl.where(x[:, 0] + 0.5 * x[:, 1] > 0.1, 1.0, -1.0).double()
    C = 2.0
    if kernel == "linear":
        K = x @ x.T
    else:
        K = (-0.7 * ((x[:, None] - x[None]) ** 2).sum(-1)).exp()
    Q = K * y[:, None] * y[None] + 1e-8 * bl.eye(20, dtype=bl.float64)
    # The bias enters through a constant feature, so that only the box remains.
    Q = Q + y[:, None] * y[None]
    alpha = bl.zeros(20, dtype=bl.float64).requires_grad_()
    rate = 1.0 / float(np.linalg.eigvalsh(Q.numpy()).max())
    point, speed = alpha.detach(), 1.0
    for _ in range(3000):
        moving = point.clone().requires_grad_()
        dual = 0.5 * moving @ Q @ moving - moving.sum()
        (g,) = bl.autograd.grad(dual, moving)
        fresh = (point - rate * g).clamp(0.0, C)
        faster = (1 + (1 + 4 * speed**2) ** 0.5) / 2
        point = fresh + ((speed - 1) / faster) * (fresh - alpha.detach())
        moved = float((fresh - alpha.detach()).abs().max())
        alpha, speed = fresh, faster
        if moved < 1e-8:
            break
    gradient = (Q @ alpha - 1).numpy()
    a = alpha.numpy()
    free = (a > 1e-6) & (a < C - 1e-6)
    assert np.abs(gradient[free]).max() < 1e-4  # on the margin
    assert (gradient[a <= 1e-6] > -1e-4).all() and (gradient[a >= C - 1e-6] < 1e-4).all()


# ----- small networks -----


def test_n3_two_layers_with_hinge_and_l2():
    x, y = t64([[1, -2], [0.5, 1]]), bl.tensor([0, 2])
    W1 = t64([[1, -1], [-0.5, 2]], True)
    W2 = t64([[0.2, 0.4], [-0.3, 0.5], [0.6, -0.1]], True)
    s = F.relu(x @ W1.T) @ W2.T
    margins = s - s.gather(1, y[:, None]) + 1
    margins = F.relu(margins).scatter(1, y[:, None], 0.0)
    loss = margins.sum(1).mean() + 0.1 * (W1**2).sum() + 0.1 * (W2**2).sum()
    loss.backward()
    assert loss.item() == pytest.approx(3.7785, abs=1e-12)
    near(W1.grad, [[0.4, -0.6], [0.175, 0.95]], 12)
    near(W2.grad, [[-1.46, 0.955], [-0.06, 0.975], [1.62, -1.77]], 12)
    # multi_margin_loss averages over classes as well: three times, without the penalty
    data_loss = 3 * F.multi_margin_loss(s.detach(), y)
    penalty = 0.1 * (W1**2).sum() + 0.1 * (W2**2).sum()
    assert (data_loss + penalty).item() == pytest.approx(loss.item(), abs=1e-12)


def test_n4_one_sigmoid_neuron():
    w, b = t64([0.5, -0.25], True), t64(0.1, True)
    y = (w @ t64([1, 2]) + b).sigmoid()
    loss = 0.5 * (y - 1) ** 2
    loss.backward()
    assert y.item() == pytest.approx(0.52497918747894, abs=1e-14)
    assert loss.item() == pytest.approx(0.112822386164, abs=1e-12)
    near(w.grad, [-0.118458809, -0.236917618], 9)
    assert b.grad.item() == pytest.approx(-0.118458809, abs=1e-9)


def fixture():
    W2 = t64([[0.1, 0.2], [0.3, 0.4], [-0.5, 0.6]], True)
    b2 = t64([0.1, -0.1, 0], True)
    W3 = t64([[0.2, -0.3, 0.5], [-0.4, 0.1, 0.7]], True)
    b3 = t64([0.05, -0.05], True)
    x, y = t64([1, -2]), t64([1, 0])
    z2 = W2 @ x + b2
    a2 = z2.sigmoid()
    z3 = W3 @ a2 + b3
    a3 = z3.sigmoid()
    return W2, b2, W3, b3, z2, a2, z3, a3, 0.5 * ((y - a3) ** 2).sum()


def test_n5_n7_n8_n9_the_four_equations():
    W2, b2, W3, b3, z2, a2, z3, a3, C = fixture()
    z2.retain_grad()
    z3.retain_grad()
    C.backward()
    near(a2, [0.450166, 0.35434369, 0.15446527])
    near(a3, [0.52771225, 0.47838689])
    assert C.item() == pytest.approx(0.22595486641727097, abs=1e-15)
    near(z3.grad, [-0.11770923, 0.11937326])  # BP1
    near(z2.grad, [-0.01764574, 0.01081008, 0.00322683])  # BP2
    delta = z2.grad.numpy()
    by_hand = (W3.detach().numpy().T @ z3.grad.numpy()) * (a2 * (1 - a2)).detach().numpy()
    np.testing.assert_allclose(delta, by_hand, atol=1e-15)
    near(b3.grad, z3.grad.numpy(), 15)  # BP3
    near(b2.grad, delta, 15)
    near(W3.grad, [[-0.0529887, -0.04170952, -0.01818199], [0.05373778, 0.04229916, 0.01843902]])
    near(
        W2.grad, [[-0.01764574, 0.03529148], [0.01081008, -0.02162015], [0.00322683, -0.00645366]]
    )  # BP4


def test_n6_the_loss_is_an_average_over_samples():
    bl.manual_seed(0)
    x, y = bl.randn(6, 4, dtype=bl.float64), bl.randn(6, 4, dtype=bl.float64)
    once = F.mse_loss(x, y)
    twice = F.mse_loss(bl.cat([x, x]), bl.cat([y, y]))
    assert once.item() == pytest.approx(twice.item(), rel=1e-15)


def test_n11_delta_predicts_the_change_of_the_loss():
    *_, z3, _, C = fixture()
    z3.retain_grad()
    C.backward()
    delta, y = z3.grad, t64([1, 0])
    gaps = []
    for step in (1e-2, 1e-3, 1e-4):
        dz = step * t64([1.0, -1.0])
        moved = 0.5 * ((y - (z3.detach() + dz).sigmoid()) ** 2).sum().item()
        gaps.append(abs(moved - C.item() - (delta * dz).sum().item()) / step)
    assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.2)
    assert gaps[1] / gaps[2] == pytest.approx(10, rel=0.2)
    down = 0.5 * ((y - (z3.detach() - 0.1 * delta).sigmoid()) ** 2).sum().item()
    assert down < C.item()  # dz = -eta delta lowers the cost


def test_n12_softmax_and_cross_entropy_give_y_minus_t():
    bl.manual_seed(1)
    z, target = bl.randn(5, 4, dtype=bl.float64).requires_grad_(), bl.tensor([0, 3, 1, 1, 2])
    F.cross_entropy(z, target, reduction="sum").backward()
    expected = z.detach().softmax(1) - F.one_hot(target, 4)
    np.testing.assert_allclose(z.grad.numpy(), expected.numpy(), atol=1e-15)
    assert bl.check.gradcheck(lambda t: F.cross_entropy(t, target), z)


def test_n12_the_penalty_adds_twice_its_weight():
    bl.manual_seed(1)
    x, target = bl.randn(5, 3, dtype=bl.float64), bl.tensor([0, 3, 1, 1, 2])
    layer, lam = nn.Linear(3, 4).double(), 0.05
    W, z = layer.weight, layer(x)
    loss = F.cross_entropy(z, target) + lam * bl.linalg.norm(W) ** 2  # Frobenius
    loss.backward()
    error = (z.detach().softmax(1) - F.one_hot(target, 4)).numpy() / 5
    expected = error.T @ x.numpy() + 2 * lam * W.detach().numpy()
    np.testing.assert_allclose(W.grad.numpy(), expected, atol=1e-15)
    np.testing.assert_allclose(layer.bias.grad.numpy(), error.sum(0), atol=1e-15)


def test_n13_one_layer_with_weight_decay():
    bl.manual_seed(2)
    x, target = bl.randn(7, 3, dtype=bl.float64), bl.randn(7, 2, dtype=bl.float64)
    layer = nn.Linear(3, 2).double()
    W, b = layer.weight.detach().numpy().copy(), layer.bias.detach().numpy().copy()
    lam, rate = 0.05, 0.1
    loss = F.mse_loss(layer(x), target) + lam * (layer.weight**2).sum()
    loss.backward()
    optim.SGD(layer.parameters(), lr=rate).step()
    error = 2 * (x.numpy() @ W.T + b - target.numpy()) / 14
    np.testing.assert_allclose(
        layer.weight.detach().numpy(), W - rate * (error.T @ x.numpy() + 2 * lam * W), atol=1e-14
    )
    np.testing.assert_allclose(layer.bias.detach().numpy(), b - rate * error.sum(0), atol=1e-14)


# What the corrected program reaches: loss, accuracies on 80 training and 20 test samples.
N14 = {
    0: (0.139, 0.9625, 0.90), 1: (0.059, 1.0, 0.95), 2: (0.111, 0.9875, 0.85),
    3: (0.172, 0.975, 0.80), 4: (0.105, 0.975, 0.85),
}  # fmt: skip


def n14_network(draw):
    """Model(20, 20, 2): uniform weights within 1/sqrt(n), biases of zero."""
    net = bl.models.MLP([20, 20, 2], nn.Sigmoid).double()
    with bl.no_grad():
        for layer, outside in ((net[0], 20), (net[2], 2)):
            weight = draw.uniform(-(20**-0.5), 20**-0.5, (20, outside))
            layer.weight.copy_(bl.from_numpy(weight.T))
            nn.init.zeros_(layer.bias)
    return net


def n14_train(net, x, y):
    """10 000 steps of gradient descent; the penalty is on weights, not on biases."""
    weights, biases = ([getattr(net[i], kind) for i in (0, 2)] for kind in ("weight", "bias"))
    groups = [{"params": weights, "weight_decay": 0.01}, {"params": biases}]
    optimizer = optim.SGD(groups, lr=0.1)

    @bl.compile
    def step():
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()

    for _ in range(10_000):
        step()


@pytest.mark.parametrize("seed", N14)
def test_n14_the_corrected_numpy_program(seed):
    """Sigmoid, softmax, L2 0.01, rate 0.1: rows are samples, 80/20 split, all is learned."""
    make_classification = pytest.importorskip("sklearn.datasets").make_classification
    data, labels = make_classification(100, 20, n_classes=2, random_state=seed)
    x, y = bl.from_numpy(data), bl.from_numpy(labels)
    net = n14_network(np.random.default_rng(seed))
    n14_train(net, x[:80], y[:80])
    right = (net(x).argmax(1) == y).double()
    loss, train, test = N14[seed]
    assert F.cross_entropy(net(x[:80]), y[:80]).item() == pytest.approx(loss, abs=5e-4)
    assert (right[:80].mean().item(), right[80:].mean().item()) == pytest.approx((train, test))


def test_n14_the_program_as_printed_does_not_run():
    with pytest.raises(ValueError, match=r"shapes \(20,20\) and \(3,20\) not aligned"):
        np.dot(np.zeros((20, 20)), np.zeros((3, 20)))
    with pytest.raises(RuntimeError, match=r"\(20, 20\).*\(3, 20\)"):
        bl.zeros(20, 20) @ bl.zeros(3, 20)


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_n15_binary_cross_entropy_on_softmax(classes):
    bl.manual_seed(3)
    z = bl.randn(6, classes, dtype=bl.float64).requires_grad_()
    target = F.one_hot(bl.randint(0, classes, (6,)), classes).double()
    p = z.softmax(1)
    loss = -(target * p.log() + (1 - target) * (1 - p).log()).sum()
    (g,) = bl.autograd.grad(loss, z)
    ratio = g.numpy() / (p - target).detach().numpy()
    if classes == 2:
        np.testing.assert_allclose(ratio, 2.0, rtol=1e-10)
    else:
        assert ratio.std() > 0.05


def test_n16_least_squares_by_gradient_and_closed_form():
    bl.manual_seed(5)
    A, b = bl.randn(30, 4, dtype=bl.float64), bl.randn(30, dtype=bl.float64)
    w = bl.zeros(4, dtype=bl.float64).requires_grad_()
    optimizer = optim.SGD([w], lr=0.2)
    for _ in range(2000):
        optimizer.zero_grad()
        ((A @ w - b) ** 2).mean().backward()
        optimizer.step()
    closed = np.linalg.lstsq(A.numpy(), b.numpy(), rcond=None)[0]
    np.testing.assert_allclose(w.detach().numpy(), closed, atol=1e-12)


# ----- activations, saturation, depth -----


def test_n19_values_derivatives_and_ranges():
    x = bl.linspace(-6, 6, 25, dtype=bl.float64).requires_grad_()
    z = x.detach().numpy()
    s = 1 / (1 + np.exp(-z))
    table = {
        bl.sigmoid: (s, s * (1 - s), (0, 1)),
        bl.tanh: (np.tanh(z), 1 - np.tanh(z) ** 2, (-1, 1)),
        bl.relu: (np.maximum(z, 0), (z > 0).astype(float), (0, np.inf)),
    }
    for f, (value, derivative, (low, high)) in table.items():
        y = f(x)
        (g,) = bl.autograd.grad(y.sum(), x)
        np.testing.assert_allclose(y.detach().numpy(), value, atol=1e-15)
        np.testing.assert_allclose(g.numpy(), derivative, atol=1e-15)
        assert y.min().item() >= low and y.max().item() <= high


def test_n19_softmax():
    z = t64([[2.0, -1.0, 0.5], [1e3, 0.0, -1e3]], True)
    y = bl.softmax(z, 1)
    p = np.exp(z.detach().numpy() - z.detach().numpy().max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    np.testing.assert_allclose(y.detach().numpy(), p, atol=1e-15)
    for row in range(2):
        slopes = bl.func.jacrev(lambda v: bl.softmax(v, 0))(z[row].detach()).numpy()
        np.testing.assert_allclose(slopes, np.diag(p[row]) - np.outer(p[row], p[row]), atol=1e-15)
    assert (y >= 0).all() and (y <= 1).all() and bl.allclose(y.sum(1), t64([1.0, 1.0]))


def test_n20_saturation():
    z = t64([0.0, 2.0, 5.0, 10.0, 20.0], True)
    z.sigmoid().sum().backward()
    at = z.detach().numpy()
    exact = np.exp(-at) / (1 + np.exp(-at)) ** 2
    np.testing.assert_allclose(z.grad.numpy(), exact, atol=2e-16)  # y (1 - y) rounds where y is 1
    printed = [f"{slope:.4g}" for slope in exact]
    assert printed == ["0.25", "0.105", "0.006648", "4.54e-05", "2.061e-09"]
    # To five digits the derivative at 10 is not sigma(-10), with which it is easily confused.
    assert f"{z.grad[3].item():.5g}" == "4.5396e-05"
    assert f"{bl.sigmoid(t64(-10.0)).item():.5g}" == "4.5398e-05"


@pytest.mark.parametrize(("layers", "bound"), [(10, 9.54e-7), (20, 9.09e-13)])
def test_n21_depth_shrinks_gradients(layers, bound):
    x = t64(0.0, True)
    y = x
    for _ in range(layers):
        y = (y - y.detach()).sigmoid()  # every layer at its steepest place
    y.backward()
    assert x.grad.item() == pytest.approx(0.25**layers, rel=1e-12)
    assert x.grad.item() == pytest.approx(bound, rel=1e-3)


def test_n22_skips_keep_the_first_gradient_alive():
    def first_gradient(skip):
        bl.manual_seed(7)
        weights = [(bl.randn(8, 8, dtype=bl.float64) * 0.2).requires_grad_() for _ in range(20)]
        h = bl.randn(4, 8, dtype=bl.float64)
        for W in weights:
            f = (h @ W).tanh()
            h = h + f if skip else f
        h.sum().backward()
        return weights[0].grad.norm().item()

    assert first_gradient(True) > 1e4 * first_gradient(False)
    F1 = lambda x: (x * x).tanh()
    x = t64([0.3, -0.5])
    whole = bl.func.jacrev(lambda v: v + F1(v))(x)
    np.testing.assert_allclose(whole.numpy(), np.eye(2) + bl.func.jacrev(F1)(x).numpy(), atol=1e-15)


@pytest.mark.parametrize("rho", [0.5, 1.0, 1.5])
def test_n23_a_linear_recurrence_scales_its_gradient_by_rho_each_step(rho):
    bl.manual_seed(8)
    q = bl.linalg.qr(bl.randn(6, 6, dtype=bl.float64))[0]
    W = rho * q
    h0 = bl.randn(6, dtype=bl.float64).requires_grad_()
    h, norms = h0, []
    v = bl.randn(6, dtype=bl.float64)
    for _ in range(12):
        h = W @ h
        (g,) = bl.autograd.grad(h @ v, h0, retain_graph=True)
        norms.append(g.norm().item())
    for t, n in enumerate(norms, 1):
        assert n == pytest.approx(rho**t * v.norm().item(), rel=1e-12)


# ----- stability (P12) -----


@pytest.mark.parametrize("dtype", [bl.float32, bl.float64])
def test_p12_extreme_inputs_stay_in_range(dtype):
    x = bl.tensor([-1e4, -100.0, 0.0, 100.0, 1e4], dtype=dtype, requires_grad=True)
    ranges = {
        bl.sigmoid: (0, 1), bl.tanh: (-1, 1), bl.relu: (0, 1e4), F.softplus: (0, 1e4),
        F.logsigmoid: (-1e4, 0), F.silu: (-1, 1e4), F.gelu: (-1, 1e4), F.elu: (-1, 1e4),
        F.mish: (-1, 1e4), F.hardtanh: (-1, 1), F.hardsigmoid: (0, 1), F.relu6: (0, 6),
        lambda t: F.softmax(t, 0): (0, 1), lambda t: F.log_softmax(t, 0): (-2e4, 0),
        lambda t: t.logsumexp(0): (1e4, 1e4), F.selu: (-2, 1.1e4), F.softsign: (-1, 1),
    }  # fmt: skip
    for f, (low, high) in ranges.items():
        y = f(x)
        (g,) = bl.autograd.grad(y.sum(), x)
        assert bool(y.isfinite().all()) and bool(g.isfinite().all())
        assert y.min().item() >= low and y.max().item() <= high
    for target in (0.0, 1.0):
        loss = F.binary_cross_entropy_with_logits(x, bl.full_like(x.detach(), target))
        (g,) = bl.autograd.grad(loss, x)
        assert bool(loss.isfinite()) and bool(g.isfinite().all())
    loss = F.cross_entropy(x[None], bl.tensor([0]))
    assert loss.item() == pytest.approx(2e4)
