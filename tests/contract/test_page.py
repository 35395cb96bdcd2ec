"""The page of the contract's rows names tests, examples and pages that are there, and every row."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "design" / "contract.md").read_text(encoding="utf-8")
HELD = re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE)
SECTIONS = {"C": 17, "V": 8, "N": 23, "Z": 9, "P": 14}


def numbers(cell: str) -> set[str]:
    """Rows of a first cell: `N5, N7 to N9` are four."""
    found = set()
    for part in cell.split(","):
        first, *last = re.findall(r"[CVNZTP]\d+", part)
        end = int((last or [first])[0][1:])
        found |= {f"{first[0]}{n}" for n in range(int(first[1:]), end + 1)}
    return found


ROWS = set().union(*(numbers(cell) for cell in re.findall(r"(?m)^\| ([CVNZTP]\d.*?) \|", PAGE)))


@pytest.mark.parametrize("path", sorted({path for path, _ in HELD}))
def test_named_tests_are_there(path: str) -> None:
    text = (ROOT / "tests" / path).read_text(encoding="utf-8")
    missing = [name for file, name in HELD if file == path and f"\ndef {name}(" not in text]
    assert not missing


def test_named_examples_and_pages_are_there() -> None:
    named = re.findall(r"`((?:examples|docs)/[\w/.]+)`", PAGE)
    assert len(named) > 10 and all((ROOT / path).is_file() for path in named)


def test_no_row_is_left_out() -> None:
    every = {f"{letter}{n}" for letter, last in SECTIONS.items() for n in range(1, last + 1)}
    assert every <= ROWS and {"T1", "T7", "T8"} <= ROWS


def test_a_row_that_a_test_is_named_after_is_on_the_page() -> None:
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py")]
    after = {name.upper() for text in tests for name in re.findall(r"def test_([cvnzt]\d+)_", text)}
    assert len(after) > 50 and after <= ROWS
