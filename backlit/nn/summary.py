"""`model.summary(...)`: what each layer holds, and, measured by one run, gives, computes and keeps.

Shapes come from forward hooks, multiply-adds and saved bytes from an observer of operators, so
that functional calls count too. The run leaves buffers and random numbers as they were.
Knows the operators that multiply; nothing of training. Next: module.py.
"""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MethodType
from typing import TYPE_CHECKING, Any

import numpy as np

import backlit as bl
from backlit.autograd.observe import Observer, observe
from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.nn.parameter import is_lazy
from backlit.nn.path import Path
from backlit.nn.state_dict import Snapshot
from backlit.state import state
from backlit.tensor import Tensor

if TYPE_CHECKING:
    from backlit.nn.module import Module

HEAD = ("layer", "output", "parameters", "multiply-adds", "saved")
STATIC = (0, 2)  # the columns that are known without a run


@dataclass(frozen=True)
class Layer:
    """One row: a module and all that is below it."""

    name: str  # dotted, "" for the model itself
    kind: str
    depth: int
    output: str  # shapes; empty where forward did not call it
    parameters: int
    trainable: int
    multiply_adds: int
    saved_bytes: int  # kept for the backward, beside parameters and inputs
    calls: int


@dataclass(frozen=True)
class Summary:
    """The table of a model; `str` gives text, a notebook a table, rich a coloured one."""

    layers: tuple[Layer, ...]
    parameter_bytes: int
    measured: bool = True  # by a run; else only parameters are known

    @property
    def parameters(self) -> int:
        return self.layers[0].parameters

    @property
    def trainable(self) -> int:
        return self.layers[0].trainable

    @property
    def multiply_adds(self) -> int:
        """Of matrix products, convolutions, attention and recurrent layers, forward."""
        return self.layers[0].multiply_adds

    @property
    def saved_bytes(self) -> int:
        """Of what the forward keeps for the backward, each array once."""
        return self.layers[0].saved_bytes

    def _columns(self, row: tuple[str, ...]) -> tuple[str, ...]:
        return row if self.measured else tuple(row[i] for i in STATIC)

    def _cells(self) -> list[tuple[str, ...]]:
        branches = _branches([layer.depth for layer in self.layers])
        rows = [
            (
                branch + _title(layer),
                layer.output,
                f"{layer.parameters:,}" if layer.parameters else "",
                _short(layer.multiply_adds) if layer.multiply_adds else "",
                _size(layer.saved_bytes) if layer.saved_bytes else "",
            )
            for branch, layer in zip(branches, self.layers, strict=True)
        ]
        return [self._columns(row) for row in rows]

    def _foot(self) -> list[str]:
        frozen = self.parameters - self.trainable
        held = f", {frozen:,} of them frozen" if frozen else ""
        parameters = f"parameters: {self.parameters:,}{held} ({_size(self.parameter_bytes)})"
        if not self.measured:
            return [parameters, "shapes and multiply-adds: summary(input_size=(batch, ...))"]
        return [
            parameters,
            f"multiply-adds of a forward pass: {_short(self.multiply_adds)}",
            f"saved for the backward pass: {_size(self.saved_bytes)}",
        ]

    def __str__(self) -> str:
        head = self._columns(HEAD)
        rows = [head, *self._cells()]
        widths = [max(map(len, column)) for column in zip(*rows)]
        lines = [
            "  ".join(
                cell.ljust(w) if name in HEAD[:2] else cell.rjust(w)
                for name, cell, w in zip(head, row, widths)
            ).rstrip()
            for row in rows
        ]
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:], rule, *self._foot()])

    __repr__ = __str__

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        styles = {"output": "cyan", "parameters": "green"}
        for name in self._columns(HEAD):
            justify: Any = "left" if name in HEAD[:2] else "right"
            table.add_column(name, justify=justify, style=styles.get(name, ""))
        for row in self._cells():
            table.add_row(*map(Text, row))
        yield table
        yield from map(Text, self._foot())

    def _repr_html_(self) -> str:
        room = "padding:0 .6em"
        left, right = f"{room};text-align:left;white-space:pre", f"{room};text-align:right"
        names = self._columns(HEAD)
        styles = [left if name in HEAD[:2] else right for name in names]
        head = "".join(f'<th style="{s}">{h}</th>' for s, h in zip(styles, names))
        body = "".join(
            "<tr>"
            + "".join(f'<td style="{s}">{html.escape(c)}</td>' for s, c in zip(styles, row))
            + "</tr>"
            for row in self._cells()
        )
        foot = "<br>".join(map(html.escape, self._foot()))
        style = "border-collapse:collapse;font-family:monospace"
        table = (
            f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        )
        return f"{table}<p>{foot}</p>"


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
    measured = _measure(module, given, kwargs) if runs else _Measure(module, ())
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


# ----- measuring -----


class _Measure(Observer):
    """Adds up multiply-adds and saved bytes by module."""

    def __init__(self, module: Module, given: Any):
        self.names = {id(below): name for name, below in module.named_modules()}
        self.multiply_adds: Counter[str] = Counter()
        self.saved: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self.outputs: dict[str, str] = {}
        held = [*module.parameters(), *module.buffers(), *_tensors(given)]
        arrays = [_root(t.array) for t in held if not is_lazy(t)]
        self.counted = {id(array): array for array in arrays}  # kept: an identity must stay

    def called(self, module: Module, arguments: Any, output: Any) -> None:
        """A forward hook of every module."""
        name = self.names[id(module)]
        self.calls[name] += 1
        self.outputs[name] = _shapes(output)

    def after_forward(
        self, op: Any, inputs: tuple, params: dict, outputs: tuple, node: Any
    ) -> None:
        owner = state.module.owner() if isinstance(state.module, Path) else None
        name = self.names.get(id(owner), "")
        count = MULTIPLY_ADDS.get(op.name)
        if count is not None:
            shapes = [tuple(x.shape) if isinstance(x, Tensor) else () for x in inputs]
            self.multiply_adds[name] += count(tuple(outputs[0].shape), *shapes)
        for array in _arrays(node.saved) if node is not None else ():
            root = _root(array)
            if id(root) not in self.counted:
                self.counted[id(root)] = root
                self.saved[name] += root.nbytes


def _measure(module: Module, given: tuple[Any, ...], kwargs: dict[str, Any]) -> _Measure:
    """One forward pass, watched; afterwards the model is as it was."""
    for lazy in (m for m in module.modules() if any(map(is_lazy, m._parameters.values()))):
        raise ArgumentError(f"summary: {type(lazy).__name__} has no shape yet",
                            hint="run the model once, so that lazy layers get theirs")  # fmt: skip
    before, random = Snapshot(module.modules()), bl.get_rng_state()
    measured = _Measure(module, (given, kwargs))
    handles = [m.register_forward_hook(measured.called) for m in module.modules()]
    try:
        with bl.enable_grad(), observe(measured):
            module(*given, **kwargs)
    finally:
        for handle in handles:
            handle.remove()
        before.restore()
        bl.set_rng_state(random)
    return measured


def _layer(name: str, module: Module, measured: _Measure) -> Layer:
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


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


def _shapes(output: Any) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    return ", ".join(str(tuple(t.shape)) for t in _tensors(output)) or type(output).__name__


def _arrays(saved: Any) -> Iterator[np.ndarray]:
    """Arrays among saved values, also in what a user's Function keeps."""
    if isinstance(saved, np.ndarray):
        yield saved
    elif isinstance(saved, Tensor):
        yield saved.array
    elif isinstance(saved, dict):
        yield from _arrays(list(saved.values()))
    elif isinstance(saved, list | tuple):
        for part in saved:
            yield from _arrays(part)
    elif hasattr(saved, "_saved"):
        yield from _arrays(list(vars(saved).values()))


def _root(array: np.ndarray) -> np.ndarray:
    """The array that owns the memory a view looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


# ----- how much an operator multiplies: from the shapes of its output and inputs -----

Shape = tuple[int, ...]


def _filtered(y: Shape, x: Shape, w: Shape, *rest: Shape) -> int:
    return math.prod(y) * math.prod(w[1:])


def _spread(y: Shape, g: Shape, w: Shape, *rest: Shape) -> int:
    return math.prod(g) * math.prod(w[1:])


def _projected(y: Shape, x: Shape, *rest: Shape) -> int:
    return math.prod(y) * (x[-1] if x else 1)


def _attended(y: Shape, q: Shape, k: Shape, v: Shape, *rest: Shape) -> int:
    return math.prod(y[:-1]) * k[-2] * (q[-1] + v[-1])


def _repeated(weights: slice) -> Callable[..., int]:
    """Each step of a recurrent layer multiplies by all its weights."""

    def count(y: Shape, *inputs: Shape) -> int:
        steps = math.prod(inputs[0][:-1])
        return steps * sum(math.prod(w) for w in inputs[weights] if len(w) == 2)

    return count


MULTIPLY_ADDS: dict[str, Callable[..., int]] = {
    "matmul": _projected,
    "linear": _projected,
    "conv": _filtered,
    "conv_grad_input": _spread,
    "attention": _attended,
    "rnn": _repeated(slice(2, 4)),
    "gru": _repeated(slice(2, 4)),
    "lstm": _repeated(slice(3, None)),
}


# ----- text -----


def _title(layer: Layer) -> str:
    own = layer.name.rpartition(".")[2]
    times = f" ×{layer.calls}" if layer.calls > 1 else ""
    return (f"{own}: {layer.kind}" if own else layer.kind) + times


def _branches(depths: list[int]) -> list[str]:
    """The lines of a tree before each row."""
    found = []
    for i, depth in enumerate(depths):
        parts = []
        for level in range(1, depth + 1):
            after = next((d for d in depths[i + 1 :] if d <= level), 0)
            more = after == level
            own = level == depth
            parts.append(("├─ " if more else "└─ ") if own else ("│  " if more else "   "))
        found.append("".join(parts))
    return found


def _short(count: int) -> str:
    """A count as people read it: 96, 41.2 M."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def _size(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B"


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
