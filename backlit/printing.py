"""How tensors look: as text with four digits in aligned columns, in a notebook as a tinted grid.

Long tensors are shortened in both. Colours are translucent tints, so that they fit a dark page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit import dtypes as dt


@dataclass
class Options:
    """Settings of the printed form."""

    precision: int = 4
    threshold: int = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


options = Options()


def set_printoptions(precision: int | None = None, threshold: int | None = None,
                     edgeitems: int | None = None, linewidth: int | None = None,
                     profile: str | None = None, sci_mode: bool | None = None) -> None:  # fmt: skip
    """Change how tensors are printed.

    >>> bl.set_printoptions(precision=2); bl.tensor([0.123])
    tensor([0.12])
    >>> bl.set_printoptions(precision=4)
    """
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems,
             "linewidth": linewidth, "sci_mode": sci_mode}  # fmt: skip
    for name, value in given.items():
        if value is not None:
            setattr(options, name, value)


def tensor_repr(tensor: Any) -> str:
    """`tensor([...], dtype=..., requires_grad=True)`, as PyTorch prints it."""
    array = tensor.cell.array
    d = tensor.dtype
    text = "tensor(" + ("[]" if array.size == 0 else _body(array, d))
    for suffix in _suffixes(tensor, array, d):
        room = options.linewidth - (len(text) - text.rfind("\n") + 1)
        text += (", " if len(suffix) + 2 <= room else ",\n       ") + suffix
    return text + ")"


def _suffixes(tensor: Any, array: np.ndarray, d: dt.dtype) -> list[str]:
    found = []
    if array.size == 0 and array.ndim != 1:
        found.append(f"size={tuple(array.shape)}")
    plain = (dt.int64, dt.bool_) if array.size else ()
    if d not in (dt.get_default_dtype(), *plain):
        found.append(f"dtype={d}")
    if tensor.grad_fn is not None:
        found.append(f"grad_fn=<{tensor.node.name()}>")
    elif tensor.requires_grad:
        found.append("requires_grad=True")
    return found


def _body(array: np.ndarray, d: dt.dtype) -> str:
    shorten = array.size > options.threshold
    write, width = _writer(_summarized(array) if shorten else array, d)
    if array.ndim == 0:
        return write(array[()]).rjust(width)
    return _nested(array, lambda v: write(v).rjust(width), width, 7, shorten)


def _summarized(array: np.ndarray) -> np.ndarray:
    for axis, size in enumerate(array.shape):
        if size > 2 * options.edgeitems:
            e = options.edgeitems
            array = np.take(array, [*range(e), *range(size - e, size)], axis)
    return array


def _nested(array: np.ndarray, write: Any, width: int, indent: int, shorten: bool) -> str:
    size, edge = array.shape[0], options.edgeitems
    cut = shorten and size > 2 * edge
    indices = [*range(edge), None, *range(size - edge, size)] if cut else list(range(size))
    if array.ndim == 1:
        return _row([" ..." if i is None else write(array[i]) for i in indices], width, indent)
    parts = ["..." if i is None else _nested(array[i], write, width, indent + 1, shorten)
             for i in indices]  # fmt: skip
    gap = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + gap.join(parts) + "]"


def _row(words: list[str], width: int, indent: int) -> str:
    per_line = max(1, (options.linewidth - indent) // (width + 2))
    lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _writer(shown: np.ndarray, d: dt.dtype) -> tuple[Any, int]:
    """How one element is written, the same for the whole tensor, and how wide. NaN, infinity
    and zero do not count for the width, as in PyTorch."""
    if not d.is_floating_point:
        return (lambda v: str(v.item())), max((len(str(v.item())) for v in shown.flat), default=0)
    values = shown.astype(np.float64)
    finite = values[np.isfinite(values) & (values != 0)]
    whole = bool((finite % 1 == 0).all())
    scientific = options.sci_mode
    if scientific is None:
        scientific = bool(finite.size) and _ranges_far(np.abs(finite), whole)
    if scientific:
        write = lambda v: f"{float(v):.{options.precision}e}"
    elif whole:
        write = lambda v: f"{float(v):.0f}" + "." * bool(np.isfinite(float(v)))
    else:
        write = lambda v: f"{float(v):.{options.precision}f}"
    return write, max((len(write(v)) for v in finite), default=1)


def _ranges_far(sizes: np.ndarray, whole: bool) -> bool:
    """Whether so many magnitudes meet that only powers of ten show them all."""
    high, low = sizes.max(), sizes.min()
    return bool(high / low > 1000.0 or high > 1e8 or (not whole and low < 1e-4))


# ----- in a notebook -----

GRID = (16, 16)  # rows and columns that are shown as a grid
TINTS = {1: "72,120,168", -1: "209,96,61"}  # of positive and of negative numbers


def tensor_html(tensor: Any) -> str:
    """Shape, dtype and values: a small matrix or vector as a grid tinted by its numbers."""
    from html import escape

    array, d = tensor.cell.array, tensor.dtype
    facts = [f"{tuple(array.shape)}", d.name, *_suffixes(tensor, array, d)]
    said = dict.fromkeys(fact for fact in facts if not fact.startswith(("dtype", "size")))
    head = f'<div style="opacity:.7">tensor {escape(", ".join(said))}</div>'
    rows = array.reshape(1, -1) if array.ndim == 1 else array
    if array.ndim in (1, 2) and array.size and all(n <= m for n, m in zip(rows.shape, GRID)):
        return head + _grid(rows, d)
    return f"{head}<pre>{escape(tensor_repr(tensor))}</pre>"


def _grid(rows: np.ndarray, d: dt.dtype) -> str:
    write, _ = _writer(rows, d)
    values = rows.astype(np.float64)
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
    lines = (
        "".join(_grid_cell(write(v), float(x) / largest) for v, x in zip(row, numbers))
        for row, numbers in zip(rows, values)
    )
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table style="border-collapse:collapse;font-family:monospace">{body}</table>'


def _grid_cell(text: str, share: float) -> str:
    from html import escape

    style = "text-align:right;padding:.15em .5em"
    if share and np.isfinite(share):
        tint = f"{TINTS[1 if share > 0 else -1]},{min(abs(share), 1.0) * 0.5:.2f}"
        style += f";background:rgba({tint})"
    return f'<td style="{style}">{escape(text)}</td>'
