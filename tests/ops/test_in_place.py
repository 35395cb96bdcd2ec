"""In-place forms that are not elementwise: same value and gradient as the plain form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.errors import GradError, NotAvailable, ShapeError

ROWS = bl.tensor([2, 0])
GRID = bl.tensor([[0, 2, 1, 1], [2, 0, 0, 1]])
MASK = bl.tensor(
    [[True, False, True, False], [False, False, True, True], [True, True, False, False]]
)
VALUES = bl.tensor(np.arange(8.0).reshape(2, 4))

FORMS: dict[str, tuple] = {
    "scatter": (0, bl.tensor([[0, 2, 1, 1]]), VALUES),
    "scatter_add": (0, GRID, VALUES),
    "scatter_reduce": (0, GRID, VALUES, "amax"),
    "index_add": (0, ROWS, VALUES),
    "index_copy": (0, ROWS, VALUES),
    "index_fill": (0, ROWS, 5.0),
    "index_put": ((ROWS,), VALUES),
    "index_reduce": (0, ROWS, VALUES, "prod"),
    "put": (bl.tensor([3, 5]), bl.tensor([1.0, 2.0], dtype=bl.float64)),
    "masked_fill": (MASK, 7.0),
    "masked_scatter": (MASK, VALUES),
    "tril": (1,),
    "triu": (1,),
}


def matrix() -> bl.Tensor:
    return bl.tensor(np.linspace(-1, 1, 12).reshape(3, 4), requires_grad=True)


@pytest.mark.parametrize("name", FORMS)
def test_in_place_equals_the_plain_form(name: str) -> None:
    found = []
    for spelled in (name, name + "_"):
        x = matrix()
        y = x * 2
        made = getattr(y, spelled)(*FORMS[name])
        if spelled.endswith("_"):
            assert made is y
        (made * made).sum().backward()
        found.append((made.detach().numpy(), x.grad.numpy()))
    for plain, refilled in zip(*found):
        np.testing.assert_array_equal(plain, refilled)


@pytest.mark.parametrize("name", FORMS)
def test_in_place_leaves_saved_values_alone(name: str) -> None:
    x = matrix()
    y = x * 2
    kept = (y * y).sum()
    getattr(y, name + "_")(*FORMS[name])
    kept.backward()
    np.testing.assert_allclose(x.grad.numpy(), 8 * x.detach().numpy())


@pytest.mark.parametrize("name", FORMS)
def test_a_leaf_that_requires_grad_is_refused(name: str) -> None:
    x = matrix()
    before = x.detach().numpy().copy()
    with pytest.raises(GradError, match="leaf"):
        getattr(x, name + "_")(*FORMS[name])
    np.testing.assert_array_equal(x.detach().numpy(), before)


@pytest.mark.parametrize("name", FORMS)
def test_in_place_on_a_view_writes_to_its_base(name: str) -> None:
    base = bl.zeros(2, 3, 4, dtype=bl.float64)
    view = base[1]
    getattr(view, name + "_")(*FORMS[name])
    plain = getattr(bl.zeros(3, 4, dtype=bl.float64), name)(*FORMS[name])
    np.testing.assert_array_equal(base[1].numpy(), plain.numpy())
    assert not base[0].any()


RESHAPING: dict[str, tuple[Callable[[Any], Any], tuple]] = {
    "unsqueeze_": (lambda x: x.unsqueeze(1), (1,)),
    "squeeze_": (lambda x: x.squeeze(0), (0,)),
    "transpose_": (lambda x: x.transpose(0, 2), (0, 2)),
    "swapdims_": (lambda x: x.transpose(1, 2), (1, 2)),
}


@pytest.mark.parametrize("name", RESHAPING)
def test_methods_that_change_the_shape(name: str) -> None:
    plain, args = RESHAPING[name]
    x = bl.tensor(np.arange(6.0).reshape(1, 2, 3), requires_grad=True)
    y = x * 3
    other = y[0]
    assert getattr(y, name)(*args) is y
    assert y.shape == plain(x).shape
    y.mul_(2)  # still a window into the same values
    np.testing.assert_array_equal(other.detach().numpy(), 6 * x.detach().numpy()[0])
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.full((1, 2, 3), 6.0))


def test_resize_is_refused() -> None:
    with pytest.raises(NotAvailable, match="resize_"):
        bl.zeros(2).resize_(3)


def test_masks_do_not_stretch_a_tensor_in_place() -> None:
    x = bl.zeros(4)
    with pytest.raises(ShapeError):
        x.masked_fill_(bl.ones(3, 4, dtype=bl.bool), 1.0)
    assert x.shape == (4,) and not x.any()


def test_writing_through_pieces() -> None:
    x = bl.zeros(4, 2)
    for i, piece in enumerate(x.chunk(2)):
        piece.fill_(i + 1)
    x.unbind(1)[0].mul_(10)
    x.diagonal().zero_()
    x.narrow(0, 3, 1).add_(1)
    np.testing.assert_array_equal(x.numpy(), [[0, 1], [10, 0], [20, 2], [21, 3]])


def test_filling_a_diagonal() -> None:
    x = bl.zeros(4, 2)
    x.fill_diagonal_(3)
    expected = np.zeros((4, 2))
    np.fill_diagonal(expected, 3)
    np.testing.assert_array_equal(x.numpy(), expected)
    with pytest.raises(ShapeError, match="matrix"):
        bl.zeros(3).fill_diagonal_(1)


def test_pieces_of_a_leaf_write_through_without_grad() -> None:
    weight = bl.ones(4, 2, requires_grad=True)
    pieces = weight.chunk(2)
    with bl.no_grad():
        pieces[0].zero_()
        weight.unbind(1)[1].mul_(3)
    assert weight.tolist() == [[0.0, 0.0], [0.0, 0.0], [1.0, 3.0], [1.0, 3.0]]
    assert pieces[1].tolist() == [[1.0, 3.0], [1.0, 3.0]]
    with pytest.raises(GradError, match="leaf"):
        pieces[0].zero_()


def test_pieces_follow_a_base_that_changes() -> None:
    x = bl.ones(4, requires_grad=True)
    y = x * 2
    first, _ = y.split(2)
    y.mul_(3)
    (first * first).sum().backward()
    assert x.grad.tolist() == [72.0, 72.0, 0.0, 0.0]


def test_writing_into_a_piece_is_seen_by_its_base() -> None:
    x = bl.ones(4, requires_grad=True)
    y = x * 2
    y.chunk(2)[1].mul_(5)
    y.sum().backward()
    assert y.tolist() == [2.0, 2.0, 10.0, 10.0]
    assert x.grad.tolist() == [2.0, 2.0, 10.0, 10.0]


def test_a_mask_reaches_through_pieces() -> None:
    x = bl.tensor([0.0, 1.0, 4.0, 0.0], requires_grad=True)
    for pieces in (x.sqrt().chunk(2), x.sqrt().unbind()):
        total = sum(bl.where(p > 0, p, 0.0).sum() for p in pieces)
        x.grad = None
        total.backward()
        assert x.grad.tolist() == [0.0, 0.5, 0.25, 0.0]
