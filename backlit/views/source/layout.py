"""Lines of a printed file: broken at commas where they are long, numbered, with their remarks.

A remark may name another line by its key; numbers are put in when all lines have their place.
Knows no Program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

WIDTH = 96
WIDEST = 110  # with a remark


@dataclass
class Line:
    """A statement, why it is there, and what it can be referred to by."""

    text: str
    remark: str = ""  # `@key@` stands for the number of another line
    key: str = ""
    indent: int = 0


@dataclass
class Page:
    """Lines in order; `text` is the file."""

    lines: list[Line] = field(default_factory=list)

    def add(self, text: str = "", remark: str = "", key: str = "", indent: int = 0) -> None:
        self.lines.append(Line(text, remark, key, indent))

    def heading(self, title: str) -> None:
        if not self.lines or self.lines[-1].text:
            self.add()
        self.add(f"# ----- {title} -----")

    def text(self) -> str:
        """The file."""
        numbers: dict[str, int] = {}
        written: list[str] = []
        for line in self.lines:
            broken = wrapped(line.text, line.indent)
            remark = _resolved(line.remark, numbers)
            last = len(broken[-1])
            brief = remark.partition(": ")[0]
            if remark and len(broken) == 1 and last + len(remark) + 4 <= WIDEST:
                broken[-1] += f"  # {remark}"
            elif remark and last + len(brief) + 4 <= WIDEST:
                broken[-1] += f"  # {brief}"
            elif remark:
                pad = " " * line.indent
                written.append(f"{pad}# {_cut(remark, WIDTH - line.indent)}")
            if line.key:
                numbers[line.key] = len(written) + 1
            written += broken
        return "\n".join(written) + "\n"


def _resolved(remark: str, numbers: dict[str, int]) -> str:
    return re.sub(r"@(\w+)@", lambda m: str(numbers.get(m[1], "?")), remark)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 4].rstrip() + " ..."


def wrapped(text: str, indent: int = 0) -> list[str]:
    """A statement in lines of at most WIDTH characters where commas allow it."""
    pad = " " * indent
    if "\n" in text:
        found = []
        for line in text.split("\n"):
            bare = line.lstrip()
            found += wrapped(bare, indent + len(line) - len(bare)) if bare else [""]
        return found
    if len(pad + text) <= WIDTH:
        return [pad + text]
    if text.startswith("(") and ") = " in text:
        left, _, right = text.partition(") = ")
        before, after = _broken(left + ")", indent), wrapped(right, indent)
        return [*before[:-1], f"{before[-1]} = {after[0].lstrip()}", *after[1:]]
    broken = _broken(text, indent)
    if len(broken) == 1 and re.match(r"[\w.\[\]]+ = ", text):
        return _at_operators(text, indent)
    return broken


def _at_operators(text: str, indent: int) -> list[str]:
    """A long sum or product in brackets of its own, broken before operators."""
    pad = " " * indent
    target, _, right = text.partition(" = ")
    pieces = _split(right, (" + ", " - ")) or _split(right, (" * ", " / ", " @ "))
    if not pieces:
        return [pad + text]
    lines = [f"{pad}{target} = ("]
    current = f"{pad}    {pieces[0]}"
    for piece in pieces[1:]:
        if len(current) + len(piece) + 1 > WIDTH:
            lines.append(current)
            current = f"{pad}    {piece}"
        else:
            current += f" {piece}"
    return [*lines, current, f"{pad})"]


def _split(text: str, operators: tuple[str, ...]) -> list[str]:
    """The text cut before operators of the first level; empty where there are none."""
    pieces, last = [], 0
    for i, depth in _depths(text):
        if depth == 0 and i > last and text[i : i + 3] in operators:
            pieces.append(text[last:i].strip())
            last = i + 1
    return [*pieces, text[last:].strip()] if pieces else []


def _depths(text: str) -> list[tuple[int, int]]:
    """(position, how many brackets are open) of all that is in no string."""
    found, depth, quote = [], 0, ""
    for i, c in enumerate(text):
        if quote:
            quote = "" if c == quote else quote
            continue
        if c in "'\"":
            quote = c
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        found.append((i, depth))
    return found


def _broken(text: str, indent: int) -> list[str]:
    """A text whose last bracket is opened over several lines."""
    pad = " " * indent
    opened = _outer_bracket(text)
    if opened is None or opened[1] < len(text.rstrip(",")) - 1:
        return [pad + text]
    start, end = opened
    pieces = _at_commas(text[start + 1 : end])
    lines = [pad + text[: start + 1]]
    inner = pad + "    "
    current = inner
    for i, piece in enumerate(pieces):
        word = piece.strip() + ("," if i < len(pieces) - 1 else "")
        if current != inner and len(current) + len(word) + 1 > WIDTH:
            lines.append(current)
            current = inner
        current += word if current == inner else " " + word
        if len(current) > WIDTH and current == inner + word:
            *done, current = wrapped(word, indent + 4)
            lines += done
    lines.append(current)
    lines.append(pad + text[end:])
    return lines


def _outer_bracket(text: str) -> tuple[int, int] | None:
    """The longest bracket of the first level: where it opens and closes."""
    best, start, before = None, 0, 0
    for i, depth in _depths(text):
        if depth == 1 and before == 0:
            start = i
        elif depth == 0 and before == 1 and (best is None or i - start > best[1] - best[0]):
            best = (start, i)
        before = depth
    return best if best is not None and best[1] - best[0] > 1 else None


def _at_commas(text: str) -> list[str]:
    pieces, last = [], 0
    for i, depth in _depths(text):
        if depth == 0 and text[i] == ",":
            pieces.append(text[last:i])
            last = i + 1
    pieces.append(text[last:])
    return [p for p in pieces if p.strip()]
