"""Lines of a derivation, and the derivation itself: as LaTeX, as plain text, in a notebook.

A line that is an equation is checked when it is made: all its sides are evaluated in float64 and
compared with the left one, which holds what the engine found. Read next: chain.py.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from backlit.views.derive.figures import figure, summary
from backlit.views.derive.plain import plain
from backlit.views.derive.terms import Symbol, Term, largest_bound
from backlit.views.derive.words import word

# How far two sides may differ, relative to the largest number that went into them.
TOLERANCE = {8: 1e-12, 4: 2e-5, 2: 2e-2}
PRINTED = 60  # numbers in one line
# A matrix within a fraction, a power or an index is left to the symbols.
_CRAMPED = re.compile(r"(\\frac\{|\^\{|\\sqrt\{|_\{)[^}]*\\begin\{bmatrix")
_POWER_OF_TEN = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]?\d+)(?!\w)")


@dataclass
class Line:
    """One line: `tex` for KaTeX, `text` for a terminal; an equation has an `error`.

    `kind` is "heading", "words", "symbols" or "numbers". `error` is the largest difference of
    two sides, relative to what went into them; `ok` says that it is no more than rounding.
    """

    tex: str
    kind: str
    error: float | None = None
    ok: bool = True
    sides: list[str] = field(default_factory=list, repr=False)  # LaTeX between equals signs
    spoken: str = field(default="", repr=False)  # a sentence's own text

    @cached_property
    def text(self) -> str:
        """The line as plain text."""
        return self.spoken or plain(self.tex)


class Element(Symbol):
    """A symbol that is written with its indices."""

    def __init__(self, symbol: Symbol, indices: str):
        super().__init__(symbol.at(indices), symbol.array)


def heading(text: str) -> Line:
    return Line(rf"\textbf{{{_escaped(text)}}}", "heading", spoken=text)


def words(text: str, tex: str | None = None) -> Line:
    """A sentence; `tex` where it has formulas in it."""
    return Line(tex or rf"\text{{{_escaped(text)}}}", "words", spoken=text)


def _escaped(text: str) -> str:
    for sign in "_%#&$":
        text = text.replace(sign, "\\" + sign)
    return text


def disagreement(left: Term, right: Term) -> float:
    """The largest difference of two terms, relative to the numbers that went into them."""
    a, b = (np.asarray(t.value, np.float64) for t in (left, right))
    if a.shape != b.shape:
        return float("inf")
    with np.errstate(invalid="ignore"):
        apart = np.abs(a - b)
    # What a mask keeps out has gradient 0, whatever it computed.
    apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)) | (np.isnan(b) & (a == 0)), 0.0, apart)
    largest = float(np.max(apart, initial=0.0))
    if np.isnan(largest):
        return float("inf")
    scale = max(largest_bound(left), largest_bound(right))
    return largest / scale if scale > 0 else largest


def tolerance(*terms: Term) -> float:
    """What rounding may do in the coarsest dtype of the arrays in the terms."""
    return max((_rounding(array) for term in terms for array in _arrays(term)), default=1e-12)


def _arrays(term: Term) -> Iterator[np.ndarray]:
    if isinstance(term, Symbol):
        yield np.asarray(term.array)
    for part in term.parts:
        yield from _arrays(part)


def _rounding(array: np.ndarray) -> float:
    return TOLERANCE.get(array.dtype.itemsize, 1e-12) if array.dtype.kind in "fV" else 1e-12


def equation(left: Symbol, sides: Sequence[Term], language: str = "en") -> Line:
    """`left = side = side ...`, checked."""
    error = max((disagreement(left, side) for side in sides), default=0.0)
    shown = _unlike([str(left.tex()), *(str(side.tex()) for side in sides)])
    return _line(shown, "symbols", error, error <= tolerance(left, *sides), language)


def in_numbers(left: Symbol, sides: Sequence[Term], language: str = "en") -> Line:
    """The last side with numbers for its symbols, and the result."""
    error = max((disagreement(left, side) for side in sides), default=0.0)
    result = figure(left.value)
    shown = [str(left.tex())]
    if result is not None and sides and sides[-1].small and _printed(sides[-1]) <= PRINTED:
        middle = str(sides[-1].tex(True))
        if not _CRAMPED.search(middle):
            shown.append(middle)
    shown.append(summary(left.value) if result is None else result)
    return _line(_unlike(shown), "numbers", error, error <= tolerance(left, *sides), language)


def _power_of_ten(found: re.Match[str]) -> str:
    mantissa, exponent = found[1], int(found[2])
    power = f"10^{{{exponent}}}"
    return power if mantissa == "1" else rf"{mantissa} \cdot {power}"


def _printed(term: Term) -> int:
    own = term.value.size if isinstance(term, Symbol) else 0
    return own + sum(_printed(p) for p in term.parts)


def _unlike(sides: list[str]) -> list[str]:
    """Without a side that repeats the one before it."""
    return [s for k, s in enumerate(sides) if not k or s != sides[k - 1]]


def _line(sides: list[str], kind: str, error: float, ok: bool, language: str) -> Line:
    sides = [_POWER_OF_TEN.sub(_power_of_ten, side) for side in sides]
    tex = " = ".join(sides)
    if not ok:
        tex += rf" \quad \text{{✗ {word('broken', language, error=error)}}}"
    return Line(tex, kind, error, ok, sides)


@dataclass
class Derivation:
    """The chain rule of one computation, line by line.

    `lines` are what the page shows, `latex` is an align environment with headings between, `str`
    a text for the terminal. `ok` says that every line holds, `error` the largest disagreement.

    >>> derivation = bl.see.derive("(x + y) * z", x=-2, y=5, z=-4)
    >>> derivation.ok, derivation.error, derivation.lines[-1].text
    (True, 0.0, '∂f/∂y = -4 · 1 = -4')
    """

    lines: list[Line]
    graph: Any = field(default=None, repr=False)
    title: str = ""

    @property
    def ok(self) -> bool:
        return all(line.ok for line in self.lines)

    @property
    def error(self) -> float:
        return max((line.error for line in self.lines if line.error is not None), default=0.0)

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def latex(self) -> str:
        """The body of a LaTeX document (amsmath; xeCJK or ctex for Chinese words)."""
        out: list[str] = []
        block: list[Line] = []
        for line in [*self.lines, None]:
            if line is not None and line.kind in ("symbols", "numbers"):
                block.append(line)
                continue
            if block:
                out.append(_aligned(block, "align*"))
                block = []
            if line is not None and line.kind == "heading":
                out.append(rf"\subsection*{{{_escaped(line.text)}}}")
            elif line is not None:
                out.append(rf"\noindent ${line.tex}$\par")
        return "\n".join(out) + "\n"

    def __str__(self) -> str:
        return "\n".join(_spoken(self.lines))

    __repr__ = __str__

    def _repr_latex_(self) -> str:
        rows = [
            line.tex.replace(" = ", " &= ", 1) if line.error is not None else f"&{line.tex}"
            for line in self.lines
        ]
        body = " \\\\\n".join(rows)
        return f"$$\\begin{{aligned}}\n{body}\n\\end{{aligned}}$$"

    def _repr_html_(self) -> str:
        return "<div>" + "\n".join(map(_marked_up, self.lines)) + "</div>"


def _aligned(block: list[Line], environment: str) -> str:
    rows = []
    for line in block:
        first, *rest = line.sides or [line.tex]
        rows.append(f"{first} &= {rest[0]}" if rest else f"& {first}")
        rows.extend(f"&= {side}" for side in rest[1:])
        if not line.ok:
            rows[-1] += r" \quad \text{(!)}"
    body = " \\\\\n".join(rows)
    return f"\\begin{{{environment}}}\n{body}\n\\end{{{environment}}}"


def _spoken(lines: list[Line]) -> Iterator[str]:
    for k, line in enumerate(lines):
        if line.kind == "heading":
            yield (
                f"\n{line.text}\n{'-' * len(line.text)}"
                if k
                else f"{line.text}\n{'-' * len(line.text)}"
            )
        elif line.kind == "words":
            yield f"  ({line.text})"
        else:
            yield f"  {line.text}"


def _marked_up(line: Line) -> str:
    if line.kind == "heading":
        return f"<h4>{html.escape(line.text)}</h4>"
    if line.kind == "words":
        return f"<p>{html.escape(line.text)}</p>"
    title = f"checked: differs by {line.error:.1e}" if line.ok else "does not hold"
    return f'<div title="{title}">$${html.escape(line.tex)}$$</div>'
