"""Formulas written as plain text: tokens to trees, by precedence.

Loosest first: relations, sums, products, minus, powers (to the right), then what follows an
atom: `'` and `^T` transpose, `x[i, 0]` is an element. Products are never left out; that is for
LaTeX, whose grammar (latex.py) changes only what is spelled differently.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import NoReturn

from backlit.errors import FormulaError
from backlit.expressions import functions, names
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
from backlit.expressions.tokens import Token, is_latex, tokens

DEEPEST, DEEPEST_TREE = 60, 150  # levels of parentheses and powers; of operations


def parse(text: str, names: Iterable[str] = ()) -> Formula:
    """Read a formula written as plain text or LaTeX; `names` are those that have values.

    Statements are separated by `;` or new lines: expressions, `q = x + y`, claims `df/dx = z`
    or `dx = z`. Raises FormulaError with the column of what is not in the grammar, which
    docs/design/expressions.md states.

    >>> from backlit import expressions
    >>> expressions.to_latex(expressions.parse("1 / (1 + exp(-x))"))
    '\\\\frac{1}{1 + e^{-x}}'
    """
    from backlit.expressions.latex import LatexGrammar

    kind = LatexGrammar if is_latex(text) else Grammar
    return kind(text, names).formula()


class Grammar:
    """A parser that walks over the tokens once."""

    latex = False

    def __init__(self, text: str, declared: Iterable[str] = ()):
        self.text = text
        self.tokens = tokens(text, self.latex)
        self.place = 0
        self.declared = dict.fromkeys(declared)  # values, and what was assigned so far
        self.used: dict[str, None] = {}
        self.assigned: set[str] = set()
        self.free: set[str] = set()  # indices that the left side or a sum has named
        self.depth = 0
        self.closer = ""  # of the innermost bars

    # ----- tokens -----

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def peek(self, ahead: int = 1) -> Token:
        return self.tokens[min(self.place + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.next
        self.place += token.kind != "end"
        return token

    def sees(self, *signs: str) -> bool:
        return self.next.kind == "sign" and self.next.text in signs

    def skip(self, sign: str) -> bool:
        found = self.sees(sign)
        self.place += found
        return found

    def expect(self, sign: str) -> Token:
        if not self.sees(sign):
            self.refuse(f"expected {sign!r}")
        return self.take()

    def refuse(
        self, expected: str, token: Token | None = None, hint: str | None = None
    ) -> NoReturn:
        token = token or self.next
        raise FormulaError.at(self.text, token.at, f"{expected}, found {token}", hint)

    # ----- statements -----

    def formula(self) -> Formula:
        found = []
        while self.next.kind != "end":
            if self.next.kind == "newline":
                self.take()
                continue
            found.extend(self.statement())
            if self.next.kind not in ("newline", "end"):
                self.refuse("expected an operator or the end", hint=self.missing_product())
        if not any(not s.claim for s in found):
            self.refuse("expected a formula such as f = (x + y) * z")
        formula = Formula(tuple(found), self.text)
        if formula.depth() > DEEPEST_TREE:
            raise FormulaError(
                f"formula: more than {DEEPEST_TREE} operations in a row or within each other",
                hint="name its parts: q = ...; f = q + ...",
            )
        return formula

    def missing_product(self) -> str | None:
        starts = self.next.kind in ("name", "number") or self.sees("(")
        return "write products out: 2 * x; they may be left out in LaTeX only" if starts else None

    def statement(self) -> list[Statement]:
        """One statement; two where a derivative is claimed of an expression, not of a name."""
        at = self.next.at
        self.free = set()
        if not self.has_left_side():
            return [Statement(None, self.expression(), at=at)]
        head = self.derivative()
        if head is not None:
            return [self.finish(head.of, head.wrt, head.indices, at)]
        differentiated = self.operator_applied() or self.slope()
        if differentiated is not None:
            return self.claim_of(*differentiated, at)
        name, indices = self.left_name()
        return [self.finish(None, name, indices, at)]

    def claim_of(self, value: Expression, wrt: str, indices: tuple[str, ...],
                 at: int) -> list[Statement]:  # fmt: skip
        """`d/dx (x^2) = 2 * x`: the expression gets a name, and the claim is about it."""
        if isinstance(value, Name) and value.name in self.assigned:
            return [self.finish(value.name, wrt, indices, at)]
        taken = {t.text for t in self.tokens} | {*self.declared, *self.used}
        letters = (f"{letter}{k}" for k in ("", *range(1, 100)) for letter in "fghL")
        name = next(n for n in letters if n not in taken)
        named = Statement(name, value, at=at)
        self.declared.setdefault(name)
        return [named, self.finish(name, self.known(wrt) or wrt, indices, at)]

    def operator_applied(self) -> tuple[Expression, str, tuple[str, ...]] | None:
        """What stands behind `d/dx`, and the name; None with nothing taken."""
        start = self.place
        found = self.operator()
        if found is None:
            self.place = start
            return None
        value = self.product()
        if not self.sees("=", "+="):
            self.refuse("expected '='", hint="put what is differentiated in parentheses")
        return value, *found

    def operator(self) -> tuple[str, tuple[str, ...]] | None:
        """The name in `d/dx` or `∂/∂x`."""
        d = self.next.text == "d" and "d" not in self.declared
        if not (d or self.sees("∂")):
            return None
        self.take()
        wrt = self.differential_of() if self.skip("/") else None
        if wrt is None:
            return None
        return wrt, self.index_letters() if self.sees("[") else ()

    def slope(self) -> tuple[Expression, str, tuple[str, ...]] | None:
        """`f'(x)` before an equals sign, as a claim about f or about the function f."""
        start = self.place
        token = self.next
        if token.kind in ("name", "command"):
            name = self.head_name()
            if self.sees("'") and self.peek().text == "(":
                self.take()
                argument = self.group("(", ")")
                function = functions.canonical(name)
                if isinstance(argument, Name) and name in self.assigned:
                    return Name(name, at=token.at), argument.name, ()
                if isinstance(argument, Name) and function:
                    return Call(function, (argument,), at=token.at), argument.name, ()
                self.refuse("expected the derivative of a function or of an assigned name", token)
        self.place = start
        return None

    def head_name(self) -> str:
        return names.plain(self.take().text)

    def has_left_side(self) -> bool:
        """Whether an equals sign comes before the end of the statement."""
        inside = 0  # of braces: the limits of a sum have an equals sign too
        for token in self.tokens[self.place :]:
            if token.kind in ("newline", "end"):
                break
            inside += (token.text == "{") - (token.text == "}")
            if token.kind == "sign" and token.text in ("=", "+=") and not inside:
                return True
        return False

    def finish(self, of: str | None, name: str, indices: tuple[str, ...], at: int) -> Statement:
        """The right side, and whether it is a claim."""
        adds = self.sees("+=")
        if not adds and not self.sees("="):
            self.refuse("expected '='")
        self.take()
        self.free |= set(indices)
        value = self.expression()
        claim = of is not None or self.is_claim(name)
        if self.latex and not claim and indices and not self.mentions(value, indices):
            name, indices = "_".join((name, "".join(indices))), ()
        if claim:
            # What was claimed can be read on by its short name, as in staged code.
            short = f"d{name}" if of is not None else name
            name = name if of is not None else self.known(name[1:]) or name[1:]
            self.declared.setdefault(short)
        else:
            self.declared.setdefault(name)
            self.assigned.add(name)
        return Statement(name, value, indices, claim, of, adds, at)

    @staticmethod
    def mentions(value: Expression, indices: tuple[str, ...]) -> bool:
        return any(isinstance(p, Index) and set(p.indices) & set(indices) for p in value.walk())

    def is_claim(self, name: str) -> bool:
        """`dx = ...` is one where x has been met and dx is no value."""
        return (
            len(name) > 1
            and name[0] == "d"
            and name not in self.given()
            and bool(self.known(name[1:]))
        )

    def given(self) -> dict[str, None]:
        return {n: None for n in self.declared if not (n[0] == "d" and self.known(n[1:]))}

    def known(self, name: str) -> str | None:
        """The spelling under which a name has been met before, or None."""
        return names.find(name, [*self.declared, *self.used]) if name else None

    def left_name(self) -> tuple[str, tuple[str, ...]]:
        """`q`, `z[j]`, `f(x, y)` or `a^2` before an equals sign."""
        if self.next.kind != "name":
            self.refuse("expected a name before '='")
        name = names.plain(self.take().text)
        if self.sees("^"):
            self.take()
            name += f"^{self.take().text}"
        indices = self.index_letters() if self.sees("[") else ()
        if self.sees("("):
            self.arguments_named()
        return name, indices

    def arguments_named(self) -> None:
        """The decoration of `f(x, y) = ...`: names, which must be names."""
        self.expect("(")
        while not self.skip(")"):
            if self.next.kind not in ("name", "command"):
                self.refuse("expected the names of the arguments")
            self.primary()
            if not self.sees(")"):
                self.expect(",")

    def index_letters(self) -> tuple[str, ...]:
        found = self.indices()
        if not all(isinstance(i, str) for i in found):
            self.refuse("expected letters as indices before '='")
        return tuple(str(i) for i in found)

    # ----- expressions -----

    def expression(self) -> Expression:
        left = self.sum()
        while self.sees(*RELATIONS):
            sign = self.take()
            left = Binary(sign.text, left, self.sum(), at=sign.at)
        return left

    def sum(self) -> Expression:
        left = self.product()
        while self.sees(*SUMS):
            sign = self.take()
            left = Binary(sign.text, left, self.product(), at=sign.at)
        return left

    def product(self) -> Expression:
        left = self.signed()
        while self.sees(*PRODUCTS, "⊙") or self.product_left_out():
            if self.product_left_out():
                sign = Token("sign", "·", self.next.at)
            else:
                sign = self.take()
            op = "*" if sign.text == "⊙" else sign.text
            left = Binary(op, left, self.signed(), at=sign.at)
        return left

    def product_left_out(self) -> bool:
        return False

    def signed(self) -> Expression:
        self.depth += 1
        if self.depth > DEEPEST:
            self.refuse(f"nested more than {DEEPEST} levels deep")
        try:
            if self.sees("-"):
                at = self.take().at
                return Unary(self.signed(), at=at)
            if self.skip("+"):
                return self.signed()
            return self.power()
        finally:
            self.depth -= 1

    def power(self) -> Expression:
        base = self.postfix(self.primary())
        if not self.sees("^"):
            return base
        at = self.take().at
        exponent = self.exponent()
        return (
            Call("exp", (exponent,), at=base.at)
            if self.is_e(base)
            else Binary("^", base, exponent, at=at)
        )

    def is_e(self, base: Expression) -> bool:
        return base == Name("e") and not names.find("e", self.declared)

    def exponent(self) -> Expression:
        return self.signed()

    def postfix(self, base: Expression) -> Expression:
        """Transposes, behind an atom."""
        while True:
            if self.sees("'") or (self.sees("^") and self.transposes()):
                if self.take().text == "^":
                    self.take()
                base = Call("transpose", (base,), at=base.at)
            else:
                return base

    def transposes(self) -> bool:
        return self.peek().text in ("T", "⊤") and not names.find("T", self.declared)

    def primary(self) -> Expression:
        token = self.next
        if token.kind == "number":
            return self.number()
        if token.kind == "name":
            return self.named()
        if self.sees("("):
            return self.group("(", ")")
        if self.sees("|", "||"):
            inner = self.group(token.text, token.text)
            return Call("abs" if token.text == "|" else "norm", (inner,), at=token.at)
        if self.sees("∂"):
            found = self.derivative()
            if found is not None:
                return found
        self.refuse("expected a number, a name or '('")

    def number(self) -> Expression:
        token = self.take()
        whole = token.text.isdigit()
        if token.text == "1" and self.sees("["):
            return self.group("[", "]")  # an indicator: 1[z > 0]
        return Number(int(token.text) if whole else float(token.text), at=token.at)

    def group(self, opener: str, closer: str) -> Expression:
        self.expect(opener)
        outer, self.closer = self.closer, closer
        inner = self.expression()
        self.expect(closer)
        self.closer = outer
        return inner

    def named(self) -> Expression:
        """A function applied, a sum over an index, an element, or a name."""
        found = self.known_derivative()
        if found is not None:
            return found
        token = self.take()
        name = names.plain(token.text)
        slope = self.sees("'") and self.peek().text == "("
        function = None if names.find(name, self.declared) else functions.canonical(name)
        if name == "sum" and self.sees("["):
            return self.sum_over(token)
        if self.sees("(") or (slope and function):
            if function is None:
                self.unknown_function(token)
            primes = int(self.skip("'"))
            return self.call(function, token, primes)
        name = self.with_layer(name)
        self.used.setdefault(name)
        base = Name(name, at=token.at)
        return Index(base, self.indices(), at=token.at) if self.sees("[") else base

    def unknown_function(self, token: Token) -> NoReturn:
        near = difflib.get_close_matches(token.text, functions.known(), 1, 0.7)
        hint = f"did you mean {near[0]}?" if near else "write products out: x * (y + z)"
        raise FormulaError.at(self.text, token.at, f"no function is named {token.text!r}", hint)

    def with_layer(self, name: str) -> str:
        """The name with its superscript, where both together are declared."""
        if self.sees("^") and self.peek().kind in ("name", "number"):
            whole = names.find(f"{name}^{self.peek().text}", self.declared)
            if whole:
                self.place += 2
                return whole
        return names.find(name, self.declared) or name

    def sum_over(self, token: Token) -> Expression:
        found = self.index_letters()
        if len(found) != 1:
            self.refuse("expected one index of the sum")
        self.free |= set(found)
        return Sum(found[0], self.group("(", ")"), at=token.at)

    def indices(self) -> tuple[str | int, ...]:
        self.expect("[")
        found: list[str | int] = []
        while True:
            token = self.take()
            if token.kind not in ("name", "number") or "." in token.text:
                self.refuse("expected an index: a letter or a whole number from 0", token)
            found.append(int(token.text) if token.kind == "number" else token.text)
            if self.skip("]"):
                return tuple(found)
            self.expect(",")

    def call(self, function: str, token: Token, primes: int) -> Expression:
        """The arguments in parentheses, as many as the function takes."""
        if primes and function not in functions.elementwise():
            self.refuse(f"{function} has no derivative of one argument", token)
        self.expect("(")
        outer, self.closer = self.closer, ")"
        args = [self.expression()]
        while self.skip(","):
            args.append(self.expression())
        self.expect(")")
        self.closer = outer
        return self.checked_call(function, tuple(args), token, primes)

    def checked_call(
        self, function: str, args: tuple[Expression, ...], token: Token, primes: int
    ) -> Expression:
        low, high = functions.arity(function)
        if not low <= len(args) <= high:
            wanted = str(low) if low == high else f"at least {low}"
            message = f"{function} takes {wanted} argument{'s' * (low != 1)}, got {len(args)}"
            raise FormulaError.at(self.text, token.at, message)
        if primes and high != 1:
            self.refuse(f"{function} has no derivative of one argument", token)
        return Call(function, args, primes, at=token.at)

    # ----- derivatives -----

    def derivative(self) -> Derivative | None:
        """`df/dx`, `∂f/∂x` or None, with nothing taken."""
        start = self.place
        of = self.differential_of()
        if of is not None and self.skip("/"):
            wrt = self.differential_of()
            if wrt is not None:
                indices = self.index_letters() if self.sees("[") else ()
                return Derivative(of, wrt, indices, at=self.tokens[start].at)
        self.place = start
        return None

    def known_derivative(self) -> Derivative | None:
        """`df/dx` in a formula, where f and x are known and df and dx are no values."""
        start = self.place
        found = self.derivative() if self.next.text[0] == "d" else None
        if found is None:
            return None
        if all(self.known(n) and f"d{n}" not in self.given() for n in (found.of, found.wrt)):
            return found
        self.place = start
        return None

    def differential_of(self) -> str | None:
        """The name in `df` or `∂f`, or None."""
        round_sign = self.skip("∂")
        if self.next.kind != "name":
            return None
        name = names.plain(self.next.text)
        if not round_sign:
            if len(name) < 2 or name[0] != "d":
                return None
            name = name[1:]
        self.take()
        return self.known(self.with_layer(name)) or name
