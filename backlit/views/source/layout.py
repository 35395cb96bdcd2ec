"""Lines of a printed file, numbered, with their remarks.

A line of the backward knows the line of the forward that it differentiates by a key; numbers are
put in when all lines have their place. Knows no Program. Read next: rolled.py, wrapping.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backlit.views.source.wrapping import WIDTH, wrapped

WIDEST = 110  # with a remark


@dataclass
class Line:
    """A statement, why it is there, and what it can be referred to by."""

    text: str
    remark: str = ""
    keys: tuple[str, ...] = ()  # of the values that it makes
    indent: int = 0
    about: str = ""  # the key of the line that it differentiates
    place: str = ""  # that line in the user's file
    meets: tuple[str, ...] = ()  # keys of the lines whose gradients it adds
    token: tuple[str, ...] = ()  # equal for the same line of the user's code


@dataclass
class Page:
    """Lines in order; `text` is the file."""

    lines: list[Line] = field(default_factory=list)

    def add(self, text: str = "", remark: str = "", indent: int = 0) -> None:
        self.lines.append(Line(text, remark, indent=indent))

    def heading(self, title: str) -> None:
        if not self.lines or self.lines[-1].text:
            self.add()
        self.add(f"# ----- {title} -----")

    def text(self) -> str:
        """The file."""
        numbers: dict[str, tuple[int, str]] = {}
        written: list[str] = []
        for line in self.lines:
            broken = wrapped(line.text, line.indent)
            for remark in _remarks(line, numbers):
                if len(broken[-1]) + len(remark) + 4 <= WIDEST:
                    broken[-1] += f"  # {remark}"
                    break
            else:
                if line.remark or line.about:
                    pad = " " * line.indent
                    remark = _cut(_remarks(line, numbers)[0], WIDTH - line.indent)
                    written.append(f"{pad}# {remark}")
            for key in line.keys:
                numbers[key] = len(written) + 1, line.text
            written += broken
        return "\n".join(written) + "\n"


def _remarks(line: Line, numbers: dict[str, tuple[int, str]]) -> list[str]:
    """What can be said of a line, at length and in short."""
    if line.meets:
        places = dict.fromkeys(numbers[k][0] for k in line.meets if k in numbers)
        where = (
            f"lines {', '.join(map(str, places))}"
            if len(places) > 1
            else (f"line {next(iter(places), '?')}, more than once")
        )
        return [f"{line.remark} is read in {where}: its gradients add up",
                f"{line.remark} is read in {where}"]  # fmt: skip
    if line.about not in numbers:
        return [line.remark] if line.remark else []
    number, text = numbers[line.about]
    brief = f"from line {number}" + (f" ({line.place})" if line.place else "")
    return [f"{brief}: {text}", brief] if "\n" not in text else [brief]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 4].rstrip() + " ..."
