"""The documents run: every Python block, in order, prints what stands below it.

A document is one program. A block marked `text` right after a block of Python is what that block
prints; `...` stands for anything, and numbers of lines are not compared.
"""

from __future__ import annotations

import doctest
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)]+)\)")
MARK = "--- end of block ---"
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")]
    if path.name != "CHANGELOG.md"
)
# Fragments of classes, which the tour has whole; and a translation, compared with its original.
READ_ONLY = ("operators.md", "README.zh-CN.md")
EXECUTABLE = [
    path for path in DOCUMENTS if "```python\n" in path.read_text() and path.name not in READ_ONLY
]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str) -> list[tuple[str, str, int]]:
    """Language, content and the line of the closing fence, in order."""
    return [(m[1], m[2], text.count("\n", 0, m.end())) for m in FENCE.finditer(text)]


def program(text: str) -> str:
    """A document as Python with its lines in their places, and a mark after each block."""
    lines = [""] * (text.count("\n") + 1)
    for language, content, end in blocks(text):
        if language == "python":
            code = content.splitlines()
            lines[end - len(code) : end] = code
            lines[end] = f"print({MARK!r})"
    return "\n".join(lines)


def expected_outputs(text: str) -> list[str]:
    """What each Python block prints: the block of text that follows it, or nothing."""
    found = blocks(text)
    return [
        found[i + 1][1] if i + 1 < len(found) and _follows(text, found[i], found[i + 1]) else ""
        for i, block in enumerate(found)
        if block[0] == "python"
    ]


def _follows(text: str, block: tuple[str, str, int], other: tuple[str, str, int]) -> bool:
    """Whether nothing stands between a block and a block of text."""
    first = other[2] - other[1].count("\n") - 1
    between = text.split("\n")[block[2] + 1 : first]
    return other[0] == "text" and not "".join(between).strip()


def without_places(text: str) -> str:
    return re.sub(r"[\w.]+\.(py|md):\d+", "file:line", text)


def difference(want: str, got: str) -> str:
    """Nothing where they agree, else both."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    want, got = without_places(want), without_places(got)
    checker = doctest.OutputChecker()
    if checker.check_output(want, got, flags):
        return ""
    return checker.output_difference(doctest.Example("", want), got, flags)


@pytest.mark.parametrize("path", EXECUTABLE, ids=name)
def test_code_runs_and_prints_what_is_written(path: Path, tmp_path: Path) -> None:
    text = path.read_text()
    script = tmp_path / f"{path.stem}.py"
    script.write_text(program(text))
    done = subprocess.run(
        [sys.executable, "-W", "error", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(MARK + "\n")[:-1]
    wanted = expected_outputs(text)
    assert len(printed) == len(wanted)
    problems = [d for want, got in zip(wanted, printed) if (d := difference(want, got))]
    assert not problems, "\n".join(problems)


def test_a_wrong_output_is_noticed() -> None:
    text = "```python\nprint(1 / 4)\n```\n\n```text\n0.25\n```\n\n```python\nx = 2\n```\n"
    assert expected_outputs(text) == ["0.25\n", ""]
    assert program(text).split("\n")[1:3] == ["print(1 / 4)", f"print({MARK!r})"]
    assert not difference("0.2...\n", "0.25\n")
    assert difference("0.25\n", "0.26\n") and difference("", "0.25\n")


@pytest.mark.parametrize("path", DOCUMENTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(FENCE.sub("", path.read_text())):
        if not link.startswith(("http:", "https:", "#")):
            target = path.parent / link.partition("#")[0]
            assert target.exists(), f"{name(path)} links to {link}"


def shape(text: str) -> dict[str, list]:
    """What both READMEs must share."""
    bare = FENCE.sub("", text)
    return {
        "headings": re.findall(r"^(#+) ", bare, re.MULTILINE),
        "items": re.findall(r"^- ", bare, re.MULTILINE),
        "links": [link for link in LINK.findall(bare) if not link.startswith("README")],
    }


def test_both_readmes_have_the_same_content() -> None:
    english = (ROOT / "README.md").read_text()
    chinese = (ROOT / "README.zh-CN.md").read_text()
    assert shape(english) == shape(chinese)
    assert [language for language, _, _ in blocks(english)] == [b[0] for b in blocks(chinese)]
    ours, theirs = ([b[1] for b in blocks(t) if b[0] == "python"] for t in (english, chinese))
    assert [_code(b) for b in ours] == [_code(b) for b in theirs]
    assert expected_outputs(english) == expected_outputs(chinese)


def _code(block: str) -> str:
    """A block without its comments, which are translated."""
    return re.sub(r"\s*# .*", "", block)


def test_the_command_line_is_as_described() -> None:
    from typer.main import get_command

    from backlit.cli import app

    commands = get_command(app).commands
    lines = [
        line.split()
        for language, content, _ in blocks((ROOT / "README.md").read_text())
        for line in content.splitlines()
        if line.startswith("backlit ") and language == "text"
    ]
    assert {words[1] for words in lines} == set(commands)
    for words in lines:
        known = {option for p in commands[words[1]].params for option in p.opts}
        if words[1] in ("train", "sweep"):
            known |= _settings(words[2:])
        assert {w for w in words if w.startswith("--")} <= known


def _settings(words: list[str]) -> set[str]:
    """The settings of the recipe that a command names, as options."""
    from dataclasses import fields

    from backlit.train import recipes

    recipe = recipes.find(words[0] if words and words[0] in recipes.NAMES else "digits")
    return {f"--{field.name.replace('_', '-')}" for field in fields(recipe.settings)}


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs" / "design" / "dependencies.md").read_text()
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    for requirement in itertools.chain(*groups):
        package = re.match(r"[\w-]+", requirement)[0]
        assert re.search(rf"^\|.*\b{package}\b", page, re.MULTILINE), f"{package} has no reason"
