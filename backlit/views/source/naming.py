"""The names in a printed file; the policy is in docs/design/source.md.

A forward value has the user's name, else that of the module that made it, else its operator's
with a number. The gradient of `q` is `dq`, its contributions are `dq_1`, `dq_2`; what a rule
computes on the way is called after the value that it differentiates. Knows no text of expressions.
"""

from __future__ import annotations

import builtins
import keyword
from collections import Counter

from backlit.ops.op import REGISTRY
from backlit.program.ir import Instr, Program, Value
from backlit.views.names import identifier
from backlit.views.source.gradients import Gradients
from backlit.views.source.listing import Listing

RESERVED = frozenset((
    "np", "math", "itertools", "functools", "data", "file", "Path", *keyword.kwlist, *dir(builtins),
))  # fmt: skip


class Namer:
    """Unique Python names."""

    def __init__(self, taken: frozenset[str] | set[str] = RESERVED):
        self.taken = set(taken)

    def own(self, wanted: str) -> str:
        """A name as the user wrote it, with an underscore or a number only where it must."""
        name = identifier(f"layer{wanted}" if wanted[:1].isdigit() else wanted)
        if name in RESERVED:
            name += "_"
        return self._free(name, name, 2)

    def numbered(self, base: str) -> str:
        """`exp_1`, `exp_2`: for values that have no name."""
        return self._free(f"{base}_1", base, 1)

    def _free(self, name: str, base: str, count: int) -> str:
        while name in self.taken:
            name, count = f"{base}_{count}", count + 1
        self.taken.add(name)
        return name


def names_of(made: Listing, found: Gradients, backward: set[str]) -> dict[str, str]:
    """A name for every Value of the Program; `backward` are those that the walk back made."""
    names: dict[str, str] = {}
    namer = Namer()
    program = made.program
    forward = [v for v in _values(program) if v.name not in backward or not made.pulls]
    for v in forward:
        if v.name in made.names and v.name not in made.refills:
            names[v.name] = namer.own(made.names[v.name])
    modules = Counter(i.module for i in program.instrs if not i.backward_of)
    inputs = {v.name for v in program.inputs}
    makers = {v.name: i for i in program.instrs for v in i.outputs if v is not None}
    seeds = {t for t in found.totals.values() if t in inputs}
    for v in forward:
        if v.name in names or v.name in seeds:
            continue
        if v.name in inputs or not made.pulls:
            names[v.name] = namer.own(v.name)
        else:
            names[v.name] = _by_maker(v, makers[v.name], modules, namer, names)
    for new, old in made.refills.items():
        if new in makers:
            names[new] = namer.own(f"new_{names[old]}")
    _name_gradients(program, found, names, namer, makers)
    for name, instr in makers.items():
        if name not in names:
            if not made.pulls:
                names[name] = namer.own(name)
                continue
            about = names.get(instr.backward_of, "")
            names[name] = namer.numbered(f"{about}_{instr.op}" if about else instr.op)
    return names


def _values(program: Program) -> list[Value]:
    return [*program.inputs, *(v for i in program.instrs for v in i.outputs if v is not None)]


def _by_maker(
    v: Value, instr: Instr, modules: Counter[str], namer: Namer, names: dict[str, str]
) -> str:
    first = instr.outputs[0]
    if first is not None and first.name in names and first is not v:
        return namer.own(f"{names[first.name]}_{_output(instr, v)}")
    path = str(instr.module).partition(".")[2]
    if not path:
        return namer.numbered(instr.op)
    return namer.own(f"{path}_{instr.op}" if modules[instr.module] > 1 else path)


def _output(instr: Instr, v: Value) -> str:
    """What the operator calls an output: `mean` of a batch norm."""
    place = instr.outputs.index(v)
    declared = REGISTRY[instr.op].outputs if instr.op in REGISTRY else ()
    return declared[place] if len(declared) == len(instr.outputs) else str(place + 1)


def _name_gradients(
    program: Program, found: Gradients, names: dict[str, str], namer: Namer, makers: dict
) -> None:
    """`dq` for totals, in the order in which they are made; then contributions."""
    first = {total: values[0] for total, values in found.of.items()}
    order = [v.name for v in _values(program)]
    for name in order:
        if name in first and name not in names:
            names[name] = namer.own(f"d{names.get(first[name], first[name])}")
    for value, parts in found.parts.items():
        for part in parts:
            if part not in names and part in makers:
                names[part] = namer.numbered(f"d{names.get(value, value)}")
