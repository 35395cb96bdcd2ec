"""Explicit Jacobians of recorded graphs, and the ways to them that must agree: V1, N22."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import BacklitError
from backlit.nn import functional as F


def draw(*shape, grad=True):
    return bl.randn(*shape, dtype=bl.float64).requires_grad_(grad)


def test_v1_rows_columns_and_products_agree():
    bl.manual_seed(1)
    weight, x = draw(3, 4, grad=False), draw(4)
    z = (weight @ x).tanh()
    found = bl.see.jacobian(z.sum(), z, x)
    assert found.matrix.shape == (3, 4) and "3 x 4 (D_z x D_x)" in str(found)
    expected = np.diag(1 - z.detach().numpy() ** 2) @ weight.numpy()
    np.testing.assert_allclose(found.matrix, expected, atol=1e-14)
    exact = [d for name, d in found.differences.items() if name != "central differences"]
    assert len(exact) == 3 and max(exact) < 1e-14
    assert found.differences["central differences"] < 1e-8
    assert found.ok


def test_v1_the_gradient_is_the_loss_row_times_the_jacobian():
    bl.manual_seed(2)
    weight, x = draw(3, 4, grad=False), draw(4)
    h = weight @ x
    recorded = bl.see.record((h.sigmoid() ** 2).sum())
    wire = recorded.graph.wire
    found = bl.see.jacobian(recorded, "h", "x")
    np.testing.assert_allclose(wire("x").grad, wire("h").grad @ found.matrix, atol=1e-15)


def test_the_tensor_form_is_jacrevs():
    bl.manual_seed(3)
    x = draw(2, 3)
    z = x.softmax(1)
    found = bl.see.jacobian(z.sum(), z, x)
    expected = bl.func.jacrev(lambda t: t.softmax(1))(x.detach()).numpy()
    np.testing.assert_allclose(found.tensor, expected, atol=1e-15)


def test_n22_a_skip_adds_the_identity():
    bl.manual_seed(4)
    branch = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)).double()
    x = draw(4)
    inner = branch(x)
    y = x + inner
    loss = y.sum()
    whole, part = bl.see.jacobian(loss, y, x), bl.see.jacobian(loss, inner, x)
    np.testing.assert_allclose(whole.matrix, np.eye(4) + part.matrix, atol=1e-15)


def test_a_constant_input_a_random_mask_and_statistics_of_a_batch():
    bl.manual_seed(5)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1), nn.Dropout(0.5), nn.BatchNorm2d(2), nn.ReLU(),
        nn.Flatten(), nn.Linear(32, 3),
    )  # fmt: skip
    images = bl.randn(2, 1, 4, 4)
    recorded = bl.see.record(F.cross_entropy(model(images), bl.tensor([1, 0])))
    scores = next(g for g in recorded.graph.gates if g.op.name == "linear").output
    found = bl.see.jacobian(recorded, scores, images)
    assert found.matrix.shape == (6, 32) and found.ok
    assert found.matrix.dtype == np.float32


def test_gradients_may_be_off_where_one_looks():
    x = draw(3)
    z = x.exp()
    loss = z.sum()
    with bl.no_grad():
        found = bl.see.jacobian(loss, z, x)
    np.testing.assert_allclose(found.matrix, np.diag(z.detach().numpy()), rtol=1e-14)


def test_a_detached_path_carries_nothing():
    x = draw(2)
    y = x * x.detach()
    found = bl.see.jacobian(y.sum(), y, x)
    np.testing.assert_array_equal(found.matrix, np.diag(x.detach().numpy()))
    assert not found.ok  # the value does change by that path


class Wrong(bl.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, g):
        return g * 3


def test_a_wrong_backward_disagrees_with_differences():
    x = draw(2)
    y = Wrong.apply(x)
    found = bl.see.jacobian(y.sum(), y, x)
    assert found.differences["central differences"] > 0.1
    assert found.differences["J by columns, forward mode"] == 0  # it knows the same wrong rule
    assert not found.ok


def test_faces(tmp_path):
    x = draw(3)
    z = x.exp()
    found = bl.see.jacobian(z.sum(), z, x)
    assert "<svg" in found._repr_html_() and found._repr_png_().startswith(b"\x89PNG")
    found.png(tmp_path / "j.png")
    assert (tmp_path / "j.png").stat().st_size > 1000
    assert np.array2string(found.matrix, precision=6) in str(found)


def test_what_is_no_jacobian_is_refused():
    x, w = draw(300), draw(300, 300)
    h = w @ x
    loss = h.sum()
    with pytest.raises(BacklitError, match="a matrix of 90,000; the most is 65,536"):
        bl.see.jacobian(loss, h, x)
    with pytest.raises(BacklitError, match="x does not depend on h"):
        bl.see.jacobian(loss, x, h)
    other = bl.see.record(loss).graph.wire(h)
    with pytest.raises(BacklitError, match="h is a wire of another recording"):
        bl.see.jacobian(loss, other, x)
    with pytest.raises(BacklitError, match="no value 'q'"):
        bl.see.jacobian(loss, "q", x)


@pytest.mark.parametrize("dtype", [bl.float16, bl.bfloat16])
def test_narrow_floats_have_a_jacobian_and_its_picture(dtype):
    x = bl.tensor([0.5, 1.0, 2.0], dtype=dtype, requires_grad=True)
    y = x.tanh()
    found = bl.see.jacobian(y.sum(), y, x)
    assert found.ok and "<svg" in found._repr_html_()


def test_an_infinite_slope_is_shown_without_a_warning():
    x = bl.tensor([0.0, 1.0], requires_grad=True)
    y = 1 / x
    assert not bl.see.jacobian(y.sum(), y, x).ok
