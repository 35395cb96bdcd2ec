"""Programs as text, and back: `parse(write(p)) == p`.

One instruction a line, a call in Python's spelling; behind `#` where it came from:

    y: float32[64, 10] = matmul(h, w)  # at "train.py:41" in "model.head" backward of "loss"

A Program among the parameters is written `program` in its place and in full, indented, on the
lines below. Text is read with Python's own grammar as data; nothing in it is ever executed.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Iterator
from typing import Any

from backlit.dtypes import BY_NAME, dtype
from backlit.errors import ProgramError
from backlit.program.ir import Instr, Operand, Program, Value
from backlit.program.parts import cycle

_NOTES = (("at", "line"), ("in", "module"), ("scope", "scope"), ("backward of", "backward_of"))


# ----- writing -----


def write(program: Program) -> str:
    """The text of a Program."""
    return "\n".join(_lines(program))


def _lines(program: Program) -> Iterator[str]:
    yield f"program {program.name}({', '.join(map(str, program.inputs))}):"
    for instr in program.instrs:
        yield f"  {_write_instr(instr)}"
        for body in instr.bodies:
            yield from (f"    {line}" for line in _lines(body))
    yield f"  return {', '.join(map(_operand, program.outputs))}"


def _write_instr(i: Instr) -> str:
    outputs = ", ".join("_" if v is None else str(v) for v in i.outputs)
    given = [_operand(x) for x in i.inputs] + [f"{k}={literal(v)}" for k, v in i.params.items()]
    notes = [f'{word} "{_quoted(getattr(i, key))}"' for word, key in _NOTES if getattr(i, key)]
    return f"{outputs} = {i.op}({', '.join(given)})" + (f"  # {' '.join(notes)}" if notes else "")


def _quoted(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)


def _operand(x: Operand) -> str:
    return x.name if isinstance(x, Value) else literal(x)


def literal(x: Any) -> str:
    """A parameter as a literal: numbers, strings, None, tuples, dicts, dtypes; and Programs,
    whose lines follow."""
    if isinstance(x, dtype):
        return x.name
    if isinstance(x, Program):
        return "program"
    if isinstance(x, float) and not math.isfinite(x):
        return "nan" if math.isnan(x) else "inf" if x > 0 else "-inf"
    if isinstance(x, tuple):
        return "(" + ", ".join(map(literal, x)) + ("," if len(x) == 1 else "") + ")"
    if isinstance(x, list):
        return "[" + ", ".join(map(literal, x)) + "]"
    if isinstance(x, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in x.items()) + "}"
    if x is None or isinstance(x, (bool, str)):
        return repr(x)
    if isinstance(x, (int, float)):  # a NumPy float is one too, but prints its type
        return repr(float(x) if isinstance(x, float) else int(x))
    raise ProgramError(f"a parameter of type {type(x).__name__} can't be written: {x!r}")


# ----- reading -----


def parse(text: str) -> Program:
    """The Program that a text describes; a fault is refused with its line."""
    try:
        return _parse(text)
    except _TooEarly as error:
        way = cycle(_reads(text, error.line), error.name)
        told = f"; it is part of a cycle: {' from '.join(way)}" if way else ""
        raise ProgramError(error.message + told) from None
    except (RecursionError, MemoryError):  # both are how Python's parser refuses deep nesting
        raise ProgramError("the text is nested too deep to be a program") from None


class _TooEarly(ProgramError):
    """A value is read before the line that makes it, if any does."""

    def __init__(self, line: int, name: str):
        super().__init__(f"line {line}: {name!r} is used before it is made")
        self.line, self.name = line, name


def _reads(text: str, line: int) -> dict[str, list[str]]:
    """What each value of one body is made from, as far as the text tells; for a message only."""
    lines = text.splitlines()
    margin = re.match(r"\s*", lines[line - 1])
    found: dict[str, list[str]] = {}
    for row in lines:
        left, equals, right = row.partition(" = ")
        if equals and re.match(r"\s*", row)[0] == margin[0]:  # type: ignore[index]
            read = re.findall(r"\w+", right.partition("  #")[0])
            found.update((name, read) for name in re.findall(r"(\w+):", left))
    return found


class _Lines:
    """The lines that are still to be read, with their numbers."""

    def __init__(self, text: str):
        self.rest = [(n, t.strip()) for n, t in enumerate(text.splitlines(), 1) if t.strip()]
        self.rest.reverse()
        self.number = 0

    def take(self) -> str:
        if not self.rest:
            raise ProgramError("a program has a head, instructions and a return")
        self.number, line = self.rest.pop()
        return line


def _parse(text: str) -> Program:
    lines = _Lines(text)
    program = _parse_program(lines)
    if lines.rest:
        number, line = lines.rest[-1]
        raise ProgramError(f"line {number}: the program has returned, and then: {line!r}")
    return program


def _parse_program(lines: _Lines) -> Program:
    head = lines.take()
    number = lines.number
    found = re.fullmatch(r"program (\w+)\((.*)\):", head)
    if found is None or not found[1].isidentifier():
        raise ProgramError(f"line {number}: expected `program name(inputs):`, got {head!r}")
    named = _values(found[2], number)
    inputs = tuple(v for v in named if v is not None)
    if len(inputs) < len(named):
        raise ProgramError(f"line {number}: an input must have a name, got {head!r}")
    known = {v.name: v for v in inputs}
    instrs = []
    while (line := lines.take()).split(maxsplit=1)[0] != "return":
        if not lines.rest:
            raise ProgramError(f"line {lines.number}: expected `return`, got {line!r}")
        instr = _parse_instr(line, known, lines)
        instrs.append(instr)
        known.update({v.name: v for v in instr.outputs if v is not None})
    number = lines.number
    call = _expression(f"f({line.removeprefix('return').strip()})", number)
    if call.keywords:
        raise ProgramError(f"line {number}: what is returned has no names: {line!r}")
    outputs = tuple(_read_operand(a, known, number) for a in call.args)
    return Program(found[1], inputs, tuple(instrs), outputs)


def _values(text: str, number: int) -> list[Value | None]:
    """A list of typed names."""
    size = "[0-9]{1,18}"
    pattern = rf"\s*(?:(_)|(\w+): (\w+)\[((?:{size}(?:, ?{size})*)?)\])\s*(?:,|$)"
    values: list[Value | None] = []
    position = 0
    while position < len(text):
        m = re.compile(pattern).match(text, position)
        if m is None or (m[3] is not None and m[3] not in BY_NAME):
            raise ProgramError(f"line {number}: expected `name: dtype[shape]`: {text[position:]!r}")
        if m[2] is not None and not is_name(m[2]):
            raise ProgramError(f"line {number}: {m[2]!r} can't be the name of a value")
        shape = tuple(int(n) for n in (m[4] or "").split(",") if n)
        values.append(None if m[1] else Value(m[2], shape, BY_NAME[str(m[3])]))
        position = m.end()
    return values


def _parse_instr(line: str, known: dict[str, Value], lines: _Lines) -> Instr:
    number = lines.number
    left, equals, rest = line.partition(" = ")
    if not equals:
        raise ProgramError(f"line {number}: expected `outputs = operator(...)`, got {line!r}")
    call = _expression(rest, number)
    comment = rest.encode()[call.end_col_offset :].decode()
    notes = {key: _note(comment, word, number) for word, key in _NOTES}
    inputs = tuple(_read_operand(a, known, number) for a in call.args)
    params = {}
    for k in call.keywords:
        if k.arg is None:
            raise ProgramError(f"line {number}: parameters are given by name: {rest!r}")
        params[k.arg] = _read(k.value, number, lines)
    outputs = tuple(_values(left, number))
    assert isinstance(call.func, ast.Name)
    return Instr(call.func.id, inputs, outputs, params, **notes)


def is_name(name: str) -> bool:
    """Whether a value may have this name: text could not tell others from literals."""
    literals = name in BY_NAME or name in ("inf", "nan", "_", "program")
    plain = name.isascii() and name.isidentifier()
    return plain and not keyword.iskeyword(name) and not literals


def _note(comment: str, word: str, number: int) -> str:
    """What a comment says after `word`."""
    m = re.search(rf'(?:# | ){word} "((?:[^"\\]|\\.)*)"', comment)
    if m is None:
        return ""
    try:
        return str(ast.literal_eval(f'"{m[1]}"'))
    except (SyntaxError, ValueError):
        raise ProgramError(f"line {number}: {m[0].strip()!r} is not a string") from None


def _expression(code: str, number: int) -> ast.Call:
    """A call of a plain name; what follows in a comment is left out."""
    try:
        tree = ast.parse(code, mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise ProgramError(f"line {number}: {getattr(error, 'msg', error)}: {code!r}") from None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise ProgramError(f"line {number}: expected `operator(...)`, got {code!r}")
    return tree


def _read_operand(tree: ast.expr, known: dict[str, Value], number: int) -> Operand:
    if isinstance(tree, ast.Name) and tree.id in known:
        return known[tree.id]
    if isinstance(tree, ast.Name) and tree.id not in ("inf", "nan"):
        raise _TooEarly(number, tree.id)
    return _read(tree, number)


def _read(tree: ast.expr, number: int, lines: _Lines | None = None) -> Any:
    """A literal; anything else is refused. The Programs of `lines` are read as they are met."""
    names: dict[str, Any] = {**BY_NAME, "inf": math.inf, "nan": math.nan}
    if isinstance(tree, ast.Name) and tree.id in names:
        return names[tree.id]
    if isinstance(tree, ast.Name) and tree.id == "program" and lines is not None:
        return _parse_program(lines)
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (int, float, str, type(None))):
        return tree.value
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        value = _read(tree.operand, number)
        if type(value) in (int, float):
            return -value
    if isinstance(tree, (ast.Tuple, ast.List)):
        values = [_read(e, number, lines) for e in tree.elts]
        return values if isinstance(tree, ast.List) else tuple(values)
    if isinstance(tree, ast.Dict) and all(isinstance(k, ast.Constant) for k in tree.keys):
        pairs = zip(tree.keys, tree.values)
        return {_read(k, number): _read(v, number, lines) for k, v in pairs if k is not None}
    raise ProgramError(f"line {number}: {ast.unparse(tree)!r} is not a literal")
