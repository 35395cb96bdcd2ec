"""Histories of what a compiled function returns: its backward, as a Program of its own.

Where a function returns tensors that still require grad (a compiled model within a training loop
that is not compiled), its backward is captured with it. The forward then also returns the values
that the backward reads, and a returned tensor's Node runs the backward. Next: entry.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.autograd.engine import collect, grad, resolve
from backlit.autograd.node import Node
from backlit.compiler.recorder import StepRecorder
from backlit.errors import GradError
from backlit.ops.op import Operator, Rule
from backlit.program.ir import Program, Value
from backlit.state import state
from backlit.tensor import Tensor, wrap


@dataclass
class Vjp:
    """The backward of a function: for `leaves` (tensors, or positions of arguments), from the
    gradients of the live outputs. `sources` say what its other inputs are."""

    program: Program
    leaves: list[Any]
    found: list[int | None]  # which output of the Program is a leaf's gradient
    sources: list[tuple[str, Any]]
    specs: tuple[tuple[tuple[int, ...], np.dtype], ...]  # of the live outputs


def capture_vjp(
    recorder: StepRecorder,
    live: list[Tensor],
    positions: dict[int, int],
    origin: Callable[[Value], tuple[str, Any]],
    output: Callable[[Value], int],
) -> Vjp:
    """Run the backward of the live outputs under the recorder of the forward."""
    leaves = _leaves(live)
    start, instrs = len(recorder.inputs), len(recorder.instrs)
    seeds = [wrap(np.ones_like(t.cell.array)) for t in live]
    given = [recorder.declare(f"g{i}", s.cell.array) for i, s in enumerate(seeds)]
    found = grad(live, leaves, seeds, allow_unused=True, retain_graph=True)
    results = [None if g is None else recorder.of(g.cell) for g in found]
    made = recorder.instrs[instrs:]
    del recorder.instrs[instrs:]
    values = _outside(made, [r for r in results if r is not None], given)
    sources = []
    for value in values:
        kind, what = ("residual", None)
        if value in recorder.inputs:
            kind, what = origin(value)
        if kind not in ("argument", "constant", "cell"):
            kind, what = "residual", output(value)
        sources.append((kind, what))
    del recorder.inputs[start:]
    outputs: list[Value] = []
    places: list[int | None] = []
    for r in results:
        places.append(None if r is None else len(outputs))
        outputs += [] if r is None else [r]
    program = Program("backward", (*values, *given), tuple(made), tuple(outputs))
    specs = tuple((t.cell.array.shape, t.cell.array.dtype) for t in live)
    return Vjp(program, [positions.get(id(t), t) for t in leaves], places, sources, specs)


def _leaves(live: list[Tensor]) -> list[Tensor]:
    found: dict[int, Tensor] = {}
    for node in collect(live, None)[0]:
        for edge in node.edges:
            target = None if edge is None else resolve(edge)[0]
            if isinstance(target, Tensor):
                found[id(target)] = target
    return list(found.values())


def _outside(instrs: Sequence[Any], results: list[Value], given: list[Value]) -> list[Value]:
    """What the instructions read and do not make, each once."""
    inside = {v.name for v in given}
    found: dict[str, Value] = {}
    for instr in instrs:
        for x in instr.inputs:
            if isinstance(x, Value) and x.name not in inside:
                found[x.name] = x
        inside.update(v.name for v in instr.outputs if v is not None)
    found.update((r.name, r) for r in results if r.name not in inside)
    return list(found.values())


class RunningVjp:
    """A Vjp whose executable is built when a backward first asks for it."""

    def __init__(self, vjp: Vjp, build: Callable[..., Any]):
        self.vjp, self._build = vjp, build
        self.executable: Any = None

    def node(self, outputs: list, order: dict[int, int], arrays: list[np.ndarray],
             arguments: Sequence[Tensor]) -> Node:  # fmt: skip
        """The Node of one call, with what its backward reads."""
        saved = [
            outputs[order[what]] if kind == "residual"
            else arrays[what] if kind == "argument"
            else what.array if kind == "cell"
            else what
            for kind, what in self.vjp.sources
        ]  # fmt: skip
        tensors = [arguments[x] if isinstance(x, int) else x for x in self.vjp.leaves]
        edges = tuple(
            ((t.node, t.index) if t.node is not None else (t, 0)) if t.requires_grad else None
            for t in tensors
        )
        return Node(CompiledFunction, edges, {}, {"ctx": (self, saved)}, (), self.vjp.specs)

    def gradients(self, saved: list[np.ndarray], grads: list) -> list[Tensor | None]:
        if state.grad or state.observers:
            raise GradError(
                "a compiled function's backward can't be differentiated or observed",
                hint="compile the whole step, with its backward inside",
            )
        if self.executable is None:
            self.executable = self._build(self.vjp.program, {}, {})
        seeds = [
            np.zeros(shape, dtype) if g is None else g.cell.array
            for g, (shape, dtype) in zip(grads, self.vjp.specs)
        ]
        found = self.executable.run([*saved, *seeds])
        return [None if i is None else wrap(found[i]) for i in self.vjp.found]


def _backward(ctx: tuple[RunningVjp, list], grads: list, node: Node) -> list[Tensor | None]:
    running, saved = ctx
    return running.gradients(saved, grads)


class CompiledFunction(Operator, abstract=True):
    """What made a tensor that a compiled function returned."""

    name = "compiled"
    variadic = True


CompiledFunction.rules = {"*": Rule(_backward, (), ("ctx",), (), (), False)}
