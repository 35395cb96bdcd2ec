"""What rows of activations can't say: in place, far inputs without warnings, random slopes."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
import backlit.nn.functional as F
from backlit.errors import GradError
from backlit.ops.activation import Sigmoid
from backlit.ops.formula import NUMPY

IN_PLACE = [
    ("relu", ()), ("relu6", ()), ("leaky_relu", (0.1,)), ("elu", (2.0,)), ("celu", (2.0,)),
    ("selu", ()), ("silu", ()), ("mish", ()), ("hardtanh", (-0.5, 0.5)), ("hardsigmoid", ()),
    ("hardswish", ()), ("threshold", (0.1, 2.0)), ("rrelu", ()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args"), IN_PLACE)
def test_in_place_is_the_same_and_keeps_the_graph(name: str, args: tuple) -> None:
    function = getattr(F, name)
    w = bl.tensor([-1.5, -0.3, 0.2, 2.0], requires_grad=True)
    (expected,) = bl.autograd.grad(function(w * 1, *args).sum(), w)
    x = w * 1
    before = x.detach().clone()
    found = function(x, *args, inplace=True)
    assert found is x
    assert x.tolist() == function(before, *args).tolist()
    (grad,) = bl.autograd.grad(x.sum(), w)
    assert grad.tolist() == expected.tolist()


def test_in_place_on_a_leaf_is_refused() -> None:
    w = bl.ones(2, requires_grad=True)
    with pytest.raises(GradError, match="leaf"):
        F.relu(w, inplace=True)
    assert w.tolist() == [1.0, 1.0]


FAR = [-1e4, -800.0, -90.0, 0.0, 90.0, 800.0, 1e4]
SMOOTH = ["sigmoid", "logsigmoid", "softplus", "silu", "mish", "gelu", "tanh", "elu", "selu",
          "tanhshrink", "softsign"]  # fmt: skip


@pytest.mark.parametrize("dtype", [bl.float32, bl.float64])
@pytest.mark.parametrize("name", SMOOTH)
def test_far_inputs_stay_finite_to_the_second_order(name: str, dtype: bl.dtype) -> None:
    x = bl.tensor(FAR, dtype=dtype, requires_grad=True)
    y = getattr(F, name)(x)
    (first,) = bl.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = bl.autograd.grad(first.sum(), x)
    for value in (y, first, second):
        assert bl.isfinite(value).all(), (name, value)


def test_plain_formula_of_the_sigmoid_is_accurate() -> None:
    x = np.array([-700.0, -40.0, -1e-9, 0.0, 1e-9, 40.0, 700.0])
    exact = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    np.testing.assert_allclose(Sigmoid.formula(NUMPY, x), exact, rtol=4e-16)


def test_random_slopes_lie_between_the_bounds_and_average_in_evaluation() -> None:
    x = -bl.ones(1000)
    slopes = -F.rrelu(x, 0.1, 0.3, training=True)
    assert slopes.min().item() >= 0.1 and slopes.max().item() <= 0.3
    assert slopes.std().item() > 0.03
    assert F.rrelu(x, 0.1, 0.3)[0].item() == pytest.approx(-0.2)


def test_hard_gumbel_samples_follow_the_logits() -> None:
    bl.manual_seed(0)
    logits = bl.tensor([0.7, 0.2, 0.1]).log().expand(4000, 3)
    share = F.gumbel_softmax(logits, hard=True).mean(0)
    np.testing.assert_allclose(share.numpy(), [0.7, 0.2, 0.1], atol=0.03)
