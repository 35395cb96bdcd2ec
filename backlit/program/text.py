"""Programs as text, and back: `parse(write(p)) == p`.

One instruction a line, a call in Python's spelling; behind `#` where it came from:

    y: float32[64, 10] = matmul(h, w)  # at "train.py:41" in "model.head" backward of "loss"

Text is read with Python's own grammar as data; nothing in it is ever executed.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from typing import Any

from backlit.dtypes import BY_NAME, dtype
from backlit.errors import ProgramError
from backlit.program.ir import Instr, Operand, Program, Value

_NOTES = (("at", "line"), ("in", "module"), ("scope", "scope"), ("backward of", "backward_of"))


# ----- writing -----


def write(program: Program) -> str:
    """The text of a Program."""
    head = f"program {program.name}({', '.join(map(str, program.inputs))}):"
    body = [f"  {_write_instr(i)}" for i in program.instrs]
    return "\n".join([head, *body, f"  return {', '.join(map(_operand, program.outputs))}"])


def _write_instr(i: Instr) -> str:
    outputs = ", ".join("_" if v is None else str(v) for v in i.outputs)
    given = [_operand(x) for x in i.inputs] + [f"{k}={literal(v)}" for k, v in i.params.items()]
    notes = [f'{word} "{_quoted(getattr(i, key))}"' for word, key in _NOTES if getattr(i, key)]
    return f"{outputs} = {i.op}({', '.join(given)})" + (f"  # {' '.join(notes)}" if notes else "")


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _operand(x: Operand) -> str:
    return x.name if isinstance(x, Value) else literal(x)


def literal(x: Any) -> str:
    """A parameter as a literal: numbers, strings, None, tuples, dicts, dtypes."""
    if isinstance(x, dtype):
        return x.name
    if isinstance(x, float) and not math.isfinite(x):
        return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"
    if isinstance(x, tuple):
        return "(" + ", ".join(map(literal, x)) + ("," if len(x) == 1 else "") + ")"
    if isinstance(x, list):
        return "[" + ", ".join(map(literal, x)) + "]"
    if isinstance(x, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in x.items()) + "}"
    if x is None or isinstance(x, (bool, int, float, str)):
        return repr(x)
    raise ProgramError(f"a parameter of type {type(x).__name__} can't be written: {x!r}")


# ----- reading -----


def parse(text: str) -> Program:
    """The Program that a text describes; a fault is refused with its line."""
    lines = [(n, t.strip()) for n, t in enumerate(text.splitlines(), 1) if t.strip()]
    if len(lines) < 2:
        raise ProgramError("a program has a head, instructions and a return")
    number, head = lines[0]
    found = re.fullmatch(r"program (\w+)\((.*)\):", head)
    if found is None:
        raise ProgramError(f"line {number}: expected `program name(inputs):`, got {head!r}")
    inputs = tuple(_values(found[2], number))
    known = {v.name: v for v in inputs if v is not None}
    instrs = []
    for number, line in lines[1:-1]:
        instr = _parse_instr(line, known, number)
        instrs.append(instr)
        known.update({v.name: v for v in instr.outputs if v is not None})
    number, last = lines[-1]
    if not last.startswith("return"):
        raise ProgramError(f"line {number}: expected `return`, got {last!r}")
    call = _expression(f"f({last.removeprefix('return').strip()})", number)
    outputs = tuple(_read_operand(a, known, number) for a in call.args)
    return Program(found[1], inputs, tuple(instrs), outputs)


def _values(text: str, number: int) -> list[Value | None]:
    """A list of typed names."""
    pattern = r"\s*(?:(_)|(\w+): (\w+)\[([\d, ]*)\])\s*(?:,|$)"
    values: list[Value | None] = []
    position = 0
    while position < len(text):
        m = re.compile(pattern).match(text, position)
        if m is None or (m[3] is not None and m[3] not in BY_NAME):
            raise ProgramError(f"line {number}: expected `name: dtype[shape]`: {text[position:]!r}")
        shape = tuple(int(n) for n in (m[4] or "").replace(" ", "").split(",") if n)
        values.append(None if m[1] else Value(m[2], shape, BY_NAME[m[3]]))
        position = m.end()
    return values


def _parse_instr(line: str, known: dict[str, Value], number: int) -> Instr:
    left, equals, rest = line.partition(" = ")
    if not equals:
        raise ProgramError(f"line {number}: expected `outputs = operator(...)`, got {line!r}")
    code, notes = _split_notes(rest)
    call = _expression(code, number)
    if not isinstance(call.func, ast.Name):
        raise ProgramError(f"line {number}: an operator is a plain name")
    inputs = tuple(_read_operand(a, known, number) for a in call.args)
    params = {k.arg: _read(k.value, number) for k in call.keywords if k.arg is not None}
    outputs = tuple(_values(left, number))
    return Instr(call.func.id, inputs, outputs, params, **notes)


def _split_notes(text: str) -> tuple[str, dict[str, str]]:
    code, _, comment = text.partition("  # ")
    notes = {}
    for word, key in _NOTES:
        m = re.search(rf'(?:^| ){word} "((?:[^"\\]|\\.)*)"', comment)
        if m:
            notes[key] = re.sub(r"\\(.)", r"\1", m[1])
    return code, notes


def _expression(code: str, number: int) -> ast.Call:
    try:
        tree = ast.parse(code.strip(), mode="eval").body
    except SyntaxError as error:
        raise ProgramError(f"line {number}: {error.msg}: {code!r}") from None
    if not isinstance(tree, ast.Call):
        raise ProgramError(f"line {number}: expected a call, got {code!r}")
    return tree


def _read_operand(tree: ast.expr, known: dict[str, Value], number: int) -> Operand:
    if isinstance(tree, ast.Name) and tree.id in known:
        return known[tree.id]
    if isinstance(tree, ast.Name) and tree.id not in ("inf", "nan"):
        raise ProgramError(f"line {number}: {tree.id!r} is used before it is made")
    return _read(tree, number)


def _read(tree: ast.expr, number: int) -> Any:
    """A literal; anything else is refused."""
    names: dict[str, Any] = {**BY_NAME, "inf": math.inf, "nan": math.nan}
    readers: dict[type, Callable[[Any], Any]] = {
        ast.Constant: lambda t: t.value,
        ast.Tuple: lambda t: tuple(_read(e, number) for e in t.elts),
        ast.List: lambda t: [_read(e, number) for e in t.elts],
        ast.Dict: lambda t: {
            _read(k, number): _read(v, number) for k, v in zip(t.keys, t.values)
        },
    }
    if isinstance(tree, ast.Name) and tree.id in names:
        return names[tree.id]
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return -_read(tree.operand, number)
    if type(tree) in readers:
        return readers[type(tree)](tree)
    raise ProgramError(f"line {number}: {ast.unparse(tree)!r} is not a literal")
