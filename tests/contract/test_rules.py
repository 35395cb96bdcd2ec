"""Contract section 2: vector, matrix and operator rules."""

import numpy as np
import pytest

import backlit as bl
from backlit.check import compare, gradcheck


def draw(*shape, grad=True):
    return bl.randn(*shape, dtype=bl.float64).requires_grad_(grad)


def test_v1_jacobian_vjp_and_jvp_agree():
    bl.manual_seed(1)
    W = draw(3, 4, grad=False)
    f = lambda x: (W @ x).tanh()
    x, v, t = draw(4, grad=False), draw(3, grad=False), draw(4, grad=False)
    J = bl.func.jacrev(f)(x)
    assert J.shape == (3, 4)  # D_z x D_x
    np.testing.assert_allclose(bl.func.jacfwd(f)(x).numpy(), J.numpy(), atol=1e-14)
    np.testing.assert_allclose(bl.func.vjp(f, x)[1](v)[0].numpy(), (v @ J).numpy(), atol=1e-14)
    np.testing.assert_allclose(bl.func.jvp(f, (x,), (t,))[1].numpy(), (J @ t).numpy(), atol=1e-14)
    expected = np.diag(1 - np.tanh(W.numpy() @ x.numpy()) ** 2) @ W.numpy()
    np.testing.assert_allclose(J.numpy(), expected, atol=1e-14)


def test_v2_gradient_of_a_product_by_indices():
    bl.manual_seed(2)
    X, W, dY = draw(4, 3), draw(3, 5), draw(4, 5, grad=False)
    (X @ W).backward(dY)
    x, w, g = X.detach().numpy(), W.detach().numpy(), dY.numpy()
    np.testing.assert_allclose(X.grad.numpy(), np.einsum("nm,dm->nd", g, w), atol=1e-14)
    np.testing.assert_allclose(W.grad.numpy(), np.einsum("nd,nm->dm", x, g), atol=1e-14)
    assert gradcheck(lambda a, b: a @ b, (X, W), atol=1e-9, rtol=1e-9)


def test_v3_shapes_of_the_notes():
    bl.manual_seed(3)
    W, X = draw(5, 10), draw(10, 3)
    D = W @ X
    dD = draw(5, 3, grad=False)
    D.backward(dD)
    np.testing.assert_allclose(W.grad.numpy(), dD.numpy() @ X.detach().numpy().T, atol=1e-14)
    np.testing.assert_allclose(X.grad.numpy(), W.detach().numpy().T @ dD.numpy(), atol=1e-14)
    assert W.grad.shape == (5, 10) and X.grad.shape == (10, 3)


def test_v4_the_chain_rule_sums_over_consumers():
    x = bl.tensor(2.0, dtype=bl.float64, requires_grad=True)
    g = x * x
    (g.exp() + g.sin() + 3 * g).backward()
    expected = (np.exp(4.0) + np.cos(4.0) + 3) * 2 * 2.0
    assert x.grad.item() == pytest.approx(expected, rel=1e-15)


class Multiply(bl.autograd.Function):
    @staticmethod
    def forward(ctx, a, b):
        ctx.save_for_backward(a, b)
        return a * b

    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        return grad * b, grad * a


class WrongMultiply(Multiply):
    @staticmethod
    def backward(ctx, grad):
        a, b = ctx.saved_tensors
        return grad * a, grad * b


def test_v5_the_multiply_operator_of_the_lecture():
    bl.manual_seed(4)
    assert gradcheck(Multiply.apply, (draw(3), draw(3)), atol=1e-9, rtol=1e-9)
    assert bl.check.gradgradcheck(Multiply.apply, (draw(3), draw(3)))
    report = compare(WrongMultiply.apply, (draw(3), draw(3)))
    assert not report.ok and report.operators[0].startswith("WrongMultiply at ")


def test_v6_hadamard():
    assert (bl.tensor([1, 2]) * bl.tensor([3, 4])).tolist() == [3, 8]


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (2, 1, 4), (0, 3)])
def test_v7_a_gradient_has_the_shape_of_its_variable(shape):
    x = bl.randn(*shape, requires_grad=True)
    (x * bl.randn(5, *shape)).sum().backward()
    assert x.grad.shape == x.shape


def test_v8_linearity():
    bl.manual_seed(5)
    x = draw(6)
    f, h = (lambda t: (t**3).sum()), (lambda t: t.sin().sum())
    a, b = 2.5, -1.25
    (both,) = bl.autograd.grad(a * f(x) + b * h(x), x)
    (gf,), (gh,) = bl.autograd.grad(f(x), x), bl.autograd.grad(h(x), x)
    np.testing.assert_allclose(both.numpy(), (a * gf + b * gh).numpy(), rtol=1e-13)
