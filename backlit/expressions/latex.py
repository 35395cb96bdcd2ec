"""Formulas written as LaTeX: what is spelled differently, on top of the grammar of plain text.

Names are single letters, Greek commands or `\\mathrm{word}`, with subscripts and, where declared,
superscripts. Products may be left out. A letter subscript is an index where the name without it
has a value, or where a sum or the left side names the letter.
"""

from __future__ import annotations

from backlit.expressions import functions, names
from backlit.expressions.grammar import Grammar
from backlit.expressions.nodes import (
    Binary,
    Call,
    Derivative,
    Expression,
    Index,
    Name,
    Number,
    Sum,
)
from backlit.expressions.tokens import Token

_WORDS = (r"\mathrm", r"\text", r"\operatorname", r"\mathit", r"\textrm")
_LETTERS = (r"\mathbf", r"\boldsymbol", r"\mathbb", r"\mathcal", r"\bm", r"\vec", r"\mathsf")
_ACCENTS = (r"\hat", r"\tilde", r"\bar", r"\widehat")
_INDICATORS = (r"\mathbb1", r"\mathbf1", r"\mathds1", r"\mathbbI")
_FRACTIONS = (r"\frac", r"\tfrac", r"\dfrac")
_TRANSPOSES = ("T", r"\top", r"\intercal", r"\mathsf{T}", r"\mathrm{T}", "⊤")


class LatexGrammar(Grammar):
    """The same walk with LaTeX's spelling."""

    latex = True

    def product_left_out(self) -> bool:
        token = self.next
        if token.kind in ("number", "name"):
            return True
        if token.kind == "command":
            return token.text not in (r"\right", r"\left")
        opens = token.text in ("(", "∂") or (token.text in "||" and token.text != self.closer)
        return token.kind == "sign" and opens

    # ----- atoms -----

    def primary(self) -> Expression:
        token = self.next
        if token.kind == "command":
            return self.command()
        if self.sees("{"):
            return self.group("{", "}")
        found = super().primary()
        if token.text == "||" and self.sees("_"):  # of two norms that are one: \|W\|_F, \|x\|_2
            if self.raw_ahead(1) not in ("2", "F"):
                self.refuse("expected the norm 2 or F", self.peek())
            self.take()
            self.raw()
        return found

    def command(self) -> Expression:
        token = self.next
        if token.text in _FRACTIONS:
            return self.derivative() or self.fraction()
        if token.text == r"\sqrt":
            return self.root()
        if token.text == r"\sum":
            return self.sum_over(self.take())
        if token.text == r"\nabla":
            found = self.derivative()
            if found is not None:
                return found
        if token.text + self.raw_ahead(1) in _INDICATORS:
            return self.indicator()
        return self.named()

    def fraction(self) -> Expression:
        at = self.take().at
        over, under = self.argument(), self.argument()
        return Binary("/", over, under, at=at)

    def argument(self) -> Expression:
        """What a command takes: a group in braces, or one token."""
        if self.sees("{"):
            return self.group("{", "}")
        token = self.next
        return self.one_digit() if token.kind == "number" else self.primary()

    def one_digit(self) -> Expression:
        """The first digit alone: `x^23` is x squared times 3, as LaTeX sets it."""
        token = self.next
        if len(token.text) > 1:
            self.tokens[self.place] = Token("number", token.text[1:], token.at + 1)
            return Number(int(token.text[0]), at=token.at)
        return self.number()

    def root(self) -> Expression:
        at = self.take().at
        degree = self.group("[", "]") if self.sees("[") else None
        body = self.argument()
        if degree is None:
            return Call("sqrt", (body,), at=at)
        return Binary("^", body, Binary("/", Number(1), degree), at=at)

    def indicator(self) -> Expression:
        """`\\mathbb{1}[z > 0]`, with any brackets, or as a subscript."""
        self.take()
        self.raw()
        self.skip("_")
        opener = self.next.text
        if opener not in ("(", "[", "{"):
            self.refuse("expected a condition in brackets")
        return self.group(opener, {"(": ")", "[": "]", "{": "}"}[opener])

    def sum_over(self, token: Token) -> Expression:
        """`\\sum_i body`; limits, where given, must run over the whole axis."""
        if not self.sees("_"):
            return Call("sum", (self.sum_body(),), at=token.at)
        self.take()
        limits = self.next
        index = self.raw().partition("=")[0]
        if not (len(index) == 1 and index.isalpha()):
            self.refuse("expected a letter as the index of the sum", limits)
        if self.skip("^"):
            self.raw()
        self.free.add(index)
        return Sum(index, self.sum_body(), at=token.at)

    def sum_body(self) -> Expression:
        return self.product()

    # ----- names -----

    def named(self) -> Expression:
        token = self.next
        at = self.place
        base = self.base_name()
        function = None if names.find(base, self.declared) else functions.canonical(base)
        if function == "log" and self.sees("_") and self.raw_ahead(1) in ("2", "10", "e"):
            self.take()
            function = {"2": "log2", "10": "log10", "e": "log"}[self.raw()]
        if function and self.applies(token, base):
            primes = int(self.skip("'"))
            return self.applied(function, token, primes)
        self.place = at
        name, indices = self.whole_name()
        self.used.setdefault(name)
        found = Name(name, at=token.at)
        if self.sees("[") and not indices and self.closer != "]":
            return Index(found, self.indices(), at=token.at)
        return Index(found, indices, at=token.at) if indices else found

    def applies(self, token: Token, base: str) -> bool:
        """Whether what follows a function's name are its arguments."""
        if self.sees("(", "{") or (self.sees("'") and self.peek().text == "("):
            return True
        if self.sees("^"):
            number = self.peek().kind == "number"
            return number and (self.peek(2).text == "(" or base not in names.GREEK)
        return token.kind == "command" and token.text not in _LETTERS and base not in names.GREEK

    def applied(self, function: str, token: Token, primes: int) -> Expression:
        """With parentheses the arguments; without, the next power: `\\ln x^2` is ln(x^2)."""
        if self.sees("^") and self.peek().kind == "number":  # \tanh^2(x) is (tanh x)^2
            at = self.take().at
            power = self.one_digit()
            return Binary("^", self.applied(function, token, primes), power, at=at)
        if self.sees("("):
            return self.call(function, token, primes)
        body = self.argument() if self.sees("{") else self.power()
        return self.checked_call(function, (body,), token, primes)

    def base_name(self) -> str:
        """The letter, Greek command or word, without subscript and superscript."""
        token = self.take()
        if token.kind == "name":
            return names.plain(token.text)
        if token.kind != "command":
            self.refuse("expected a name", token)
        word = token.text[1:]
        if token.text in _WORDS + _LETTERS:
            return names.plain(self.raw())
        if token.text in _ACCENTS:
            return f"{names.plain(self.raw())}_{word.removeprefix('wide')}"
        word = names.VARIANTS.get(word, word)
        if word in names.GREEK or functions.canonical(word):
            return word
        self.refuse(f"the command {token.text} is not part of the grammar", token)

    def whole_name(self) -> tuple[str, tuple[str, ...]]:
        """A name with its subscript and superscript, and the indices among them."""
        base = self.base_name()
        if base == "d" and not names.find("d", self.declared) and self.starts_name():
            base += self.base_name()
        sub = layer = ""
        while True:
            if self.sees("_") and not sub:
                self.take()
                sub = self.raw()
            elif self.sees("^") and not layer and self.layered(base, sub):
                self.take()
                layer = self.raw().strip("()[]")
            else:
                return self.resolved(base, sub, layer)

    def starts_name(self) -> bool:
        word = self.next.text[1:]
        greek = names.VARIANTS.get(word, word) in names.GREEK
        return self.next.kind == "name" or (self.next.kind == "command" and greek)

    def layered(self, base: str, sub: str) -> bool:
        """Whether the superscript ahead is part of a declared name."""
        layer = self.raw_ahead(1).strip("()[]")
        spellings = [f"{base}^{layer}", *([f"{base}_{sub}^{layer}"] if sub else [])]
        if any(names.find(s, self.declared) for s in spellings):
            return True
        after = self.raw_end(1)  # W^{2}_{jk}: the subscript may come second
        later = self.peek(after).text == "_" and self.raw_ahead(after + 1)
        return bool(later and names.find(f"{base}_{later}^{layer}", self.declared))

    def resolved(self, base: str, sub: str, layer: str) -> tuple[str, tuple[str, ...]]:
        tail = f"^{layer}" if layer else ""
        whole = f"{base}_{sub}{tail}" if sub else base + tail
        known = self.known(whole)
        if known or not sub:
            return known or whole, ()
        letters = tuple(c for c in sub if c not in ", ")
        indexed = names.find(base + tail, self.declared)
        if all(c.isalpha() for c in letters) and (indexed or set(letters) & self.free):
            return indexed or base + tail, letters
        return whole, ()

    def raw(self) -> str:
        """The characters of a group in braces, or of one token."""
        found = self.raw_ahead(0)
        self.place += self.raw_end(0)
        return found

    def raw_end(self, ahead: int) -> int:
        """How many tokens ahead a group ends."""
        if self.peek(ahead).text != "{":
            token = self.peek(ahead)
            return self.raw_end(ahead + 1) if token.text in _WORDS + _LETTERS else ahead + 1
        depth = 0
        while True:
            token = self.peek(ahead)
            if token.kind == "end":
                self.refuse("expected '}'", token)
            depth += (token.text == "{") - (token.text == "}")
            ahead += 1
            if not depth:
                return ahead

    def raw_ahead(self, ahead: int) -> str:
        inside = [self.peek(k) for k in range(ahead, self.raw_end(ahead))]
        return "".join(
            t.text.lstrip("\\") for t in inside if t.text not in ("{", "}", *_WORDS, *_LETTERS)
        )

    # ----- what follows -----

    def postfix(self, base: Expression) -> Expression:
        while self.sees("^") and self.transposes():
            self.take()
            self.raw()
            base = Call("transpose", (base,), at=base.at)
        return base

    def transposes(self) -> bool:
        found = self.raw_ahead(1)
        return found in ("top", "intercal", "⊤") or (
            found == "T" and not names.find("T", self.declared)
        )

    def exponent(self) -> Expression:
        return self.argument()

    # ----- the left side -----

    def left_name(self) -> tuple[str, tuple[str, ...]]:
        if self.next.text in _FRACTIONS:
            self.refuse(r"expected a derivative such as \frac{\partial f}{\partial x} before '='")
        if self.next.kind not in ("name", "command"):
            self.refuse("expected a name before '='")
        start = self.place
        base = self.base_name()
        if base == "d" and self.starts_name():
            base += self.base_name()
        sub = self.raw() if self.skip("_") else ""
        layer = self.raw().strip("()[]") if self.skip("^") else ""
        if not sub and self.skip("_"):
            sub = self.raw()
        if base.isalpha() and self.sees("("):
            self.arguments_named()
        if not (self.sees("=", "+=")):
            self.place = start
            self.refuse("expected a name before '='")
        tail = f"^{layer}" if layer else ""
        if sub and not self.known(f"{base}_{sub}{tail}") and sub.replace(",", "").isalpha():
            return base + tail, tuple(sub.replace(",", ""))
        return (f"{base}_{sub}" if sub else base) + tail, ()

    def head_name(self) -> str:
        known = self.next.kind == "name" or self.starts_name() or self.next.text in _WORDS
        return self.base_name() if known else self.take().text[1:]

    def operator(self) -> tuple[str, tuple[str, ...]] | None:
        """The name in `\\frac{d}{dx}` or `\\frac{\\partial}{\\partial x}`."""
        if self.next.text not in _FRACTIONS:
            return None
        self.take()
        if not (self.skip("{") and self._sign_of_a_differential() and self.skip("}")):
            return None
        wrt = self._differential() if self.skip("{") else None
        return wrt if wrt is not None and self.skip("}") else None

    def derivative(self) -> Derivative | None:
        start = self.place
        found = self._fraction() if self.next.text in _FRACTIONS else self._in_line()
        if found is None:
            self.place = start
            return None
        of, (wrt, indices) = found
        return Derivative(of, wrt, indices, at=self.tokens[start].at)

    def _fraction(self) -> tuple[str, tuple[str, tuple[str, ...]]] | None:
        self.take()
        parts = []
        for _ in range(2):
            if not self.skip("{"):
                return None
            part = self._differential()
            if part is None or not self.skip("}"):
                return None
            parts.append(part)
        return parts[0][0], parts[1]

    def _in_line(self) -> tuple[str, tuple[str, tuple[str, ...]]] | None:
        if self.next.text == r"\nabla":
            self.take()
            if not self.skip("_"):
                return None
            wrt = self.raw()
            return self.whole_name()[0], (self.known(wrt) or wrt, ())
        of = self._differential()
        if of is None or not self.skip("/"):
            return None
        wrt_part = self._differential()
        return None if wrt_part is None else (of[0], wrt_part)

    def _differential(self) -> tuple[str, tuple[str, ...]] | None:
        """The name and indices in `\\partial f_i` or `df`."""
        if not self._sign_of_a_differential():
            return None
        if not self.starts_name() and self.next.text not in _WORDS + _LETTERS + _ACCENTS:
            return None
        name, indices = self.whole_name()
        if indices or "_" not in name or self.known(name):
            return name, indices
        base, _, sub = name.partition("_")
        sub, _, layer = sub.partition("^")
        whole = self.known(f"{base}^{layer}" if layer else base)
        return (whole, tuple(sub)) if whole and sub.isalpha() else (name, ())

    def _sign_of_a_differential(self) -> bool:
        """Take `d`, `\\mathrm{d}` or `\\partial`."""
        if self.next.text == r"\mathrm" and self.raw_ahead(1) == "d":
            self.place += self.raw_end(1)
            return True
        if self.next.text == "d" and "d" not in self.declared:
            self.take()
            return True
        return self.skip("∂")
