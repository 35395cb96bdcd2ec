"""Other spellings of reshape, permute and expand: view, flatten, transpose, movedim.

None is a gate of its own; each applies an operator of shape.py.
"""

from __future__ import annotations

import math
from copy import copy
from typing import Any

from backlit import dtypes as dt
from backlit.errors import ArgumentError, NotAvailable, ShapeError
from backlit.ops.op import apply, broadcast_shapes, export, normalize_axis, slot
from backlit.ops.shape import Expand, Permute, Reshape, Squeeze, Unsqueeze, filled, sizes_of


@export("Tensor")
def view(input, *shape):
    """The same elements in another shape.

    >>> bl.arange(4).view(2, 2)
    tensor([[0, 1],
            [2, 3]])
    """
    if len(shape) == 1 and isinstance(shape[0], dt.dtype):
        raise NotAvailable("Tensor.view: reading the bytes as another dtype does not exist",
                           hint=f"convert the values: x.to({shape[0]!r})")  # fmt: skip
    return apply(Reshape, input, shape=filled(input.cell.array.shape, sizes_of(shape)))


@export("bl Tensor", "swapaxes", "swapdims")
def transpose(input, dim0, dim1):
    """The view with two axes swapped.

    >>> bl.transpose(bl.zeros(2, 3), 0, 1).shape
    backlit.Size([3, 2])
    """
    ndim = input.ndim
    i, j = normalize_axis(dim0, ndim), normalize_axis(dim1, ndim)
    axes = list(range(ndim))
    if ndim:
        axes[i], axes[j] = j, i
    return apply(Permute, input, dims=tuple(axes))


@export("bl Tensor")
def t(input):
    """The transpose of a matrix; a vector or number stays as it is.

    >>> bl.t(bl.zeros(2, 3)).shape
    backlit.Size([3, 2])
    """
    if input.ndim > 2:
        raise ShapeError(f"t: expected at most 2 axes, got {input.ndim}", hint="use .mT or permute")
    return apply(Permute, input, dims=tuple(reversed(range(input.ndim))))


@export("bl Tensor")
def flatten(input, start_dim=0, end_dim=-1):
    """The axes from `start_dim` to `end_dim` as one.

    >>> bl.flatten(bl.zeros(2, 3, 5), 1).shape
    backlit.Size([2, 15])
    """
    shape = input.cell.array.shape
    first, last = normalize_axis(start_dim, len(shape)), normalize_axis(end_dim, len(shape))
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    if not shape:
        return input.reshape(1)
    if first == last:
        return input
    size = math.prod(shape[first : last + 1])
    return apply(Reshape, input, shape=(*shape[:first], size, *shape[last + 1 :]))


@export("bl Tensor")
def ravel(input):
    """All elements in one row.

    >>> bl.ravel(bl.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return flatten(input)


@export("bl Tensor")
def unflatten(input, dim, sizes):
    """One axis split into several; one of the sizes may be -1.

    >>> bl.unflatten(bl.zeros(2, 6), 1, (3, -1)).shape
    backlit.Size([2, 3, 2])
    """
    shape = tuple(input.shape)
    dim = normalize_axis(dim, len(shape))
    parts = filled(shape[dim : dim + 1], sizes_of((sizes,)))
    return apply(Reshape, input, shape=(*shape[:dim], *parts, *shape[dim + 1 :]))


@export("Tensor")
def view_as(input, other):
    """The same elements in the shape of another tensor."""
    return view(input, tuple(other.shape))


@export("Tensor")
def reshape_as(input, other):
    """The same elements in the shape of another tensor."""
    return Reshape.call(input, tuple(other.shape))


@export("Tensor")
def expand_as(input, other):
    """Repeated along axes of size 1 to the shape of another tensor."""
    return Expand.call(input, tuple(other.shape))


@export("bl Tensor")
def broadcast_to(input, size):
    """Repeated along axes of size 1, without copying.

    >>> bl.broadcast_to(bl.tensor([1, 2]), (2, 2))
    tensor([[1, 2],
            [1, 2]])
    """
    return Expand.call(input, size)


@export("bl")
def broadcast_tensors(*tensors):
    """The tensors, expanded to their common shape.

    >>> a, b = bl.broadcast_tensors(bl.zeros(3, 1), bl.zeros(2)); b.shape
    backlit.Size([3, 2])
    """
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    shape = broadcast_shapes(*(tuple(x.shape) for x in given))
    return tuple(Expand.call(x, shape) for x in given)


@export("bl Tensor", "moveaxis")
def movedim(input, source, destination):
    """Axes moved to other positions; the rest keep their order.

    >>> bl.movedim(bl.zeros(2, 3, 5), 0, -1).shape
    backlit.Size([3, 5, 2])
    """
    ndim = input.ndim
    sources, targets = (
        [normalize_axis(d, ndim) for d in (dims if isinstance(dims, (list, tuple)) else (dims,))]
        for dims in (source, destination)
    )
    if len(sources) != len(targets):
        raise ShapeError(f"movedim: {len(sources)} axes to {len(targets)} positions")
    if len(set(sources)) != len(sources) or len(set(targets)) != len(targets):
        raise ArgumentError(f"movedim: an axis is named twice in {source} or {destination}")
    order = [a for a in range(ndim) if a not in sources]
    for target, axis in sorted(zip(targets, sources)) if ndim else ():
        order.insert(target, axis)
    return apply(Permute, input, dims=tuple(order))


def _grown(tensors: tuple, shape: Any) -> Any:
    """Each tensor in the shape that `shape` makes of its own; one alone, or a tuple of them."""
    if len(tensors) == 1 and hasattr(tensors[0], "cell"):
        return Reshape.call(tensors[0], shape(tuple(tensors[0].shape)))
    listed = tensors[0] if len(tensors) == 1 else tensors
    return tuple(Reshape.call(x, shape(tuple(x.shape))) for x in listed)


@export("bl")
def atleast_1d(*tensors):
    """Tensors with at least one axis.

    >>> bl.atleast_1d(bl.tensor(1))
    tensor([1])
    """
    return _grown(tensors, lambda shape: shape or (1,))


@export("bl")
def atleast_2d(*tensors):
    """Tensors with at least two axes; a vector becomes a row.

    >>> bl.atleast_2d(bl.tensor([1, 2]))
    tensor([[1, 2]])
    """
    return _grown(tensors, lambda shape: shape if len(shape) > 1 else (1, *(shape or (1,))))


@export("bl")
def atleast_3d(*tensors):
    """Tensors with at least three axes; a matrix becomes one with a last axis of 1.

    >>> bl.atleast_3d(bl.zeros(2, 3)).shape
    backlit.Size([2, 3, 1])
    """
    grown = {0: lambda s: (1, 1, 1), 1: lambda s: (1, *s, 1), 2: lambda s: (*s, 1)}
    return _grown(tensors, lambda shape: grown.get(len(shape), tuple)(shape))


@export("bl Tensor")
def adjoint(input):
    """The last two axes swapped.

    >>> bl.adjoint(bl.zeros(1, 2, 3)).shape
    backlit.Size([1, 3, 2])
    """
    return transpose(input, -2, -1)


def broadcast_shapes_of(*shapes):
    """The shape that tensors of these shapes broadcast to.

    >>> bl.broadcast_shapes((3, 1), (4,))
    backlit.Size([3, 4])
    """
    from backlit.tensor import Size

    return Size(broadcast_shapes(*((s,) if isinstance(s, int) else tuple(s) for s in shapes)))


broadcast_shapes_of.__name__ = "broadcast_shapes"  # the module has op.broadcast_shapes
export("bl")(broadcast_shapes_of)


# ----- in place: the tensor becomes a view of what it was -----


def _becomes(name: str, function: Any) -> None:
    def in_place(input, *args, **kwargs):
        slot.refuse_leaf(input, name)
        before = copy(input)
        input.__dict__.update(function(before, *args, **kwargs).__dict__)
        return input

    in_place.__name__ = name
    in_place.__doc__ = f"`{name[:-1]}`, in place."
    export("Tensor")(in_place)


for _name, _function in {
    "squeeze_": Squeeze.call, "unsqueeze_": Unsqueeze.call, "t_": t, "transpose_": transpose,
    "swapaxes_": transpose, "swapdims_": transpose,
}.items():  # fmt: skip
    _becomes(_name, _function)


@export("Tensor", "resize_as_")
def resize_(input, *sizes, memory_format=None):
    """Refused: a tensor keeps its number of elements."""
    raise NotAvailable("Tensor.resize_: a tensor keeps its number of elements",
                       hint="make a new one: bl.empty(...), bl.cat or x.reshape")  # fmt: skip
