"""Which change to a printed derivative makes it right? Named as a cause, with the mended line.

Candidates change one thing: a sign, a name, a factor, a transpose, `=` for `+=`; or one use of a
value in the forward is cut. What agrees with the engine's gradient at the given and at nearby
values explains the error. Read next: formulas.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np

import backlit as bl
from backlit.check.doctor import Cause
from backlit.check.doctor.examine import nearby
from backlit.check.formula_edits import Claim, edits, paths, replaced
from backlit.errors import BacklitError
from backlit.expressions import Formula, evaluate, to_text
from backlit.expressions.nodes import (
    Expression,
    Index,
    Name,
    Statement,
)

MOST = 1500  # candidates per claim


@dataclass
class Place:
    """Values, the gradient from above, and what the engine says there.

    Numbers that are constants differ from place to place, lest a 2 among them pass for a factor.
    """

    constants: dict[str, np.ndarray]
    values: dict[str, np.ndarray]
    above: np.ndarray
    truth: np.ndarray


class Repairs:
    """Looks for single changes, claim by claim; what was mended counts as mended from then on."""

    def __init__(self) -> None:
        self.mended: dict[int, Statement] = {}  # by the column of the claim

    def explains(self, subject: Any, name: str) -> bool:
        """Whether the claim about `name` is right once the claims before it are mended."""
        places = _places(subject, name) if self.mended else []
        return bool(places) and _fits(subject, self.applied(subject.formula), name, places)

    def applied(self, formula: Formula) -> Formula:
        statements = tuple(self.mended.get(s.at, s) if s.claim else s for s in formula.statements)
        return Formula(statements, formula.text)

    def causes(self, subject: Any, name: str, cuts: bool = True) -> list[Cause]:
        """What single change makes the claim about `name` right, the plainest kind first; with
        `cuts` also whether one use of a value in the forward was left out."""
        subject = subject.with_formula(self.applied(subject.formula))
        formula: Formula = subject.formula
        own = [s for s in formula.claims if s.target == name and subject.of == _of(formula, s)]
        if not own:
            return []
        for constants_move in (True, False):
            places = _places(subject, name, constants_move)
            for search in (_accumulated, _edited):
                for cause, old, new in search(subject, name, own, places):
                    self.mended[old.at] = new
                    return [cause]
            cut = _cut(subject, name, places) if cuts else []
            if cut or all(map(np.ndim, subject.constants.values())):
                return cut
        return []


Mended = tuple[Cause, Statement, Statement]  # the cause, the claim as it was, and mended


def _of(formula: Formula, claim: Statement) -> str | None:
    return claim.of or formula.result


def _places(subject: Any, name: str, constants_move: bool = False) -> list[Place]:
    rng = np.random.default_rng(11)
    found = []
    for values in (subject.values, nearby(subject, rng), nearby(subject, rng)):
        if values is None:
            continue
        moves = constants_move and values is not subject.values
        constants = _moved(subject, rng) if moves else subject.constants
        here = subject.with_formula(subject.formula, constants)
        try:
            shape = np.shape(here.outputs(values)[0])
        except BacklitError:
            continue
        above = rng.standard_normal(shape) if shape else np.ones(())
        truth = _engine(subject.formula, here, values, above, name)
        if truth is not None and np.isfinite(truth).all():
            found.append(Place(dict(constants), values, above, truth))
    return found


def _moved(subject: Any, rng: np.random.Generator) -> dict[str, Any]:
    """The constants, with numbers moved a little; arrays may be labels and stay."""
    return {
        n: v if np.ndim(v) else v + 0.1 * (1 + abs(v)) * rng.standard_normal()
        for n, v in subject.constants.items()
    }


def _engine(formula: Formula, subject: Any, values: dict[str, np.ndarray], above: np.ndarray,
            name: str) -> np.ndarray | None:  # fmt: skip
    """The gradient by the engine; None where the formula can't be computed."""
    plain = Formula(tuple(s for s in formula.statements if not s.claim), formula.text)
    leaves = {n: bl.tensor(np.array(v), requires_grad=True) for n, v in values.items()}
    try:
        found = evaluate(plain, {**subject.constants, **leaves}, unused=True)
    except BacklitError:
        return None
    out = found.result if subject.of is None else found.values[subject.of]
    if not out.requires_grad:
        return np.zeros(np.shape(values[name]))
    (g,) = bl.autograd.grad([out], [leaves[name]], [bl.tensor(above)], materialize_grads=True)
    return np.array(g.detach().numpy())


def _fits(subject: Any, formula: Formula, name: str, places: list[Place]) -> bool:
    """Whether the changed formula's claim is right everywhere."""
    if not places:
        return False
    last = max(k for k, s in enumerate(formula.statements) if s.claim and s.target == name)
    kept = tuple(s for k, s in enumerate(formula.statements) if not s.claim or k <= last)
    for p in places:
        changed = subject.with_formula(Formula(kept, formula.text), p.constants)
        try:
            with np.errstate(all="ignore"):
                claim = changed.claims(p.values, [p.above])[name]
        except BacklitError:
            return False
        if not _same(claim, p.truth):
            return False
    return True


def _same(a: Any, b: np.ndarray) -> bool:
    return np.shape(a) == b.shape and bool(
        np.allclose(a, b, rtol=1e-8, atol=1e-10 * max(1.0, float(np.abs(b).max(initial=0.0))))
    )


# ----- = for += -----


def _accumulated(subject: Any, name: str, statements: list[Statement],
                 places: list[Place]) -> Iterator[Mended]:  # fmt: skip
    for s in statements[1:]:
        if s.adds:
            continue
        new = replace(s, adds=True)
        if _fits(subject, _with(subject.formula, s, new), name, places):
            told = f"d{name} is written twice; with += the contributions add up and it is right"
            yield Cause("lost_accumulation", name, (), told, 0.97), s, new


def _with(formula: Formula, old: Statement, new: Statement) -> Formula:
    return Formula(tuple(new if s is old else s for s in formula.statements), formula.text)


# ----- one change in the claim -----


def _edited(subject: Any, name: str, statements: list[Statement],
            places: list[Place]) -> Iterator[Mended]:  # fmt: skip
    shapes = _shapes(subject)
    for s in statements:
        claim = Claim(s.value, s.indices, name, subject.of, subject.formula, shapes)
        for cause, value, words in islice(edits(claim), MOST):
            new = replace(s, value=value)
            if _fits(subject, _with(subject.formula, s, new), name, places):
                told = f"{words} it is right: {to_text(new)}"
                yield Cause(cause, name, (), told, 0.95), s, new


def _shapes(subject: Any) -> dict[str, tuple[int, ...]]:
    """Names that a claim can read, with their shapes."""
    plain = Formula(tuple(s for s in subject.formula.statements if not s.claim), "")
    given = {**subject.constants, **subject.values}
    found = evaluate(plain, given, unused=True).values
    return {n: tuple(t.shape) for n, t in found.items()}


# ----- one use of a value cut -----


def _cut(subject: Any, name: str, places: list[Place]) -> list[Cause]:
    """The claim is the gradient with one use of one value left out."""
    formula: Formula = subject.formula
    for s in (s for s in formula.statements if not s.claim):
        for path, part in paths(s.value):
            used = part.base if isinstance(part, Index) else part
            if not isinstance(used, Name) or not _cutting_explains(
                subject, name, places, _frozen(formula, s, path, part)
            ):
                continue
            uses = _uses(formula, used.name)
            where = to_text(Statement(s.target, s.value, s.indices))
            told = f"the use of {used.name} in {where} is left out; "
            told += f"{used.name} is used {uses} times, and the contributions add up"
            if uses > 1:
                return [Cause("lost_accumulation", name, (), told, 0.95)]
            told = f"the path through {used.name} in {where} is left out"
            return [Cause("detached_path", name, (), told, 0.95)]
    return []


def _uses(formula: Formula, name: str) -> int:
    parts = (p for s in formula.statements if not s.claim for p in s.value.walk())
    return sum(isinstance(p, Name) and p.name == name for p in parts)


FROZEN = "value_of_{}"  # a constant with the value of a name


def _frozen(formula: Formula, statement: Statement, path: tuple[int, ...],
            part: Expression) -> tuple[Formula, str]:  # fmt: skip
    """The formula with one use of a name replaced by its value as a constant."""
    base = part.base if isinstance(part, Index) else part
    assert isinstance(base, Name)
    constant = Name(FROZEN.format(base.name))
    new = replace(part, base=constant) if isinstance(part, Index) else constant
    changed = replace(statement, value=replaced(statement.value, path, new))
    return _with(formula, statement, changed), base.name


def _cutting_explains(subject: Any, name: str, places: list[Place],
                      frozen: tuple[Formula, str]) -> bool:  # fmt: skip
    formula, cut = frozen
    moved = False
    for p in places:
        plain = Formula(tuple(s for s in subject.formula.statements if not s.claim), "")
        given = {**p.constants, **p.values}
        value = evaluate(plain, given, unused=True).values[cut].detach().numpy()
        here = subject.with_formula(subject.formula, p.constants)
        trial = subject.with_formula(formula, {**p.constants, FROZEN.format(cut): value})
        without = _engine(formula, trial, p.values, p.above, name)
        claim = here.claims(p.values, [p.above])[name]
        if without is None or not _same(claim, without):
            return False
        moved = moved or not _same(without, p.truth)
    return moved
