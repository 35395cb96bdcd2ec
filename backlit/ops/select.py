"""Whole slices of an axis by an index vector, and elements by flat position.

index_select and index_add are each other's derivatives; index_copy, index_fill and put write
through IndexPut (index.py). Single elements along an axis are in scatter.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from backlit.errors import ArgumentTypeError, DTypeError, IndexOutOfRange, ShapeError
from backlit.ops.index import Index, IndexPut, add_flat, check_indices, parse
from backlit.ops.op import Operator, Spec, apply, broadcast_shapes, export, normalize_axis, slot
from backlit.ops.scatter import Gather, need_whole


class IndexSelect(Operator):
    """The slices of an axis that an index vector names.

    >>> bl.index_select(bl.tensor([[1, 2], [3, 4]]), 1, bl.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """

    inputs = ("x", "index")
    moves = True

    def call(input, dim, index):
        dim = normalize_axis(dim, input.ndim)
        if not input.ndim:
            return apply(IndexSelect, input.reshape(1), index.reshape(1), dim=0).reshape(())
        return apply(IndexSelect, input, index.reshape(1) if not index.ndim else index, dim=dim)

    def infer(x, index, *, dim):
        need_whole(index)
        if index.ndim != 1:
            raise ShapeError(f"the index must have one axis, got {index.shape}", hint="x[index]")
        return Spec((*x.shape[:dim], index.shape[0], *x.shape[dim + 1 :]), x.dtype)

    def forward(x, index, *, dim):
        check_indices((index,), [x.shape[dim]], negative=False)
        return np.take(x, index, axis=dim)

    def grad_x(g, index, x_spec, dim):
        return apply(SelectSum, g, index, shape=x_spec.shape, dim=dim)

    def latex(x, index, *, dim):
        return rf"{{{x}}}_{{{index}}}"


class SelectSum(Operator):
    """Zeros of a shape with the slices of `v` added at an index vector."""

    exports = ""
    inputs = ("v", "index")
    moves = True

    def infer(v, index, *, shape, dim):
        return Spec(tuple(shape), v.dtype)

    def forward(v, index, *, shape, dim):
        made = np.zeros(shape, v.dtype)
        add_flat(made, slices_at(shape, index, dim), v)
        return made

    def grad_v(g, index, dim):
        return apply(IndexSelect, g, index, dim=dim)

    def latex(v, index, *, shape, dim):
        return rf"\operatorname{{put}}_{{{index}}}\left({v}\right)"


class IndexAdd(Operator):
    """`input` with the slices of `source`, times `alpha`, added at an index vector along `dim`.

    >>> bl.index_add(bl.zeros(2), 0, bl.tensor([0, 0]), bl.tensor([1.0, 2.0]))
    tensor([3., 0.])
    """

    inputs = ("x", "index", "v")

    def call(input, dim, index, source, *, alpha=1):
        source = source if alpha == 1 else source * alpha
        return apply(IndexAdd, input, index, source, dim=normalize_axis(dim, input.ndim))

    def infer(x, index, v, *, dim):
        need_whole(index)
        if v.dtype is not x.dtype:
            raise DTypeError(f"source is {v.dtype.name}, input {x.dtype.name}", hint="convert one")
        count = index.shape[0] if index.ndim else 1
        wanted = (*x.shape[:dim], count, *x.shape[dim + 1 :]) if x.ndim else ()
        if index.ndim > 1 or (v.shape != wanted and (x.ndim or math.prod(v.shape) != 1)):
            raise ShapeError(f"source {v.shape} and index {index.shape} do not fit, "
                             f"expected source {wanted}")  # fmt: skip
        return x

    def forward(x, index, v, *, dim):
        fresh = x.copy()
        rows = index.reshape(-1)
        check_indices((rows,), [x.shape[dim] if x.ndim else 1], negative=False)
        add_flat(fresh, slices_at(x.shape, rows, dim), v)
        return fresh

    def grad_x(g):
        return g

    def grad_v(g, index, dim, v_spec):
        return IndexSelect.call(g, dim, index).reshape(v_spec.shape)

    def latex(x, index, v, *, dim):
        return rf"{x}_{{{index}}} \mathrel{{+}}= {v}"


def slices_at(shape: tuple, rows: np.ndarray, dim: int) -> np.ndarray:
    """Flat positions of whole slices of an axis."""
    outer, inner = math.prod(shape[:dim]), math.prod(shape[dim + 1 :])
    size = shape[dim] if shape else 1
    at = (np.arange(outer) * size)[:, None, None] + rows[:, None]
    return (at * inner + np.arange(inner)).reshape((*shape[:dim], rows.size, *shape[dim + 1 :])
                                                   if shape else ())  # fmt: skip


def _slices(input: Any, dim: int, index: Any, name: str) -> tuple[Any, tuple, int]:
    """What IndexPut needs to write whole slices."""
    dim = normalize_axis(dim, input.ndim)
    need_whole(Spec(tuple(index.shape), index.dtype))
    if index.ndim > 1:
        raise ShapeError(f"{name}: the index must have one axis, got {tuple(index.shape)}")
    check_indices((index.cell.array,), [input.shape[dim] if input.ndim else 1], negative=False)
    return index.reshape(-1), (*(("all",),) * dim, ("tensor",),
                               *(("all",),) * (input.ndim - dim - 1)), dim  # fmt: skip


@export("bl Tensor")
def index_copy(input, dim, index, source):
    """The input with the slices of `source` written at an index vector along `dim`.

    >>> bl.index_copy(bl.zeros(3), 0, bl.tensor([2]), bl.ones(1))
    tensor([0., 0., 1.])
    """
    if not input.ndim:
        return index_copy(input.reshape(1), dim, index, source.reshape(1)).reshape(())
    index, parts, dim = _slices(input, dim, index, "index_copy")
    wanted = (*input.shape[:dim], index.shape[0], *input.shape[dim + 1 :])
    if tuple(source.shape) != wanted:
        raise ShapeError(f"index_copy: source has shape {tuple(source.shape)}, expected {wanted}")
    if source.dtype is not input.dtype:
        raise DTypeError(f"index_copy: source is {source.dtype.name}, input {input.dtype.name}")
    return apply(IndexPut, input, source, index, parts=parts, accumulate=False)


@export("bl Tensor")
def index_fill(input, dim, index, value):
    """The input with one value in the slices that an index vector names.

    >>> bl.index_fill(bl.zeros(3), 0, bl.tensor([2]), 5.0)
    tensor([0., 0., 5.])
    """
    if not input.ndim:
        return index_fill(input.reshape(1), dim, index, value).reshape(())
    index, parts, _ = _slices(input, dim, index, "index_fill")
    return apply(IndexPut, input, value, index, parts=parts, accumulate=False)


def _as_parts(input: Any, indices: Any, name: str) -> tuple[tuple, list]:
    if not isinstance(indices, (tuple, list)):
        raise ArgumentTypeError(f"{name}: indices must be a tuple of tensors")
    items = tuple(slice(None) if i is None else i for i in indices)
    parts, tensors = parse(items, tuple(input.shape))
    return parts, [t if hasattr(t, "cell") else slot.wrap(np.asarray(t)) for t in tensors]


@export("bl Tensor")
def index_put(input, indices, values, accumulate=False):
    """The input with `values` written (or added) where the index tensors point.

    >>> bl.index_put(bl.zeros(3), (bl.tensor([0, 0]),), bl.tensor(1.0), accumulate=True)
    tensor([2., 0., 0.])
    """
    parts, tensors = _as_parts(input, indices, "index_put")
    if values.dtype is not input.dtype:
        raise DTypeError(f"index_put: values are {values.dtype.name}, input {input.dtype.name}",
                         hint="convert one")  # fmt: skip
    return apply(IndexPut, input, values, *tensors, parts=parts, accumulate=bool(accumulate))


@export("Tensor")
def index_put_(input, indices, values, accumulate=False):
    """`index_put`, in place."""
    parts, tensors = _as_parts(input, indices, "index_put_")
    return slot.in_place(IndexPut, input, values, *tensors, parts=parts,
                         accumulate=bool(accumulate))  # fmt: skip


@export("Tensor")
def index_add_(input, dim, index, source, *, alpha=1):
    """`index_add`, in place."""
    source = source if alpha == 1 else source * alpha
    return slot.in_place(IndexAdd, input, index, source, dim=normalize_axis(dim, input.ndim))


@export("Tensor")
def index_copy_(input, dim, index, source):
    """`index_copy`, in place."""
    slot.refuse_leaf(input, "index_copy_")
    return slot.refill(input, index_copy(input, dim, index, source))


@export("Tensor")
def index_fill_(input, dim, index, value):
    """`index_fill`, in place."""
    slot.refuse_leaf(input, "index_fill_")
    return slot.refill(input, index_fill(input, dim, index, value))


# ----- by flat position -----


def _flat(index: Any, count: int, name: str) -> Any:
    need_whole(Spec(tuple(index.shape), index.dtype))
    if index.numel() and not count:
        raise IndexOutOfRange(f"{name}: an index into an empty tensor")
    return index


@export("bl Tensor")
def take(input, index):
    """The elements at flat positions, in the shape of the index.

    >>> bl.take(bl.tensor([[1, 2], [3, 4]]), bl.tensor([0, 3]))
    tensor([1, 4])
    """
    flat = input.reshape(-1)
    return apply(Index, flat, _flat(index, input.numel(), "take"), parts=(("tensor",),))


@export("bl Tensor")
def put(input, index, source, accumulate=False):
    """The input with `source` written (or added) at flat positions.

    >>> bl.put(bl.zeros(2, 2), bl.tensor([0, 3]), bl.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    if source.numel() != index.numel():
        raise ShapeError(f"put: {source.numel()} values for {index.numel()} positions")
    index = _flat(index, input.numel(), "put").reshape(-1)
    written = apply(IndexPut, input.reshape(-1), source.reshape(-1), index, parts=(("tensor",),),
                    accumulate=bool(accumulate))  # fmt: skip
    return written.reshape(tuple(input.shape))


@export("Tensor")
def put_(input, index, source, accumulate=False):
    """`put`, in place."""
    slot.refuse_leaf(input, "put_")
    return slot.refill(input, put(input, index, source, accumulate))


@export("bl Tensor")
def take_along_dim(input, indices, dim=None):
    """`gather` with broadcasting; without `dim` by flat position.

    >>> x = bl.tensor([[3, 1], [2, 4]]); bl.take_along_dim(x, x.argsort(1), 1)
    tensor([[1, 3],
            [2, 4]])
    """
    if dim is None:
        return apply(Gather, input.reshape(-1), indices.reshape(-1), dim=0)
    dim = normalize_axis(dim, input.ndim)
    if input.ndim != indices.ndim:
        raise ShapeError(f"take_along_dim: {input.ndim} axes, but indices have {indices.ndim}")
    shapes = [list(input.shape), list(indices.shape)]
    for shape in shapes:
        shape[dim] = 1
    common = list(broadcast_shapes(*map(tuple, shapes)))
    wide, chosen = (x.expand(*common[:dim], x.shape[dim], *common[dim + 1 :])
                    for x in (input, indices))  # fmt: skip
    return apply(Gather, wide, chosen, dim=dim)


@export("bl")
def unravel_index(indices, shape):
    """Flat positions as one index tensor per axis.

    >>> bl.unravel_index(bl.tensor([1, 5]), (2, 3))
    (tensor([0, 1]), tensor([1, 2]))
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    need_whole(Spec(tuple(indices.shape), indices.dtype))
    check_indices((indices.cell.array,), [math.prod(shape)], "unravel_index: position",
                  negative=False)  # fmt: skip
    steps = [math.prod(shape[k + 1 :]) for k in range(len(shape))]
    return tuple((indices.long() // step) % n for n, step in zip(shape, steps))
