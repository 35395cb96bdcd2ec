"""From tensors, arrays and figures to what an event holds: numbers, pixels, buckets.

Pillow writes the PNG; matplotlib is asked only for its own figures.
"""

from __future__ import annotations

import io
import math
import sys
from typing import Any

import numpy as np

from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.tensor import Tensor
from backlit.utils.tensorboard import messages

COLUMNS = 8  # images side by side in a grid
LAYOUTS = ("HW", "CHW", "HWC", "NCHW", "NHWC")


def array_of(value: Any) -> np.ndarray:
    """Any numbers as an array, gradients left behind."""
    array = value.numpy(force=True) if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype.kind not in "fiubV":
        raise ArgumentTypeError(f"SummaryWriter: {type(value).__name__} is not numbers")
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def number_of(value: Any) -> float:
    """One number."""
    array = array_of(value)
    if array.size != 1:
        raise ArgumentError(
            f"add_scalar: one number is wanted, got shape {array.shape}",
            hint="reduce it first, or use add_histogram",
        )
    return float(array.reshape(()))


def image_message(value: Any, layout: str) -> bytes:
    """A picture, or several as a grid, of a value laid out as in "CHW"; floats from 0 to 1."""
    from PIL import Image

    pixels, png = _pixels(array_of(value), layout.upper()), io.BytesIO()
    height, width, channels = pixels.shape
    Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(png, "PNG")
    return messages.image(height, width, channels, png.getvalue())


def _pixels(array: np.ndarray, layout: str) -> np.ndarray:
    """Bytes (H, W, C) with C 1, 3 or 4."""
    if layout not in LAYOUTS or array.ndim != len(layout):
        raise ArgumentError(
            f"add_image: shape {array.shape} is not laid out as dataformats={layout!r}",
            hint=f"dataformats is one of {', '.join(LAYOUTS)}",
        )
    if layout == "HW":
        array, layout = array[..., None], "HWC"
    if len(layout) == 3:
        array, layout = array[None], "N" + layout
    array = array.transpose([layout.index(axis) for axis in "NHWC"])
    if array.shape[3] not in (1, 3, 4) or not array.size:
        raise ArgumentError(
            f"add_image: {array.shape[3]} channels in shape {array.shape}, not 1, 3 or 4"
        )
    if array.dtype != np.uint8:
        scaled = np.nan_to_num(array.astype(np.float64)) * 255
        array = np.clip(scaled, 0, 255).astype(np.uint8)
    return _grid(array)


def _grid(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) side by side, in rows of eight."""
    count, height, width, channels = images.shape
    columns = min(count, COLUMNS)
    rows = math.ceil(count / columns)
    grid = np.zeros((rows * height, columns * width, channels), np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * height, i % columns * width
        grid[top : top + height, left : left + width] = image
    return grid


def figure_message(figure: Any, close: bool) -> bytes:
    """What one matplotlib figure, or each of a list of the same size, shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    drawn = []
    for one in figure if isinstance(figure, list | tuple) else [figure]:
        canvas = FigureCanvasAgg(one)
        canvas.draw()
        drawn.append(np.array(canvas.buffer_rgba()))
        pyplot = sys.modules.get("matplotlib.pyplot")
        if close and pyplot is not None:
            pyplot.close(one)
    if len({pixels.shape for pixels in drawn}) != 1:
        raise ArgumentError("add_figure: figures of different sizes, or none")
    return image_message(np.stack(drawn), "NHWC")


def histogram_message(value: Any, bins: Any, max_bins: int | None) -> bytes:
    """Counts of the finite numbers of a value, in the buckets that hold any."""
    values = array_of(value).reshape(-1).astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        raise ArgumentError("add_histogram: there is no finite number to count")
    edges = _edges() if isinstance(bins, str) and bins == "tensorflow" else bins
    inside = np.clip(values, edges[0], edges[-1]) if isinstance(edges, np.ndarray) else values
    counts, limits = np.histogram(inside, bins=edges)
    if max_bins is not None and len(counts) > max_bins:
        step = math.ceil(len(counts) / max_bins)
        counts = np.add.reduceat(counts, range(0, len(counts), step))
        limits = np.append(limits[:-1:step], limits[-1])
    held = np.flatnonzero(counts)
    first, last = (held[0], held[-1]) if held.size else (0, len(counts) - 1)
    # An empty bucket before the first tells where that one begins.
    counts = np.concatenate(([0], counts[first : last + 1]))
    return messages.histogram(messages.Histogram(values, limits[first : last + 2], counts))


def _edges() -> np.ndarray:
    """Edges a tenth apart from 1e-12 to 1e20, on both sides of 0."""
    positive = 1e-12 * 1.1 ** np.arange(math.ceil(math.log(1e32, 1.1)) + 1)
    return np.concatenate((-positive[::-1], [0.0], positive))
