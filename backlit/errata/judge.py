"""The judges: each kind of statement, and how it is decided by computing.

Printed derivatives and hand-written gradients go to the doctor, formulas are compared with what
they should equal, printed code is run, and statements in words name an experiment whose outcome
decides. None of them knows whether what it judges was printed or corrected.
"""

from __future__ import annotations

import inspect
import itertools
import re
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

import backlit as bl
from backlit.check.doctor import Diagnosis, doctor
from backlit.check.formulas import FormulaSubject, examine
from backlit.errata.erratum import Verdict
from backlit.errors import BacklitError, FormulaError
from backlit.expressions import evaluate, parse

TRIED = (1.0, -1.0, 2.0, 0.0, 0.5, -2.0, 3.0)  # small numbers, the plainest first
MOST = 400  # combinations of them


@dataclass(frozen=True)
class Derivative:
    """A printed derivative: the doctor compares it with differences, here and nearby."""

    text: str
    values: Mapping[str, Any] = field(hash=False)

    @property
    def shown(self) -> str:
        return _lines(self.text)

    def judge(self) -> Verdict:
        found = examine(self.text, self.values)
        if found.ok:
            return Verdict(True, f"the doctor: {found}")
        counter = smallest_counterexample(self.text, self.values) or _first_failure(found)
        return Verdict(False, *_told(found), counter=counter)


def _first_failure(found: Diagnosis) -> str:
    return found.failures[0] if found.failures else ""


def _told(found: Diagnosis) -> tuple[str, str]:
    lines = [f"the doctor: {'; '.join(found.failures) or 'wrong'}"]
    lines += [c.evidence for c in found.causes[:1]]
    return "; ".join(lines), found.causes[0].name if found.causes else ""


@dataclass(frozen=True)
class HandWritten:
    """Code as courses print it: `forward(**inputs)` and `backward(dout, cache)` in NumPy."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    inputs: Mapping[str, Any] = field(hash=False)

    @property
    def shown(self) -> str:
        return source(self.forward) + "\n" + source(self.backward)

    def judge(self) -> Verdict:
        with np.errstate(all="ignore"):
            found = doctor((self.forward, self.backward), dict(self.inputs))
        if found.ok:
            return Verdict(True, f"the doctor: {found}")
        return Verdict(False, *_told(found), counter=_first_failure(found))


@dataclass(frozen=True)
class Equals:
    """A formula that should equal another, or a function, at several points."""

    text: str
    reference: Callable[..., Any] | str
    points: tuple[Mapping[str, Any], ...] = field(hash=False)
    tolerance: float = 1e-9

    @property
    def shown(self) -> str:
        return _lines(self.text)

    def judge(self) -> Verdict:
        worst = 0.0
        for point in self.points:
            wanted = self._wanted(point)
            try:
                found = compute(self.text, point)
            except FormulaError as error:
                return Verdict(False, f"{_at(point)} it can't be computed: {_first_line(error)}")
            if found.shape != wanted.shape:
                told = f"{_at(point)} its shape is {found.shape}, it should be {wanted.shape}"
                return Verdict(False, told, counter=told)
            gap = float(np.max(np.abs(found - wanted), initial=0.0))
            if not gap <= self.tolerance * max(1.0, float(np.abs(wanted).max(initial=0.0))):
                told = f"{_at(point)} it gives {_number(found)}, it should be {_number(wanted)}"
                return Verdict(False, told, counter=told)
            worst = max(worst, gap)
        return Verdict(True, f"equal at {len(self.points)} points, to {worst:.1e}")

    def _wanted(self, point: Mapping[str, Any]) -> np.ndarray:
        if isinstance(self.reference, str):
            return compute(self.reference, point)
        found = self.reference(**point)
        return np.asarray(found.detach().numpy() if isinstance(found, bl.Tensor) else found)


@dataclass(frozen=True)
class Computes:
    """A formula whose shapes must fit and give the stated shape."""

    text: str
    values: Mapping[str, Any] = field(hash=False)
    shape: tuple[int, ...]

    @property
    def shown(self) -> str:
        sizes = ", ".join(f"{n}: {np.shape(v)}" for n, v in self.values.items())
        return f"{_lines(self.text)}    with {sizes}"

    def judge(self) -> Verdict:
        try:
            found = compute(self.text, self.values)
        except FormulaError as error:
            return Verdict(False, _first_line(error), counter=_first_line(error))
        right = found.shape == self.shape
        return Verdict(right, f"it gives the shape {found.shape}, due is {self.shape}")


@dataclass(frozen=True)
class Reads:
    """A formula that must be one: in the grammar, with no derivative left to work out."""

    text: str
    names: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        return self.text

    def judge(self) -> Verdict:
        from backlit.expressions.nodes import Derivative as Left

        try:
            formula = parse(self.text, self.names)
        except FormulaError as error:
            return Verdict(False, _first_line(error), counter=_first_line(error))
        left = [p for s in formula.statements for p in s.value.walk() if isinstance(p, Left)]
        if left:
            told = f"d{left[0].of}/d{left[0].wrt} is still to be worked out"
            return Verdict(False, told, counter=told)
        return Verdict(True, "it reads, and nothing is left to work out")


@dataclass(frozen=True)
class Code:
    """Printed code: it is run; an error, or a False from it, refutes it.

    `parts` are functions that it calls and the reader should see.
    """

    function: Callable[[], Any]
    parts: tuple[Callable[..., Any], ...] = ()

    @property
    def shown(self) -> str:
        return "\n".join(map(source, (*self.parts, self.function)))

    def judge(self) -> Verdict:
        try:
            with np.errstate(all="ignore"):
                found = self.function()
        except (ValueError, TypeError, NameError, IndexError) as error:
            told = f"{type(error).__name__}: {_first_line(error)}"
            return Verdict(False, told, counter=told)
        right, evidence = found
        return Verdict(bool(right), evidence, counter="" if right else evidence)


@dataclass(frozen=True)
class Experiment:
    """A statement in words, and the experiment whose outcome decides it.

    The experiment gets `given` and returns (whether the statement holds, the numbers).
    """

    words: str
    run: Callable[..., tuple[bool, str]]
    given: tuple[Any, ...] = field(default=(), hash=False)

    @property
    def shown(self) -> str:
        return self.words

    def judge(self) -> Verdict:
        right, evidence = self.run(*self.given)
        return Verdict(bool(right), evidence)


# ----- helpers -----


def compute(text: str, values: Mapping[str, Any]) -> np.ndarray:
    """The value of a formula as an array."""
    found = evaluate(parse(text, values), values, unused=True).result
    return np.asarray(found.detach().numpy())


def smallest_counterexample(text: str, values: Mapping[str, Any]) -> str:
    """The plainest small numbers at which a claim about an input is wrong, in words."""
    formula = parse(text, values)
    names = list(values)
    choices = [_candidates(values[n]) for n in names]
    combos = itertools.islice(itertools.product(*choices), MOST * 10)
    ordered = sorted(combos, key=_plainness)
    wrt = [str(c.target) for c in formula.claims if c.target in values]
    of = next((c.of or formula.result for c in formula.claims if c.target in values), None)
    for combo in ordered[:MOST]:
        point = {n: np.asarray(v, np.float64) for n, v in zip(names, combo)}
        told = _wrong_at(FormulaSubject(formula, of, wrt, point)) if wrt else ""
        if told:
            return f"{_at(point)} {told}"
    return ""


def _plainness(combo: tuple[np.ndarray, ...]) -> float:
    """Whole numbers first, then small ones."""
    return sum(float(np.abs(v).sum()) + 10.0 * float((v % 1 != 0).sum()) for v in combo)


def _candidates(value: Any) -> list[np.ndarray]:
    shape = np.shape(value)
    if not shape:
        return [np.asarray(c) for c in TRIED]
    ramp = np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)
    return [np.ones(shape), np.asarray(value, np.float64), ramp]


def _wrong_at(subject: FormulaSubject) -> str:
    """What is claimed and what is true at a point, where they differ and no kink is near."""
    from backlit.check.doctor.truth import slopes

    with np.errstate(all="ignore"):
        try:
            seeds = [np.ones(np.shape(o)) for o in subject.outputs(subject.values)]
            claims = subject.claims(subject.values, seeds)
        except BacklitError:
            return ""
        for name, value in subject.values.items():
            claim = np.broadcast_to(np.asarray(claims[name], float), value.shape)
            for place in np.ndindex(value.shape):
                found = slopes(partial(_summed_output, subject, name, place))
                true, gap = float(found.value[0]), float(found.error[0])
                if found.kinked.any() or not np.isfinite(true):
                    continue
                if abs(float(claim[place]) - true) > 1e-4 * max(1.0, abs(true)) + gap:
                    where = f"[{', '.join(map(str, place))}]" if place else ""
                    said = f"{true:.6g}, printed is {float(claim[place]):.6g}"
                    return f"the derivative by {name}{where} is {said}"
    return ""


def _summed_output(subject: FormulaSubject, name: str, place: tuple, t: float) -> np.ndarray:
    moved = np.array(subject.values[name])
    moved[place] += t
    outputs = subject.outputs({**subject.values, name: moved})
    return np.array([sum(float(np.sum(o)) for o in outputs)])


def slope_of(leaf: bl.Tensor) -> np.ndarray:
    """The gradient that a backward pass left at a leaf."""
    assert leaf.grad is not None
    return np.asarray(leaf.grad.numpy())


def source(function: Callable[..., Any]) -> str:
    """The source of a function, without what only our checkers read."""
    text = textwrap.dedent(inspect.getsource(function))
    return re.sub(r"\s*# (noqa|type:)[^\n]*", "", text)


def _at(point: Mapping[str, Any]) -> str:
    shown = ", ".join(f"{n} = {_number(v)}" for n, v in point.items())
    return f"at {shown}:" if shown else ""


def _number(value: Any) -> str:
    array = np.asarray(value.detach().numpy() if isinstance(value, bl.Tensor) else value)
    if not array.ndim:
        return f"{float(array):.6g}"
    return np.array2string(array, precision=4, separator=", ", threshold=12).replace("\n", "")


def _lines(text: str) -> str:
    return "\n".join(part.strip() for part in re.split(r";|\n", text) if part.strip())


def _first_line(error: BaseException) -> str:
    return str(error).split("\n")[0].removeprefix("formula: ")
