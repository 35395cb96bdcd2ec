"""Characters to tokens, for both spellings; what belongs to neither is refused at its column."""

from __future__ import annotations

import re
from typing import NamedTuple

from backlit.errors import FormulaError

LONGEST = 20_000  # characters


class Token(NamedTuple):
    """A piece of the text; `kind` is number, name, command, sign, newline or end."""

    kind: str
    text: str
    at: int  # column, from 1

    def __str__(self) -> str:
        if self.kind == "newline" and not self.text.strip():
            return "the end of the line"
        return "the end" if self.kind == "end" else repr(self.text)


_TEXT = re.compile(
    r"""(?P<space>[ \t]+|\#[^\n]*)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<name>[^\W\d]\w*)
    |(?P<newline>[\n;]|\r\n)
    |(?P<sign>\*\*|\|\||\+=|:=|<=|>=|==|!=|[-+*/@^()\[\],=<>'|·⋅×⊙∂])""",
    re.VERBOSE,
)
_LATEX = re.compile(
    r"""(?P<space>[ \t\n\r~]+|%[^\n]*|\\[,;:!\ ]|\\q?quad(?![A-Za-z])
        |\\(?:begin|end)\{(?:aligned|align\*?|gathered|equation\*?)\}|&
        |\\(?:displaystyle|limits|left\.|right\.)(?![A-Za-z]))
    |(?P<newline>\\\\|;)
    |(?P<number>\d+\.?\d*|\.\d+)
    |(?P<command>\\(?:[A-Za-z]+|[{}|]))
    |(?P<name>[^\W\d_])
    |(?P<sign>\+=|:=|<=|>=|==|[-+*/@^_()\[\]{},=<>'|.·⋅×⊙∂])""",
    re.VERBOSE,
)
_SIZES = re.compile(r"\\(?:left|right|[bB]igg?[lrm]?)(?![A-Za-z])\s*(?=[(){}\[\]|\\])")
_SIGNS = {
    r"\cdot": "·", r"\times": "·", r"\odot": "⊙", r"\circ": "⊙", r"\le": "<=", r"\leq": "<=",
    r"\ge": ">=", r"\geq": ">=", r"\ne": "!=", r"\neq": "!=", r"\lt": "<", r"\gt": ">",
    r"\partial": "∂", r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\|": "||",
    r"\lVert": "||", r"\rVert": "||", r"\Vert": "||", r"\{": "(", r"\}": ")",
    "⋅": "·", "×": "·", "**": "^", ":=": "=",
}  # fmt: skip


def is_latex(text: str) -> bool:
    """Whether a formula is LaTeX: it has a backslash or braces, or stands between dollars."""
    return bool(re.search(r"[\\{}]|^\s*\$.*\$\s*$", text, re.DOTALL))


def tokens(text: str, latex: bool) -> list[Token]:
    """The tokens of a formula, with an `end` behind the last."""
    if len(text) > LONGEST:
        raise FormulaError(f"longer than {LONGEST} characters: {len(text)}")
    source = text
    if latex:  # blanks keep every column where it was
        source = _SIZES.sub(lambda m: " " * len(m.group()), _displayed(text))
    pattern = _LATEX if latex else _TEXT
    found, at = [], 0
    while at < len(source):
        match = pattern.match(source, at)
        if match is None:
            raise FormulaError.at(text, at + 1, f"{source[at]!r} is not part of the grammar")
        kind = match.lastgroup or ""
        if kind != "space":
            piece = match.group()
            sign = _SIGNS.get(piece)
            found.append(Token("sign", sign, at + 1) if sign else Token(kind, piece, at + 1))
        at = match.end()
    return [*found, Token("end", "", len(source) + 1)]


def _displayed(text: str) -> str:
    """Without the signs around displayed formulas: dollars, `\\[ ... \\]`, `\\( ... \\)`."""
    text = re.sub(r"^\s*\${1,2}|\${1,2}\s*$", lambda m: " " * len(m.group()), text)
    return re.sub(r"(?<!\\)\\[\[\]()]", "  ", text)
