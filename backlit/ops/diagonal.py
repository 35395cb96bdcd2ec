"""Triangles and diagonals of matrices; leading axes are batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ShapeError
from backlit.ops.op import Composite, Operator, Spec, apply, export, normalize_axis, slot


class Triangle(Operator, abstract=True):
    """Keeps one side of a diagonal and puts 0 on the other."""

    moves = True

    def infer(x, *, diagonal):
        if x.ndim < 2:
            raise ShapeError(f"expected at least 2 axes, got a tensor of {x.ndim}")
        return x


class Tril(Triangle):
    """The elements on and below a diagonal, zeros above.

    >>> bl.tril(bl.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """

    def call(input, diagonal=0):
        return apply(Tril, input, diagonal=int(diagonal))

    def forward(x, *, diagonal):
        return np.tril(x, diagonal)

    def grad_x(g, diagonal):
        return apply(Tril, g, diagonal=diagonal)

    def latex(x, *, diagonal):
        return rf"\operatorname{{tril}}\left({x}\right)"


class Triu(Triangle):
    """The elements on and above a diagonal, zeros below.

    >>> bl.triu(bl.ones(2, 2), diagonal=1)
    tensor([[0., 1.],
            [0., 0.]])
    """

    def call(input, diagonal=0):
        return apply(Triu, input, diagonal=int(diagonal))

    def forward(x, *, diagonal):
        return np.triu(x, diagonal)

    def grad_x(g, diagonal):
        return apply(Triu, g, diagonal=diagonal)

    def latex(x, *, diagonal):
        return rf"\operatorname{{triu}}\left({x}\right)"


@export("Tensor")
def tril_(input, diagonal=0):
    """`tril`, in place."""
    return slot.in_place(Tril, input, diagonal=int(diagonal))


@export("Tensor")
def triu_(input, diagonal=0):
    """`triu`, in place."""
    return slot.in_place(Triu, input, diagonal=int(diagonal))


def _positions(name: str, found: Any, example: str) -> None:
    def indices(row, col, offset=0, *, dtype=dt.int64, device=None, layout=None):
        if row < 0 or col < 0:
            raise ArgumentError(f"{name}: sizes must not be negative, got {row} and {col}")
        return slot.wrap(np.stack(found(row, offset, col)).astype(dtype.numpy))

    indices.__name__ = name
    indices.__doc__ = f"Rows and columns of a triangle, as a (2, count) tensor.\n\n    {example}"
    export("bl")(indices)


_positions("tril_indices", np.tril_indices,
           ">>> bl.tril_indices(2, 2).tolist()\n    [[0, 1, 1], [0, 0, 1]]\n    ")  # fmt: skip
_positions("triu_indices", np.triu_indices,
           ">>> bl.triu_indices(2, 2).tolist()\n    [[0, 0, 1], [0, 1, 1]]\n    ")  # fmt: skip


class Diagonal(Operator):
    """The view of a diagonal of the plane `dim1`, `dim2`, as the last axis.

    >>> bl.diagonal(bl.tensor([[1, 2], [3, 4]]))
    tensor([1, 4])
    """

    exports = "bl Tensor"
    view = True
    moves = True

    def call(input, offset=0, dim1=0, dim2=1):
        a, b = _plane(input.ndim, dim1, dim2, "diagonal")
        return apply(Diagonal, input, offset=int(offset), dim1=a, dim2=b)

    def infer(x, *, offset, dim1, dim2):
        rest = tuple(n for i, n in enumerate(x.shape) if i not in (dim1, dim2))
        return Spec((*rest, length(x.shape[dim1], x.shape[dim2], offset)), x.dtype)

    def forward(x, *, offset, dim1, dim2):
        found = x.diagonal(offset, dim1, dim2)
        if x.flags.writeable:  # NumPy marks it read-only; writing through views needs it
            found.flags.writeable = True
        return found

    def grad_x(g, x_spec, offset, dim1, dim2):
        return apply(DiagonalPut, g, shape=x_spec.shape, offset=offset, dim1=dim1, dim2=dim2)

    def latex(x, *, offset, dim1, dim2):
        return rf"\operatorname{{diag}}\left({x}\right)"


class DiagonalPut(Operator):
    """Zeros of a shape with the last axis of `x` on a diagonal."""

    exports = ""
    moves = True

    def infer(x, *, shape, offset, dim1, dim2):
        return Spec(tuple(shape), x.dtype)

    def forward(x, *, shape, offset, dim1, dim2):
        made = np.zeros(shape, x.dtype)
        Diagonal.forward(made, offset=offset, dim1=dim1, dim2=dim2)[...] = x
        return made

    def grad_x(g, offset, dim1, dim2):
        return apply(Diagonal, g, offset=offset, dim1=dim1, dim2=dim2)

    def latex(x, **params):
        return rf"\operatorname{{diag}}\left({x}\right)"


def _plane(ndim: int, dim1: int, dim2: int, name: str) -> tuple[int, int]:
    if ndim < 2:
        raise ShapeError(f"{name}: expected at least 2 axes, got {ndim}")
    a, b = normalize_axis(dim1, ndim), normalize_axis(dim2, ndim)
    if a == b:
        raise ArgumentError(f"{name}: dim1 and dim2 must differ, both are {dim1}")
    return a, b


def length(rows: int, columns: int, offset: int) -> int:
    """The number of elements on a diagonal."""
    return max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)


class DiagEmbed(Composite):
    """Matrices with the last axis of the input on a diagonal, zeros elsewhere.

    >>> bl.diag_embed(bl.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """

    def expand(input, offset=0, dim1=-2, dim2=-1):
        if not input.ndim:
            raise ShapeError("diag_embed: a 0-dim tensor has no last axis")
        a, b = _plane(input.ndim + 1, dim1, dim2, "diag_embed")
        if a > b:
            a, b, offset = b, a, -offset
        side = input.shape[-1] + abs(offset)
        shape = list(input.shape[:-1])
        shape.insert(a, side)
        shape.insert(b, side)
        return apply(DiagonalPut, input, shape=tuple(shape), offset=offset, dim1=a, dim2=b)


class Diag(Composite):
    """A vector as a diagonal matrix, or the diagonal of a matrix.

    >>> bl.diag(bl.tensor([1, 2])), bl.diag(bl.tensor([[1, 2], [3, 4]]), 1)
    (tensor([[1, 0],
            [0, 2]]), tensor([2]))
    """

    def expand(input, diagonal=0):
        if input.ndim not in (1, 2):
            raise ShapeError(f"diag: expected a vector or matrix, got {input.ndim} axes")
        if input.ndim == 1:
            return DiagEmbed.call(input, diagonal)
        return Diagonal.call(input, diagonal).clone()


@export("bl Tensor")
def diagflat(input, offset=0):
    """All elements of the input on the diagonal of a matrix.

    >>> bl.diagflat(bl.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return DiagEmbed.call(input.reshape(-1), offset)


class Trace(Composite):
    """The sum of the diagonal of a matrix.

    >>> bl.trace(bl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """

    def expand(input):
        if input.ndim != 2:
            raise ShapeError(f"trace: expected a matrix, got {input.ndim} axes")
        return Diagonal.call(input).sum()

    def latex(x):
        return rf"\operatorname{{tr}}\left({x}\right)"


@export("Tensor")
def fill_diagonal_(input, fill_value, wrap=False):
    """One value on the main diagonal, in place.

    >>> bl.zeros(2, 2).fill_diagonal_(5)
    tensor([[5., 0.],
            [0., 5.]])
    """
    if input.ndim < 2 or (input.ndim > 2 and len(set(input.shape)) > 1):
        raise ShapeError(f"fill_diagonal_: expected a matrix or a cube, got {tuple(input.shape)}")
    mask = np.zeros(input.shape, bool)
    np.fill_diagonal(mask, True, wrap=wrap)
    return input.masked_fill_(slot.wrap(mask), fill_value)


# ----- a tensor with one of its windows replaced -----


def _replaced(input: Any, src: Any, op: str, params: dict, name: str) -> Any:
    from backlit.ops.shape import look, to

    shape = look(input.cell.array, ((op, params),)).shape
    if tuple(src.shape) != shape:
        raise ShapeError(f"{name}: the window has shape {shape}, src {tuple(src.shape)}")
    return apply(slot.view_put, input, to(src, input.dtype), path=((op, params),))


@export("bl Tensor")
def diagonal_scatter(input, src, offset=0, dim1=0, dim2=1):
    """The input with `src` on a diagonal.

    >>> bl.diagonal_scatter(bl.zeros(2, 2), bl.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    a, b = _plane(input.ndim, dim1, dim2, "diagonal_scatter")
    return _replaced(input, src, "diagonal", {"offset": offset, "dim1": a, "dim2": b},
                     "diagonal_scatter")  # fmt: skip


def _parts(ndim: int, dim: int, part: tuple) -> dict:
    return {"parts": (*(("all",),) * dim, part, *(("all",),) * (ndim - dim - 1))}


@export("bl Tensor")
def select_scatter(input, src, dim, index):
    """The input with `src` at one position of an axis.

    >>> bl.select_scatter(bl.zeros(2, 2), bl.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    from backlit.ops.index import position

    dim = normalize_axis(dim, input.ndim)
    part = ("int", position(index, input.shape[dim], dim))
    return _replaced(input, src, "slice", _parts(input.ndim, dim, part), "select_scatter")


@export("bl Tensor")
def slice_scatter(input, src, dim=0, start=None, end=None, step=1):
    """The input with `src` in a slice of an axis.

    >>> bl.slice_scatter(bl.zeros(3), bl.ones(2), 0, 1)
    tensor([0., 1., 1.])
    """
    dim = normalize_axis(dim, input.ndim)
    start, end, step = slice(start, end, step).indices(input.shape[dim])
    part = ("slice", start, max(start, end), step)
    return _replaced(input, src, "slice", _parts(input.ndim, dim, part), "slice_scatter")
