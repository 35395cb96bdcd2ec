"""GraphModule: an imported graph as a module with parameters under the file's names.

Owns where initializers lie in the tree of modules, and how arguments meet the graph's inputs.
Read next: build.py for what is a parameter, graph.py for how it runs.
"""

from __future__ import annotations

from typing import Any

from backlit.creation import as_tensor
from backlit.dtypes import dtype
from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from backlit.nn.module import Module
from backlit.nn.parameter import Parameter
from backlit.onnx.loading.build import Weights
from backlit.onnx.loading.graph import WEIGHT, Graph
from backlit.onnx.loading.table import dtype_of, tensor
from backlit.tensor import Tensor, wrap


class Scope(Module):
    """Parameters under a common part of their names."""

    def extra_repr(self) -> str:
        names = [*self._parameters, *self._buffers]
        return ", ".join(f"{n}={tuple(getattr(self, n).shape)}" for n in names)


class GraphModule(Scope):
    """A network read from an ONNX file by `bl.onnx.load`.

    It is called with the graph's inputs, in order or by name, and returns its output, or a tuple
    of them. Initializers of floating point are parameters under their names in the file.

    >>> made = bl.onnx.export(nn.Linear(3, 2), bl.ones(1, 3))
    >>> [name for name, _ in bl.onnx.load(made).named_parameters()]
    ['weight', 'bias']
    """

    def __init__(self, graph: Graph, weights: Weights, inputs: dict[str, Any]):
        super().__init__()
        self._graph = graph
        self._types = inputs
        self._root_name = _identifier(graph.name)
        self._places: dict[str, tuple[Module, str]] = {}
        for name, array in {**weights.parameters, **weights.buffers}.items():
            owner, last = self._places[name] = _place(self, name)
            if name in weights.parameters:
                owner.register_parameter(last, Parameter(wrap(array)))
            else:
                owner.register_buffer(last, wrap(array))

    def extra_repr(self) -> str:
        taken, made = (", ".join(names) for names in (self.input_names, self.output_names))
        text = f"{taken} -> {made}, {len(self._graph.steps)} nodes"
        return ", ".join(filter(None, [text, super().extra_repr()]))

    @property
    def input_names(self) -> tuple[str, ...]:
        """What the graph's inputs are called."""
        return self._graph.inputs

    @property
    def output_names(self) -> tuple[str, ...]:
        """What the graph's outputs are called."""
        return self._graph.outputs

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph."""
        arguments = self._arguments(args, kwargs)
        weights = {WEIGHT + name: getattr(*at) for name, at in self._places.items()}
        found = [tensor(value) for value in self._graph.run(arguments, weights)]
        return found[0] if len(found) == 1 else tuple(found)

    def _arguments(self, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
        names = self._graph.inputs
        given = dict(zip(names, args))
        twice = [name for name in kwargs if name in given]
        unknown = [name for name in kwargs if name not in names]
        if len(args) > len(names) or twice or unknown:
            raise ArgumentTypeError(
                f"{self._root_name}: got {len(args)} inputs"
                + (f" and {', '.join(kwargs)}" if kwargs else ""),
                hint=f"the graph's inputs are {', '.join(names) or 'none'}",
            )
        given |= kwargs
        missing = [name for name in names if name not in given and not self._optional(name)]
        if missing:
            raise ArgumentTypeError(f"{self._root_name}: input '{missing[0]}' is missing")
        return {name: self._checked(name, given.get(name)) for name in names}

    def _optional(self, name: str) -> bool:
        return bool(self._types[name].HasField("optional_type"))

    def _checked(self, name: str, value: Any) -> Any:
        """An argument as a value, if its type is the declared one."""
        declared = self._types[name]
        if declared.HasField("optional_type"):
            declared = declared.optional_type.elem_type
        if value is None:
            return None
        if declared.HasField("sequence_type") is not isinstance(value, list | tuple):
            kind = "a list of tensors" if declared.HasField("sequence_type") else "a tensor"
            raise ArgumentTypeError(f"input '{name}': expected {kind}, got {type(value).__name__}")
        if isinstance(value, list | tuple):
            return [as_tensor(v) for v in value]
        value = value if isinstance(value, Tensor) else as_tensor(value)
        own = next(self.parameters(), None)
        _check_type(name, value, declared.tensor_type, None if own is None else own.dtype)
        return value


def _check_type(name: str, value: Tensor, wanted: Any, own: dtype | None) -> None:
    """Refuse another dtype or number of axes than declared; a module that was converted, as by
    `double()`, takes its own dtype for the declared one."""
    kind = dtype_of(wanted.elem_type, f"input '{name}'")
    converted = kind.is_floating_point and value.dtype is own
    if kind is not value.dtype and not converted:
        raise DTypeError(
            f"input '{name}': expected {kind.name}, got {value.dtype.name}",
            hint=f"convert it: x.to(bl.{kind.name})",
        )
    if wanted.HasField("shape") and len(wanted.shape.dim) != value.ndim:
        raise ShapeError(
            f"input '{name}': expected {len(wanted.shape.dim)} axes, got shape {tuple(value.shape)}"
        )


def _place(root: Module, name: str) -> tuple[Module, str]:
    """The module that a dotted name lies in, and the last part; parts that modules can't have as
    names get an underscore."""
    parts = name.split(".")
    if not all(parts):
        parts = [name.replace(".", "_") or "_"]
    owner = root
    for part in parts[:-1]:
        part = _free(owner, part, Module)
        if part not in owner._modules:
            owner.add_module(part, Scope())
        owner = getattr(owner, part)
    return owner, _free(owner, parts[-1], None)


def _free(owner: Module, part: str, kind: type | None) -> str:
    """A name that is not taken, or is taken by a child module where one is wanted."""
    while hasattr(owner, part) and not (kind is Module and part in owner._modules):
        part += "_"
    return part


def _identifier(name: str) -> str:
    """A graph's name as the first part of paths."""
    text = "".join(c if c.isalnum() else "_" for c in name).strip("_")
    return text if text.isidentifier() else "graph"


def check_inputs(graph: Graph, types: dict[str, Any]) -> None:
    """Refuse inputs that no tensor can be: text, maps, sparse tensors."""
    for name in graph.inputs:
        declared = types[name]
        if declared.HasField("optional_type"):
            declared = declared.optional_type.elem_type
        if declared.HasField("sequence_type"):
            declared = declared.sequence_type.elem_type
        if not declared.HasField("tensor_type"):
            raise ArgumentError(f"onnx.load: input '{name}' is neither a tensor nor a sequence")
        dtype_of(declared.tensor_type.elem_type, f"input '{name}'")
