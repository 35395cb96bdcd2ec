"""A model captured for its export: the Program of its evaluation, and what its inputs are called.

Read next: lowering.py, which turns the Program into nodes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit import tree
from backlit.autograd.modes import no_grad
from backlit.onnx.exporting import batch_norms
from backlit.onnx.exporting.evaluating import evaluating
from backlit.onnx.exporting.graph import Graph, Port
from backlit.onnx.exporting.lowering import lower
from backlit.onnx.exporting.sizes import OpenAxis
from backlit.onnx.exporting.terms import Builder, Term
from backlit.ops.op import REGISTRY
from backlit.program.capture import Captured, capture
from backlit.program.interpret import interpret
from backlit.program.ir import Program, Value
from backlit.program.parts import read_by
from backlit.tensor import Tensor, wrap

LARGEST_FOLD = 1 << 16  # elements of a result that is computed now rather than later


@dataclass
class Subject:
    """What is exported: a Module or function, its arguments, and the tensors among them."""

    model: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def tensors(self) -> list[Tensor]:
        return list(tree.leaves((self.args, dict(self.kwargs))))

    def outputs(self) -> list[Tensor]:
        """What the model gives for the example, run as it stands."""
        with no_grad():
            return list(tree.leaves(self.model(*self.args, **self.kwargs)))

    @property
    def names(self) -> list[str]:
        """The names of the parameters that the tensors are given for."""
        function = getattr(self.model, "forward", self.model)
        try:
            bound = inspect.signature(function).bind(*self.args, **self.kwargs).arguments
        except (TypeError, ValueError):
            bound = {f"input_{i}": x for i, x in enumerate((*self.args, *self.kwargs.values()))}
        found: list[str] = []
        for name, value in bound.items():
            count = len(list(tree.leaves(value)))
            found += [name] if isinstance(value, Tensor) else [f"{name}_{i}" for i in range(count)]
        return found if len(found) == len(self.tensors) else _numbered(len(self.tensors))

    def captured(self, sizes: Mapping[str, int], axes: Sequence[OpenAxis]) -> Captured:
        """The Program at these sizes of the open axes."""
        given = [_resized(t, i, sizes, axes) for i, t in enumerate(self.tensors)]

        def run(*tensors: Tensor) -> Any:
            args, kwargs = tree.rebuild((self.args, dict(self.kwargs)), iter(tensors))
            return self.model(*args, **kwargs)

        with evaluating(self.model), no_grad():
            found = capture(run, *given, name="model")
        program = batch_norms.gathered(found.program)
        return replace(found, program=program)


def _numbered(count: int) -> list[str]:
    return [f"input_{i}" for i in range(count)]


def _resized(x: Tensor, index: int, sizes: Mapping[str, int], axes: Sequence[OpenAxis]) -> Tensor:
    """The example with its elements repeated or cut along the open axes."""
    array = x.detach().cell.array
    for a in axes:
        if a.input == index:
            places = np.arange(sizes[a.symbol]) % max(array.shape[a.axis], 1)
            array = array.take(places, axis=a.axis)
    return wrap(array.copy())


def parameter_names(model: Any) -> dict[int, str]:
    """The state dict's names by the identity of the arrays."""
    if not hasattr(model, "state_dict"):
        return {}
    found: dict[int, str] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if isinstance(tensor, Tensor):
            found.setdefault(id(tensor.cell.array), name)
    return found


def apart(found: Captured, taken: set[str]) -> Captured:
    """The capture with other names for values whose names are given to inputs or outputs."""
    program = found.program
    if not taken & {v.name for i in program.instrs for v in i.outputs if v is not None}:
        return found

    def renamed(x: Any) -> Any:
        return replace(x, name=f"{x.name}/own") if isinstance(x, Value) and x.name in taken else x

    inputs = tuple(map(renamed, program.inputs))
    instrs = tuple(
        replace(i, inputs=tuple(map(renamed, i.inputs)), outputs=tuple(map(renamed, i.outputs)))
        for i in program.instrs
    )
    outputs = tuple(map(renamed, program.outputs))
    return replace(found, program=replace(program, inputs=inputs, instrs=instrs, outputs=outputs))


# ----- constants -----


def foldable(found: Captured, count: int, parameters: Mapping[int, str]) -> dict[str, np.ndarray]:
    """The results that come of constants alone, by the names of their values."""
    known = {
        v.name: a for v, a in list(zip(found.program.inputs, found.arrays))[count:]
        if id(a) not in parameters
    }  # fmt: skip
    folded: dict[str, np.ndarray] = {}
    for instr in found.program.instrs:
        op = REGISTRY.get(instr.op)
        values = [v for v in instr.outputs if v is not None]
        small = all(np.prod(v.shape, dtype=float) <= LARGEST_FOLD for v in values)
        if op is None or "seed" in op.inputs or instr.op == "callback" or not small:
            continue
        if not all(v.name in known for v in read_by(instr)) or instr.bodies:
            continue
        needs = tuple({v.name: v for v in read_by(instr)}.values())
        one = Program("fold", needs, (instr,), tuple(values))
        results = interpret(one, [known[v.name] for v in needs], REGISTRY)
        for v, r in zip(values, results):
            known[v.name] = folded[v.name] = r
    return folded


def shared(folds: Sequence[Mapping[str, np.ndarray]]) -> list[str]:
    """The names whose results are the same in all."""

    def same(name: str, array: np.ndarray) -> bool:
        return all(
            name in f and f[name].shape == array.shape and f[name].tobytes() == array.tobytes()
            for f in folds
        )

    return [name for name, array in folds[0].items() if same(name, array)]


# ----- the graph -----


def graph_of(found: Captured, names: tuple[Sequence[str], Sequence[str]],
             parameters: Mapping[int, str], folded: Mapping[str, np.ndarray],
             opset: int) -> Graph:  # fmt: skip
    """The ONNX graph of a captured Program; `names` are those of the inputs and outputs."""
    g, program, count = Builder(opset), found.program, len(names[0])
    values: dict[str, Term] = {}
    ports = [Port(n, v.dtype, v.shape) for n, v in zip(names[0], program.inputs)]
    for port, value in zip(ports, program.inputs):
        values[value.name] = Term(g, port.name, value.dtype, value.shape)
    kept = set()
    taken = {*names[0], *names[1]}
    g.stem = "constants"
    for value, array in list(zip(program.inputs, found.arrays))[count:]:
        name = parameters.get(id(array), "")
        if name and name not in taken:
            kept.add(name)
        else:
            name = g.fresh(value.name)
        g.constants[name] = array
        values[value.name] = Term(g, name, value.dtype, value.shape)
    for name, array in folded.items():
        values[name] = g.constant(array, dt.of_array(array))
        values[name].shape = array.shape
    outputs = lower(g, program, values)
    made = _outputs(g, program, outputs, names[1])
    ordered = tuple(name for name in parameters.values() if name in kept)
    return Graph(program.name, ports, g.nodes, made, g.constants, ordered)


def _outputs(
    g: Builder, program: Program, found: Sequence[Any], names: Sequence[str]
) -> list[Port]:
    """Each output under its name, made by a node."""
    ports = []
    for x, value, name in zip(found, program.outputs, names):
        kind = value.dtype if isinstance(value, Value) else dt.result_type(value)
        term = x if isinstance(x, Term) else g.constant(x, kind)
        shape = value.shape if isinstance(value, Value) else ()
        ports.append(Port(name, kind, shape))
        if any(term.name in n.outputs for n in g.nodes) and term.name not in names:
            g.named(term, name, 0)
        else:
            same = g("Identity", term)
            g.named(same, name, len(g.nodes) - 1)
    return ports
