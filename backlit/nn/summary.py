"""`model.summary(...)`: what each layer holds, and, measured by one run, gives, computes and keeps.

Owns the question and the rows; the run is measure.py, the table summary_table.py. Knows nothing of
training. Next: module.py.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable
from types import MethodType
from typing import TYPE_CHECKING, Any

import backlit as bl
from backlit.errors import ArgumentTypeError
from backlit.nn.measure import Measure, measure
from backlit.nn.parameter import is_lazy
from backlit.nn.summary_table import Layer, Summary
from backlit.tensor import Tensor

if TYPE_CHECKING:
    from backlit.nn.module import Module


class Yielding:
    """A method that gives way to a parameter, buffer or module of its name: PyTorch has none."""

    def __init__(self, function: Callable[..., Any]):
        self.function, self.name = function, function.__name__

    def __get__(self, module: Any, owner: Any = None) -> Any:
        if module is None:
            return self.function
        for table in ("_modules", "_parameters", "_buffers"):
            if self.name in module.__dict__.get(table, ()):
                return module.__dict__[table][self.name]
        return MethodType(self.function, module)


def summary(module: Module, *inputs: Any, input_size: Any = None, dtype: Any = None,
            depth: int | None = None, **kwargs: Any) -> Summary:  # fmt: skip
    """Run the model once on `inputs`, or on zeros of `input_size`, and tell what each layer does.

    `input_size` is a whole shape, the batch too, or a list of shapes; a tuple of whole numbers as
    the one input is taken for it. Without it and inputs nothing runs, and parameters are told.
    `dtype` is that of the zeros; `depth` leaves out deeper layers. In training mode saved bytes
    are those of a training step; the model stays as it was.

    >>> print(nn.Sequential(nn.Linear(3, 4), nn.ReLU()).summary(input_size=(8, 3)))
    layer         output  parameters  multiply-adds  saved
    ------------------------------------------------------
    Sequential    (8, 4)          16             96  128 B
    ├─ 0: Linear  (8, 4)          16             96
    └─ 1: ReLU    (8, 4)                             128 B
    ------------------------------------------------------
    parameters: 16 (64 B)
    multiply-adds of a forward pass: 96
    saved for the backward pass: 128 B
    """
    size = inputs[0] if len(inputs) == 1 else None
    if isinstance(size, tuple) and size and _whole(size):
        inputs, input_size = (), size
    runs = bool(inputs or kwargs) or input_size is not None
    given = inputs or _zeros(input_size, dtype)
    measured = measure(module, given, kwargs) if runs else Measure(module, ())
    layers = tuple(
        _layer(name, below, measured)
        for name, below in module.named_modules()
        if depth is None or _depth(name) <= depth
    )
    held = [p for p in module.parameters() if not is_lazy(p)]
    return Summary(layers, sum(p.nbytes for p in held), runs)


class SummaryMethods:
    """How a Module describes itself in a table and in a notebook."""

    def _repr_html_(self) -> str:
        return _tree("", self)  # type: ignore[arg-type]

    summary = Yielding(summary)


def _zeros(input_size: Any, dtype: Any) -> tuple[Tensor, ...]:
    if input_size is None:
        return ()
    sizes = input_size if isinstance(input_size[0], list | tuple) else [input_size]
    if not all(_whole(size) for size in sizes):
        raise ArgumentTypeError(f"summary: input_size must be whole numbers, got {input_size!r}")
    return tuple(bl.zeros(*size, dtype=dtype) for size in sizes)


def _whole(size: Any) -> bool:
    return all(isinstance(n, int) for n in size)


def _layer(name: str, module: Module, measured: Measure) -> Layer:
    parameters = [p for p in module.parameters() if not is_lazy(p)]
    return Layer(
        name, type(module).__name__, _depth(name), measured.outputs.get(name, ""),
        sum(p.numel() for p in parameters),
        sum(p.numel() for p in parameters if p.requires_grad),
        _below(measured.multiply_adds, name), _below(measured.saved, name), measured.calls[name],
    )  # fmt: skip


def _below(counts: Counter[str], name: str) -> int:
    """The sum over a module and everything in it."""
    inside = f"{name}." if name else ""
    return sum(n for key, n in counts.items() if key == name or key.startswith(inside))


def _depth(name: str) -> int:
    return name.count(".") + 1 if name else 0


def _tree(name: str, module: Module) -> str:
    """The printed tree with parameters, as nested lists that open and close."""
    title = f"{html.escape(name)}: " if name else ""
    kind = f"<b>{html.escape(module._get_name())}</b>"
    extra = html.escape(module.extra_repr())
    count = sum(0 if is_lazy(p) else p.numel() for p in module.parameters())
    held = f' <span style="opacity:.6">{count:,} parameters</span>' if count else ""
    line = f"{title}{kind}({extra}){held}"
    below = [_tree(key, child) for key, child in module._modules.items() if child is not None]
    if not below:
        return f'<div style="font-family:monospace;margin-left:1.2em">{line}</div>'
    start = f'<details{"" if name else " open"} style="font-family:monospace">'
    inside = f'<div style="margin-left:1.2em">{"".join(below)}</div>'
    return f"{start}<summary>{line}</summary>{inside}</details>"
