"""The rules of the form, checked: single assignment, use after definition, types that agree; also
in the Programs that an instruction holds.

Operators come as a mapping from names to classes with `infer` (the registry), so this file knows
none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlit.errors import BacklitError, ProgramError
from backlit.program.ir import Instr, Program, Value
from backlit.program.parts import cycle, read_by
from backlit.program.text import is_name


def verify(program: Program, operators: Mapping[str, Any], spec: Any) -> Program:
    """Return the Program if it keeps every rule; name the first that it breaks.

    `spec(shape, dtype)` makes what `infer` takes.
    """
    made: dict[str, Value] = {}
    for value in program.inputs:
        _define(made, value, "an input")
    for number, instr in enumerate(program.instrs):
        where = f"instruction {number} ({instr.op})"
        for x in instr.inputs:
            _use(made, x, where, program)
        for body in instr.bodies:
            _check_body(body, operators, spec, where)
        _check_types(instr, operators, spec, where)
        for output in instr.outputs:
            if output is not None:
                _define(made, output, where)
    for x in program.outputs:
        _use(made, x, "return")
    return program


def _check_body(body: Program, operators: Mapping[str, Any], spec: Any, where: str) -> None:
    try:
        verify(body, operators, spec)
    except ProgramError as error:
        raise ProgramError(f"{where}: in its program {body.name}: {error}") from None


def _define(made: dict[str, Value], value: Value, where: str) -> None:
    if not is_name(value.name):
        raise ProgramError(f"{where}: {value.name!r} can't be the name of a value")
    if value.name in made:
        raise ProgramError(f"{where}: {value.name!r} is made twice")
    made[value.name] = value


def _use(made: dict[str, Value], x: Any, where: str, program: Program | None = None) -> None:
    if not isinstance(x, Value):
        return
    if x.name not in made:
        way = cycle(_reads(program), x.name) if program is not None else []
        told = f"; it is part of a cycle: {' from '.join(way)}" if way else ""
        raise ProgramError(f"{where}: {x.name!r} is used before it is made{told}")
    if made[x.name] != x:
        raise ProgramError(f"{where}: {x} was made as {made[x.name]}")


def _reads(program: Program) -> dict[str, list[str]]:
    """What each value is made from."""
    return {
        v.name: [x.name for x in read_by(i)]
        for i in program.instrs for v in i.outputs if v is not None
    }  # fmt: skip


def _check_types(instr: Instr, operators: Mapping[str, Any], spec: Any, where: str) -> None:
    op = operators.get(instr.op)
    if op is None:
        raise ProgramError(f"{where}: no such operator")
    given = [spec(x.shape, x.dtype) if isinstance(x, Value) else x for x in instr.inputs]
    try:
        found = op.infer(*given, **instr.params)
    except BacklitError as error:
        raise ProgramError(f"{where}: {error}") from None
    except Exception as error:  # a rule reads its operands freely and trips over wrong ones
        raise ProgramError(f"{where}: operands or parameters do not fit: {error}") from None
    if found is None:
        return  # its shape depends on values
    expected = found if isinstance(found, tuple) and not hasattr(found, "shape") else (found,)
    if len(expected) != len(instr.outputs):
        raise ProgramError(
            f"{where}: {len(instr.outputs)} outputs, the operator has {len(expected)}"
        )
    for value, s in zip(instr.outputs, expected):
        if value is not None and (value.shape, value.dtype) != (tuple(s.shape), s.dtype):
            raise ProgramError(f"{where}: {value} should be {s.dtype.name}{list(s.shape)}")
