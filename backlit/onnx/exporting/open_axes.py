"""Which axes stay open: PyTorch's `dynamic_axes` and `dynamic_shapes` as one list.

A name that two axes share says that their sizes are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from backlit.errors import ArgumentError, ArgumentTypeError
from backlit.onnx.exporting.captured import Subject
from backlit.onnx.exporting.graph import Graph
from backlit.onnx.exporting.sizes import MOST, OpenAxis
from backlit.ops.op import normalize_axis


def open_axes(subject: Subject, names: Sequence[str], by_name: Any,
              by_parameter: Any) -> tuple[list[OpenAxis], Callable[[Graph], Graph]]:  # fmt: skip
    """The open axes, and what gives output axes the names that were asked for."""
    if by_name and by_parameter:
        raise ArgumentError("onnx.export: dynamic_axes and dynamic_shapes at once",
                            hint="give one of them")  # fmt: skip
    asked: dict[str, dict[int, str]] = {}
    if by_name:
        asked = {name: _listed(name, axes) for name, axes in dict(by_name).items()}
    wanted = {i: asked.pop(name) for i, name in enumerate(names) if name in asked}
    if by_parameter:
        wanted = _by_parameter(subject, names, by_parameter)
    tensors = subject.tensors
    found = [
        OpenAxis(symbol, i, normalize_axis(axis, tensors[i].ndim),
                 tensors[i].shape[normalize_axis(axis, tensors[i].ndim)])
        for i, axes in wanted.items() for axis, symbol in axes.items()
    ]  # fmt: skip
    symbols = {a.symbol for a in found}
    if len(symbols) > MOST:
        raise ArgumentError(f"onnx.export: {len(symbols)} open sizes, at most {MOST} can be",
                            hint="give equal sizes one name")  # fmt: skip
    for a in found:
        other = next(b for b in found if b.symbol == a.symbol)
        if other.example != a.example:
            raise ArgumentError(
                f"onnx.export: the axis {a.symbol!r} has sizes {other.example} and {a.example}",
                hint="axes of one name have one size",
            )
    return found, lambda graph: _output_names(graph, asked)


def _listed(name: str, axes: Any) -> dict[int, str]:
    """Axes of one tensor with their names; a list of axes gets names of its own."""
    if isinstance(axes, Mapping):
        return {int(a): _symbol(s, f"{name}_dim_{a}") for a, s in axes.items()}
    if isinstance(axes, (list, tuple, set)):
        return {int(a): f"{name}_dim_{a}" for a in axes}
    raise ArgumentTypeError(
        f"onnx.export: dynamic_axes[{name!r}] is {type(axes).__name__}",
        hint='dynamic_axes={"x": {0: "batch"}} or {"x": [0]}',
    )


def _symbol(given: Any, default: str) -> str:
    """The name of an axis: a string, or something that has a `__name__`, as PyTorch's Dim."""
    if isinstance(given, str):
        return given
    name = getattr(given, "__name__", None)
    return name if isinstance(name, str) else default


def _by_parameter(subject: Subject, names: Sequence[str], shapes: Any) -> dict[int, Any]:
    """`dynamic_shapes`: {parameter: {axis: name}}, or one entry for each argument in order."""
    if isinstance(shapes, Mapping):
        order = {name: i for i, name in enumerate(subject.names)}
        unknown = [k for k in shapes if k not in order]
        if unknown:
            raise ArgumentError(f"onnx.export: dynamic_shapes names {unknown[0]!r}",
                                hint=f"the parameters are {', '.join(order)}")  # fmt: skip
        pairs = [(order[k], v) for k, v in shapes.items()]
    else:
        pairs = [(i, v) for i, v in enumerate(shapes) if i < len(names)]
    found = {}
    for i, axes in pairs:
        if axes is None:
            continue
        if isinstance(axes, (list, tuple)):
            axes = {a: s for a, s in enumerate(axes) if s is not None}
        found[i] = _listed(names[i], {a: s for a, s in axes.items() if s is not None})
    return found


def _output_names(graph: Graph, asked: Mapping[str, Mapping[int, str]]) -> Graph:
    """Axes of outputs under the names asked for; refuses names that are nobody's."""
    ports = {p.name: p for p in graph.outputs}
    for name, axes in asked.items():
        if name not in ports:
            raise ArgumentError(
                f"onnx.export: dynamic_axes names {name!r}",
                hint=f"the inputs are {', '.join(p.name for p in graph.inputs)},"
                f" the outputs {', '.join(ports)}",
            )
        shape = list(ports[name].shape or ())
        for axis, symbol in axes.items():
            at = normalize_axis(axis, len(shape))
            shape[at] = symbol if isinstance(shape[at], str) else shape[at]
        ports[name] = replace(ports[name], shape=tuple(shape))
    graph.outputs = list(ports.values())
    return graph
