"""How values, gradients and lists of them are spoken of, in English and in Chinese.

A text is a pair (English, Chinese). Numbers are rounded to four digits here; who wants them
exactly finds them beside the sentence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from backlit.views.graph import Gate, Wire
from backlit.views.numbers import norm, not_a_number

Pair = tuple[str, str]
LONGEST = 24  # characters of an argument that is no number


def short(value: Any, digits: int = 4) -> str:
    """A number in at most so many significant digits; 17 of them are exact."""
    held = value[()] if isinstance(value, np.ndarray) else value
    if isinstance(held, bool | np.bool_ | int | np.integer):
        return str(int(held))
    if not_a_number(held):
        return f"{text[:LONGEST]}…" if len(text := repr(held)) > LONGEST else text
    number = float(held)
    if math.isnan(number) or math.isinf(number):
        return str(number)
    text = repr(number).removesuffix(".0") if digits >= 17 else f"{number:.{digits}g}"
    return "0" if text in ("0", "-0") else text.replace("e-0", "e-").replace("e+0", "e")


def size(shape: Sequence[int]) -> str:
    """A shape: `5×4`."""
    return "×".join(str(int(n)) for n in shape)


def shape_text(shape: Sequence[int]) -> str:
    """A shape that stands alone: `5×4`, but `(5)` lest it look like a value."""
    return size(shape) if len(shape) > 1 else f"({size(shape)})"


def length(array: np.ndarray, digits: int = 4) -> str:
    """The norm of an array, `‖2.3‖`; whole numbers and truths have none worth showing."""
    if array.dtype.kind in "iub":
        return str(array.dtype)
    return f"‖{short(norm(array.reshape(-1).astype(np.float64)), digits)}‖"


def called(wire: Wire) -> str:
    """The name of a wire; a number written in the program is itself."""
    if wire.kind == "constant" and not isinstance(wire.value, np.ndarray):
        return short(wire.value)
    return wire.name


def valued(wire: Wire) -> str:
    """The name with the value: `x = -2`, `h (5×4)`."""
    name = called(wire)
    if wire.array.ndim:
        return f"{name} ({size(wire.shape)})"
    return name if name == short(wire.value) else f"{name} = {short(wire.value)}"


def amount(gradient: np.ndarray) -> Pair:
    """A gradient: its number, or the norm of all of it."""
    if gradient.ndim == 0:
        return short(gradient), short(gradient)
    length = short(norm(gradient.reshape(-1).astype(np.float64)))
    return f"of norm {length}", f"（范数 {length}）"


def factor(array: np.ndarray, digits: int = 4) -> str:
    """A number as a factor: in parentheses where it is negative."""
    text = short(array, digits)
    return f"({text})" if text.startswith("-") else text


def listed(items: Iterable[str]) -> Pair:
    """a, b and c."""
    found = list(items)
    if len(found) < 2:
        return ("".join(found),) * 2  # type: ignore[return-value]
    return (
        f"{', '.join(found[:-1])} and {found[-1]}",
        f"{'、'.join(found[:-1])} 和 {found[-1]}",
    )


def joined(pairs: Iterable[Pair]) -> Pair:
    """Clauses one after the other."""
    found = [p for p in pairs if p[0]]
    return "; ".join(p[0] for p in found), "；".join(p[1] for p in found)


def upstream(gate: Gate) -> np.ndarray | None:
    """The gradient that arrives, of the first output that gets one."""
    return next((u for u in gate.upstream if u is not None), None)


def receivers(gate: Gate) -> list[tuple[int, Wire, np.ndarray]]:
    """Inputs that a gradient is handed to, with what they get."""
    return [
        (i, w, d)
        for i, (w, d) in enumerate(zip(gate.inputs, gate.downstream))
        if w is not None and d is not None
    ]


def given(gate: Gate) -> list[Wire]:
    """Inputs that are there."""
    return [w for w in gate.inputs if w is not None]
