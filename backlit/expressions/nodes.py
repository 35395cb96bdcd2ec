"""What a formula is once it is read: plain dataclasses, equal when they say the same.

`at` is the column (from 1) where a part begins; it does not count in comparisons. Knows neither
text nor Tensors. Read next: grammar.py, which builds these, and evaluate.py, which runs them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

# What `Binary.op` may be. "*" goes element by element, "@" is the matrix product, and "·" is the
# product of matrix algebra: it scales by scalars and multiplies arrays as matrices.
SUMS, PRODUCTS = ("+", "-"), ("*", "/", "@", "·")
CONSTANTS = {"pi": math.pi, "e": math.e}  # where no value has their name
RELATIONS = ("<", "<=", ">", ">=", "==", "!=")


@dataclass(frozen=True)
class Expression:
    """Base of all parts of a formula."""

    at: int = field(default=1, compare=False, kw_only=True)

    def parts(self) -> tuple[Expression, ...]:
        return ()

    def walk(self) -> Iterator[Expression]:
        """This part and all parts of it, from left to right."""
        yield self
        for part in self.parts():
            yield from part.walk()


@dataclass(frozen=True)
class Number(Expression):
    value: int | float


@dataclass(frozen=True)
class Name(Expression):
    name: str


@dataclass(frozen=True)
class Unary(Expression):
    """Minus, the only sign that does anything."""

    operand: Expression

    def parts(self) -> tuple[Expression, ...]:
        return (self.operand,)


@dataclass(frozen=True)
class Binary(Expression):
    op: str
    left: Expression
    right: Expression

    def parts(self) -> tuple[Expression, ...]:
        return self.left, self.right


@dataclass(frozen=True)
class Call(Expression):
    """A function of `functions.py`; with `primes` its derivative."""

    function: str
    args: tuple[Expression, ...]
    primes: int = 0

    def parts(self) -> tuple[Expression, ...]:
        return self.args


@dataclass(frozen=True)
class Index(Expression):
    """An element: letters are indices that a sum binds or the statement leaves free."""

    base: Name
    indices: tuple[str | int, ...]

    def parts(self) -> tuple[Expression, ...]:
        return (self.base,)


@dataclass(frozen=True)
class Sum(Expression):
    """The sum over an index."""

    index: str
    body: Expression

    def parts(self) -> tuple[Expression, ...]:
        return (self.body,)


@dataclass(frozen=True)
class Derivative(Expression):
    """The derivative of one name by another: claimed where a claim gives it, else the true one."""

    of: str
    wrt: str
    indices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Statement:
    """A value (target None), an assignment, or with `claim` a derivative said to be `value`.

    `of` is what a claim differentiates: None where only `dx = ...` was written, which means the
    result of the formula, or with `dy` on the right the part that arrives from above.
    """

    target: str | None
    value: Expression
    indices: tuple[str, ...] = ()
    claim: bool = False
    of: str | None = None
    adds: bool = False  # written with +=
    at: int = field(default=1, compare=False)


@dataclass(frozen=True)
class Formula:
    """Statements in the order written."""

    statements: tuple[Statement, ...]
    text: str = field(default="", compare=False)

    @property
    def claims(self) -> tuple[Statement, ...]:
        return tuple(s for s in self.statements if s.claim)

    @property
    def result(self) -> str | None:
        """The name of what the formula computes; None for a bare expression."""
        return next(s.target for s in reversed(self.statements) if not s.claim)

    def names_read(self) -> dict[str, int]:
        """Every name on a right side, and the column where it is read first."""
        found: dict[str, int] = {}
        for statement in self.statements:
            for part in statement.value.walk():
                if isinstance(part, Name):
                    found.setdefault(part.name, part.at)
        return found

    def free_names(self) -> tuple[str, ...]:
        """Names that need a value: read, and neither assigned nor claimed nor constants."""
        assigned = {str(s.target) for s in self.statements if not s.claim}
        known = assigned | {f"d{s.target}" for s in self.claims} | {f"d{self.result}", *CONSTANTS}
        return tuple(name for name in self.names_read() if name not in known)

    def depth(self) -> int:
        """Operations within each other, at most."""
        deepest, waiting = 0, [(s.value, 1) for s in self.statements]
        while waiting:
            part, level = waiting.pop()
            deepest = max(deepest, level)
            waiting.extend((inner, level + 1) for inner in part.parts())
        return deepest
