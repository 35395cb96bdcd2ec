"""A masked branch never poisons; a gradient that merely happens to be zero has no such power."""

import math

import pytest

import backlit as bl


def leaf(value):
    return bl.tensor(value, dtype=bl.float64, requires_grad=True)


def test_infinite_local_derivative_behind_a_mask():
    x = leaf([0.0, 4.0])
    bl.where(x > 0, x.sqrt(), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]


def test_the_mask_travels_through_moves_and_more_formulas():
    x = leaf([0.0, 4.0])
    inner = (x * 2).reshape(2, 1).expand(2, 3).log().sum(1)
    bl.where(x > 0, inner, 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.75]


def test_a_nan_that_is_not_masked_stays():
    x = leaf([-1.0, 4.0])
    x.sqrt().sum().backward()
    assert math.isnan(x.grad[0].item())


def test_masks_in_second_derivatives():
    x = leaf([0.0, 4.0])
    (g,) = bl.autograd.grad(bl.where(x > 0, x.sqrt(), 0.0).sum(), x, create_graph=True)
    (h,) = bl.autograd.grad(g.sum(), x)
    assert h.tolist() == [0.0, pytest.approx(-0.25 * 4.0**-1.5)]


def test_second_derivative_at_an_optimum_is_not_zeroed():
    x = leaf(0.0)
    hessian = bl.func.hessian(lambda x: 0.5 * (x.exp() - 1) ** 2)(x.detach())
    assert hessian.item() == 1.0


def test_where_a_value_is_used_masked_and_unmasked_both_count():
    x = leaf([0.0, 4.0])
    (bl.where(x > 0, x.sqrt(), 0.0) + x).sum().backward()
    assert x.grad.tolist() == [1.0, 1.25]


def test_masked_fill_masks_too():
    x = leaf([0.0, 4.0])
    x.sqrt().masked_fill(x == 0, 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.25]
