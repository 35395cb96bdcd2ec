"""Copies of elements in another order: flip, roll, repeat, shuffle."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.errors import ArgumentError, DTypeError, ShapeError
from backlit.ops.index import values_of
from backlit.ops.op import Composite, Operator, Spec, apply, export, normalize_axes, normalize_axis
from backlit.ops.shape import Expand, Permute, Reshape, sizes_of


def _numbers(value: Any) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


class Flip(Operator):
    """The elements in reverse order along axes.

    >>> bl.flip(bl.tensor([1, 2, 3]), (0,))
    tensor([3, 2, 1])
    """

    moves = True

    def call(input, *dims):
        wanted = dims[0] if len(dims) == 1 and isinstance(dims[0], (tuple, list)) else dims
        if not wanted:
            return input.clone()
        return apply(Flip, input, dims=normalize_axes(tuple(wanted), input.ndim))

    def infer(x, *, dims):
        return x

    def forward(x, *, dims):
        return np.flip(x, dims).copy()

    def grad_x(g, dims):
        return apply(Flip, g, dims=dims)

    def latex(x, *, dims):
        return rf"\operatorname{{flip}}\left({x}\right)"


@export("bl Tensor")
def fliplr(input):
    """The columns in reverse order.

    >>> bl.fliplr(bl.tensor([[1, 2]]))
    tensor([[2, 1]])
    """
    if input.ndim < 2:
        raise ShapeError(f"fliplr: expected at least 2 axes, got {input.ndim}")
    return Flip.call(input, 1)


@export("bl Tensor")
def flipud(input):
    """The rows in reverse order.

    >>> bl.flipud(bl.tensor([1, 2]))
    tensor([2, 1])
    """
    if input.ndim < 1:
        raise ShapeError("flipud: expected at least 1 axis, got 0")
    return Flip.call(input, 0)


class Rot90(Composite):
    """A plane turned by quarter turns, from the first of `dims` towards the second.

    >>> bl.rot90(bl.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """

    def expand(input, k=1, dims=(0, 1)):
        if len(dims) != 2 or input.ndim < 2:
            raise ShapeError(f"rot90: dims {tuple(dims)} of {input.ndim} axes are no plane")
        a, b = (normalize_axis(d, input.ndim) for d in dims)
        if a == b:
            raise ArgumentError(f"rot90: dims must differ, got {tuple(dims)}")
        if k % 4 == 0:
            return input.clone()
        if k % 4 == 2:
            return Flip.call(input, a, b)
        if k % 4 == 1:
            return Flip.call(input, b).transpose(a, b)
        return Flip.call(input.transpose(a, b), b)


class Roll(Operator):
    """The elements moved along axes; what leaves at one end comes in at the other.

    >>> bl.roll(bl.tensor([1, 2, 3]), 1)
    tensor([3, 1, 2])
    """

    moves = True

    def call(input, shifts, dims=None):
        steps = _numbers(shifts)
        if dims is None or dims == () or dims == []:
            if len(steps) != 1:
                raise ArgumentError(f"roll: {len(steps)} shifts need as many dims")
            flat = apply(Roll, input.reshape(-1), shifts=steps, dims=(0,))
            return flat.reshape(tuple(input.shape))
        axes = tuple(normalize_axis(d, input.ndim) for d in _numbers(dims))
        if len(axes) != len(steps):
            raise ArgumentError(f"roll: {len(steps)} shifts for {len(axes)} dims")
        return apply(Roll, input, shifts=steps, dims=axes)

    def infer(x, *, shifts, dims):
        return x

    def forward(x, *, shifts, dims):
        return np.roll(x, shifts, dims) if x.ndim else x

    def grad_x(g, shifts, dims):
        return apply(Roll, g, shifts=tuple(-s for s in shifts), dims=dims)

    def latex(x, *, shifts, dims):
        return rf"\operatorname{{roll}}\left({x}, {list(shifts)}\right)"


class Repeat(Operator):
    """The whole tensor repeated along each axis; more sizes than axes make new axes in front.

    >>> bl.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """

    exports = "Tensor"
    moves = True

    def call(input, *repeats):
        counts = sizes_of(repeats)
        if len(counts) < input.ndim:
            raise ShapeError(f"repeat: {len(counts)} numbers for a tensor of {input.ndim} axes",
                             hint="name every axis")  # fmt: skip
        if any(n < 0 for n in counts):
            raise ArgumentError(f"repeat: numbers must not be negative, got {counts}")
        return apply(Repeat, input, repeats=counts)

    def infer(x, *, repeats):
        shape = (1,) * (len(repeats) - x.ndim) + tuple(x.shape)
        return Spec(tuple(n * r for n, r in zip(shape, repeats)), x.dtype)

    def forward(x, *, repeats):
        return np.tile(x, repeats)

    def grad_x(g, x_spec, repeats):
        shape = (1,) * (len(repeats) - x_spec.ndim) + tuple(x_spec.shape)
        split = tuple(n for pair in zip(repeats, shape) for n in pair)
        return g.reshape(split).sum(tuple(range(0, len(split), 2))).reshape(x_spec.shape)

    def latex(x, *, repeats):
        return rf"\operatorname{{repeat}}\left({x}, {list(repeats)}\right)"


@export("bl Tensor")
def tile(input, *dims):
    """The whole tensor repeated along each axis, the last axes if there are fewer numbers.

    >>> bl.tile(bl.tensor([1, 2]), (2,))
    tensor([1, 2, 1, 2])
    """
    counts = sizes_of(dims)
    return Repeat.call(input, (1,) * (input.ndim - len(counts)) + counts)


class RepeatInterleave(Composite):
    """Each element repeated, one number for all or one for each position along `dim`.

    >>> bl.repeat_interleave(bl.tensor([1, 2]), bl.tensor([2, 1]))
    tensor([1, 1, 2])
    """

    def expand(input, repeats=None, dim=None, *, output_size=None):
        if repeats is None:  # the positions themselves, each as often as the input says
            counts = _counts(input)
            return input.new_tensor(np.repeat(np.arange(len(counts)), counts), dtype=input.dtype)
        if dim is None:
            input, dim = input.reshape(-1), 0
        dim = normalize_axis(dim, input.ndim)
        if not hasattr(repeats, "cell") and not isinstance(repeats, (list, tuple)):
            return _each_repeated(input, repeats, dim)
        if not input.ndim:
            input = input.reshape(1)
        counts = _counts(repeats)
        size = input.shape[dim]
        if counts.size not in (1, size):
            raise ShapeError(f"repeat_interleave: {counts.size} repeats for {size} elements")
        index = np.repeat(np.arange(size), np.broadcast_to(counts, (size,)))
        if output_size is not None and output_size != index.size:
            raise ArgumentError(f"repeat_interleave: the result has {index.size} elements, "
                                f"not output_size={output_size}")  # fmt: skip
        return input.index_select(dim, input.new_tensor(index, dtype=_int64()))


def _int64() -> Any:
    from backlit.dtypes import int64

    return int64


def _counts(repeats: Any) -> np.ndarray:
    counts = values_of(repeats) if hasattr(repeats, "cell") else np.asarray(repeats)
    if counts.dtype.kind not in "iu":
        raise DTypeError(f"repeat_interleave: repeats must be whole numbers, got {counts.dtype}")
    if counts.ndim > 1:
        raise ShapeError(f"repeat_interleave: repeats must have one axis, got {counts.shape}")
    if counts.size and counts.min() < 0:
        raise ArgumentError(f"repeat_interleave: repeats must not be negative, got {counts.min()}")
    return counts.reshape(-1)


def _each_repeated(x: Any, count: int, dim: int) -> Any:
    if count < 0:
        raise ArgumentError(f"repeat_interleave: repeats must not be negative, got {count}")
    if not x.ndim:
        return x.reshape(1).expand(count)
    shape = tuple(x.shape)
    wide = apply(Expand, x.unsqueeze(dim + 1), shape=(*shape[: dim + 1], count, *shape[dim + 1 :]))
    return apply(Reshape, wide, shape=(*shape[:dim], shape[dim] * count, *shape[dim + 1 :]))


# ----- channels and pixels -----


def _image(x: Any, name: str) -> tuple[tuple, int, int, int]:
    if x.ndim < 3:
        raise ShapeError(f"{name}: expected (*, C, H, W), got a tensor of {x.ndim} axes")
    return (tuple(x.shape[:-3]), *x.shape[-3:])


class PixelShuffle(Composite):
    """(*, C r², H, W) as (*, C, H r, W r): channels become pixels. Source: Shi et al. (2016).

    >>> bl.pixel_shuffle(bl.zeros(1, 4, 2, 2), 2).shape
    backlit.Size([1, 1, 4, 4])
    """

    exports = "bl F"

    def expand(input, upscale_factor):
        lead, c, h, w = _image(input, "pixel_shuffle")
        r = upscale_factor
        if r < 1 or c % (r * r):
            raise ArgumentError(f"pixel_shuffle: {c} channels are no multiple of {r}²")
        n = len(lead)
        split = apply(Reshape, input, shape=(*lead, c // (r * r), r, r, h, w))
        order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
        return apply(Permute, split, dims=order).reshape(*lead, c // (r * r), h * r, w * r)


class PixelUnshuffle(Composite):
    """(*, C, H r, W r) as (*, C r², H, W): pixels become channels.

    >>> bl.pixel_unshuffle(bl.zeros(1, 1, 4, 4), 2).shape
    backlit.Size([1, 4, 2, 2])
    """

    exports = "bl F"

    def expand(input, downscale_factor):
        lead, c, h, w = _image(input, "pixel_unshuffle")
        r = downscale_factor
        if r < 1 or h % r or w % r:
            raise ArgumentError(f"pixel_unshuffle: {h} x {w} pixels are no multiples of {r}")
        n = len(lead)
        split = apply(Reshape, input, shape=(*lead, c, h // r, r, w // r, r))
        order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
        return apply(Permute, split, dims=order).reshape(*lead, c * r * r, h // r, w // r)


class ChannelShuffle(Composite):
    """Channels (axis 1) dealt out from `groups` groups in turn. Source: Zhang et al. (2018).

    >>> bl.channel_shuffle(bl.arange(4).reshape(1, 4, 1), 2).flatten()
    tensor([0, 2, 1, 3])
    """

    exports = "bl F"

    def expand(input, groups):
        if input.ndim < 3:
            raise ShapeError(f"channel_shuffle: expected (N, C, *), got {input.ndim} axes")
        n, c, *rest = input.shape
        if groups < 1 or c % groups:
            raise ArgumentError(f"channel_shuffle: {c} channels are no multiple of {groups} groups")
        split = apply(Reshape, input, shape=(n, groups, c // groups, *rest))
        return split.transpose(1, 2).reshape(n, c, *rest)
