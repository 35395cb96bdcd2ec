"""Trees back to text and to LaTeX, with the parentheses they need and no others."""

from __future__ import annotations

from collections.abc import Collection

from backlit.expressions import names
from backlit.expressions.functions import SCALAR_VALUED
from backlit.expressions.nodes import (
    PRODUCTS,
    RELATIONS,
    SUMS,
    Binary,
    Call,
    Derivative,
    Expression,
    Formula,
    Index,
    Name,
    Number,
    Statement,
    Sum,
    Unary,
)

_RELATION, _SUM, _TERM, _PRODUCT, _SIGN, _POWER, _ATOM = range(7)
_RANKS = {
    **dict.fromkeys(RELATIONS, _RELATION), **dict.fromkeys(SUMS, _SUM),
    **dict.fromkeys(PRODUCTS, _PRODUCT), "^": _POWER,
}  # fmt: skip
_COMMANDS = ("exp", "log", "log10", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min")
_RELATION_SIGNS = {"<=": r"\le", ">=": r"\ge", "!=": r"\ne"}


def to_text(tree: Formula | Statement | Expression) -> str:
    """A formula, statement or expression as plain text that parses back to the same tree.

    >>> from backlit import expressions
    >>> expressions.to_text(expressions.parse(r"f = \\frac{1}{2}(y - t)^2"))
    'f = 1 / 2 · (y - t)^2'
    """
    return _Text().write(tree)


def to_latex(tree: Formula | Statement | Expression, scalars: Collection[str] = ()) -> str:
    r"""A formula, statement or expression as LaTeX.

    `scalars` are names known to hold one number: their products are written with a dot, those
    of arrays, element by element, with \odot.

    >>> from backlit import expressions
    >>> expressions.to_latex(expressions.parse("f = (x + y) * z"), scalars=["z"])
    'f = \\left(x + y\\right) \\cdot z'
    """
    return _Latex(scalars).write(tree)


def _rank(tree: Expression) -> int:
    if isinstance(tree, Unary):
        return _SIGN
    if isinstance(tree, Binary):
        return _RANKS[tree.op]
    return _ATOM


class _Text:
    """Plain text."""

    separator = "; "

    def write(self, tree: Formula | Statement | Expression) -> str:
        if isinstance(tree, Formula):
            return self.separator.join(map(self.statement, tree.statements))
        return self.statement(tree) if isinstance(tree, Statement) else self.of(tree)

    def statement(self, s: Statement) -> str:
        sign = "+=" if s.adds else "="
        if s.target is None:
            return self.of(s.value)
        if s.claim:
            target = self.derivative(Derivative(s.of, s.target, s.indices)) if s.of else (
                "d" + self.element(s.target, s.indices)
            )  # fmt: skip
        else:
            target = self.element(s.target, s.indices)
        return f"{target} {sign} {self.of(s.value)}"

    def of(self, tree: Expression) -> str:
        match tree:
            case Number():
                return self.number(tree)
            case Name():
                return self.name(tree.name)
            case Unary():
                return "-" + self.at(tree.operand, _SIGN)
            case Binary():
                return self.binary(tree)
            case Call():
                return self.call(tree)
            case Index():
                return self.element(tree.base.name, tree.indices)
            case Sum():
                return self.sum(tree)
            case Derivative():
                return self.derivative(tree)
        raise AssertionError(tree)

    def at(self, tree: Expression, rank: int) -> str:
        """In parentheses if it binds less tightly than `rank`."""
        text = self.of(tree)
        return text if self.rank(tree) >= rank else self.parentheses(text)

    def rank(self, tree: Expression) -> int:
        return _rank(tree)

    def parentheses(self, text: str) -> str:
        return f"({text})"

    def number(self, tree: Number) -> str:
        return repr(tree.value)

    def name(self, name: str) -> str:
        return name

    def binary(self, tree: Binary) -> str:
        rank = _RANKS[tree.op]
        if tree.op == "^":
            return f"{self.at(tree.left, _ATOM)}^{self.at(tree.right, _SIGN)}"
        # A sum or product goes on to the left without parentheses, to the right with them.
        return f"{self.at(tree.left, rank)} {self.sign(tree)} {self.at(tree.right, rank + 1)}"

    def sign(self, tree: Binary) -> str:
        return tree.op

    def call(self, tree: Call) -> str:
        if tree.function == "transpose" and isinstance(tree.args[0], Name | Index):
            return f"{self.of(tree.args[0])}^T"
        args = ", ".join(map(self.of, tree.args))
        return tree.function + "'" * tree.primes + self.parentheses(args)

    def element(self, name: str, indices: tuple[str | int, ...]) -> str:
        return f"{name}[{', '.join(map(str, indices))}]" if indices else name

    def sum(self, tree: Sum) -> str:
        return f"sum[{tree.index}]({self.of(tree.body)})"

    def derivative(self, tree: Derivative) -> str:
        return f"d{tree.of}/d{self.element(tree.wrt, tree.indices)}"


class _Latex(_Text):
    """LaTeX."""

    separator = r" \\ "

    def __init__(self, scalars: Collection[str]):
        self.scalars = set(scalars)

    def rank(self, tree: Expression) -> int:
        if isinstance(tree, Binary) and tree.op == "/":
            return _ATOM
        if isinstance(tree, Sum):
            return _TERM
        if isinstance(tree, Call) and tree.function in ("exp", "transpose"):
            return _POWER
        return _rank(tree)

    def parentheses(self, text: str) -> str:
        return rf"\left({text}\right)"

    def number(self, tree: Number) -> str:
        text = repr(tree.value)
        if "e" not in text:
            return text
        digits, _, power = text.partition("e")
        return self.parentheses(rf"{digits} \cdot 10^{{{int(power)}}}")

    def name(self, name: str) -> str:
        return names.latex(name)

    def binary(self, tree: Binary) -> str:
        if tree.op == "/":
            return rf"\frac{{{self.of(tree.left)}}}{{{self.of(tree.right)}}}"
        if tree.op == "^":
            return f"{self.base(tree.left)}^{{{self.of(tree.right)}}}"
        if isinstance(tree.right, Unary) and self.sign(tree) == r"\,":  # else it would be a minus
            return rf"{self.at(tree.left, _PRODUCT)} \, {self.parentheses(self.of(tree.right))}"
        return super().binary(tree)

    def base(self, tree: Expression) -> str:
        """What a power stands on; a name with a layer gets braces, so that powers do not meet."""
        text = self.at(tree, _ATOM)
        return f"{{{text}}}" if "^" in text and not text.endswith(")") else text

    def sign(self, tree: Binary) -> str:
        if tree.op == "*":
            plain = self.is_scalar(tree.left) or self.is_scalar(tree.right)
            return r"\cdot" if plain else r"\odot"
        if tree.op in ("@", "·"):
            return r"\cdot" if isinstance(tree.right, Number) else r"\,"
        return _RELATION_SIGNS.get(tree.op, tree.op)

    def is_scalar(self, tree: Expression) -> bool:
        """Whether it certainly holds one number, or one for each index."""
        match tree:
            case Number() | Index() | Sum():
                return True
            case Name():
                return tree.name in self.scalars
            case Call() if tree.function in SCALAR_VALUED:
                return True
            case Call() if tree.function in ("max", "min") and len(tree.args) == 1:
                return True
        return bool(tree.parts()) and all(map(self.is_scalar, tree.parts()))

    def call(self, tree: Call) -> str:
        name, first = tree.function, tree.args[0]
        if name == "exp" and not tree.primes:
            return f"e^{{{self.of(first)}}}"
        if name == "transpose":
            return rf"{self.base(first)}^{{\top}}"
        if name == "sqrt" and not tree.primes:
            return rf"\sqrt{{{self.of(first)}}}"
        if name in ("abs", "norm") and not tree.primes:
            bar = "|" if name == "abs" else r"\|"
            return rf"\left{bar}{self.of(first)}\right{bar}"
        args = self.parentheses(", ".join(map(self.of, tree.args)))
        return self.function(name) + "'" * tree.primes + args

    def function(self, name: str) -> str:
        if name == "sigmoid":
            return r"\sigma"
        if name == "log":
            return r"\ln"
        if name in _COMMANDS and not any(c.isdigit() for c in name):
            return f"\\{name}"
        return rf"\operatorname{{{name.replace('_', chr(92) + '_')}}}"

    def element(self, name: str, indices: tuple[str | int, ...]) -> str:
        if not indices:
            return self.name(name)
        base, _, layer = name.partition("^")
        shown = self.name(base)
        if "_" in shown or not all(isinstance(i, str) for i in indices):
            # A number, or a second subscript, could not be told from the name.
            return self.name(name) + f"[{', '.join(map(str, indices))}]"
        sub = "".join(map(str, indices))
        return f"{shown}_{{{sub}}}" + (f"^{{{layer}}}" if layer else "")

    def sum(self, tree: Sum) -> str:
        return rf"\sum_{{{tree.index}}} {self.at(tree.body, _PRODUCT)}"

    def derivative(self, tree: Derivative) -> str:
        over = rf"\partial {self.name(tree.of)}"
        return rf"\frac{{{over}}}{{\partial {self.element(tree.wrt, tree.indices)}}}"
