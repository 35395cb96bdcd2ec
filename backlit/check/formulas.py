"""Is a printed derivative right? The doctor's way into formulas given as text or LaTeX.

A formula that claims derivatives (`f = x * y; df/dx = y`) becomes a subject like any other: its
assignments are the forward, its claims the backward. Claims about names assigned on the way are
examined with that name as an input. The grammar: docs/design/expressions.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

import backlit as bl
from backlit.check.doctor import Cause, Diagnosis, Subject, diagnose
from backlit.check.formula_repairs import Repairs
from backlit.errors import ArgumentError, BacklitError, FormulaError
from backlit.expressions import Formula, evaluate, parse
from backlit.expressions import names as spelling
from backlit.expressions.evaluate import check_names

SURE = 0.85  # a cause that needs no second opinion


class FormulaSubject(Subject):
    """The claims of a formula about one name (`of`), by some of its inputs."""

    def __init__(self, formula: Formula, of: str | None, wrt: Iterable[str],
                 given: Mapping[str, np.ndarray]):  # fmt: skip
        self.formula, self.of = formula, of
        self.values = {n: np.array(given[n], np.float64) for n in wrt}
        self.constants = {n: v for n, v in given.items() if n not in self.values}
        self.staged = of == formula.result and f"d{of}" in formula.names_read()

    def with_formula(self, formula: Formula, constants: Mapping[str, Any] = MappingProxyType({}),
                     ) -> FormulaSubject:  # fmt: skip
        """The same examination of a changed formula, perhaps with more constants."""
        given = {**self.constants, **self.values, **constants}
        return FormulaSubject(formula, self.of, self.values, given)

    def outputs(self, values: dict[str, np.ndarray]) -> list[np.ndarray]:
        given = {**self.constants, **values}
        with bl.no_grad():
            found = evaluate(_without_claims(self.formula), given, unused=True)
        return [self._output(found)]

    def claims(self, values: dict[str, np.ndarray], seeds: list[np.ndarray],
               **protocol: Any) -> dict[str, np.ndarray | None]:  # fmt: skip
        above = np.asarray(seeds[0], np.float64)
        upstream = bl.tensor(above) if self.staged else None
        found = evaluate(self.formula, self._all(values), upstream=upstream, unused=True)
        out = self._output(found)
        claimed = {n: c.numpy() for (of, n), c in found.claims.items() if of == self.of}
        claimed = {n: c for n, c in claimed.items() if n in values}
        if self.staged:
            return dict(claimed)
        return {n: self._arrived(c, out, above, values[n]) for n, c in claimed.items()}

    def _all(self, values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """Every value; those that claims are about with a history."""
        leaves = {n: bl.tensor(np.array(v), requires_grad=True) for n, v in values.items()}
        return {**self.constants, **leaves}

    def _output(self, found: Any) -> np.ndarray:
        tensor = found.result if self.of is None else found.values[self.of]
        return np.array(tensor.detach().numpy())

    def _arrived(self, claim: np.ndarray, out: np.ndarray, above: np.ndarray,
                 value: np.ndarray) -> np.ndarray:  # fmt: skip
        """The claimed derivative times the gradient from above."""
        if not out.ndim:
            return above * claim
        if claim.shape != out.shape and claim.ndim:
            raise ArgumentError(
                f"doctor: a claim of shape {claim.shape} about {self.of} of shape {out.shape}",
                hint=f"write dX = d{self.of} @ ..., with d{self.of} arriving from above",
            )
        return _summed_to(above * claim, value.shape)


def _summed_to(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Summed over axes that were broadcast."""
    lead = gradient.ndim - len(shape)
    axes = (*range(lead), *(lead + i for i, n in enumerate(shape) if n == 1))
    summed = gradient.sum(axis=axes) if lead >= 0 else gradient
    return summed.reshape(shape) if summed.size == np.prod(shape) else gradient


def examine(text: Any, inputs: Any, *, wrt: str | Iterable[str] | None = None,
            seed: int = 0) -> Diagnosis:  # fmt: skip
    """The doctor for a printed derivative: claims in `text`, checked at `inputs` and nearby.

    `text` may also be a pair, the formula and its claims: `("x * y", {"x": "y"})`.
    `inputs`: a dictionary, or a sequence in the order in which the formula reads its names.
    `wrt` chooses among the claimed names; all if left out. Raises FormulaError for what is not
    in the grammar, ArgumentError where nothing is claimed.

    >>> from backlit.check.formulas import examine
    >>> found = examine("f = 1/2*(y - t)^2; df/dy = -(y - t)", {"y": 0.5, "t": 1.0})
    >>> found.wrong, found.causes[0].name
    (['y'], 'sign')
    """
    text = _joined(text)
    if not isinstance(inputs, Mapping):
        inputs = dict(zip(parse(text).free_names(), inputs))
    given = {n: np.array(_plain(v), np.float64) for n, v in inputs.items()}
    formula = parse(text, given)
    if not formula.claims:
        raise ArgumentError(
            "doctor: the formula claims no derivative", hint="add one: df/dx = ..., or dx = ..."
        )
    values = _all_values(formula, given)
    total, repairs = Diagnosis(), Repairs()
    for of, names, cut in _groups(formula, values, given, _chosen(formula, wrt)):
        _add(total, _examined(cut, of, names, values, repairs, seed))
    if total.wrong and not total.causes:
        told = f"the claim about {total.wrong[0]} rests on a claim before it that is wrong"
        total.causes.append(Cause("wrong_saved_value", total.wrong[0], (), told, 0.5))
    return total


def _joined(text: Any) -> str:
    """One text: formula and claims may come apart, the claims by the names of the inputs."""
    if isinstance(text, str):
        return text
    formula, claims = text
    if isinstance(claims, Mapping):
        claims = "; ".join(f"d{name.removeprefix('d')} = {c}" for name, c in claims.items())
    return f"{formula}; {claims}"


def _plain(value: Any) -> Any:
    return value.detach().numpy() if isinstance(value, bl.Tensor) else value


def _all_values(formula: Formula, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The given values, checked against the whole formula, and those assigned from them."""
    check_names(formula, given, unused=True)  # what a claim wrongly leaves out may be given
    found = evaluate(_without_claims(formula), given, unused=True)
    return {n: np.array(t.detach().numpy()) for n, t in found.values.items()}


def _without_claims(formula: Formula) -> Formula:
    return Formula(tuple(s for s in formula.statements if not s.claim), formula.text)


def _chosen(formula: Formula, wrt: str | Iterable[str] | None) -> list[str]:
    claimed = [str(s.target) for s in formula.claims]
    if wrt is None:
        return claimed
    wanted = [wrt] if isinstance(wrt, str) else list(wrt)
    for name in wanted:
        if spelling.find(name, claimed) is None:
            have = ", ".join(dict.fromkeys(claimed))
            raise ArgumentError(f"doctor: no derivative by {name!r} is claimed, only by {have}")
    return [str(spelling.find(name, claimed)) for name in wanted]


def _groups(formula: Formula, values: Mapping[str, Any], given: Mapping[str, Any],
            chosen: list[str]) -> list[tuple[str | None, list[str], Formula]]:  # fmt: skip
    """What is examined together: claims about one name by inputs; each assigned name alone."""
    found: dict[tuple[str | None, str], tuple[list[str], Formula]] = {}
    for claim in formula.claims:
        of, target = claim.of or formula.result, str(claim.target)
        name = spelling.find(target, values)
        if target not in chosen:
            continue
        if name is None or (of is not None and of not in values):
            missing = target if name is None else of
            raise FormulaError.at(formula.text, claim.at, f"{missing!r} has no value")
        alone = "" if name in given else name
        cut = formula if not alone else Formula(
            tuple(s for s in formula.statements if s.claim or s.target != name), formula.text
        )  # fmt: skip
        names = found.setdefault((of, alone), ([], cut))[0]
        if name not in names:
            names.append(name)
    return [(of, names, _up_to(cut, of, names)) for (of, _), (names, cut) in found.items()]


def _up_to(formula: Formula, of: str | None, names: list[str]) -> Formula:
    """The formula without the claims that come after those about the names."""
    about = [
        k for k, s in enumerate(formula.statements)
        if s.claim and (s.of or formula.result) == of and s.target in names
    ]  # fmt: skip
    last = max(about, default=len(formula.statements))
    kept = (s for k, s in enumerate(formula.statements) if not s.claim or k <= last)
    return Formula(tuple(kept), formula.text)


def _examined(
    formula: Formula,
    of: str | None,
    names: list[str],
    values: Mapping[str, np.ndarray],
    repairs: Repairs,
    seed: int,
) -> Diagnosis:
    assigned = {s.target for s in formula.statements if not s.claim}
    given = {n: v for n, v in values.items() if n not in assigned}
    subject = FormulaSubject(formula, of, names, given)
    try:
        found = diagnose(subject, seed=seed)
    except FormulaError as error:
        if not isinstance(error.__cause__, BacklitError):
            raise
        return _does_not_fit(subject, repairs, error, seed)
    mended: list[Cause] = []
    for name in found.wrong:
        own = [c for c in found.causes if c.input == name]
        if repairs.explains(subject, name):  # it only follows from a claim before it
            found.causes = [c for c in found.causes if c not in own]
            continue
        sure = any(c.confidence > SURE for c in own)
        new = repairs.causes(subject, name, cuts=not sure)
        if new:  # the mended line says most
            mended += new
            found.causes = [c for c in found.causes if c not in own]
    found.causes = [*mended, *found.causes]
    return found


def _does_not_fit(
    subject: FormulaSubject, repairs: Repairs, error: FormulaError, seed: int
) -> Diagnosis:
    """A claim that can't even be computed: its parts do not fit together."""
    names = subject.names
    before = [s for s in subject.formula.claims if s.at <= (error.column or 1)]
    target = str(before[-1].target) if before else names[0]
    if target not in names:  # an earlier claim, which has its own entry
        mended = repairs.applied(subject.formula)
        right = mended != subject.formula and diagnose(subject.with_formula(mended), seed=seed).ok
        told = f"can't be computed, because the claim about {target} can't"
        return Diagnosis(names, [], names, [] if right else [f"{n}: {told}" for n in names])
    told = error.message.removeprefix("formula: ")
    causes = repairs.causes(subject, target, cuts=False)
    causes = [replace(c, evidence=f"{told}; {c.evidence}") for c in causes]
    causes = causes or [Cause("shape_error", target, (), told, 0.95)]
    return Diagnosis([target], causes, names, [f"{target}: the claim can't be computed"])


def _add(total: Diagnosis, found: Diagnosis) -> None:
    total.wrong += [n for n in found.wrong if n not in total.wrong]
    total.checked += [n for n in found.checked if n not in total.checked]
    total.failures += found.failures
    total.causes += found.causes
    total.causes.sort(key=lambda c: c.input not in total.wrong)
