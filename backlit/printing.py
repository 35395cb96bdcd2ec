"""How tensors look when printed: four digits, aligned columns, long ones shortened."""

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
    body = "[]" if array.size == 0 else _body(array, d)
    suffixes = []
    if array.size == 0 and array.shape != (0,):
        suffixes.append(f"size={tuple(array.shape)}")
    if d not in (dt.get_default_dtype(), dt.int64, dt.bool_) or (array.size == 0 and d is dt.int64):
        suffixes.append(f"dtype={d}")
    if tensor.grad_fn is not None:
        suffixes.append(f"grad_fn=<{tensor.node.name()}>")
    elif tensor.requires_grad:
        suffixes.append("requires_grad=True")
    return "tensor(" + ", ".join([body, *suffixes]) + ")"


def _body(array: np.ndarray, d: dt.dtype) -> str:
    write = _writer(array, d)
    if array.ndim == 0:
        return write(array[()]).strip()
    shown = _summarized(array) if array.size > options.threshold else array
    width = max((len(write(v)) for v in shown.reshape(-1)), default=0) if shown.size else 0
    return _nested(array, lambda v: write(v).rjust(width), 7, array.size > options.threshold)


def _summarized(array: np.ndarray) -> np.ndarray:
    for axis, size in enumerate(array.shape):
        if size > 2 * options.edgeitems:
            e = options.edgeitems
            array = np.take(array, [*range(e), *range(size - e, size)], axis)
    return array


def _nested(array: np.ndarray, write: Any, indent: int, shorten: bool) -> str:
    size, edge = array.shape[0], options.edgeitems
    cut = shorten and size > 2 * edge
    indices = [*range(edge), None, *range(size - edge, size)] if cut else list(range(size))
    if array.ndim == 1:
        return _row(["..." if i is None else write(array[i]) for i in indices], indent)
    parts = ["..." if i is None else _nested(array[i], write, indent + 1, shorten) for i in indices]
    gap = "," + "\n" * (array.ndim - 1) + " " * (indent + 1)
    return "[" + gap.join(parts) + "]"


def _row(words: list[str], indent: int) -> str:
    width = max((len(w) for w in words), default=0) + 2
    per_line = max(1, (options.linewidth - indent) // width)
    lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _writer(array: np.ndarray, d: dt.dtype) -> Any:
    """How one element is written, the same for the whole tensor."""
    if not d.is_floating_point:
        return lambda v: str(v.item())
    values = (_summarized(array) if array.size > options.threshold else array).astype(np.float64)
    finite = np.abs(values[np.isfinite(values) & (values != 0)])
    whole = finite.size == 0 or bool((values[np.isfinite(values)] % 1 == 0).all())
    high, low = (finite.max(), finite.min()) if finite.size else (0.0, 0.0)
    scientific = options.sci_mode
    if scientific is None:
        wide = finite.size and (high / low > 1000.0 or high > 1e8 or low < 1e-4)
        scientific = bool(high > 1e8 if whole and finite.size and high / low <= 1000.0 else wide and (not whole or high > 1e8))
    if scientific:
        return lambda v: f"{float(v):.{options.precision}e}"
    if whole:
        return lambda v: f"{float(v):.0f}." if np.isfinite(float(v)) else f"{float(v)}"
    return lambda v: f"{float(v):.{options.precision}f}"
