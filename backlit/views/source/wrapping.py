"""A long statement in several lines: broken at commas, or before operators. Knows text only."""

from __future__ import annotations

import re

WIDTH = 96


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
