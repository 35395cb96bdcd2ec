"""`bl.onnx.export`: the arguments, the captures at each size, the file.

Read next: captured.py (the Program of a model), lowering.py (its nodes), sizes.py (open axes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from backlit.errors import ArgumentError, ArgumentTypeError, NotAvailable, ProgramError
from backlit.onnx.exporting import proto
from backlit.onnx.exporting.captured import (
    Subject,
    apart,
    foldable,
    graph_of,
    parameter_names,
    shared,
)
from backlit.onnx.exporting.evaluating import evaluating, settle
from backlit.onnx.exporting.graph import Graph
from backlit.onnx.exporting.open_axes import open_axes
from backlit.onnx.exporting.sizes import merged, sample_sizes
from backlit.onnx.exporting.tidy import tidied
from backlit.onnx.exporting.verify import verify_model
from backlit.onnx.exporting.written import ONNXProgram
from backlit.program.ir import Value
from backlit.version import __version__

OPSET = 20
OLDEST, NEWEST = 18, 23
CONVERTED = 7  # the oldest that is tried by way of OLDEST


def export(model: Callable[..., Any], args: Any = (), f: Any = None, *,
           kwargs: Mapping[str, Any] | None = None, input_names: Sequence[str] | None = None,
           output_names: Sequence[str] | None = None, opset_version: int | None = None,
           dynamic_axes: Mapping[str, Any] | None = None, dynamic_shapes: Any = None,
           external_data: bool = False, verify: bool = False, verbose: bool | None = None,
           export_params: bool = True, do_constant_folding: bool = True,
           dynamo: bool = True, optimize: bool = True) -> ONNXProgram:  # fmt: skip
    """Turn what a model computes in evaluation into an ONNXProgram, and save it to `f` if given.

    `args` are example arguments, one tensor or a tuple; parameters keep their state dict's names.
    `dynamic_axes={"x": {0: "batch"}}` (or `dynamic_shapes`, by parameter) leaves axes open from
    size 2 on; other sizes are those of the example. `external_data` puts weights in a file beside
    it, `verify` runs it with onnxruntime. What has no ONNX form raises NotAvailable with its place.

    >>> made = bl.onnx.export(nn.Linear(3, 2), bl.zeros(4, 3))
    >>> [array.name for array in made.model_proto.graph.initializer]
    ['weight', 'bias']
    """
    del verbose, dynamo, optimize  # PyTorch's: they choose among its exporters
    proto.package()
    opset = _opset(opset_version)
    if not export_params:
        raise NotAvailable("onnx.export: a file without parameters",
                           hint="leave export_params out")  # fmt: skip
    subject = _subject(model, args, kwargs)
    settle(model, subject.outputs)
    graph = _graph(subject, (input_names, output_names), (dynamic_axes, dynamic_shapes), opset,
                   do_constant_folding)  # fmt: skip
    made = proto.model(graph, opset, __version__, _doc(model))
    if opset_version is not None and opset_version < opset:
        made = proto.converted(made, opset_version)
    if verify:
        with evaluating(model):
            verify_model(made, subject)
    program = ONNXProgram(made)
    if f is not None:
        program.save(f, external_data=external_data)
    return program


def _opset(version: int | None) -> int:
    """The opset to write in; an older one is converted to afterwards."""
    wanted = OPSET if version is None else version
    newest = min(NEWEST, proto.newest_opset())
    if not isinstance(wanted, int) or not CONVERTED <= wanted <= newest:
        raise NotAvailable(f"onnx.export: opset {wanted!r}",
                           hint=f"opset_version is from {CONVERTED} to {newest}")  # fmt: skip
    return max(wanted, OLDEST)


def _subject(model: Any, args: Any, kwargs: Mapping[str, Any] | None) -> Subject:
    if not callable(model):
        raise ArgumentTypeError(f"onnx.export: expected a Module, got {type(model).__name__}",
                                hint="export(model, (x,), 'model.onnx')")  # fmt: skip
    given = tuple(args) if isinstance(args, (tuple, list)) else (args,)
    named = dict(kwargs or {})
    if given and isinstance(given[-1], dict) and kwargs is None:
        given, named = given[:-1], dict(given[-1])
    return Subject(model, given, named)


def _doc(model: Any) -> str:
    name = type(model).__name__ if hasattr(model, "modules") else getattr(model, "__name__", "")
    return f"{name}, exported by Backlit {__version__}"


def _graph(subject: Subject, names: tuple, axes: tuple, opset: int, folding: bool) -> Graph:
    """One capture, or several merged into a graph with open axes."""
    inputs = _names(names[0], subject.names, "input_names")
    chosen, renamed = open_axes(subject, inputs, *axes)
    sizes = sample_sizes(chosen) if chosen else [{}]
    parameters = parameter_names(subject.model)
    captures = [_captured(subject, s, chosen) for s in sizes]
    first = captures[0].program
    for value in first.outputs:
        if not isinstance(value, Value) and not isinstance(value, (int, float)):
            raise ProgramError("onnx.export: the model returned None among its outputs",
                               hint="return tensors only")  # fmt: skip
    count = len(first.outputs)
    default = ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
    outputs = _names(names[1], default, "output_names")
    _distinct([*inputs, *outputs])
    taken = {*inputs, *outputs, *parameters.values()}
    captures = [apart(c, taken) for c in captures]
    folds = [foldable(c, len(inputs), parameters) if folding else {} for c in captures]
    same = shared(folds)
    graphs = [
        graph_of(c, (inputs, outputs), parameters, {n: fold[n] for n in same}, opset)
        for c, fold in zip(captures, folds)
    ]
    graph = merged(graphs, sizes, chosen) if chosen else graphs[0]
    return tidied(renamed(graph))


def _captured(subject: Subject, sizes: Mapping[str, int], axes: Any) -> Any:
    try:
        return subject.captured(sizes, axes)
    except (ArgumentError, RuntimeError, ValueError) as error:
        if not sizes or all(sizes[a.symbol] == a.example for a in axes):
            raise
        shown = ", ".join(f"{s} = {n}" for s, n in sizes.items())
        raise ArgumentError(
            f"onnx.export: the model does not run at {shown}: {error}",
            hint="leave open only axes that may have any size",
        ) from error


def _names(given: Sequence[str] | None, default: Sequence[str], what: str) -> list[str]:
    """The names given, and those that are missing."""
    given = list(given or ())
    if len(given) > len(default):
        raise ArgumentError(
            f"onnx.export: {len(given)} {what} for {len(default)}: {', '.join(given)}"
        )
    return [*given, *default[len(given) :]]


def _distinct(names: Sequence[str]) -> None:
    twice = sorted({n for n in names if list(names).count(n) > 1})
    if twice or "" in names:
        raise ArgumentError(f"onnx.export: two inputs or outputs named {(twice or [''])[0]!r}",
                            hint="give input_names and output_names")  # fmt: skip
