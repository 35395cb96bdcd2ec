"""What rows of reductions can't say: warnings, memory, sums in half precision, names of results."""

from __future__ import annotations

import pytest

import backlit as bl


def test_variance_of_one_element_warns_and_is_nan() -> None:
    with pytest.warns(UserWarning, match="no degree of freedom"):
        assert bl.isnan(bl.tensor([3.0]).var()).item()
    assert bl.tensor([3.0]).var(correction=0).item() == 0.0


@pytest.mark.parametrize("dtype", [bl.float16, bl.bfloat16])
def test_half_precision_sums_in_single(dtype: bl.dtype) -> None:
    ones = bl.ones(10_000, dtype=dtype)
    assert ones.mean().item() == 1.0
    assert ones.sum().item() == pytest.approx(10_000, rel=4e-3)
    assert (ones * 0.01).cumsum(0)[-1].item() == pytest.approx(100, rel=1e-2)


def test_results_have_names() -> None:
    found = bl.tensor([[1.0, 5.0], [7.0, 2.0]]).max(dim=1)
    assert found.values.tolist() == [5.0, 7.0]
    assert found.indices.tolist() == [1, 0]
    low, high = bl.tensor([3.0, 1.0]).aminmax()
    assert (low.item(), high.item()) == (1.0, 3.0)


def test_gradient_of_a_norm_at_zero_is_zero_to_the_second_order() -> None:
    x = bl.zeros(3, requires_grad=True)
    (first,) = bl.autograd.grad(x.norm(), x, create_graph=True)
    assert first.tolist() == [0.0, 0.0, 0.0]
    assert bl.isfinite(bl.autograd.grad(first.sum(), x)[0]).all()


def test_product_of_zeros_has_the_right_gradient() -> None:
    x = bl.tensor([0.0, 2.0, 3.0], requires_grad=True)
    x.prod().backward()
    assert x.grad is not None and x.grad.tolist() == [6.0, 0.0, 0.0]


def test_running_sums_in_place() -> None:
    x = bl.tensor([1.0, 2.0, 3.0])
    assert x.cumsum_(0) is x and x.tolist() == [1.0, 3.0, 6.0]
