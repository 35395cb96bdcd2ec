"""Resizing and sampling images.

Every way of resizing is one matrix of weights per axis, made from sizes alone, so that a resize
is a product: differentiable and part of a Program. Source: the ONNX specification of Resize;
Keys, "Cubic convolution interpolation" (1981).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.api import NAMESPACES
from backlit.creation import as_tensor
from backlit.errors import ArgumentError
from backlit.onnx.loading.table import Node, axis_of, integers, operator, setting
from backlit.tensor import Tensor

bl, F = NAMESPACES["bl"], NAMESPACES["F"]


@dataclass(frozen=True)
class Rule:
    """How one axis is resized."""

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    rounding: str = "round_prefer_floor"
    cubic: float = -0.75
    antialias: bool = False
    exclude: bool = False
    outside: float = 0.0


def places(rule: Rule, size: int, count: int, scale: float, roi: tuple[float, float]) -> np.ndarray:
    """Where each of `count` output elements lies among `size` input elements."""
    x = np.arange(count, dtype=np.float64)
    exact = scale * size
    name = rule.coordinates
    if name == "asymmetric":
        return x / scale
    if name == "align_corners":
        return np.zeros(count) if exact == 1 else x * (size - 1) / (exact - 1)
    if name == "tf_crop_and_resize":
        start, end = roi
        if count == 1:
            return np.full(1, (start + end) * (size - 1) / 2)
        return start * (size - 1) + x * (end - start) * (size - 1) / (count - 1)
    middle = (x + 0.5) / scale - 0.5
    if name == "pytorch_half_pixel" and count == 1:
        return np.full(1, -0.5)
    if name == "half_pixel_symmetric":
        return size / 2 * (1 - count / exact) + middle
    if name not in ("half_pixel", "pytorch_half_pixel"):
        raise ArgumentError(f"Resize: unknown coordinate_transformation_mode '{name}'")
    return middle


def nearest(rule: Rule, at: np.ndarray, size: int) -> np.ndarray:
    """The index of the element nearest to each place."""
    down, up = np.floor(at), np.ceil(at)
    how = {"floor": down, "ceil": up, "round_prefer_floor": np.ceil(at - 0.5),
           "round_prefer_ceil": np.floor(at + 0.5)}  # fmt: skip
    if rule.rounding not in how:
        raise ArgumentError(f"Resize: unknown nearest_mode '{rule.rounding}'")
    return how[rule.rounding].clip(0, size - 1).astype(np.int64)


def matrix(rule: Rule, at: np.ndarray, size: int, scale: float) -> np.ndarray:
    """Weights (outputs, inputs) of linear or cubic interpolation at these places."""
    stretch = 1 / min(scale, 1.0) if rule.antialias else 1.0
    radius = int(np.ceil((1 if rule.mode == "linear" else 2) * stretch))
    taps = np.floor(at).astype(np.int64)[:, None] + np.arange(1 - radius, radius + 1)
    distance = np.abs(taps - at[:, None]) / stretch
    weights = np.maximum(1 - distance, 0) if rule.mode == "linear" else _cubic(distance, rule.cubic)
    if rule.exclude:
        weights = np.where((taps < 0) | (taps >= size), 0, weights)
    weights = weights / weights.sum(1, keepdims=True)
    made = np.zeros((len(at), size))
    np.add.at(made, (np.arange(len(at))[:, None], taps.clip(0, size - 1)), weights)
    return made


def _cubic(d: np.ndarray, a: float) -> np.ndarray:
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def resize_axis(
    x: Tensor, axis: int, rule: Rule, count: int, scale: float, roi: tuple[float, float]
) -> Tensor:
    """One axis resized; a shape with whole numbers is computed as float32."""
    size = x.shape[axis]
    at = places(rule, size, count, scale, roi)
    if rule.mode == "nearest":
        return bl["index_select"](x, axis, as_tensor(nearest(rule, at, size)))
    weights = as_tensor(matrix(rule, at, size, scale).astype(x.dtype.numpy))
    return bl["movedim"](F["linear"](bl["movedim"](x, axis, -1), weights), -1, axis)


def _outside(x: Tensor, axis: int, at: np.ndarray, value: float, size: int) -> Tensor:
    """The extrapolation value where a crop leaves the image."""
    out = (at < 0) | (at > size - 1)
    if not out.any():
        return x
    shape = [-1 if i == axis else 1 for i in range(x.ndim)]
    return bl["where"](as_tensor(out.reshape(shape)), as_tensor(value).to(x.dtype), x)


def resize(x: Tensor, axes: list[int], counts: list[int], scales: list[float], rule: Rule,
           rois: list[tuple[float, float]]) -> Tensor:  # fmt: skip
    """Axis after axis; axes that keep their size and place are left alone."""
    crops = rule.coordinates == "tf_crop_and_resize"
    kept = x.dtype
    if rule.mode != "nearest" and not kept.is_floating_point:
        x = x.float()
    before = tuple(x.shape)
    for axis, count, scale, roi in zip(axes, counts, scales, rois):
        if count != before[axis] or scale != 1 or (crops and roi != (0.0, 1.0)):
            x = resize_axis(x, axis, rule, count, scale, roi)
    if crops:
        for axis, count, scale, roi in zip(axes, counts, scales, rois):
            at = places(rule, before[axis], count, scale, roi)
            x = _outside(x, axis, at, rule.outside, before[axis])
    return x if x.dtype is kept else x.to(kept)


@operator("Resize", settings=(1, 2, 3))
def resize_node(node: Node, x: Tensor, roi: Any = None, scales: Any = None,
                sizes: Any = None) -> Tensor:  # fmt: skip
    if node.version < 11:  # the second input was the scales
        return _upsampled(node, x, roi)
    axes = [axis_of(node, a, x.ndim) for a in node.get("axes", range(x.ndim))]
    rule = Rule(
        node.get("mode", "nearest"),
        node.get("coordinate_transformation_mode", "half_pixel"),
        node.get("nearest_mode", "round_prefer_floor"),
        node.get("cubic_coeff_a", -0.75),
        bool(node.get("antialias", 0)),
        bool(node.get("exclude_outside", 0)),
        node.get("extrapolation_value", 0.0),
    )
    rois = [(0.0, 1.0)] * len(axes)
    if roi is not None and roi.size:
        rois = [(float(a), float(b)) for a, b in zip(roi[: len(axes)], roi[len(axes) :])]
    old = [x.shape[a] for a in axes]
    if sizes is not None and sizes.size:
        counts, factors = _fitted(node, old, integers(sizes))
    elif scales is not None and scales.size:
        factors = [float(s) for s in scales]
        crop = [b - a if rule.coordinates == "tf_crop_and_resize" else 1.0 for a, b in rois]
        counts = [int(np.floor(n * s * c)) for n, s, c in zip(old, factors, crop)]
    else:
        raise ArgumentError("Resize: neither scales nor sizes are given")
    return resize(x, axes, counts, factors, rule, rois)


def _fitted(node: Node, old: list[int], wanted: list[int]) -> tuple[list[int], list[float]]:
    """Sizes and scales; a policy keeps the proportions within or around the wanted size."""
    policy = node.get("keep_aspect_ratio_policy", "stretch")
    factors = [w / n for w, n in zip(wanted, old)]
    if policy == "stretch":
        return wanted, factors
    factor = min(factors) if policy == "not_larger" else max(factors)
    return [int(np.floor(factor * n + 0.5)) for n in old], [factor] * len(old)


@operator("Upsample", settings=(1,))
def upsample(node: Node, x: Tensor, scales: Any = None) -> Tensor:
    return _upsampled(node, x, setting(node, "scales", scales))


def _upsampled(node: Node, x: Tensor, scales: np.ndarray) -> Tensor:
    """As before opset 11: places are x / scale, and the nearest is the one before."""
    rule = Rule(node.get("mode", "nearest"), "asymmetric", "floor")
    factors = [float(s) for s in scales]
    counts = [int(np.floor(n * s)) for n, s in zip(x.shape, factors)]
    return resize(x, list(range(x.ndim)), counts, factors, rule, [(0.0, 1.0)] * x.ndim)


@operator("GridSample")
def grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    """Opset 16 called the modes bilinear and bicubic, opset 20 linear and cubic."""
    mode = node.get("mode", "linear")
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    return F["grid_sample"](
        x, grid, mode, node.get("padding_mode", "zeros"), bool(node.get("align_corners", 0))
    )
