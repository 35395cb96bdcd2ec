"""Operations on pixels, as NumPy arrays (H, W) or (H, W, C): what the transforms are made of.

Owns the way between Pillow images, arrays, tensors (..., C, H, W) and these arrays. Whole-number
pixels lie in 0 to 255, floats in 0 to 1. Knows nothing of randomness. Read next: transforms.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError

GRAY = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601 luma
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
FILTERS = ("nearest", "bilinear", "bicubic", "lanczos", "box", "hamming")
PADDING_MODES = {"edge": "edge", "reflect": "reflect", "symmetric": "symmetric"}


def is_pillow(image: Any) -> bool:
    """Whether this is a Pillow image, without importing Pillow."""
    return hasattr(image, "getbands") and hasattr(image, "convert")


def size_of(image: Any) -> tuple[int, int]:
    """Height and width."""
    if is_pillow(image):
        return image.size[1], image.size[0]
    _check_axes(image)
    shape = image.shape
    return (shape[0], shape[1]) if isinstance(image, np.ndarray) else (shape[-2], shape[-1])


def _check_axes(image: Any) -> None:
    import backlit as bl

    if isinstance(image, np.ndarray) and image.ndim in (2, 3):
        return
    if isinstance(image, bl.Tensor) and image.ndim >= 2:
        return
    shape = getattr(image, "shape", "")
    raise ArgumentTypeError(
        f"transforms: expected a Pillow image, an array (H, W) or (H, W, C) or a tensor "
        f"(..., H, W), got {type(image).__name__} {tuple(shape) or ''}".rstrip()
    )


def mapped(image: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Apply a change of an array (H, W) or (H, W, C) to any kind of image."""
    if is_pillow(image):
        return _to_pillow(change(np.asarray(_readable(image))), image)
    _check_axes(image)
    if isinstance(image, np.ndarray):
        return np.ascontiguousarray(change(image))
    return _mapped_tensor(image, change)


def _mapped_tensor(image: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    import backlit as bl

    array = image.detach().numpy()
    if array.ndim == 2:
        return bl.from_numpy(np.ascontiguousarray(change(array)))
    leading = array.reshape(-1, *array.shape[-3:])
    changed = [change(part.transpose(1, 2, 0)) for part in leading]
    stacked = np.stack([_with_channels(part).transpose(2, 0, 1) for part in changed])
    return bl.from_numpy(stacked.reshape(*array.shape[:-3], *stacked.shape[1:]))


def _with_channels(array: np.ndarray) -> np.ndarray:
    return array[..., None] if array.ndim == 2 else array


def _readable(image: Any) -> Any:
    """Palettes and bit maps have no pixel values to compute with."""
    if image.mode == "P":
        return image.convert("RGBA" if "transparency" in image.info else "RGB")
    return image.convert("L") if image.mode == "1" else image


def _to_pillow(array: np.ndarray, like: Any) -> Any:
    from PIL import Image

    like = _readable(like)
    bands = array.shape[2] if array.ndim == 3 else 1
    if bands == 1 and array.ndim == 3:
        array = array[..., 0]
    result = Image.fromarray(np.ascontiguousarray(array))
    if bands == len(like.getbands()) and result.mode != like.mode and result.mode in MODES.values():
        # YCbCr, HSV and the like have the bytes of RGB but another meaning.
        return Image.frombytes(like.mode, result.size, result.tobytes())
    return result


def to_chw(image: Any) -> np.ndarray:
    """A Pillow image or array as (C, H, W); bytes are scaled to float32 in [0, 1]."""
    if is_pillow(image):
        image = np.asarray(_readable(image))
    _check_axes(image)
    array = _with_channels(image).transpose(2, 0, 1)
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array).astype(np.float32) / np.float32(255)
    return np.ascontiguousarray(array)


def crop(image: Any, top: int, left: int, height: int, width: int) -> Any:
    """The rectangle at (top, left); outside the image there is zero."""
    have_h, have_w = size_of(image)
    over = (-left, -top, left + width - have_w, top + height - have_h)
    if any(side > 0 for side in over):
        before = [max(side, 0) for side in over]
        image = pad(image, before, 0, "constant")
        top, left = top + before[1], left + before[0]
    return mapped(image, lambda a: a[top : top + height, left : left + width])


def pad(image: Any, sides: list[int], fill: Any, mode: str) -> Any:
    """Add (left, top, right, bottom) pixels: constant, edge, reflect or symmetric."""
    left, top, right, bottom = sides
    return mapped(image, lambda a: _padded(a, ((top, bottom), (left, right)), fill, mode))


def _padded(array: np.ndarray, widths: Any, fill: Any, mode: str) -> np.ndarray:
    own = (*widths, *((0, 0),) * (array.ndim - 2))
    if mode != "constant":
        return np.pad(array, own, mode=PADDING_MODES[mode])  # type: ignore[call-overload]
    (top, bottom), (left, right) = widths
    height, width = array.shape[:2]
    shape = (height + top + bottom, width + left + right, *array.shape[2:])
    result = np.empty(shape, array.dtype)
    result[...] = fill
    result[top : top + height, left : left + width] = array
    return result


def hflip(image: Any) -> Any:
    """Left becomes right."""
    return mapped(image, lambda a: a[:, ::-1])


def vflip(image: Any) -> Any:
    """Top becomes bottom."""
    return mapped(image, lambda a: a[::-1])


def resize(image: Any, height: int, width: int, interpolation: str = "bilinear") -> Any:
    """Resample to a size, with Pillow's antialiased filters."""
    from PIL import Image

    method = Image.Resampling[interpolation.upper()]
    if is_pillow(image):
        return _readable(image).resize((width, height), method)
    return mapped(image, lambda a: _by_channel(a, lambda p: p.resize((width, height), method)))


def rotate(
    image: Any, angle: float, interpolation: str, expand: bool, center: Any, fill: Any
) -> Any:
    """Turn counterclockwise by degrees about a center (x, y), default the middle."""
    from PIL import Image

    method = Image.Resampling[interpolation.upper()]
    if is_pillow(image):
        source = _readable(image)
        tone = tuple(fill) if isinstance(fill, list | tuple) else (fill,) * len(source.getbands())
        tone = tone[0] if len(tone) == 1 else tone
        return source.rotate(angle, method, expand=expand, center=center, fillcolor=tone)

    def turn(plane: Any) -> Any:
        return plane.rotate(angle, method, expand=expand, center=center, fillcolor=fill)

    if isinstance(fill, list | tuple):
        raise ArgumentError("rotate: fill must be one number for arrays and tensors")
    return mapped(image, lambda a: _by_channel(a, turn))


def _by_channel(array: np.ndarray, change: Callable[[Any], Any]) -> np.ndarray:
    """Let Pillow change each channel: as bytes where they are, else as float32."""
    from PIL import Image

    if array.dtype.kind == "b" or array.dtype.kind not in "uif":
        raise ArgumentTypeError(f"transforms: cannot resample pixels of {array.dtype}")
    inner = np.uint8 if array.dtype == np.uint8 else np.float32
    planes = np.moveaxis(_with_channels(array), 2, 0)
    changed = [
        np.asarray(change(Image.fromarray(np.ascontiguousarray(plane, inner)))) for plane in planes
    ]
    result = np.stack(changed, axis=2)
    if array.dtype.kind in "ui" and inner is np.float32:
        limits = np.iinfo(array.dtype)
        result = np.clip(np.rint(result), limits.min, limits.max)
    return (result if array.ndim == 3 else result[..., 0]).astype(array.dtype)


def _in_unit_floats(
    image: Any, change: Callable[[np.ndarray], np.ndarray], keep_alpha: bool = True
) -> Any:
    """Apply a change of colours in [0, 1] to bytes or floats; clipped, rounded, alpha kept."""

    def whole(array: np.ndarray) -> np.ndarray:
        scale = 255.0 if array.dtype.kind in "ui" else 1.0
        colours = _with_channels(array).astype(np.float64) / scale
        bands = colours.shape[2]
        split = bands - 1 if bands in (2, 4) else bands
        changed = np.clip(change(colours[..., :split]), 0, 1) * scale
        if keep_alpha and split < bands:
            changed = np.concatenate([changed, colours[..., split:] * scale], axis=2)
        if scale != 1:
            changed = np.rint(changed)
        changed = changed.astype(array.dtype)
        return changed[..., 0] if array.ndim == 2 and changed.shape[2] == 1 else changed

    return mapped(image, whole)


def luma(colours: np.ndarray) -> np.ndarray:
    """Brightness of RGB or grey pixels, (H, W, 1)."""
    if colours.shape[2] == 1:
        return colours
    if colours.shape[2] != 3:
        raise ArgumentError(f"transforms: expected 1 or 3 channels, got {colours.shape[2]}")
    return (colours @ GRAY)[..., None]


def grayscale(image: Any, channels: int) -> Any:
    """Brightness in 1 or 3 equal channels."""

    def change(colours: np.ndarray) -> np.ndarray:
        return np.repeat(luma(colours), channels, axis=2)

    return _in_unit_floats(image, change, keep_alpha=False)


def adjust_brightness(image: Any, factor: float) -> Any:
    """Scale towards black (0) or beyond the original (above 1)."""
    return _in_unit_floats(image, lambda c: c * factor)


def adjust_contrast(image: Any, factor: float) -> Any:
    """Scale differences from the mean brightness."""
    return _in_unit_floats(image, lambda c: _blend(c, luma(c).mean(), factor))


def adjust_saturation(image: Any, factor: float) -> Any:
    """Scale differences from grey."""
    return _in_unit_floats(image, lambda c: _blend(c, luma(c), factor))


def _blend(colours: np.ndarray, base: Any, factor: float) -> np.ndarray:
    return base + (colours - base) * factor


def adjust_hue(image: Any, shift: float) -> Any:
    """Turn the colour circle by a share of it, -0.5 to 0.5; grey images stay."""

    def change(colours: np.ndarray) -> np.ndarray:
        return colours if colours.shape[2] == 1 else _turned(colours, shift)

    return _in_unit_floats(image, change)


def _turned(rgb: np.ndarray, shift: float) -> np.ndarray:
    high, low = rgb.max(axis=2), rgb.min(axis=2)
    chroma = high - low
    safe = np.where(chroma == 0, 1, chroma)
    r, g, b = np.moveaxis(rgb, 2, 0)
    sector = np.where(
        high == r, (g - b) / safe, np.where(high == g, 2 + (b - r) / safe, 4 + (r - g) / safe)
    )
    sector = (sector + 6 * shift)[..., None]
    # Each of red, green, blue falls from the maximum by the chroma, at its place of the circle.
    place = (np.array([5.0, 3.0, 1.0]) + sector) % 6
    fall = np.clip(np.minimum(place, 4 - place), 0, 1)
    return high[..., None] - chroma[..., None] * fall
