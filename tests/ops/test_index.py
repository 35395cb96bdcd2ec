"""What an index means, on random indices: NumPy's meaning, but numbers are taken first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.errors import ArgumentTypeError, BacklitError, IndexOutOfRange
from backlit.ops.index import indexed_shape, parse, positions, window_shape


@st.composite
def indexed(draw: Any) -> tuple[tuple[int, ...], tuple]:
    """A shape and an index that fits it."""
    shape = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    common = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    items: list[Any] = []
    first = draw(st.integers(0, len(shape)))  # the axes that `...` covers, if it is there
    last = draw(st.integers(first, len(shape)))
    for axis, n in enumerate(shape):
        if axis == first and last > first:
            items.append(Ellipsis)
        if first <= axis < last:
            continue
        kind = draw(st.sampled_from(["int", "slice", "tensor", "all", "new"]))
        if kind == "new":
            items.append(None)
            kind = "all"
        if kind == "int":
            items.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            bound = st.one_of(st.none(), st.integers(-n - 1, n + 1))
            items.append(slice(draw(bound), draw(bound), draw(st.integers(1, 2))))
        elif kind == "tensor":
            flat = draw(st.lists(st.integers(-n, n - 1), min_size=int(np.prod(common)),
                                 max_size=int(np.prod(common))))  # fmt: skip
            items.append(np.array(flat, np.int64).reshape(common))
        else:
            items.append(slice(None))
    return shape, tuple(items)


def meant(x: np.ndarray, index: tuple) -> Any:
    """In two steps: basic parts, then index arrays (one number each counts as basic)."""
    some = any(isinstance(i, np.ndarray) and i.ndim for i in index)
    index = tuple(int(i) if isinstance(i, np.ndarray) and not i.ndim and some else i for i in index)
    dots = Ellipsis in [i for i in index if not isinstance(i, np.ndarray)]
    if not dots:
        index = (*index, Ellipsis)
    basic = tuple(slice(None) if isinstance(i, np.ndarray) else i for i in index)
    used = sum(i is not None and i is not Ellipsis for i in index)
    second: list[Any] = []
    for i in index:
        if i is Ellipsis:
            second.extend([slice(None)] * (x.ndim - used))
        elif not isinstance(i, int):
            second.append(i if isinstance(i, np.ndarray) else slice(None))
    return x[basic][tuple(second)]


def as_tensors(index: tuple) -> tuple:
    return tuple(bl.tensor(i) if isinstance(i, np.ndarray) else i for i in index)


@settings(deadline=None, max_examples=300)
@given(indexed())
def test_reading_writing_and_adding(case: tuple) -> None:
    shape, index = case
    array = np.arange(np.prod(shape), dtype=np.float64).reshape(shape)
    expected = meant(array, index)
    x = bl.from_numpy(array).requires_grad_()
    found = x[as_tensors(index)]
    np.testing.assert_array_equal(found.detach().numpy(), expected)

    parts, tensors = parse(as_tensors(index), shape)
    arrays = tuple(np.asarray(t.cell.array) for t in tensors)
    assert indexed_shape(shape, parts, arrays) == expected.shape
    assert window_shape(shape, parts) == indexed_shape(shape, parts, ())
    np.testing.assert_array_equal(array.reshape(-1)[positions(shape, parts, arrays)], expected)

    weights = np.arange(1.0, expected.size + 1).reshape(expected.shape)
    (found * bl.from_numpy(weights)).sum().backward()
    gradient = np.zeros(array.size)
    np.add.at(gradient, expected.reshape(-1).astype(int), weights.reshape(-1))
    np.testing.assert_array_equal(x.grad.numpy().reshape(-1), gradient)

    y = bl.from_numpy(array)
    y[as_tensors(index)] = bl.tensor(-weights)
    written = array.copy().reshape(-1)
    written[expected.reshape(-1).astype(int)] = -weights.reshape(-1)
    np.testing.assert_array_equal(y.numpy().reshape(-1), written)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 4), st.integers(1, 4), st.randoms(use_true_random=False))
def test_masks_choose_in_row_major_order(rows: int, columns: int, random: Any) -> None:
    array = np.arange(rows * columns, dtype=np.float64).reshape(rows, columns)
    mask = np.array([random.random() < 0.5 for _ in range(rows * columns)]).reshape(rows, columns)
    x = bl.from_numpy(array)
    np.testing.assert_array_equal(x[bl.tensor(mask)].numpy(), array[mask])
    np.testing.assert_array_equal(x.masked_select(bl.tensor(mask)).numpy(), array[mask])
    np.testing.assert_array_equal(bl.nonzero(bl.tensor(mask)).numpy(), np.argwhere(mask))
    x[bl.tensor(mask)] = -1.0
    np.testing.assert_array_equal(x.numpy(), np.where(mask, -1, array))


@pytest.mark.parametrize(
    "index", [True, bl.tensor(True), 1.5, "a", (0, 0, 0), (..., ...), slice(None, None, -1), 9,
              bl.tensor([9]), bl.tensor([0.5]), [[0, 1], [2]]],
)  # fmt: skip
def test_a_wrong_index_is_refused_and_changes_nothing(index: Any) -> None:
    x = bl.tensor([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(BacklitError):
        x[index]
    with pytest.raises(BacklitError):
        x[index] = 0.0
    assert x.tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_the_last_write_wins_and_repeated_additions_add_up() -> None:
    x = bl.zeros(3)
    x[bl.tensor([1, 1, 2])] = bl.tensor([5.0, 6.0, 7.0])
    assert x.tolist() == [0.0, 6.0, 7.0]
    x.index_put_((bl.tensor([1, 1]),), bl.tensor([1.0, 1.0]), accumulate=True)
    assert x.tolist() == [0.0, 8.0, 7.0]


def test_half_precision_adds_in_single() -> None:
    ones = bl.ones(4096, dtype=bl.float16)
    total = bl.zeros(1, dtype=bl.float16).index_add(0, bl.zeros(4096, dtype=bl.int64), ones)
    assert total.item() == 4096.0  # adding one by one in half precision stops at 2048


def test_errors_name_the_numbers() -> None:
    with pytest.raises(IndexOutOfRange, match="index 5 is out of range for axis 0 of size 2"):
        bl.zeros(2)[5]
    with pytest.raises(IndexOutOfRange, match=r"too many indices \(2\)"):
        bl.zeros(2)[0, 0]
    with pytest.raises(ArgumentTypeError, match="single True or False"):
        bl.zeros(2)[True]


def test_one_value_wherever_a_mask_holds_can_be_captured() -> None:
    from backlit.backends import reference
    from backlit.program import capture

    def step(x: Any, v: Any) -> list:
        y = x * 2
        y[y > 1] = 0.5
        y[x.sum(1) < 0] = v  # a mask of the first axis
        y[y.isnan()] = 0
        (g,) = bl.autograd.grad((y * y).sum(), v)
        return [y, g]

    first, other = (bl.randn(4, 5), bl.randn(4, 5))
    v = bl.tensor(3.0, requires_grad=True)
    captured = capture(step, first, v)
    rest = list(captured.arrays[2:])
    found = reference.run(captured.program, [other.numpy(), v.detach().numpy(), *rest])
    for y, e in zip(found, step(other, v)):
        np.testing.assert_allclose(y, e.detach().numpy(), rtol=1e-6)
