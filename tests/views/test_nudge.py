"""Delta predicts what a small move does to the loss: N11, and where the prediction fails."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import backlit as bl
from backlit import nn
from backlit.errors import BacklitError, IndexOutOfRange, ShapeError
from backlit.nn import functional as F


def t64(value, grad=True):
    return bl.tensor(value, dtype=bl.float64, requires_grad=grad)


def sigmoid_network():
    """F1 of the contract: 2-3-2 with sigmoids and half the squared error."""
    w2, b2 = t64([[0.1, 0.2], [0.3, 0.4], [-0.5, 0.6]]), t64([0.1, -0.1, 0.0])
    w3, b3 = t64([[0.2, -0.3, 0.5], [-0.4, 0.1, 0.7]]), t64([0.05, -0.05])
    z2 = w2 @ t64([1.0, -2.0], False) + b2
    z3 = w3 @ z2.sigmoid() + b3
    return z2, z3, 0.5 * ((t64([1.0, 0.0], False) - z3.sigmoid()) ** 2).sum()


def test_n11_the_relative_error_is_proportional_to_the_move():
    z2, z3, loss = sigmoid_network()
    for z in (z2, z3):
        for i in range(len(z)):
            moved = bl.see.nudge(z, i, 1e-3, of=loss)
            errors = [m.relative_error for m in moved.moves]
            assert 0 < errors[0] < 1e-2
            for a, b in pairwise(errors):
                assert a / b == pytest.approx(10, rel=0.02)
            assert "delta is the slope" in moved.verdict


def test_n11_minus_eta_delta_lowers_the_cost():
    for node in ("z2", "z3"):
        moved = bl.see.nudge(node, of=sigmoid_network()[2])
        delta = np.asarray(bl.see.record(sigmoid_network()[2]).graph.wire(node).grad)
        assert moved.chosen.predicted == pytest.approx(-moved.eta * (delta**2).sum(), rel=1e-12)
        assert moved.chosen.actual < 0


def test_the_truth_is_the_loss_of_the_moved_value():
    z = t64([0.3, -1.2, 2.0])
    moved = bl.see.nudge(z, 2, 0.25, of=(z**3).sum())
    assert moved.delta == 12.0 and moved.value == 2.0
    assert moved.actual == pytest.approx(2.25**3 - 8, rel=1e-14)
    assert moved.predicted == 3.0 and moved.gap == pytest.approx(2.25**3 - 11, rel=1e-13)


def test_the_largest_delta_moves_by_default():
    z = t64([[1.0, -5.0], [2.0, 3.0]])
    moved = bl.see.nudge(z, of=(z * z).sum())
    assert moved.name == "z[0, 1]" and moved.delta == -10.0


def test_a_slice_or_a_whole_array_moves():
    z = t64([[1.0, -5.0], [2.0, 3.0]])
    loss = (z * z).sum()
    row = bl.see.nudge(z, 1, 0.1, of=loss)
    assert row.delta == 10.0 and row.actual == pytest.approx(1.0 + 0.02)
    direction = np.array([[1.0, 0.0], [0.0, -1.0]])
    both = bl.see.nudge(z, None, direction, of=loss)
    assert both.predicted == 2.0 - 6.0 and both.actual == pytest.approx(-4.0 + 2.0)


def test_a_straight_line_is_told():
    x = t64(2.0)
    assert "straight line" in bl.see.nudge(x, of=3 * x).verdict


@pytest.mark.parametrize("dz", [0.5, -0.5])
def test_a_kink_is_told(dz):
    x = t64([0.0, 1.0])
    moved = bl.see.nudge(x, 0, dz, of=x.relu().sum())
    assert ("kink" in moved.verdict) == (dz > 0)


def test_a_detached_path_is_told():
    x = t64(2.0)
    moved = bl.see.nudge(x, of=x * x.detach())
    assert moved.delta == 2.0 and "detached" in moved.verdict


def test_a_float32_network_with_dropout_is_run_again_with_its_mask():
    bl.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(0.5), nn.BatchNorm1d(8), nn.Linear(8, 2))
    loss = F.cross_entropy(model(bl.randn(6, 3)), bl.tensor([0, 1, 0, 1, 0, 1]))
    moved = bl.see.nudge("0.weight", of=loss)
    assert moved.loss == pytest.approx(loss.item(), rel=1e-6)
    assert moved.relative_error < 0.05 and "delta is the slope" in moved.verdict


def test_a_loop_is_run_again_in_double():
    bl.manual_seed(0)
    weight = (bl.randn(4, 4) / 2).requires_grad_()

    def body(h, x):
        h = (weight @ h + x).tanh()
        return h, h

    states = bl.scan(body, bl.zeros(4), bl.randn(6, 4))[1]
    moved = bl.see.nudge(weight, (0, 1), 0.01, of=(states**2).sum())
    assert moved.relative_error < 0.1 and "delta is the slope" in moved.verdict
    assert moved.moves[2].relative_error < 2e-3


def test_a_wire_of_a_recorded_function_says_its_loss_itself():
    recorded = bl.see.record(lambda x: (x.exp() * 2).sum(), t64([0.0, 1.0]))
    moved = bl.see.nudge(recorded.graph.wire("exp"), 0)
    assert moved.delta == 2.0
    assert bl.see.nudge("exp", 0, of=recorded) == moved


def test_all_faces_of_a_nudge_have_the_numbers():
    x, y, z = t64(-2.0), t64(5.0), t64(-4.0)
    q = x + y
    moved = bl.see.nudge(q, of=q * z)
    assert moved.delta == -4.0 and moved.loss == -12.0
    for shown in (str(moved), moved._repr_html_()):
        assert "-4.00000000e-03" in shown and "delta -4" in shown
    assert moved.svg().startswith("<svg")


def test_bad_questions_are_refused():
    z2, _, loss = sigmoid_network()
    with pytest.raises(BacklitError, match="which loss"):
        bl.see.nudge(z2)
    with pytest.raises(IndexOutOfRange, match=r"z2 has shape \(3,\)"):
        bl.see.nudge(z2, 3, of=loss)
    with pytest.raises(ShapeError, match=r"dz of shape \(2,\)"):
        bl.see.nudge(z2, None, [1.0, 2.0], of=loss)
    with pytest.raises(BacklitError, match="not zero"):
        bl.see.nudge(z2, 0, 0.0, of=loss)
    x = t64([1.0], False)
    with pytest.raises(BacklitError, match="no gradient reaches"):
        bl.see.nudge(x, of=(x * t64([2.0])).sum())


def test_an_infinite_loss_predicts_nothing():
    x = bl.tensor([0.0, 1.0], requires_grad=True)
    moved = bl.see.nudge(x, 0, of=(1 / x).sum())
    assert "not finite" in moved.verdict
    assert "not finite" in str(moved) and "<svg" in moved._repr_html_()


def test_a_move_that_is_no_number_is_refused():
    x = bl.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(BacklitError, match="dz must be a number"):
        bl.see.nudge(x, 0, "a", of=(x * x).sum())
