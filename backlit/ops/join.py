"""Joining tensors and cutting them into pieces.

Joins are operators of any number of inputs; pieces are views, cut by basic indices.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.errors import ArgumentError, ArgumentTypeError, IndexOutOfRange, ShapeError
from backlit.ops.index import Slice, position
from backlit.ops.op import Operator, Spec, apply, export, normalize_axis
from backlit.ops.shape import to
from backlit.state import state


def listed(tensors: Any, name: str) -> list:
    """A sequence of tensors, in their common dtype."""
    if hasattr(tensors, "cell") or not hasattr(tensors, "__iter__"):
        raise ArgumentTypeError(f"{name}: expected a list or tuple of tensors",
                                hint=f"bl.{name}([a, b])")  # fmt: skip
    found = list(tensors)
    if not found:
        raise ArgumentError(f"{name}: expected at least one tensor")
    for x in found:
        if not hasattr(x, "cell"):
            raise ArgumentTypeError(f"{name}: expected tensors, got {type(x).__name__}")
    first = found[0].cell.array.dtype
    if all(x.cell.array.dtype is first for x in found):
        return found
    common = dt.result_type(*found)
    return [to(x, common) for x in found]


class Cat(Operator):
    """Tensors joined along an existing axis.

    >>> bl.cat([bl.tensor([1, 2]), bl.tensor([3])])
    tensor([1, 2, 3])
    """

    exports = "bl"
    aliases = ("concat", "concatenate")
    variadic = True
    moves = True

    def call(tensors, dim=0):
        found = listed(tensors, "cat")
        shapes = [x.cell.array.shape for x in found]
        if (0,) in shapes:  # PyTorch skips empty vectors
            found = [x for x, shape in zip(found, shapes) if shape != (0,)] or found[:1]
        return apply(Cat, *found, dim=normalize_axis(dim, found[0].ndim))

    @classmethod
    def run(cls, arrays, params):
        try:  # NumPy checks as well, and faster
            return np.concatenate(arrays, axis=params["dim"]), arrays
        except ValueError:
            return super().run(arrays, params)

    def infer(*specs, dim):
        first = specs[0]
        if not first.ndim:
            raise ShapeError("0-dim tensors can't be joined", hint="use bl.stack")
        for x in specs:
            around = (*x.shape[:dim], *x.shape[dim + 1 :])
            if x.ndim != first.ndim or around != (*first.shape[:dim], *first.shape[dim + 1 :]):
                raise ShapeError(
                    f"shapes {first.shape} and {x.shape} differ at another axis than {dim}"
                )
        size = sum(x.shape[dim] for x in specs)
        return Spec((*first.shape[:dim], size, *first.shape[dim + 1 :]), first.dtype)

    def forward(*xs, dim):
        return np.concatenate(xs, axis=dim)

    def backward(g, specs, dim, needs):
        ends = list(itertools.accumulate(s.shape[dim] for s in specs))
        return [
            narrowed(g, dim, end - s.shape[dim], end) if need else None
            for s, end, need in zip(specs, ends, needs)
        ]

    def latex(*xs, dim):
        return rf"\left[{', '.join(xs)}\right]"


class Stack(Operator):
    """Tensors of one shape joined along a new axis.

    >>> bl.stack([bl.tensor([1, 2]), bl.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """

    exports = "bl"
    variadic = True
    moves = True

    def call(tensors, dim=0):
        found = listed(tensors, "stack")
        return apply(Stack, *found, dim=normalize_axis(dim, found[0].ndim + 1))

    def infer(*specs, dim):
        first = specs[0]
        for x in specs:
            if x.shape != first.shape:
                raise ShapeError(f"shapes {first.shape} and {x.shape} differ",
                                 hint="bl.cat joins different sizes")  # fmt: skip
        return Spec((*first.shape[:dim], len(specs), *first.shape[dim:]), first.dtype)

    def forward(*xs, dim):
        return np.stack(xs, axis=dim)

    def backward(g, dim, needs):
        return [selected(g, dim, i) if need else None for i, need in enumerate(needs)]

    def latex(*xs, dim):
        return rf"\left[{'; '.join(xs)}\right]"


# ----- pieces -----


class Pieces(Operator, abstract=True):
    """All pieces of a tensor at once, so that one gradient serves all; views would sum many."""

    exports = ""

    @classmethod
    def put_together(cls, gs: list, shapes: list[tuple], join: Any) -> Any:
        """The gradients joined, zeros for pieces that nobody used; masks are joined as well."""
        dtype = next(g for g in gs if g is not None).cell.array.dtype
        zeros = {shape: np.zeros(shape, dtype) for g, shape in zip(gs, shapes) if g is None}
        made = join([zeros[shape] if g is None else g for g, shape in zip(gs, shapes)])
        masks = [None if g is None else g.support for g in gs]
        if any(m is not None for m in masks):
            full = [
                np.full(shape, g is not None) if m is None else m
                for g, m, shape in zip(gs, masks, shapes)
            ]
            made.support = join(full)
        return made


class Split(Pieces):
    """The pieces of an axis, of the listed sizes."""

    def infer(x, *, sizes, dim):
        return tuple(Spec((*x.shape[:dim], n, *x.shape[dim + 1 :]), x.dtype) for n in sizes)

    def forward(x, *, sizes, dim):
        return tuple(np.split(x, list(itertools.accumulate(sizes))[:-1], axis=dim))

    def backward(gs, x_spec, sizes, dim):
        shapes = [(*x_spec.shape[:dim], n, *x_spec.shape[dim + 1 :]) for n in sizes]
        return (Pieces.put_together(gs, shapes, lambda parts: apply(Cat, *parts, dim=dim)),)

    def latex(x, *, sizes, dim):
        return rf"\operatorname{{split}}\left({x}\right)"


class Unbind(Pieces):
    """The positions of an axis, each without the axis."""

    def infer(x, *, dim):
        return (Spec((*x.shape[:dim], *x.shape[dim + 1 :]), x.dtype),) * x.shape[dim]

    def forward(x, *, dim):
        return tuple(np.moveaxis(x, dim, 0)[:, ...])

    def backward(gs, x_spec, dim):
        shapes = [(*x_spec.shape[:dim], *x_spec.shape[dim + 1 :])] * x_spec.shape[dim]
        return (Pieces.put_together(gs, shapes, lambda parts: apply(Stack, *parts, dim=dim)),)

    def latex(x, *, dim):
        return rf"\operatorname{{unbind}}\left({x}\right)"


def _pieces(op: Any, x: Any, views: Callable[[], tuple], count: int, params: dict) -> tuple:
    """The views, which share one Node where a gradient is due."""
    if count < 2 or not state.grad or not x.requires_grad:
        return views()
    pieces = apply(op, x, **params)
    state.grad = False
    try:
        found = views()
    finally:
        state.grad = True
    for view, piece in zip(found, pieces):
        view.node, view.index = piece.node, piece.index
    return found


def narrowed(x: Any, dim: int, start: int, stop: int) -> Any:
    """The view from `start` to `stop` along an axis."""
    whole = start == 0 and stop == x.cell.array.shape[dim]
    part = ("all",) if whole else ("slice", start, stop, 1)
    return apply(Slice, x, parts=(*(("all",),) * dim, part, *(("all",),) * (x.ndim - dim - 1)))


def selected(x: Any, dim: int, i: int) -> Any:
    """The view at position `i` of an axis, without the axis."""
    all_ = ("all",)
    return apply(Slice, x, parts=(*(all_,) * dim, ("int", i), *(all_,) * (x.ndim - dim - 1)))


def _axis(x: Any, dim: int, name: str) -> int:
    if not x.ndim:
        raise ShapeError(f"{name}: a 0-dim tensor has no axis to cut")
    return normalize_axis(dim, x.ndim)


@export("bl Tensor", "unsafe_split")
def split(tensor, split_size_or_sections, dim=0):
    """Views of `tensor` cut along `dim`: pieces of one size (the last may be smaller) or of each
    size in a list.

    >>> bl.split(bl.arange(5), 2)
    (tensor([0, 1]), tensor([2, 3]), tensor([4]))
    """
    dim = _axis(tensor, dim, "split")
    total = tensor.shape[dim]
    sizes = split_size_or_sections
    if not isinstance(sizes, (list, tuple)):
        if sizes < 0 or (sizes == 0 and total):
            raise ArgumentError(f"split: the size of a piece must be positive, got {sizes}")
        sizes = [min(sizes, total - at) for at in range(0, total, sizes)] if total else [0]
    if any(n < 0 for n in sizes) or sum(sizes) != total:
        raise ArgumentError(f"split: sizes {list(sizes)} do not add up to {total} of axis {dim}")
    ends = list(itertools.accumulate(sizes))
    return _pieces(
        Split, tensor,
        lambda: tuple(narrowed(tensor, dim, end - n, end) for n, end in zip(sizes, ends)),
        len(sizes), {"sizes": tuple(map(int, sizes)), "dim": dim},
    )  # fmt: skip


@export("bl Tensor", "unsafe_split_with_sizes")
def split_with_sizes(input, split_sizes, dim=0):
    """Views of `input` of the listed sizes along `dim`.

    >>> bl.split_with_sizes(bl.arange(3), [1, 2])
    (tensor([0]), tensor([1, 2]))
    """
    return split(input, list(split_sizes), dim)


@export("bl Tensor", "unsafe_chunk")
def chunk(input, chunks, dim=0):
    """At most `chunks` views of equal size along `dim`; the last may be smaller.

    >>> bl.chunk(bl.arange(5), 2)
    (tensor([0, 1, 2]), tensor([3, 4]))
    """
    if chunks < 1:
        raise ArgumentError(f"chunk: expected at least one piece, got {chunks}")
    dim = _axis(input, dim, "chunk")
    total = input.shape[dim]
    return split(input, -(-total // chunks) if total else [0] * chunks, dim)


@export("bl Tensor")
def tensor_split(input, indices_or_sections, dim=0):
    """Views of `input` cut at indices, or into a number of nearly equal sections.

    >>> bl.tensor_split(bl.arange(5), 2), bl.tensor_split(bl.arange(5), (1, 3))
    ((tensor([0, 1, 2]), tensor([3, 4])), (tensor([0]), tensor([1, 2]), tensor([3, 4])))
    """
    dim = _axis(input, dim, "tensor_split")
    total, cuts = input.shape[dim], indices_or_sections
    if hasattr(cuts, "cell"):
        cuts = cuts.tolist()
    if not isinstance(cuts, (list, tuple)):
        if cuts < 1:
            raise ArgumentError(f"tensor_split: expected at least one section, got {cuts}")
        small, extra = divmod(total, cuts)
        ends = list(itertools.accumulate(small + (i < extra) for i in range(cuts)))
        return tuple(narrowed(input, dim, a, b) for a, b in zip([0, *ends], ends))
    bounds = [slice(None, c).indices(total)[1] for c in cuts]
    pairs = zip([0, *bounds], [*bounds, total])
    return tuple(narrowed(input, dim, a, max(a, b)) for a, b in pairs)


@export("bl Tensor")
def unbind(input, dim=0):
    """The views along an axis, one for each position.

    >>> bl.unbind(bl.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    dim = _axis(input, dim, "unbind")
    count = input.shape[dim]
    return _pieces(
        Unbind, input, lambda: tuple(selected(input, dim, i) for i in range(count)), count,
        {"dim": dim},
    )  # fmt: skip


@export("bl Tensor")
def narrow(input, dim, start, length):
    """The view of `length` positions of an axis, from `start`.

    >>> bl.narrow(bl.tensor([1, 2, 3]), 0, 1, 2)
    tensor([2, 3])
    """
    dim = _axis(input, dim, "narrow")
    start, size = int(start), input.shape[dim]
    first = start + size if start < 0 else start
    if not 0 <= first <= size or length < 0 or first + length > size:
        raise IndexOutOfRange(f"narrow: {length} from {start} of an axis of size {size}")
    return narrowed(input, dim, first, first + length)


@export("bl Tensor")
def select(input, dim, index):
    """The view at one position of an axis.

    >>> bl.select(bl.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    dim = _axis(input, dim, "select")
    return selected(input, dim, position(int(index), input.shape[dim], dim))


def _sectioned(input, cuts, dim: int, least: int, name: str):
    if input.ndim < least:
        raise ShapeError(f"{name}: expected at least {least} axes, got {input.ndim}")
    count = None if isinstance(cuts, (list, tuple)) or hasattr(cuts, "cell") else cuts
    if count and input.shape[dim] % count:
        size = input.shape[dim]
        raise ArgumentError(f"{name}: axis {dim} of size {size} is no multiple of {cuts}",
                            hint="tensor_split takes any number")  # fmt: skip
    return tensor_split(input, cuts, dim)


@export("bl Tensor")
def hsplit(input, indices_or_sections):
    """Views cut along the second axis (vectors: the only one), at indices or in equal sections.

    >>> bl.hsplit(bl.arange(4), 2)
    (tensor([0, 1]), tensor([2, 3]))
    """
    return _sectioned(input, indices_or_sections, 0 if input.ndim == 1 else 1, 1, "hsplit")


@export("bl Tensor")
def vsplit(input, indices_or_sections):
    """Views cut along the first axis, at indices or in equal sections.

    >>> bl.vsplit(bl.tensor([[1], [2]]), 2)
    (tensor([[1]]), tensor([[2]]))
    """
    return _sectioned(input, indices_or_sections, 0, 2, "vsplit")


@export("bl Tensor")
def dsplit(input, indices_or_sections):
    """Views cut along the third axis, at indices or in equal sections.

    >>> bl.dsplit(bl.zeros(1, 1, 4), [1])[1].shape
    backlit.Size([1, 1, 3])
    """
    return _sectioned(input, indices_or_sections, 2, 3, "dsplit")
