"""The glossary is bilingual and every term has code; test_docs.py runs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "glossary.md").read_text(encoding="utf-8")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
TERMS = re.split(r"(?m)^### ", PAGE)[1:]


def test_terms_are_numbered_and_many() -> None:
    assert [int(term.split(".")[0]) for term in TERMS] == list(range(1, len(TERMS) + 1))
    assert len(TERMS) >= 28


@pytest.mark.parametrize("term", TERMS, ids=lambda term: term.split(" · ")[0])
def test_a_term_is_told_twice_and_shown(term: str) -> None:
    heading, _, rest = term.partition("\n")
    english, _, chinese = heading.partition(" · ")
    assert re.search("[A-Za-z]", english) and CHINESE.search(chinese)
    told, code, _ = re.match(r"(.*?)```python\n(.*?)```(.*)", rest, re.DOTALL).groups()
    paragraphs = [p for p in told.split("\n\n") if p.strip()]
    assert [bool(CHINESE.search(p)) for p in paragraphs] == [False, True]
    assert "print(" in code
