"""Operators as terms: an application by the operator's own LaTeX and its own NumPy forward.

What is printed and what is evaluated are both the operator's rules, read in two ways; nothing
here describes mathematics a second time. Operators whose LaTeX depends on shapes have terms of
their own (forms.py). Read next: rules.py for the way back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from backlit.ops import formula as fm
from backlit.ops.formula import Tex
from backlit.ops.op import REGISTRY, Operator
from backlit.views.derive.forms import FORMS
from backlit.views.derive.notation import Notation
from backlit.views.derive.terms import (
    ATOM,
    SIGN,
    SUM,
    Number,
    Shown,
    Symbol,
    Term,
    number_tex,
    wide,
)
from backlit.views.graph import Gate


class Applied(Term):
    """An operator applied to terms; `output` says which of its results."""

    def __init__(
        self, op: Any, params: dict[str, Any], args: Sequence[Term | None], output: int = 0
    ):
        self.op, self.params, self.args, self.output = op, params, tuple(args), output
        self.parts = tuple(a for a in args if a is not None)

    def tex(self, numbers: bool = False) -> Tex:
        shown = [None if a is None else _written(a, numbers) for a in self.args]
        if self.op.elementwise:
            if numbers:
                shown = [_loose(s) if isinstance(s, Tex) else s for s in shown]
            made = _formula_tex(self.op, shown, self.params)
            if numbers and r"\begin{cases}" in made.text:  # the case that holds
                return number_tex(self.value)
            arrays = sum(not p.scalar for p in self.parts)
            return Tex(of_arrays(made.text), made.rank) if arrays else made
        return _rule_tex(self.op, shown, self.params)

    def compute(self) -> Any:
        made = self.op.forward(
            *[None if a is None else _given(a) for a in self.args], **self.params
        )
        return made[self.output] if isinstance(made, tuple) else made

    def bounds(self) -> Any:
        size = np.abs(self.value)
        if self.op.elementwise and size.dtype.kind == "f":
            for part in self.parts:  # a sum may cancel what went into it
                if self.op.name in ("add", "sub"):
                    size = np.maximum(size, part.bound)
        return size


def _loose(number: Tex) -> Tex:
    """A negative number in parentheses wherever a formula puts it beside a sign."""
    return Tex(number.text, SUM) if number.text.startswith("-") else number


def _written(term: Term, numbers: bool) -> Any:
    """A term as LaTeX; plain numbers stay numbers, for formulas that look at them."""
    if isinstance(term, Number):
        return term.number
    return term.tex(numbers)


def _given(term: Term) -> Any:
    return term.given if isinstance(term, Number) else term.value


def _formula_tex(op: Any, shown: list[Any], params: dict[str, Any]) -> Tex:
    if op.symbol or "latex" in vars(op):
        return Tex(op.latex(*(str(Tex.of(s)) for s in shown), **params))
    return Tex.of(op.formula(fm.LATEX, *(Tex.of(s) for s in shown), **params))


def _rule_tex(op: Any, shown: list[Any], params: dict[str, Any]) -> Tex:
    own = getattr(op.latex, "__func__", None) is not Operator.latex.__func__  # type: ignore[attr-defined]
    if not own:
        listed = ", ".join(str(Tex.of(s)) for s in shown if s is not None)
        name = op.name.replace("_", r"\_")
        return Tex(rf"\operatorname{{{name}}}" + fm.parenthesize(listed))
    names = [None if s is None else f"@{k}@" for k, s in enumerate(shown)]
    pattern = op.latex(*names, **params)
    texts = [None if s is None else _argument(Tex.of(s), n, pattern) for s, n in zip(shown, names)]
    text = op.latex(*texts, **params)
    if shown and text == texts[0]:  # it is not written at all: a cast, a new axis
        return Tex.of(shown[0])
    return Tex(text, SIGN)


def _argument(made: Tex, name: str | None, pattern: str) -> str:
    """An argument in the parentheses or braces that it needs where the operator writes it."""
    if f"{{{name}}}^" in pattern or f"{{{name}}}_" in pattern:
        return made.at(ATOM)
    if f"{name}_" in pattern or f"{name}^" in pattern:
        return f"{{{made.at(ATOM)}}}"
    bracketed = rf"\left({name}" in pattern or f", {name}" in pattern
    return made.at(0 if bracketed else SIGN + 1)


def applied(op: Any, params: dict[str, Any], args: Sequence[Term | None], output: int = 0) -> Term:
    """The term of an application, with a notation of its own where there is one."""
    special = FORMS.get(op.name)
    if special is not None:
        made = special(params, args)
        if made is not None:
            return made
    return Applied(op, params, args, output)


def of_gate(gate: Gate, notation: Notation, output: int = 0) -> Term:
    """What a gate computes, from the symbols of its inputs."""
    args = [notation.wire(w) for w in gate.inputs]
    if gate.op.name in REGISTRY:
        made = applied(gate.op, gate.params, args, output)
        return made if len(shown_outputs(gate)) < 2 else numbered(made, output)
    names = ", ".join(str(a.tex()) for a in args if a is not None)
    called = rf"\operatorname{{{gate.op.name}}}".replace("_", r"\_") + fm.parenthesize(names)
    wire = gate.outputs[output]
    assert wire is not None
    return Symbol(called, wire.array)  # a user's function: its forward is the program itself


def of_arrays(text: str) -> str:
    """Products of arrays are element by element; a number in front of one scales it."""
    return re.sub(r"(?<![\d.]) \\cdot|(?<=_\d) \\cdot", r" \\odot", text)


def _finite(text: str) -> str:
    """Without conditions that always hold."""
    text = re.sub(r" \\land \S+ \\le \\infty", "", text)
    return re.sub(r"\S+ \\ge -\\infty \\land ", "", text)


def shown_outputs(gate: Gate) -> list[int]:
    """The outputs that somebody reads, or that get a gradient; the first at least."""
    return [
        k for k, w in enumerate(gate.outputs)
        if w is not None and (not k or w.grad is not None or w.readers)
    ]  # fmt: skip


def numbered(made: Term, output: int) -> Term:
    """One of several results."""
    return Shown(lambda t: rf"\left({t}\right)_{{{output}}}", lambda v: v, made)


class Local(Term):
    """A local derivative, element by element: the operator's own formula."""

    def __init__(self, gate: Gate, i: int, notation: Notation):
        self.gate, self.i, self.notation = gate, i, notation
        self.parts = tuple(
            Symbol(notation.symbol(w), w.array) if not isinstance(notation.wire(w), Number)
            else Number(w.value)
            for w in (*gate.inputs, *gate.outputs) if w is not None
        )  # fmt: skip

    def plain(self) -> Any:
        """The number 1, -1 or 0 where the derivative is that, else None."""
        made = self.gate.op.local(fm.LATEX, self.i, self._names(), self.gate.params)
        return made if isinstance(made, int | float) else None

    def _names(self) -> dict[str, Any]:
        return self.notation.in_formula(self.gate)

    def tex(self, numbers: bool = False) -> Tex:
        if numbers and any(w is not None and w.shape for w in self.gate.outputs):
            return number_tex(self.value)
        names = self._names()
        if numbers:
            values = self.gate.named_values()
            names = {k: _loose(number_tex(wide(v))) if isinstance(names[k], Tex) else names[k]
                     for k, v in values.items()}  # fmt: skip
        made = Tex.of(self.gate.op.local(fm.LATEX, self.i, names, self.gate.params))
        made = Tex(_finite(made.text), made.rank)
        if numbers and r"\begin{cases}" in made.text:
            return number_tex(self.value)
        if any(w is not None and w.shape for w in self.gate.outputs):
            return Tex(of_arrays(made.text), made.rank)
        return made

    def compute(self) -> Any:
        values = {
            k: wide(v) if isinstance(v, np.ndarray) else v
            for k, v in self.gate.named_values().items()
        }
        return self.gate.op.local(fm.NUMPY, self.i, values, self.gate.params)

    @property
    def mask(self) -> Any:
        """Where the input takes part at all, or None."""
        return self.gate.op.mask(fm.NUMPY, self.i, self.gate.named_values())
