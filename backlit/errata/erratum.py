"""What a page of the errata is: a printed statement, its correction, and words in two languages.

A page holds no verdict: statements are judged when the page is opened (judge.py). Read next:
judge.py, then the pages, one file per source text.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol


class Words(NamedTuple):
    """The same sentence in English and Chinese."""

    en: str
    zh: str


@dataclass(frozen=True)
class Verdict:
    """What a judge found: whether the statement is right, and the numbers that decided it."""

    right: bool
    evidence: str
    cause: str = ""  # the doctor's name for the mistake, where the doctor judged
    counter: str = ""  # the smallest counter-example, where one was searched for


class Statement(Protocol):
    """Something that is right or wrong, and can be judged."""

    @property
    def shown(self) -> str:
        """The statement as the reader sees it: a formula, code or words."""

    def judge(self) -> Verdict:
        """Decide by computing."""


@dataclass(frozen=True)
class Finding:
    """A statement with the verdict on it."""

    statement: Statement
    verdict: Verdict


@dataclass
class Erratum:
    """One published mistake: what is printed, and what is right.

    Both are tuples of statements. `number` is E1 to E54, or C1 and the like for what the texts
    have right (then nothing is printed wrongly, and `corrected` is the text itself).
    """

    number: str
    text: str  # S0 to S4
    title: Words
    why: Words
    printed: tuple[Statement, ...]
    corrected: tuple[Statement, ...]

    @cached_property
    def found(self) -> tuple[tuple[Finding, ...], tuple[Finding, ...]]:
        """The printed and the corrected statements, judged once."""
        return _judged(self.printed), _judged(self.corrected)

    @property
    def refuted(self) -> bool:
        """Whether every printed statement came out wrong."""
        printed, _ = self.found
        return bool(printed) and not any(f.verdict.right for f in printed)

    @property
    def confirmed(self) -> bool:
        """Whether every corrected statement came out right."""
        _, corrected = self.found
        return all(f.verdict.right for f in corrected)

    @property
    def verdict(self) -> Words:
        """In a word or two, from what the judges found."""
        if not self.confirmed:
            return Words("undecided", "未定")
        if not self.printed:
            return Words("right", "正确")
        return Words("refuted", "有误") if self.refuted else Words("stands", "成立")


def _judged(statements: tuple[Statement, ...]) -> tuple[Finding, ...]:
    return tuple(Finding(s, s.judge()) for s in statements)
