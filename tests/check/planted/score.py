"""How a diagnosis is judged: detected, the wrong inputs named exactly, the right cause first."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import backlit as bl
from planted.case import Bug, Case, Inputs, is_float, systematic


@dataclass
class Verdict:
    """One planted error and what the doctor made of it."""

    case: str
    planted: Bug
    ok: bool | None
    wrong: list[str]
    causes: list[str]
    problem: str = ""
    number: int = 0  # among the errors of its case

    @property
    def id(self) -> str:
        """A name that no other planted error has."""
        return f"{self.case}, {self.number}: {self.planted.cause}"

    @property
    def detected(self) -> bool:
        if self.problem:
            return False
        if self.planted.either:
            return True
        return set(self.wrong) == set(self.planted.wrong) and self.ok is not bool(self.wrong)

    @property
    def named(self) -> bool:
        return bool(self.causes) and self.causes[0] in self.planted.accepted

    @property
    def named_as_meant(self) -> bool:
        return bool(self.causes) and self.causes[0] == self.planted.cause

    def __str__(self) -> str:
        change = "; ".join(f"{a!r} -> {b!r}" for a, b in self.planted.changes)
        said = self.problem or f"wrong={self.wrong}, causes={self.causes[:4]}"
        return (
            f"{self.case}: {self.planted.cause} of {' '.join(self.planted.wrong)}"
            f" [{change or self.planted.why or 'inputs'}]: {said}"
        )


@dataclass
class Score:
    """Verdicts added up."""

    verdicts: list[Verdict] = field(default_factory=list)

    def share(self, what: str) -> float:
        return sum(getattr(v, what) for v in self.verdicts) / max(len(self.verdicts), 1)

    def misses(self, what: str) -> list[Verdict]:
        return [v for v in self.verdicts if not getattr(v, what)]


def given(case: Case, inputs: Inputs) -> Any:
    """Arrays for a pair, tensors for everything else."""
    if case.is_pair:
        return inputs if case.kind == "pair" else list(inputs.values())
    if case.name.startswith("torch: "):
        import torch

        return {k: torch.as_tensor(v).requires_grad_(is_float(v)) for k, v in inputs.items()}
    return {k: bl.tensor(v, requires_grad=is_float(v)) for k, v in inputs.items()}


def diagnose(case: Case, planted: Bug | None = None, seed: int = 0) -> Any:
    """The doctor's diagnosis of a case, with an error planted or as it is."""
    bl.manual_seed(0)
    return bl.check.doctor(case.subject(planted), given(case, case.inputs(planted, seed)))


def judge(case: Case, planted: Bug) -> Verdict:
    """A subject that the doctor refuses counts as not detected, with the reason."""
    try:
        found = diagnose(case, planted)
    except (Exception, Warning) as error:
        return Verdict(case.name, planted, None, [], [], f"{type(error).__name__}: {error}")
    return Verdict(case.name, planted, found.ok, list(found.wrong), [c.name for c in found.causes])


def score(case: Case) -> Score:
    """All planted errors of a case."""
    found = [judge(case, b) for b in errors(case)]
    for number, verdict in enumerate(found):
        verdict.number = number
    return Score(found)


def errors(case: Case) -> list[Bug]:
    """Those written by hand, then those that any pair can have."""
    return [*case.bugs, *systematic(case)]
