"""The examples run in their short form and reach what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("*.py"))


@pytest.fixture(scope="module")
def printed() -> dict[str, str]:
    """What each example has printed; each is run once."""
    return {}


def output_of(name: str, printed: dict[str, str], *words: str) -> str:
    if name not in printed:
        command = [sys.executable, "-W", "error", str(EXAMPLES / name), "--smoke", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        printed[name] = done.stdout
    return printed[name]


def numbers(pattern: str, text: str) -> list[float]:
    return [float(found) for found in re.findall(pattern, text)]


@pytest.mark.parametrize("name", SCRIPTS)
def test_example_runs(name: str, printed: dict[str, str]) -> None:
    assert output_of(name, printed).strip()


def test_both_ways_through_the_circuit_agree(printed: dict[str, str]) -> None:
    text = output_of("circuit.py", printed)
    assert re.search(r" x +3\.0000000000 +2\.0595697956 +2\.0595697956", text)
    assert re.search(r" y +-4\.0000000000 +1\.592232751\d +1\.592232751\d", text)
    assert numbers(r"largest difference: (\S+)", text)[0] < 1e-15


def test_every_wrong_gradient_is_found(printed: dict[str, str]) -> None:
    text = output_of("wrong_gradient.py", printed)
    found = re.findall(r"wrong operator: (\w+) at wrong_gradient\.py", text)
    assert found == ["LostFork", "LostFactor", "LostSum"]
    assert "input 0" not in text.split("LostSum:")[1]  # only the bias is wrong there


def test_the_digits_are_learned(printed: dict[str, str]) -> None:
    text = output_of("digits.py", printed)
    first, last = numbers(r"loss (\S+),", text)
    assert last < 0.7 * first
    assert numbers(r"(\S+)% of", text)[-1] > 30


def test_the_text_is_learned(printed: dict[str, str]) -> None:
    text = output_of("characters.py", printed)
    first, last = numbers(r": (\S+) nats", text)
    assert first > 3.4 and last < 3.0
    assert text.rstrip("\n").count("Tyger Tyge") == 1


def test_a_text_may_be_given(tmp_path: Path) -> None:
    book = tmp_path / "book.txt"
    book.write_text("abcdefgh " * 40)
    text = output_of("characters.py", {}, "--text", str(book))
    assert set(text.split("character\n")[-1].strip()) <= set("abcdefgh ")
    assert numbers(r": (\S+) nats", text)[-1] < 1.5


def test_wrong_labels_have_the_largest_gradients(printed: dict[str, str]) -> None:
    text = output_of("per_sample.py", printed)
    chosen, found = (int(x) for x in re.findall(r"of the (\d+) samples .* (\d+) have", text)[0])
    assert chosen == 20 and found >= 12
