"""A drawing as a list of shapes, written as SVG text or as a PNG file.

The two writers draw the same shapes, so that they can't differ in what they show. Text is
measured with the widths of DejaVu Sans, which the PNG is set in; Verdana is as wide. Knows no
gates. Next: still.py.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backlit.errors import ArgumentError

MOST_PIXELS, LONGEST_SIDE = 40_000_000, 32_000  # what programs that show pictures can open
FONT = "DejaVu Sans, Verdana, Geneva, sans-serif"
_WIDTHS = {
    **dict.fromkeys("0123456789", 0.636), **dict.fromkeys(".,:;'|!il[]()j", 0.4),
    **dict.fromkeys("mwMW@%×÷±−+=<>→≤≥≠∏", 0.95), **dict.fromkeys("‖-rtf ", 0.5),
    "_": 0.5,
}  # fmt: skip


def text_width(text: str, size: float) -> float:
    """At most as wide as this many pixels is a line of text.

    >>> from backlit.views.scene import text_width
    >>> text_width("0.5", 10) < text_width("-0.5", 10)
    True
    """
    total = 0.0
    for letter in text:
        if letter in _WIDTHS:
            total += _WIDTHS[letter]
        elif ord(letter) >= 0x2E80:  # Chinese and the like are square
            total += 1.0
        else:
            total += 0.77 if letter.isupper() else 0.64
    return total * size


@dataclass
class Text:
    """A line; `x`, `y` is its left (or middle) and its baseline; `exact` the unrounded number."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    middle: bool = False
    bold: bool = False
    exact: str = ""

    @property
    def box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom)."""
        width = text_width(self.text, self.size)
        left = self.x - width / 2 if self.middle else self.x
        return left, self.y - 0.8 * self.size, left + width, self.y + 0.25 * self.size


@dataclass
class Box:
    """A rectangle with round corners; a circle where they are half as large as it."""

    left: float
    top: float
    width: float
    height: float
    fill: str
    line: str
    round: float = 6.0


@dataclass
class Line:
    """A polyline through points; between columns it swings over."""

    points: list[tuple[float, float]]
    colour: str
    width: float = 1.3
    arrow: bool = False


@dataclass
class Scene:
    """Everything that is drawn, back to front."""

    width: float
    height: float
    title: str = ""
    lines: list[Line] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    texts: list[Text] = field(default_factory=list)


# ----- SVG -----


def to_svg(scene: Scene) -> str:
    """The scene as SVG text; exact numbers stand in `data-value`."""
    width, height = f"{scene.width:.0f}", f"{scene.height:.0f}"
    name = html.escape(scene.title, quote=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="{FONT}" role="img" aria-label="{name}">',
        f"<title>{name}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        *(_svg_line(line) for line in scene.lines),
        *(_svg_box(box) for box in scene.boxes),
        *(_svg_text(text) for text in scene.texts),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _svg_line(line: Line) -> str:
    (x, y), *rest = line.points
    path = f"M{x:.1f},{y:.1f}"
    for px, py in rest:
        half = (x + px) / 2
        if abs(py - y) < 0.05:
            path += f"H{px:.1f}"
        else:
            path += f"C{half:.1f},{y:.1f} {half:.1f},{py:.1f} {px:.1f},{py:.1f}"
        x, y = px, py
    tip = _tip(line)
    shape = f'<path d="{path}" fill="none" stroke="{line.colour}" stroke-width="{line.width}"/>'
    if tip:
        corners = " ".join(f"{a:.1f},{b:.1f}" for a, b in tip)
        shape += f'<polygon points="{corners}" fill="{line.colour}"/>'
    return shape


def _tip(line: Line) -> list[tuple[float, float]]:
    if not line.arrow:
        return []
    x, y = line.points[-1]
    return [(x, y), (x - 7, y - 3.5), (x - 7, y + 3.5)]


def _svg_box(box: Box) -> str:
    return (
        f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="{box.round:.1f}" fill="{box.fill}" stroke="{box.line}"/>'
    )


def _svg_text(text: Text) -> str:
    anchor = ' text-anchor="middle"' if text.middle else ""
    weight = ' font-weight="bold"' if text.bold else ""
    exact = f' data-value="{html.escape(text.exact, quote=True)}"' if text.exact else ""
    return (
        f'<text x="{text.x:.1f}" y="{text.y:.1f}" font-size="{text.size:g}" fill="{text.colour}"'
        f"{anchor}{weight}{exact}>{html.escape(text.text)}</text>"
    )


# ----- PNG -----


def to_png(scene: Scene, path: str | Path, scale: float) -> None:
    """The scene as a PNG file, `scale` pixels for each unit; fewer where it gets too large."""
    import math
    import warnings

    if not 0 < scale < math.inf:
        raise ArgumentError(f"png: scale must be above zero, got {scale}")

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scale = min(scale, math.sqrt(MOST_PIXELS / (scene.width * scene.height)),
                LONGEST_SIDE / max(scene.width, scene.height))  # fmt: skip
    figure = Figure(figsize=(scene.width / 100, scene.height / 100), dpi=100 * scale)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    axes.axis("off")
    for line in scene.lines:
        _png_line(axes, line)
    for box in scene.boxes:
        _png_box(axes, box)
    for text in scene.texts:
        axes.text(
            text.x, text.y, text.text, fontsize=text.size * 0.72, color=text.colour,
            ha="center" if text.middle else "left", va="baseline", family="DejaVu Sans",
            weight="bold" if text.bold else "normal", parse_math=False,
        )  # fmt: skip
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # names in any script
        canvas.print_png(str(path))


def _png_line(axes: Any, line: Line) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    (x, y), *rest = line.points
    points, codes = [(x, y)], [Curve.MOVETO]
    for px, py in rest:
        half = (x + px) / 2
        points += [(half, y), (half, py), (px, py)]
        codes += [Curve.CURVE4] * 3
        x, y = px, py
    shape = PathPatch(Curve(points, codes), fill=False, ec=line.colour, lw=line.width * 0.72)
    axes.add_patch(shape)
    if line.arrow:
        axes.add_patch(Polygon(_tip(line), color=line.colour, lw=0))


def _png_box(axes: Any, box: Box) -> None:
    from matplotlib.patches import Circle, FancyBboxPatch

    if box.width == box.height == 2 * box.round:
        middle = box.left + box.round, box.top + box.round
        axes.add_patch(Circle(middle, box.round, fc=box.fill, ec=box.line, lw=0.9))
        return
    axes.add_patch(
        FancyBboxPatch(
            (box.left, box.top), box.width, box.height, fc=box.fill, ec=box.line, lw=0.9,
            boxstyle=f"round,pad=0,rounding_size={min(box.round, box.height / 2, box.width / 2)}",
            mutation_aspect=1,
        )
    )  # fmt: skip
