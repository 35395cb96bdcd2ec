"""A Program as lines of Python: inputs, forward, backward, update, and what it prints.

A forward line is one operator. A line of the backward is one contribution to one gradient: what a
rule computes on the way and reads once is written into it. Numbers are computed in the Program's
own order of operations, so they are the reference's.
Read next: frame.py, expressions.py, naming.py.
"""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from backlit.backends import reference
from backlit.ops.op import REGISTRY
from backlit.program.ir import Instr, Value
from backlit.program.parts import needed, read_by
from backlit.views.source.expressions import Expressions
from backlit.views.source.gradients import gradients
from backlit.views.source.helpers import Helpers
from backlit.views.source.layout import Line, Page
from backlit.views.source.listing import Listing
from backlit.views.source.literals import array_text, dtype_name, numpy_dtype
from backlit.views.source.loops import GROUPS
from backlit.views.source.naming import names_of
from backlit.views.source.tidy import tidied

LONGEST = 88  # characters of a line that takes in what leads to it


class Writer:
    """Writes one file."""

    def __init__(self, made: Listing):
        self.made, self.program = made, made.program
        self.gradients = gradients(self.program, made.pulls)
        self.backward = {v.name for i in self.program.instrs if i.backward_of
                         for v in i.outputs if v is not None}  # fmt: skip
        self.names = names_of(made, self.gradients, self.backward)
        self.helpers = Helpers(set(self.names.values()))
        self.expressions = Expressions(self.helpers, self.names)
        self.makers = {v.name: i for i in self.program.instrs
                       for v in i.outputs if v is not None}  # fmt: skip
        self.seeds = {t for t in self.gradients.totals.values()
                      if t not in self.makers and t not in made.names}  # fmt: skip
        self.instrs = self._kept()
        self.uses = Counter(v.name for i in self.instrs for v in read_by(i))
        self.uses.update(x.name for x in self.program.outputs if isinstance(x, Value))
        self.readers: dict[str, list[Instr]] = {}
        for instr in self.instrs:
            for v in dict.fromkeys(read_by(instr)):
                self.readers.setdefault(v.name, []).append(instr)
        self.waiting: dict[str, ast.expr] = {}  # to be written into the line that reads it
        self.stored: dict[str, np.ndarray] = {}
        self.aliases: set[str] = set()  # names of gradients that are another's, as they are
        self.order = {id(i): n for n, i in enumerate(self.program.instrs)}
        self.section = ""
        self.plain = self._is_plain()
        self.page = Page()

    def _kept(self) -> list[Instr]:
        """All that the user wrote, and of the backward what leads to a gradient."""
        leaves = {v.name for v in self.program.inputs}
        wanted: list[Any] = [x for x in self.program.outputs if isinstance(x, Value)]
        totals = {g for v, g in self.gradients.totals.items() if v in leaves}
        wanted += [v for i in self.program.instrs for v in i.outputs
                   if v is not None and (v.name in totals or not i.backward_of)]  # fmt: skip
        return (
            list(needed(self.program.instrs, wanted))
            if self.made.pulls
            else list(self.program.instrs)
        )

    def _is_plain(self) -> bool:
        """Whether single numbers can be Python's own: nothing divides by zero or overflows."""
        values = [*self.program.inputs, *(v for i in self.instrs for v in i.outputs if v)]
        if not all(v.shape == () for v in values) or len(values) > 200:
            return False
        floats = [v for v in values if v.dtype.kind != "b"]
        if not all(numpy_dtype(v.dtype) == np.float64 for v in floats if v in self.program.inputs):
            return False
        operators = [REGISTRY.get(i.op) for i in self.instrs]
        if not all(op and (op.elementwise or op.name == "cast") for op in operators):
            return False
        everything = replace(self.program, outputs=tuple(values))
        arrays = [self.made.arrays[v.name] for v in self.program.inputs]
        return all(np.isfinite(a).all() for a in reference.run(everything, arrays))

    # ----- the lines -----

    def lines(self) -> list[Line]:
        """Inputs, forward, backward and update."""
        self._inputs()
        last_backward = max((n for n, i in enumerate(self.instrs) if i.backward_of), default=-1)
        pulls = list(self.made.pulls)
        for n, instr in enumerate(self.instrs):
            while pulls and pulls[0].position <= self.order[id(instr)]:
                self._passed_on(pulls.pop(0))
            self._open(self._section(instr, n > last_backward))
            self._line(instr)
        while pulls:
            self._passed_on(pulls.pop(0))
        for new, old in self.made.refills.items():
            if self.names.get(new, self.names[old]) != self.names[old] and new in self.makers:
                self.page.add(f"{self.names[old]} = {self.names[new]}", "for the next step")
        return self.page.lines

    def _open(self, section: str) -> None:
        if section != self.section:
            self.section = section
            self.page.heading(section)
            if section == "backward":
                self._seeds()

    def _section(self, instr: Instr, after: bool) -> str:
        if not self.made.pulls:
            return "instructions"
        if instr.backward_of:
            return "backward"
        return "update" if after and self.made.refills else "forward"

    # ----- inputs -----

    def _inputs(self) -> None:
        self.page.heading("inputs")
        read = set(self.uses)
        for v in self.program.inputs:
            if v.name in self.seeds or (v.name not in read and v.name not in self.made.names):
                continue
            text = array_text(self.made.arrays[v.name], self.plain)
            remark = "a stand-in, put your own here" if v.name in self.made.examples else ""
            if text is None:
                self.stored[self.names[v.name]] = self.made.arrays[v.name]
                text = f'data["{self.names[v.name]}"]'
                remark = remark or f"{dtype_name(v.dtype)[3:]} {v.shape}"
            shown = f"{self.names[v.name]} = {text}"
            self.page.lines.append(Line(shown, remark, (v.name,)))

    def _seeds(self) -> None:
        """The gradient of the result by itself, with which the walk begins."""
        for v in self.program.inputs:
            if v.name in self.seeds:
                array = self.made.arrays[v.name]
                text = array_text(array, self.plain)
                if text is None:
                    self.stored[self.names[v.name]] = array
                    text = f'data["{self.names[v.name]}"]'
                of = self.gradients.of[v.name][0]
                shown = self.names[of]
                self.page.add(f"{self.names[v.name]} = {text}", f"d{shown}/d{shown}: the start")

    # ----- one instruction -----

    def _line(self, instr: Instr) -> None:
        operands = [self._operand(x, instr) if isinstance(x, Value) else None
                    for x in instr.inputs]  # fmt: skip
        made = tidied(self.expressions.of(instr, operands))
        if self._only_adds_axes(instr):
            made = operands[0]  # type: ignore[assignment]
        outputs = [v for v in instr.outputs if v is not None]
        if len(instr.outputs) == 1 and outputs and self._waits(instr, outputs[0], made):
            self.waiting[outputs[0].name] = made
            return
        for v in outputs:
            self._take_over(v, instr, made)
        names = [self._new_name(v) for v in instr.outputs]
        target = ", ".join(names) + ("," if self._is_tuple(instr) else "")
        shown = ast.unparse(ast.fix_missing_locations(made))
        if len(target) > LONGEST // 2 and len(names) > 1 and len(target) + len(shown) > LONGEST:
            target = f"({target})"
        text = f"{target} = {shown}"
        keys = tuple(v.name for v in outputs)
        self.page.lines.append(self._with_remark(instr, text, keys))

    def _only_adds_axes(self, instr: Instr) -> bool:
        """A single number in the shape (1, 1), only to be repeated: it can be as it is."""
        x, made = instr.inputs[0] if instr.inputs else None, instr.outputs[0]
        if instr.op != "reshape" or not isinstance(x, Value) or x.shape != () or made is None:
            return False
        readers = [i.op for i in self.readers.get(made.name, ())]
        return bool(instr.backward_of) and readers == ["expand"]

    def _take_over(self, v: Value, instr: Instr, made: ast.expr) -> None:
        """`w = w - lr * dw`: a new content has the old one's name, where nothing reads that."""
        old = self.made.refills.get(v.name)
        if old is None:
            return
        readers = self.readers.get(old, ())
        if readers and self.order[id(readers[-1])] > self.order[id(instr)]:
            return
        name = self.names[old]
        waiting = [n for tree in self.waiting.values() for n in ast.walk(tree)]
        if not any(isinstance(n, ast.Name) and n.id == name for n in waiting):
            self.names[v.name] = name

    def _new_name(self, v: Value | None) -> str:
        if v is None or (self.uses[v.name] == 0 and v.name not in self.gradients.of
                         and v.name in self.backward):  # fmt: skip
            return "_"
        return self.names[v.name]

    def _is_tuple(self, instr: Instr) -> bool:
        """Whether the expression gives a tuple of one."""
        return len(instr.outputs) == 1 and instr.op in GROUPS

    def _operand(self, x: Value, instr: Instr) -> ast.expr:
        if x.name in self.waiting:
            return self.waiting.pop(x.name)
        return ast.Name(self._shown(x.name, instr), ast.Load())

    def _shown(self, name: str, instr: Instr) -> str:
        """A gradient that an add handed on is called after the value that it arrived at."""
        first = next((v.name for v in instr.outputs if v is not None), "")
        of = self.gradients.sums.get(first)
        giver = self.gradients.givers.get((name, of), "") if of else instr.backward_of
        pull = self.gradients.pulls.get(giver)
        if pull is None or name not in pull.upstream:
            return self.names.get(name, name)
        value = self.makers[pull.output].outputs[pull.upstream.index(name)]
        if value is None:
            return self.names.get(name, name)
        alias = f"d{self.names[value.name]}"
        known = self._alias(value.name) is not None and alias in self.aliases
        return alias if known else self.names.get(name, name)

    def _waits(self, instr: Instr, v: Value, made: ast.expr) -> bool:
        """Whether a value is written into the one line that reads it."""
        if self._is_tuple(instr) or not (instr.backward_of or self._updates(instr)):
            return False
        if v.name in self.gradients.of or self.uses[v.name] != 1 or v.name in self.made.refills:
            return False
        if any(v.name in parts for parts in self.gradients.parts.values()):
            return False
        reader = next(iter(self.readers.get(v.name, ())), None)
        if reader is None or reader.backward_of != instr.backward_of:
            return v.name in self.gradients.sums and reader is not None
        text = ast.unparse(ast.fix_missing_locations(made))
        spare = 40 if instr.op == "where" else 0  # of a mask the condition stays
        return len(text) - spare <= LONGEST - 20 and self._reads_once(reader, v)

    def _updates(self, instr: Instr) -> bool:
        return self.section == "update"

    def _reads_once(self, reader: Instr, v: Value) -> bool:
        """Whether the text of an instruction holds an operand once."""
        mark = ast.Name("__once__", ast.Load())
        operands = [mark if x == v else ast.Name("x", ast.Load()) if isinstance(x, Value) else None
                    for x in reader.inputs]  # fmt: skip
        made = ast.unparse(ast.fix_missing_locations(self.expressions.of(reader, operands)))
        return made.count("__once__") == 1 and len(made) <= LONGEST

    # ----- gradients that are handed on as they are -----

    def _alias(self, value: str) -> str | None:
        """The gradient of a value, where it is another value's gradient unchanged."""
        total = self.gradients.totals.get(value)
        if total is None or self.gradients.of[total][0] == value:
            return None
        return total

    def _passed_on(self, pull: Any) -> None:
        """`dx = dq`, for what the rule of q handed to x as it was."""
        maker = self.makers[pull.output]
        self._open("backward")
        for x in dict.fromkeys(x for x in maker.inputs if isinstance(x, Value)):
            total = self._alias(x.name)
            if total is None or self.gradients.givers.get((total, x.name)) != pull.output:
                continue
            if x.name not in self.names or f"d{self.names[x.name]}" in self.aliases:
                continue
            source = self._shown(total, Instr("", (), (), backward_of=pull.output))
            target = f"d{self.names[x.name]}"
            self.aliases.add(target)
            line = Line(f"{target} = {source}", token=self._token(maker))
            self.page.lines.append(self._from(maker, line))

    # ----- remarks -----

    def _with_remark(self, instr: Instr, text: str, keys: tuple[str, ...]) -> Line:
        made = Line(text, keys=keys, token=self._token(instr))
        value = self.gradients.sums.get(keys[0]) if keys else None
        if value is not None:
            made.remark = self.names[value]
            made.meets = tuple(self.gradients.givers[part, value]
                               for part in self.gradients.parts[value])  # fmt: skip
            return made
        maker = self.makers.get(instr.backward_of)
        if maker is not None:
            return self._from(maker, made)
        about = self.names.get(instr.backward_of, instr.backward_of)
        made.remark = f"backward of {about}" if about else self._users_line(instr)
        return made

    def _from(self, maker: Instr, made: Line) -> Line:
        """Which line of the forward is differentiated."""
        first = next(v for v in maker.outputs if v is not None)
        made.about, made.place = first.name, self._users_line(maker)
        made.remark = f"backward of {self.names[first.name]}"
        return made

    def _token(self, instr: Instr) -> tuple[str, ...]:
        """Equal for instructions that the same line of the user's made in the same module."""
        maker = self.makers.get(instr.backward_of, instr)
        return instr.op, maker.op, str(maker.module), self._users_line(maker)

    def _users_line(self, instr: Instr) -> str:
        first = next((v.name for v in instr.outputs if v is not None), "")
        return self.made.lines.get(first, instr.line)

    def gradient_name(self, value: str) -> str:
        """What the gradient of a forward value is called in the file."""
        if self._alias(value) is not None and f"d{self.names[value]}" in self.aliases:
            return f"d{self.names[value]}"
        return self.names[self.gradients.totals[value]]
