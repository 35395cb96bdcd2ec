"""Sampling images at free points: `grid_sample`, and the grids of affine maps.

The values at whole places are `plane_take`, linear in the image with `plane_put` as its adjoint;
weights are plain operators of the grid, so that any order of derivatives works in both.
Source: Jaderberg et al., "Spatial transformer networks" (2015).
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from backlit.dtypes import int64
from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.ops import windows as win
from backlit.ops.image import cubic_weights
from backlit.ops.op import Composite, Operator, Spec, apply, slot


class PlaneTake(Operator):
    """x (N, C, *S) at flat places (N, *out) of its planes: (N, C, *out); 0 where it is -1."""

    exports = ""

    def infer(x, places):
        if places.dtype.kind not in "iu" or places.shape[0] != x.shape[0]:
            raise ShapeError(f"places {places.shape} do not fit {x.shape}")
        return Spec((*x.shape[:2], *places.shape[1:]), x.dtype)

    def forward(x, places):
        planes, flat = _flat(x, places)
        taken = np.empty((*x.shape[:2], flat.shape[1]), x.dtype)
        for plane, place, row in zip(planes, flat, taken):
            plane.take(place, axis=1, out=row, mode="clip")
        if (flat < 0).any():
            np.copyto(taken, 0, where=(flat < 0)[:, None])
        return taken.reshape(*x.shape[:2], *places.shape[1:])

    def grad_x(g, places, x_spec):
        return apply(PlanePut, g, places, size=tuple(x_spec.shape[2:]))

    def latex(x, places):
        return rf"{{{x}}}_{{{places}}}"


class PlanePut(Operator):
    """Planes of `size` with values (N, C, *out) added at places (N, *out), but for those at -1."""

    exports = ""
    inputs = ("g0", "places")

    def infer(g, places, *, size):
        return Spec((*g.shape[:2], *size), g.dtype)

    def forward(g, places, *, size):
        count = math.prod(size)
        flat = places.reshape(len(places), math.prod(places.shape[1:]))
        win.check_places(np.maximum(flat, 0), max(count, 1))
        # One more slot per plane takes what lies outside.
        slots = np.where(flat < 0, count, flat)[:, None]
        base = np.arange(math.prod(g.shape[:2])).reshape(*g.shape[:2], 1) * (count + 1)
        total = np.bincount(
            (slots + base).reshape(-1), g.reshape(-1).astype(np.float64), base.size * (count + 1)
        )
        kept = total.reshape(*g.shape[:2], count + 1)[:, :, :count]
        return kept.astype(g.dtype).reshape(*g.shape[:2], *size)

    def grad_g0(g, places):
        return apply(PlaneTake, g, places)

    def latex(g, places, *, size):
        return rf"\operatorname{{put}}_{{{places}}}\left({g}\right)"


def _flat(x: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    count = math.prod(x.shape[2:])
    flat = places.reshape(len(places), math.prod(places.shape[1:]))
    win.check_places(np.maximum(flat, 0), max(count, 1))
    return x.reshape(*x.shape[:2], count), flat


class GridSample(Composite):
    """The image at the points of a grid, whose coordinates go from -1 to 1 (x first).

    input (N, C, H, W), grid (N, H', W', 2), or (N, C, D, H, W) and (N, D', H', W', 3). mode is
    bilinear, nearest or bicubic (images only); padding_mode is zeros, border or reflection.

    >>> grid = bl.tensor([[[[0.0, 0.0]]]])
    >>> F.grid_sample(bl.tensor([[[[1.0, 3.0]]]]), grid, align_corners=False)
    tensor([[[[2.]]]])
    """

    exports = "F"

    def expand(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
        _check(input, grid, mode, padding_mode)
        align = bool(align_corners)
        dims = input.ndim - 2
        sizes = tuple(input.shape[2:])
        points = []  # along each axis of the image, the last coordinate of the grid first
        for axis in range(dims):
            c = grid[..., dims - 1 - axis]
            at = (c + 1) * ((sizes[axis] - 1) / 2) if align else ((c + 1) * sizes[axis] - 1) / 2
            points.append(at)
        if mode == "bicubic":
            taps = [_cubic(at, n, padding_mode, align) for at, n in zip(points, sizes)]
        else:
            points = [_padded(at, n, padding_mode, align) for at, n in zip(points, sizes)]
            taps = [_nearest(at) if mode == "nearest" else _linear(at) for at in points]
        return _weighted(input, sizes, taps)


def _check(input: Any, grid: Any, mode: str, padding_mode: str) -> None:
    for x in (input, grid):
        if not hasattr(x, "cell"):
            raise ArgumentTypeError(f"grid_sample: expected a Tensor, got {type(x).__name__}")
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise ArgumentError(f"grid_sample: mode must be bilinear, nearest or bicubic, got {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ArgumentError(
            f"grid_sample: padding_mode must be zeros, border or reflection, got {padding_mode!r}"
        )
    wanted = (4,) if mode == "bicubic" else (4, 5)
    if input.ndim not in wanted or grid.ndim != input.ndim or grid.shape[-1] != input.ndim - 2:
        raise ShapeError(
            f"grid_sample: input {tuple(input.shape)} and grid {tuple(grid.shape)} with mode"
            f" {mode!r}", hint="(N, C, H, W) goes with (N, H', W', 2)"
        )  # fmt: skip
    if input.shape[0] != grid.shape[0]:
        raise ShapeError(
            f"grid_sample: input has {input.shape[0]} images, grid {grid.shape[0]} samples"
        )
    if input.dtype is not grid.dtype or not input.dtype.is_floating_point:
        raise DTypeError(
            f"grid_sample: input is {input.dtype.name}, grid {grid.dtype.name}",
            hint="both must be of one floating-point dtype",
        )
    if 0 in input.shape[2:]:
        raise ShapeError(f"grid_sample: the image is empty: {tuple(input.shape)}")


def _padded(at: Any, n: int, padding: str, align: bool) -> Any:
    """Coordinates brought into the image, as the padding mode says."""
    if padding == "zeros":
        return at
    if padding == "reflection":
        at = _reflected(at, n, align)
    return at.clamp(0, n - 1)


def _reflected(at: Any, n: int, align: bool) -> Any:
    """Coordinates mirrored at the outer elements, or at their outer edges."""
    low, span = (0.0, n - 1.0) if align else (-0.5, float(n))
    if span <= 0:
        return at * 0.0
    away = (at - low).abs()
    flips = (away / span).floor()
    rest = away - flips * span
    odd = flips - (flips / 2).floor() * 2
    return odd * (span - rest) + (1 - odd) * rest + low


# Of one axis: whole places and their weights (None: 1), as tensors over the grid.
Axis = list[tuple[Any, Any]]


def _nearest(at: Any) -> Axis:
    return [(at.detach().round(), None)]


def _linear(at: Any) -> Axis:
    first = at.detach().floor()
    t = at - first
    return [(first, 1 - t), (first + 1, t)]


def _cubic(at: Any, n: int, padding: str, align: bool) -> Axis:
    first = at.detach().floor()
    weights = cubic_weights(at - first)
    return [(_padded(first + k - 1, n, padding, align), w) for k, w in enumerate(weights)]


def _weighted(input: Any, sizes: tuple, taps: list[Axis]) -> Any:
    """The sum over all combinations of taps of the image there, times the weights."""
    total = None
    for corner in itertools.product(*taps):
        weight: Any = None
        flat: Any = None
        inside: Any = None
        for (place, w), n in zip(corner, sizes):
            within = (place >= 0) & (place <= n - 1)
            # Whole numbers before they grow: a float32 counts to 2^24 only.
            whole = place.where(within, 0.0).to(int64)
            flat = whole if flat is None else flat * n + whole
            inside = within if inside is None else inside & within
            if w is not None:
                weight = w if weight is None else weight * w
        part = apply(PlaneTake, input, flat.where(inside, -1))
        part = part if weight is None else part * weight.unsqueeze(1)
        total = part if total is None else total + part
    return total


class AffineGrid(Composite):
    """The grid of an affine map for `grid_sample`: theta (N, 2, 3) or (N, 3, 4).

    `size` is the output's (N, C, H, W) or (N, C, D, H, W).

    >>> theta = bl.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    >>> F.affine_grid(theta, (1, 1, 1, 2), align_corners=False)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """

    exports = "F"

    def expand(theta, size, align_corners=None):
        size = tuple(int(n) for n in size)
        dims = len(size) - 2
        if dims not in (2, 3) or tuple(theta.shape) != (size[0], dims, dims + 1):
            raise ShapeError(
                f"affine_grid: theta {tuple(theta.shape)} for size {size}",
                hint="theta is (N, 2, 3) for size (N, C, H, W)",
            )
        if any(n < 1 for n in size):
            raise ArgumentError(f"affine_grid: size must be positive, got {size}")
        base = slot.wrap(_base(size[2:], bool(align_corners)).astype(theta.dtype.numpy))
        return (base @ theta.mT).reshape((size[0], *size[2:], dims))


def _base(size: tuple, align: bool) -> np.ndarray:
    """Points of the unmoved grid, one per row: (x, y, 1) or (x, y, z, 1)."""
    axes = []
    for n in size:
        line = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
        axes.append(line if align else line * (n - 1) / n)
    mesh = np.meshgrid(*axes, indexing="ij")
    return np.stack([*(m.reshape(-1) for m in reversed(mesh)), np.ones(mesh[0].size)], axis=1)
