"""Pictures by matplotlib: an empty figure, and a figure as PNG.

Drawn with matplotlib's canvases directly, so that no window system and none of pyplot's state is
touched; it is imported when the first figure is made. What is drawn is up to who asks.
"""

from __future__ import annotations

import io
import os
from typing import Any

from backlit.files import atomic_write, saving


def new_figure(width: float, height: float) -> Any:
    """An empty figure of that size in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    made = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(made)
    return made


def png(figure: Any) -> bytes:
    """The figure as the bytes of a PNG file."""
    data = io.BytesIO()
    figure.savefig(data, format="png")
    return data.getvalue()


def write_png(figure: Any, path: str | os.PathLike[str]) -> None:
    """Write the figure as PNG, whole or not at all."""
    with saving(path), atomic_write(path) as file:
        file.write(png(figure))
