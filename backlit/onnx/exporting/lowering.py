"""From a Program to ONNX nodes: the table of rules, and what happens where it has none.

A rule is a function of a Builder, the operands and the parameters of the instruction; it returns
the Terms of its outputs, None for those that nobody reads. Operators without a rule go through
their formula, or through `expand`. Read next: the rules_*.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from backlit import dtypes as dt
from backlit.onnx.exporting.terms import Builder, Term, refusal
from backlit.ops.op import REGISTRY, Elementwise
from backlit.program.capture import capture
from backlit.program.ir import Instr, Program, Value
from backlit.program.parts import needed, read_by
from backlit.tensor import wrap

Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
_FAMILIES = (
    "elementwise", "rules_shape", "rules_index", "rules_reduce", "rules_sort", "rules_layers",
    "rules_images", "rules_recurrent", "rules_loops", "rules_algebra",
)  # fmt: skip

HANDED_IN = "a generator's numbers can't be repeated elsewhere: hand them in as an input"


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Enter a rule in the table, for the operators of these names."""

    def enter(function: Rule) -> Rule:
        for name in names:
            assert name not in RULES, f"two rules for {name}"
            RULES[name] = function
        return function

    return enter


def table() -> dict[str, Rule]:
    """All rules, their modules imported."""
    for family in _FAMILIES:
        import_module(f"backlit.onnx.exporting.{family}")
    return RULES


def lower(g: Builder, program: Program, values: Mapping[str, Term]) -> list[Any]:
    """Nodes for what the outputs need; the Terms (or numbers) of the outputs.

    `values` holds the Terms of the inputs, and of instructions that are computed already.
    """
    rules, known = table(), dict(values)
    g.known = known
    instrs = needed(program.instrs, program.outputs)
    read = {v.name for i in instrs for v in read_by(i)}
    read |= {v.name for v in program.outputs if isinstance(v, Value)}
    for instr in instrs:
        made = [v for v in instr.outputs if v is not None and v.name in read]
        if all(v.name in known for v in made):
            continue
        wanted = tuple(v is not None and v.name in read for v in instr.outputs)
        _lower_instr(g, instr, wanted, known, rules)
    return [known[x.name] if isinstance(x, Value) else x for x in program.outputs]


def _lower_instr(g: Builder, instr: Instr, wanted: tuple[bool, ...], known: dict[str, Term],
                 rules: Mapping[str, Rule]) -> None:  # fmt: skip
    operands = [known[x.name] if isinstance(x, Value) else x for x in instr.inputs]
    g.start(instr, wanted)
    since = len(g.nodes)
    made = _applied(g, instr, operands, rules)
    found = made if isinstance(made, tuple) else (made,)
    for value, term, want in zip(instr.outputs, found, wanted):
        if value is None or not want:
            continue
        if term is None:
            raise g.refuse(f"its output {value.name} has no ONNX form")
        if any(term.name in node.outputs for node in g.nodes[since:]):
            g.named(term, value.name, since)
        known[value.name] = Term(g, term.name, value.dtype, value.shape)


def _applied(g: Builder, instr: Instr, operands: list[Any], rules: Mapping[str, Rule]) -> Any:
    entry = rules.get(instr.op)
    op = REGISTRY.get(instr.op)
    if entry is not None:
        return entry(g, *operands, **instr.params)
    if op is not None and issubclass(op, Elementwise):
        from backlit.onnx.exporting.elementwise import by_formula

        return by_formula(g, op, *operands, **instr.params)
    if op is not None and hasattr(op, "expand"):
        return expanded_by(g, op.expand)
    if op is not None and "seed" in op.inputs:
        raise refusal(instr, "it draws random numbers", HANDED_IN)
    raise refusal(instr, "no ONNX operator computes it")


def expanded_by(g: Builder, function: Callable[..., Any]) -> tuple[Any, ...]:
    """The instruction as what a function of tensors does, captured at zeros of its shapes."""
    instr = g.instr
    tensors = [
        wrap(np.zeros(x.shape, x.dtype.numpy)) if isinstance(x, Value) else x for x in instr.inputs
    ]
    with np.errstate(all="ignore"):
        inner = capture(lambda *xs: function(*xs, **instr.params), *tensors)
    names = [v.name for v in inner.program.inputs]
    given = [v.name for v in instr.inputs if isinstance(v, Value)]
    known = {name: g.known[value] for name, value in zip(names, given)}
    for name, array in list(zip(names, inner.arrays))[len(given) :]:
        known[name] = g.constant(array, dt.of_array(array))
    outer, before = (g.instr, g.wanted, g.stem), g.known
    found = lower(g, marked(inner.program, instr), known)
    g.instr, g.wanted, g.stem = outer
    g.known = before
    return tuple(found)


def marked(program: Program, instr: Instr, side: str = "") -> Program:
    """A Program whose values and notes are those of the instruction that it stands for."""
    stem = next(v.name for v in instr.outputs if v is not None)
    stem = f"{stem}/{side}" if side else stem
    given = {v.name for v in program.inputs}

    def renamed(x: Any) -> Any:
        own = isinstance(x, Value) and x.name not in given
        return replace(x, name=f"{stem}/{x.name}") if own else x

    instrs = tuple(
        replace(i, inputs=tuple(map(renamed, i.inputs)), outputs=tuple(map(renamed, i.outputs)),
                line=instr.line, module=instr.module)
        for i in program.instrs
    )  # fmt: skip
    return replace(program, instrs=instrs, outputs=tuple(map(renamed, program.outputs)))
