"""The file around the lines: what it imports, its helpers, its loops, and what it prints.

Read next: writer.py, which writes the lines; rolled.py, which finds the loops in them.
"""

from __future__ import annotations

from backlit.program.ir import Program, Value
from backlit.views.source.layout import Line, Page
from backlit.views.source.listing import Listing
from backlit.views.source.naming import RESERVED
from backlit.views.source.rolled import Names, renaming, rolled
from backlit.views.source.writer import Writer

# Operators that neither overflow nor divide: a file of these alone needs no word about warnings.
_QUIET = frozenset((
    "add", "sub", "mul", "neg", "relu", "maximum", "minimum", "abs", "sum", "mean", "matmul",
    "linear", "permute", "reshape", "expand", "sum_to", "tanh", "where", "gt", "lt", "ge", "le",
    "eq", "ne", "cast", "squeeze", "unsqueeze", "square", "conv", "conv_grad_input",
    "conv_grad_weight", "sin", "cos", "slice", "slice_put", "cat", "stack",
))  # fmt: skip


def written(made: Listing) -> tuple[str, Writer]:
    """The text of the file of a Listing, and who wrote its lines."""
    w = Writer(made)
    lines = w.lines()
    page = Page()
    _top(w, page)
    page.lines += _with_loops(w, lines)
    _main(w, page)
    return page.text(), w


def _top(w: Writer, page: Page) -> None:
    page.add(f'"""{_title(w)}"""')
    page.add()
    modules = sorted(w.helpers.modules - {"np"})
    for name in modules:
        page.add(f"import {name}")
    if w.stored:
        page.add("from pathlib import Path")
    if modules or w.stored:
        page.add()
    page.add("import numpy as np")
    if any(i.op not in _QUIET for i in w.instrs) and not w.plain:
        page.add()
        page.add('np.seterr(all="ignore")', "infinities and NaN show in the values")
    if w.helpers.texts:
        page.heading("operators that are more than one expression")
        for text in w.helpers.texts.values():
            if text.startswith("def "):
                page.add()
                page.add()
            page.add(text)
        page.add()
    if w.stored:
        page.add()
        beside = 'Path(__file__).with_suffix(".npz")'
        page.add(f"with np.load({beside}, allow_pickle=False) as file:")
        page.add("data = dict(file)", indent=4)


def _title(w: Writer) -> str:
    kind = "Forward and backward" if w.gradients.pulls else "The Program"
    if w.made.refills and w.gradients.pulls:
        kind = "Forward, backward and update"
    shown = w.made.title.replace("\\", "\\\\").replace('"', "'")
    values = _values(w.program)
    half = any(v.dtype.is_floating_point and v.dtype.itemsize == 2 for v in values)
    stated = " 16-bit floats are computed in float32." if half else ""
    return f"{kind} of {shown}, written by Backlit; it needs only NumPy.{stated}"


def _with_loops(w: Writer, lines: list[Line]) -> list[Line]:
    """What recording wrote out step by step, as loops; an update's lines are no steps."""
    inputs = {v.name for v in w.program.inputs}
    kept = {x.name for x in w.program.outputs if isinstance(x, Value)}
    kept |= {*w.made.names, w.made.loss}
    kept |= {g for v, g in w.gradients.totals.items() if v in inputs}
    values = {w.names[v] for v in w.names} | w.aliases
    names = Names(values | w.helpers.taken | set(RESERVED), values,
                  {w.names[k] for k in kept if k in w.names})  # fmt: skip
    names.kept |= {w.gradient_name(v) for v in inputs
                   if v in w.gradients.totals and v in w.names}  # fmt: skip
    made: list[Line] = []
    renamed: dict[str, str] = {}
    for title, section in _sections(lines):
        inside = names.places if title == "backward" else {}
        section = [renaming(line, renamed | inside) for line in section]
        if title in ("forward", "backward"):
            section, news = rolled(section, names, title == "backward")
            renamed |= news
        made += section
        names.lines |= {key: line for line in section for key in line.keys}
    w.names = {k: renamed.get(v, v) for k, v in w.names.items()}
    return made


def _main(w: Writer, page: Page) -> None:
    page.add()
    page.add()
    page.add('if __name__ == "__main__":')
    shown = 0
    if w.made.loss in w.names:
        name = w.names[w.made.loss]
        page.add(f'print("{name} =", {name})', indent=4)
        shown += 1
    for v in w.program.inputs:
        if v.name in w.gradients.totals and v.name in w.names:
            total = w.gradients.totals[v.name]
            if total not in w.makers and total not in w.seeds:
                continue
            name = w.gradient_name(v.name)
            size = f"np.linalg.norm({name})"
            text = f'"{name} =", {name}' if v.shape == () else f'"|{name}| =", {size}'
            page.add(f"print({text})", indent=4)
            shown += 1
    if not shown:
        for x in w.program.outputs:
            if isinstance(x, Value):
                page.add(f'print("{w.names[x.name]} =", {w.names[x.name]})', indent=4)
                shown += 1
    if not shown:
        page.add("pass", indent=4)


def _values(program: Program) -> list[Value]:
    return [*program.inputs, *(v for i in program.instrs for v in i.outputs if v is not None)]


def _sections(lines: list[Line]) -> list[tuple[str, list[Line]]]:
    """Lines by the headings that they stand under."""
    found: list[tuple[str, list[Line]]] = [("", [])]
    for line in lines:
        if line.text.startswith("# ----- "):
            found.append((line.text[8:-6], []))
        found[-1][1].append(line)
    return found
