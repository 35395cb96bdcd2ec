"""Values on the way through a formula: Tensors whose axes may carry index letters.

`w_{jk}` has the axes (j, k). Two such values meet by their letters, whatever their order, so that
`\\sum_k w_{jk} a_k` needs no thought about shapes. A value without letters is an array as it is;
a `row` is a vector that was transposed, which decides between inner and outer products.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import backlit as bl
from backlit.errors import ArgumentError
from backlit.tensor import Tensor


@dataclass
class Value:
    """A number, an array, or an array with a letter for each axis."""

    data: Any  # a Tensor, or a float
    axes: tuple[str, ...] = ()
    row: bool = False

    @property
    def is_scalar(self) -> bool:
        return not isinstance(self.data, Tensor) or not self.data.ndim

    @property
    def is_vector(self) -> bool:
        return isinstance(self.data, Tensor) and self.data.ndim == 1 and not self.axes

    def tensor(self) -> Tensor:
        if isinstance(self.data, Tensor):
            return self.data
        return bl.tensor(float(self.data), dtype=bl.float64)

    def ordered(self, axes: tuple[str, ...]) -> Any:
        """The data with one axis for each letter; absent ones have size 1."""
        if not self.axes:
            return self.data
        present = [a for a in axes if a in self.axes]
        order = [self.axes.index(a) for a in present]
        data = self.data if order == sorted(order) else self.data.permute(*order)
        sizes = [data.shape[present.index(a)] if a in present else 1 for a in axes]
        return data if len(present) == len(axes) else data.reshape(sizes)


def meet(function: Callable[..., Any], *values: Value) -> Value:
    """Element by element; values with letters meet by their letters."""
    axes = tuple(dict.fromkeys(a for v in values for a in v.axes))
    if not axes:
        row = any(v.row for v in values) and all(v.row or v.is_scalar for v in values)
        return Value(function(*(v.data for v in values)), row=row)
    for v in values:
        if not v.axes and not v.is_scalar:
            raise ArgumentError(
                f"an array of shape {tuple(v.data.shape)} without indices meets indices"
                f" {', '.join(axes)}",
                hint="write its indices too, as in w_{jk} or w[j, k]",
            )
    _same_sizes(values)
    return Value(function(*(v.ordered(axes) for v in values)), axes)


def _same_sizes(values: tuple[Value, ...]) -> None:
    sizes: dict[str, int] = {}
    for v in values:
        for letter, size in zip(v.axes, v.data.shape if v.axes else ()):
            if sizes.setdefault(letter, size) != size:
                raise ArgumentError(
                    f"index {letter} runs over {sizes[letter]} and over {size} elements"
                )


def add_up(value: Value, letter: str) -> Value:
    """The sum over one index."""
    if letter not in value.axes:
        raise ArgumentError(f"nothing under the sum has the index {letter}")
    place = value.axes.index(letter)
    return Value(value.data.sum(dim=place), value.axes[:place] + value.axes[place + 1 :])


def element(array: Tensor, indices: tuple[str | int, ...], name: str) -> Value:
    """`x[i, 0]`: numbers choose, letters name what is left."""
    if len(indices) != array.ndim:
        raise ArgumentError(
            f"{name} has {array.ndim} axes, got {len(indices)} indices",
            hint=f"its shape is {tuple(array.shape)}",
        )
    letters = tuple(i for i in indices if isinstance(i, str))
    if len(set(letters)) < len(letters):
        raise ArgumentError(f"{name} has an index twice: {', '.join(letters)}")
    chosen = tuple(i if isinstance(i, int) else slice(None) for i in indices)
    return Value(array[chosen] if any(isinstance(i, int) for i in indices) else array, letters)


def transpose(value: Value) -> Value:
    """Columns for rows; a vector is marked as a row."""
    if value.axes:
        raise ArgumentError("a value with indices is transposed by exchanging the letters")
    if value.is_scalar:
        return value
    if value.is_vector:
        return Value(value.data, row=not value.row)
    if value.data.ndim != 2:
        raise ArgumentError(f"a transpose of {value.data.ndim} axes")
    return Value(value.data.permute(1, 0))


def matrix_product(x: Value, y: Value, scales: bool) -> Value:
    """The product of matrix algebra; with `scales` a scalar factor scales."""
    if x.axes or y.axes or (scales and (x.is_scalar or y.is_scalar)):
        return meet(lambda a, b: a * b, x, y)
    left, right = x.tensor(), y.tensor()
    if x.is_vector and y.is_vector:
        if y.row and not x.row:
            return Value(left.reshape(-1, 1) * right.reshape(1, -1))
        return Value(bl.sum(_same_length(left, right)))
    if y.row and right.ndim == 1 and left.ndim == 2 and left.shape[1] == 1:
        return Value(left * right.reshape(1, -1))
    return Value(bl.matmul(left, right), row=x.row)


def _same_length(x: Tensor, y: Tensor) -> Tensor:
    if x.shape != y.shape:
        raise ArgumentError(f"vectors of {x.shape[0]} and {y.shape[0]} elements")
    return x * y
