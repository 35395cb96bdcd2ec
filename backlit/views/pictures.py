"""Thumbnails of arrays as PNG data URIs: images, filter banks, feature maps, matrices.

At most SIDE pixels wide and high, larger arrays are averaged or cut to their first rows and
channels. What holds both signs is drawn from blue over white to red around 0, the rest from
white to dark; what is not finite is yellow. Knows arrays only.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np

SIDE = 64
_STEPS = 127  # shades on each side of 0
_BAD = 2 * _STEPS + 1  # the palette's entry for NaN and infinities
_BLUE, _RED, _DARK = (33, 102, 172), (178, 24, 43), (20, 30, 48)
_YELLOW = (255, 214, 10)


def picture(array: np.ndarray, role: str) -> dict[str, Any] | None:
    """The thumbnail of an array, or None where it is none; `role` is "filters" or anything else.

    Images (N, 1 or 3, H, W) that are no filters show as they are, other (N, C, H, W) as the
    maps of the first sample, filters (out, in, H, W) as a bank, matrices as heat maps.

    >>> from backlit.views.pictures import picture
    >>> found = picture(np.eye(100), "value")
    >>> found["what"], found["width"], found["height"]
    ('matrix', 64, 64)
    """
    if array.dtype.kind == "c" or not array.size:
        return None
    if array.ndim == 3:
        array, role = array[0], "matrix"
    if array.ndim == 2:
        if min(array.shape) < 2 or array.size < 9:
            return None
        return _shaded(_fitted(_wide(array), SIDE), "matrix")
    if array.ndim != 4:
        return None
    if role == "filters":
        if array.shape[1] == 3:
            return _colour_filters(_wide(array[:16]))
        return _shaded(_grid(_wide(array[:16, :16])), "filters")
    if array.shape[1] in (1, 3) and min(array.shape[2:]) >= 8:
        return _image(_wide(array[0]))
    across = int(np.ceil(np.sqrt(min(array.shape[1], 16))))
    maps = _wide(array[0, : across * across])
    return _shaded(_tiles(maps, across), "maps")


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float64)


def _fitted(plane: np.ndarray, side: int) -> np.ndarray:
    """A matrix averaged down to at most `side` rows and columns; small ones stay."""
    for axis in (0, 1):
        n = plane.shape[axis]
        if n > side:
            starts = np.arange(side) * n // side
            counts = np.diff([*starts, n])
            with np.errstate(invalid="ignore", over="ignore"):
                total = np.add.reduceat(plane, starts, axis)
            plane = total / (counts[:, None] if axis == 0 else counts)
    return plane


def _tiles(maps: np.ndarray, across: int) -> np.ndarray:
    """Maps side by side, one pixel between them (NaN is left for a masked pixel later)."""
    side = max(1, (SIDE + 1) // across - 1)
    fitted = [_fitted(m, side) for m in maps]
    return _frames([fitted[i : i + across] for i in range(0, len(fitted), across)])


def _grid(bank: np.ndarray) -> np.ndarray:
    """Filters: a row for each output, a column for each input channel."""
    rows, columns, height, width = bank.shape
    rows = max(1, min(rows, (SIDE + 1) // (height + 1)))
    columns = max(1, min(columns, (SIDE + 1) // (width + 1)))
    side = SIDE if rows == columns == 1 else max(height, width)
    if columns == 1 and rows > 1:  # one input channel: the filters fill a square
        across = int(np.ceil(np.sqrt(bank.shape[0])))
        return _tiles(bank[:, 0], across)
    return _frames([[_fitted(bank[i, j], side) for j in range(columns)] for i in range(rows)])


def _colour_filters(bank: np.ndarray) -> dict[str, Any]:
    """Filters of three channels as colours, 0 in grey."""
    across = int(np.ceil(np.sqrt(len(bank))))
    planes = [_tiles(bank[:, c], across) for c in range(3)]
    values = np.stack([np.ma.getdata(p) for p in planes], axis=-1)
    shown = ~np.ma.getmaskarray(planes[0])[..., None] & np.isfinite(values)
    largest = float(np.max(np.abs(values[shown]), initial=0.0)) or 1.0
    pixels = np.full(values.shape, 255, np.uint8)
    pixels[shown] = np.rint(values[shown] / largest * _STEPS + _STEPS).astype(np.uint8)
    return _encoded(pixels, None, "filters", None)


def _frames(rows: list[list[np.ndarray]]) -> np.ma.MaskedArray:
    """Planes of one size in rows, parted by masked pixels."""
    height, width = rows[0][0].shape
    across = max(len(row) for row in rows)
    shape = (len(rows) * (height + 1) - 1, across * (width + 1) - 1)
    made = np.ma.masked_all(shape, np.float64)
    for r, row in enumerate(rows):
        for c, plane in enumerate(row):
            top, left = r * (height + 1), c * (width + 1)
            made[top : top + height, left : left + width] = plane
    return made


def _shaded(plane: np.ndarray, what: str) -> dict[str, Any]:
    """Numbers as shades of the palette."""
    values, hidden = np.ma.getdata(plane), np.ma.getmaskarray(plane)
    finite = np.isfinite(values) & ~hidden
    largest = float(np.max(np.abs(values[finite]), initial=0.0)) or 1.0
    shade = np.full(values.shape, _BAD, np.uint8)
    # Shades are counted from 0 in the middle.
    shade[finite] = np.rint(values[finite] / largest * _STEPS + _STEPS).astype(np.uint8)
    signed = bool((values[finite] < 0).any())
    shade[hidden] = _STEPS
    return _encoded(shade, "P", what, _palette(signed))


def _palette(signed: bool) -> bytes:
    white = np.array((255, 255, 255), np.float64)
    toward = np.linspace(0, 1, _STEPS + 1)[1:, None]
    above = white + (np.array(_RED if signed else _DARK) - white) * toward
    below = (white + (np.array(_BLUE) - white) * toward)[::-1]
    table = np.concatenate([below, white[None], above, np.array([_YELLOW])])
    return bytes(np.rint(table).astype(np.uint8).tobytes())


def _image(planes: np.ndarray) -> dict[str, Any]:
    """One image (C, H, W), from its darkest to its brightest number."""
    fitted = np.stack([_fitted(p, SIDE) for p in planes], axis=-1)
    finite = np.isfinite(fitted)
    shown = fitted[finite]
    low = float(shown.min()) if shown.size else 0.0
    span = (float(shown.max()) - low if shown.size else 0.0) or 1.0
    light = np.where(finite, fitted, low)
    grey = np.rint((light - low) / span * 255).astype(np.uint8)
    return _encoded(grey[..., 0] if grey.shape[-1] == 1 else grey, None, "image", None)


def _encoded(pixels: np.ndarray, mode: str | None, what: str, palette: Any) -> dict[str, Any]:
    from PIL import Image

    picture = Image.fromarray(pixels)
    if mode == "P":
        picture.putpalette(palette)
    held = io.BytesIO()
    picture.save(held, "PNG", optimize=True)
    text = base64.b64encode(held.getvalue()).decode()
    return {
        "src": f"data:image/png;base64,{text}",
        "width": picture.width,
        "height": picture.height,
        "what": what,
    }
