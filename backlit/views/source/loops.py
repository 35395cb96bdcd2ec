"""Programs within Programs: a scan is a function and a `for` loop, a branch an `if`.

The functions stand among the helpers, written by the same rules as the file. Read next: writer.py.
"""

from __future__ import annotations

import ast
from typing import Any

from backlit.program.ir import Instr, Program, Value
from backlit.views.source.helpers import Helpers
from backlit.views.source.literals import dtype_name
from backlit.views.source.naming import RESERVED, Namer
from backlit.views.source.python_math import call
from backlit.views.source.tidy import tidied
from backlit.views.source.wrapping import WIDTH, wrapped

GROUPS = ("scan", "branch", "fused")  # what they give is a tuple
NESTED = (*GROUPS, "view_put")


def nested(expressions: Any, instr: Instr, operands: list[ast.expr]) -> ast.expr:
    """The call of the function that holds what an instruction holds."""
    write = {"scan": _scan, "branch": _branch, "fused": _fused, "view_put": _view_put}[instr.op]
    return call(write(expressions, instr), *operands)


def body_text(
    expressions: Any, name: str, body: Program, kind: str, outer: dict[str, str] | None = None
) -> str:
    """A Program as a function of its inputs that returns its outputs."""
    names = _names(body, expressions, outer)
    lines = [f"def {name}({', '.join(names[v.name] for v in body.inputs)}):", f'    """{kind}"""']
    for instr in body.instrs:
        operands = [ast.Name(names[x.name], ast.Load()) if isinstance(x, Value) else None
                    for x in instr.inputs]  # fmt: skip
        made = tidied(expressions.of(instr, operands))
        target = ", ".join("_" if v is None else names[v.name] for v in instr.outputs)
        comma = "," if len(instr.outputs) == 1 and instr.op in GROUPS else ""
        shown = ast.unparse(ast.fix_missing_locations(made))
        about = f"  # backward of {names.get(instr.backward_of, instr.backward_of)}"
        lines += wrapped(f"{target}{comma} = {shown}", 4)
        if instr.backward_of and len(lines[-1]) + len(about) <= WIDTH:
            lines[-1] += about
    lines += wrapped(f"return {_tuple([_shown(x, names) for x in body.outputs])}", 4)
    return "\n".join(lines)


def _names(body: Program, expressions: Any, outer: dict[str, str] | None = None) -> dict[str, str]:
    """Its own names; `outer` are those of values that it shares with the Program around it."""
    helpers = expressions.helpers
    namer = Namer(RESERVED | set(helpers.texts))
    values = [*body.inputs, *(v for i in body.instrs for v in i.outputs if v is not None)]
    names = {v.name: namer.own((outer or {}).get(v.name, v.name)) for v in values}
    helpers.taken |= set(names.values())
    return names


def _shown(x: Any, names: dict[str, str]) -> str:
    return names[x.name] if isinstance(x, Value) else repr(x)


def _tuple(parts: list[str]) -> str:
    return f"{', '.join(parts)}{',' if len(parts) == 1 else ''}"


def _define(expressions: Any, wanted: str, write: Any) -> str:
    """The name of a function, which is written once for equal contents."""
    helpers: Helpers = expressions.helpers
    return helpers.define(wanted, write)


def _fused(expressions: Any, instr: Instr) -> str:
    body = instr.params["body"]
    return _define(expressions, "fused", lambda name: body_text(
        expressions, name, body, "One kernel: its values stay in registers.",
        expressions.names))  # fmt: skip


def _branch(expressions: Any, instr: Instr) -> str:
    sides = []
    for side in ("then", "otherwise"):
        body = instr.params[side]
        sides.append(_define(expressions, body.name if body.name != "program" else side,
                             lambda name, b=body: body_text(expressions, name, b,
                                                            "One side.")))  # fmt: skip
    return _define(expressions, "branch", lambda name: "\n".join([
        f"def {name}(pred, *xs):", '    """One of two, chosen by a value."""',
        f"    return {sides[0]}(*xs) if pred else {sides[1]}(*xs)",
    ]))  # fmt: skip


def _scan(expressions: Any, instr: Instr) -> str:
    body, params = instr.params["body"], instr.params
    consts, carries, length = params["consts"], params["carries"], params["length"]
    step = _define(expressions, body.name if body.name != "program" else "step",
                   lambda name: body_text(expressions, name, body, "One step."))  # fmt: skip
    names = _names(Program("", body.inputs, (), ()), expressions)
    inputs = [names[v.name] for v in body.inputs]
    fixed, carried, rows = (
        inputs[:consts],
        inputs[consts : consts + carries],
        inputs[consts + carries :],
    )
    made = [f"made{i}" for i in range(len(body.outputs) - carries)]
    results = [*carried, *(f"{m}[t]" for m in made)]
    steps = f"reversed(range({length}))" if params["reverse"] else f"range({length})"
    given = ", ".join([*fixed, *carried, *(f"{r}[t]" for r in rows)])

    def write(name: str) -> str:
        lines = [f"def {name}({', '.join(inputs)}):", f'    """{step} over and over."""']
        for m, v in zip(made, body.outputs[carries:]):
            lines.append(f"    {m} = np.empty({(length, *v.shape)}, {dtype_name(v.dtype)})")
        lines.append(f"    for t in {steps}:")
        lines += wrapped(f"{_tuple(results)} = {step}({given})", 8)
        lines += wrapped(f"return {_tuple([*carried, *made])}", 4)
        return "\n".join(lines)

    return _define(expressions, f"{step}_scan", write)


def _view_put(expressions: Any, instr: Instr) -> str:
    """The region that a path of views shows, replaced."""
    window: ast.expr = ast.Name("made", ast.Load())
    value = instr.inputs[0]
    assert isinstance(value, Value)
    for op, params in instr.params["path"]:
        shape = expressions.shape_of(op, value, params)
        window = expressions.of(Instr(op, (value,), (shape,), params), [window])
        value = shape

    def write(name: str) -> str:
        shown = ast.unparse(ast.fix_missing_locations(tidied(window)))
        return "\n".join([f"def {name}(x, v):", '    """x with a region replaced by v."""',
                          "    made = x.copy()", f"    {shown}[...] = v",
                          "    return made"])  # fmt: skip

    return _define(expressions, "put", write)
