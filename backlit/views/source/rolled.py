"""Loops that a recording wrote out, step by step, rolled up again.

Lines of the user's same line and module that differ only in the names of their own step, of the
step before, and in numbers that count, become a `for` loop; what a step makes is kept in lists,
for the backward reads it. Where anything does not fit, the lines stay. Knows lines and names only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import pairwise

from backlit.views.source.layout import Line
from backlit.views.source.naming import RESERVED

FEWEST = 3  # steps that are worth a loop
SAVED = 6  # and lines
_TOKEN = re.compile(r"'[^']*'|\"[^\"]*\"|[A-Za-z_]\w*|\d+\.?\d*(?:e[+-]?\d+)?|\s+|.")
_NUMBER = re.compile(r"\d+")


class _Unequal(Exception):
    """The steps are not the same."""


@dataclass
class Names:
    """Names in use in a file, those of values, and those that must stay variables."""

    taken: set[str]
    values: set[str]
    kept: set[str] = field(default_factory=set)
    lines: dict[str, Line] = field(default_factory=dict)  # by what they make
    places: dict[str, str] = field(default_factory=dict)  # of names that are kept: within a list
    homes: dict[str, str] = field(default_factory=dict)  # of values within loops: their list

    def free(self, wanted: str) -> str:
        """A name that is not in use."""
        tried = [wanted, f"{wanted}s", *(f"{wanted}_{i}" for i in range(2, 999))]
        name = next(n for n in tried if n not in self.taken and n not in RESERVED)
        self.taken.add(name)
        return name


def rolled(lines: list[Line], names: Names, back: bool) -> tuple[list[Line], dict[str, str]]:
    """The lines with their loops, and what values within loops are called from now on."""
    renamed: dict[str, str] = {}
    done: list[Line] = []
    rest = list(lines)
    while True:
        loop = _first_loop(rest, names, back)
        if loop is None:
            return done + rest, renamed
        start, count, made, news = loop
        renamed |= news
        done += [*rest[:start], *made]
        rest = [renaming(line, news) for line in rest[start + count :]]


def renaming(line: Line, names: dict[str, str]) -> Line:
    """A line with values called by their new names."""
    if not names:
        return line
    tokens = ["".join(names.get(t, t) if _stands_alone(ts, i) else t)
              for ts in [_TOKEN.findall(line.text)] for i, t in enumerate(ts)]  # fmt: skip
    remark = names.get(line.remark, line.remark)
    return replace(line, text=_summed("".join(tokens)), remark=remark)


def _stands_alone(tokens: list[str], i: int) -> bool:
    """Whether a token is no attribute and no keyword of a call."""
    if i and tokens[i - 1] == ".":
        return False
    following = "".join(tokens[i + 1 : i + 3])
    return not re.match(r"=[^=]", following)


_RUN = re.compile(r"(?:(?<== )|(?<=\())(\w+)\[(\d+)\]((?: \+ \1\[\d+\]){2,})")


def _summed(text: str) -> str:
    """`a[4] + a[3] + a[2]` at the start of a sum is `sum(a[2:5][::-1])`: the same additions."""

    def shorter(found: re.Match[str]) -> str:
        name, first = found[1], int(found[2])
        places = [first, *map(int, re.findall(r"\[(\d+)\]", found[3]))]
        steps = {b - a for a, b in pairwise(places)}
        if steps == {-1}:
            return f"sum({name}[{places[-1]}:{first + 1}][::-1])"
        return f"sum({name}[{first}:{places[-1] + 1}])" if steps == {1} else found[0]

    return _RUN.sub(shorter, text)


# ----- finding -----


def _first_loop(
    lines: list[Line], names: Names, back: bool
) -> tuple[int, int, list[Line], dict[str, str]] | None:
    shapes = [_shape(line, names.values) for line in lines]
    tried: set[tuple[int, int]] = set()
    for start, period, end in _runs(shapes):
        for first in range(start, min(start + period, end)):
            count = (end + period - first) // period
            while count >= FEWEST and (count - 1) * period >= SAVED:
                if (first, count * period) not in tried:
                    tried.add((first, count * period))
                    blocks = [lines[first + k * period : first + (k + 1) * period]
                              for k in range(count)]  # fmt: skip
                    try:
                        made, news = _Loop(blocks, names, back).written()
                    except _Unequal:
                        pass
                    else:
                        return first, count * period, made, news
                count -= 1
                if count < (end + period - first) // period - 2:
                    break
    return None


def _shape(line: Line, values: set[str]) -> tuple:
    """A line without the names of values and without numbers."""
    tokens = ["·" if t in values else "#" if _NUMBER.fullmatch(t) else t
              for t in _TOKEN.findall(line.text)]  # fmt: skip
    return line.token, bool(line.meets), *tokens


def _runs(shapes: list[tuple]) -> Iterable[tuple[int, int, int]]:
    """(start, period, end): from start to end every line has the shape of one a period later.
    The longest first."""
    found = []
    places: dict[tuple, list[int]] = {}
    for i, shape in enumerate(shapes):
        if shape[0]:
            places.setdefault(shape, []).append(i)
    gaps = Counter(b - a for at in places.values() for a, b in pairwise(at))
    periods = {p for p, n in gaps.items() if n >= FEWEST - 1}
    for period in sorted(p for p in periods if p <= len(shapes) // FEWEST):
        start = 0
        for i in range(len(shapes) - period + 1):
            same = i + period < len(shapes) and shapes[i] == shapes[i + period] and shapes[i][0]
            if not same:
                if i - start >= period * (FEWEST - 1):
                    found.append((start, period, i))
                start = i + 1
    return sorted(found, key=lambda f: (f[0] - f[2], f[1]))


# ----- one loop -----


@dataclass
class _Family:
    """What a line of the body makes at every step: a list."""

    members: list[str]
    name: str = ""
    before: str | None = None  # the value before the first step, where steps read their forerunner


class _Loop:
    """Blocks of equal lines as one loop; raises _Unequal where they are not equal."""

    def __init__(self, blocks: list[list[Line]], names: Names, back: bool):
        self.blocks, self.names, self.back = blocks, names, back
        self.count = len(blocks)
        self.tokens = [[_TOKEN.findall(line.text) for line in block] for block in blocks]
        self.places: dict[str, tuple[int, int, int]] = {}  # name: block, line, token
        self.families: dict[tuple[int, int], _Family] = {}
        self.lists: dict[tuple[str, ...], str] = {}
        self._find_families()
        self._check_remarks()
        self.first, self.step = self._counter()

    def _find_families(self) -> None:
        for k, block in enumerate(self.tokens):
            for r, tokens in enumerate(block):
                ends = next(i for i, t in enumerate(tokens) if t == "=")
                for q, t in enumerate(tokens[:ends]):
                    if t in self.names.values:
                        if t in self.places:
                            raise _Unequal
                        self.places[t] = k, r, q
        for k, r, q in self.places.values():
            if k == 0:
                members = [self.tokens[j][r][q] for j in range(self.count)]
                if any(self.places.get(m) != (j, r, q) for j, m in enumerate(members)):
                    raise _Unequal
                self.families[r, q] = _Family(members)

    def _check_remarks(self) -> None:
        """Every step differentiates the same line: known once the forward is rolled up."""
        for row in zip(*self.blocks):
            if len({id(self.names.lines.get(line.about)) for line in row}) > 1:
                raise _Unequal

    def _column(self, r: int, q: int) -> list[str]:
        found = [self.tokens[k][r][q] for k in range(self.count)]
        return found

    def _counter(self) -> tuple[int, int]:
        """Where the loop's variable starts, and its step: as most indices count."""
        seen: Counter[tuple[int, int]] = Counter()
        for r, tokens in enumerate(self.tokens[0]):
            for q in range(len(tokens)):
                column = self._column(r, q)
                if len(set(column)) > 1 and all(map(_NUMBER.fullmatch, column)):
                    steps = {int(b) - int(a) for a, b in pairwise(column)}
                    if steps in ({1}, {-1}):
                        seen[int(column[0]), steps.pop()] += 1
        if seen:
            most = max(seen.values())
            return min(k for k, n in seen.items() if n == most)
        return (self.count - 1, -1) if self.back else (0, 1)

    # ----- writing -----

    def written(self) -> tuple[list[Line], dict[str, str]]:
        """The loop with what it needs before and after, and the new names of its values."""
        roles = self._roles()
        self._name_families()
        variable = self.names.free("t") if "t" in self.names.taken else "t"
        body = [self._body_line(r, roles, variable) for r in range(len(self.tokens[0]))]
        low = min(self.first, self.first + self.step * (self.count - 1))
        high = low + self.count
        span = f"range({high})" if low == 0 else f"range({low}, {high})"
        head = (
            f"for {variable} in {span}:"
            if self.step > 0
            else (f"for {variable} in reversed({span}):")
        )
        before = [Line(text) for text in self._declared(high)]
        news = self._new_names()
        kept = {name: news.pop(name) for name in self._kept()}
        self.names.places |= kept
        after = [Line(f"{name} = {place}") for name, place in kept.items()]
        for given, name in self.lists.items():
            news |= {x: f"{name}[{i}]" for i, x in enumerate(given) if x not in self.names.kept}
        return [*before, Line(head), *body, *after], news

    def _name_families(self) -> None:
        """After the user's name, the gradient of a list after the list, else after the operator;
        several of one operator get letters."""
        wanted = [self._wanted(f.members) for f in self.families.values()]
        counts, seen = Counter(wanted), Counter[str]()
        for family, base in zip(self.families.values(), wanted):
            seen[base] += 1
            letter = f"_{chr(96 + seen[base])}" if 1 < counts[base] <= 26 else ""
            family.name = self.names.free(base + letter)
            self.names.homes |= dict.fromkeys(family.members, family.name)

    def _wanted(self, members: list[str]) -> str:
        own = next((m for m in members if m in self.names.kept), None)
        if own is not None:
            return own
        for m in members:
            for about, part in ((m[1:], ""), (m[1:].rpartition("_")[0], m[m.rfind("_") :])):
                if m.startswith("d") and about in self.names.homes:
                    return f"d{self.names.homes[about]}{part}"
        return Counter(re.sub(r"(_\d+)+$", "", m) for m in members).most_common(1)[0][0]

    def _kept(self) -> list[str]:
        return [m for f in self.families.values() for m in f.members if m in self.names.kept]

    def _new_names(self) -> dict[str, str]:
        return {
            m: f"{f.name}[{self._place(f, k)}]"
            for f in self.families.values() for k, m in enumerate(f.members)
        }  # fmt: skip

    def _place(self, family: _Family, k: int) -> int:
        """Where the list holds what step k made: after the forerunner's value, if it has one."""
        at = self.first + self.step * k
        return at + 1 if family.before is not None and self.step > 0 else at

    def _declared(self, high: int) -> list[str]:
        made = [f"{name} = [{', '.join(given)}]" for given, name in self.lists.items()]
        for f in self.families.values():
            if f.before is None:
                made.append(f"{f.name} = [None] * {high}")
            elif self.step > 0:
                low = f"*[None] * {self.first}, " if self.first else ""
                made.append(f"{f.name} = [{low}{f.before}] + [None] * {self.count}")
            else:
                made.append(f"{f.name} = [None] * {high} + [{f.before}]")
        return made

    def _roles(self) -> dict[tuple[int, int], tuple]:
        """What stands at each place of the body: how a token follows from the step."""
        roles: dict[tuple[int, int], tuple] = {}
        for r, tokens in enumerate(self.tokens[0]):
            if len({len(block[r]) for block in self.tokens}) > 1:
                raise _Unequal
            for q in range(len(tokens)):
                column = self._column(r, q)
                if len(set(column)) > 1:
                    roles[r, q] = self._role(column)
        return roles

    def _role(self, column: list[str]) -> tuple:
        if all(map(_NUMBER.fullmatch, column)):
            steps = {int(b) - int(a) for a, b in pairwise(column)}
            if len(steps) != 1:
                raise _Unequal
            return "count", int(column[0]), steps.pop()
        if not all(t in self.names.values for t in column):
            raise _Unequal
        homes = [self.places.get(t) for t in column]
        if all(h is not None and h[0] == k for k, h in enumerate(homes)):
            spots = {h[1:] for h in homes if h is not None}
            if len(spots) != 1:
                raise _Unequal
            return "own", spots.pop()
        if homes[0] is None and all(h is not None and h[0] == k for k, h in enumerate(homes[1:])):
            spots = {h[1:] for h in homes[1:] if h is not None}
            family = self.families[spots.pop()] if len(spots) == 1 else None
            if family is None or family.before not in (None, column[0]):
                raise _Unequal
            family.before = column[0]
            return "earlier", next(k for k, f in self.families.items() if f is family)
        if any(homes):
            raise _Unequal
        given = tuple(column if self.step > 0 else column[::-1])
        if given not in self.lists:
            base = Counter(re.sub(r"_?\d+$", "", t) for t in given).most_common(1)[0][0]
            self.lists[given] = self.names.free(f"{base or 'x'}s")
        return "list", given

    def _body_line(self, r: int, roles: dict, variable: str) -> Line:
        tokens = list(self.tokens[0][r])
        for q in range(len(tokens)):
            role = roles.get((r, q))
            if role is not None:
                tokens[q] = self._shown(role, variable, tokens, q)
            elif tokens[q] in self.places:  # made in one step, read by all
                raise _Unequal
        keys = tuple(k for block in self.blocks for k in block[r].keys)
        remark = self._remark(r, variable)
        return replace(self.blocks[0][r], text="".join(tokens), keys=keys, indent=4, remark=remark)

    def _remark(self, r: int, variable: str) -> str:
        """The value that a remark is about, as the body calls it."""
        texts = [_TOKEN.findall(block[r].remark) for block in self.blocks]
        shown = list(texts[0])
        for q, column in enumerate(zip(*texts)):
            if len(set(column)) > 1 and all(map(_NUMBER.fullmatch, column)):
                role = "count", int(column[0]), int(column[1]) - int(column[0])
                shown[q] = self._shown(role, variable, shown, q)
        return "".join(shown)

    def _shown(self, role: tuple, t: str, tokens: list[str], q: int) -> str:
        low = min(self.first, self.first + self.step * (self.count - 1))
        if role[0] == "count":
            _, start, step = role
            slope = step * self.step
            return _linear(t, slope, start - slope * self.first, tokens, q)
        if role[0] == "list":
            return f"{self.lists[role[1]]}[{_linear(t, 1, -low, ['[', '', ']'], 1)}]"
        family = self.families[role[1]]
        shift = 1 if family.before is not None and self.step > 0 else 0
        if role[0] == "earlier":
            shift = 0 if self.step > 0 else 1
        return f"{family.name}[{_linear(t, 1, shift, ['[', '', ']'], 1)}]"


def _linear(t: str, slope: int, offset: int, tokens: list[str], q: int) -> str:
    """slope * t + offset, in brackets where something binds to it."""
    if slope == 1:
        shown = t if not offset else f"{t} + {offset}" if offset > 0 else f"{t} - {-offset}"
    elif slope == -1:
        shown = f"{offset} - {t}"
    else:
        shown = f"{slope} * {t} + {offset}" if offset else f"{slope} * {t}"
    around = (tokens[q - 1] if q else "", tokens[q + 1] if q + 1 < len(tokens) else "")
    loose = around[0] in ("[", "(", ",", ":", " ") and around[1] in ("]", ")", ",", ":")
    return shown if shown == t or loose else f"({shown})"
