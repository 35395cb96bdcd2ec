"""Single changes to a claimed derivative: what a repair may try, the plainest first.

Each is the name of a cause, the changed claim, and the change in words. Knows trees only; which
change is right, formula_repairs.py finds out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from backlit.expressions import Formula, to_text
from backlit.expressions.functions import elementwise
from backlit.expressions.nodes import (
    Binary,
    Call,
    Derivative,
    Expression,
    Index,
    Name,
    Number,
    Sum,
    Unary,
)

Edit = tuple[str, Expression, str]  # cause, the changed claim, what was changed
Path = tuple[int, ...]


@dataclass
class Claim:
    """What is known about a claim: its tree and letters, the formula, and the names it can read."""

    value: Expression
    letters: tuple[str, ...]
    name: str  # what it differentiates by
    of: str | None
    formula: Formula
    shapes: dict[str, tuple[int, ...]]


def edits(claim: Claim) -> Iterator[Edit]:
    """Every single change, in the order of belief."""
    tree = claim.value
    yield "sign", _negated(tree), "with the other sign"
    for path, part in sorted(paths(tree), key=lambda found: -len(found[0])):  # names first
        for cause, new, words in _changes(part, claim.shapes):
            yield cause, replaced(tree, path, new), words
    yield from _other_arguments(tree, claim.shapes)
    yield from _more_factors(claim)
    double = Binary("*", Number(2), Name(claim.name))
    for path, part in paths(tree):
        if part.parts() and Name(claim.name) in part.walk():
            words = f"with {to_text(double)} for {to_text(part)}"
            yield "missing_regularization", replaced(tree, path, double), words
    yield from _more_terms(claim)


# ----- what may be missing -----


def _more_factors(claim: Claim) -> Iterator[Edit]:
    factors = list(_indexed(claim, _factors(claim)))
    for path, part in _factored(claim.value):
        for number in (2, 3):
            twice = Binary("*", Number(number), part)
            words = f"with the factor {number} at {to_text(part)}"
            yield "missing_factor", replaced(claim.value, path, twice), words
            half = Binary("/", part, Number(number))
            words = f"without the factor {number} at {to_text(part)}"
            yield "extra_factor", replaced(claim.value, path, half), words
    for cause, factor in factors:
        for path, part in _factored(claim.value):
            more = replaced(claim.value, path, Binary("*", part, factor))
            yield cause, more, f"with the factor {to_text(factor)}"


def _factors(claim: Claim) -> Iterator[tuple[str, Expression]]:
    """What a chain may lack: slopes of functions, derivatives, masks, simple values."""
    plain = [s for s in claim.formula.statements if not s.claim]
    for s in plain:
        for part in s.value.walk():
            if isinstance(part, Call) and part.function in elementwise() and len(part.args) == 1:
                yield "missing_factor", Call(part.function, part.args, 1)
    for s in plain:
        if claim.of and s.target and s.target not in (claim.of, claim.name):
            yield "missing_factor", Derivative(claim.of, s.target)
    for s in plain:
        for part in s.value.walk():
            if isinstance(part, Call) or (isinstance(part, Binary) and part.op in "+-"):
                yield "missing_factor", part
    names = [Name(n) for n in claim.shapes]
    yield from (("mask_not_reused", Binary(">", n, Number(0))) for n in names)
    yield from (("missing_factor", n) for n in names)
    for n in names:
        yield "missing_factor", Binary("-", Number(1), n)
        yield "missing_factor", Binary("-", Number(1), Binary("^", n, Number(2)))
        if not claim.shapes[n.name]:
            yield from (("missing_factor", Binary("/", Number(k), n)) for k in (1, 2))


def _indexed(
    claim: Claim, factors: Iterable[tuple[str, Expression]]
) -> Iterator[tuple[str, Expression]]:
    """The factors with letters, where the claim has letters."""
    for cause, factor in dict.fromkeys(factors):
        if not claim.letters:
            yield cause, factor
            continue
        for letter in claim.letters:
            new = factor
            for path, part in paths(factor):
                if isinstance(part, Name) and len(claim.shapes.get(part.name, ())) == 1:
                    new = replaced(new, path, Index(part, (letter,)))
            yield cause, new
            if new == factor:
                break


def _factored(tree: Expression, path: Path = ()) -> Iterator[tuple[Path, Expression]]:
    """Parts that a factor may be missing at: the whole, terms, and sides of products."""
    yield path, tree
    inside = isinstance(tree, Unary | Sum) or (isinstance(tree, Binary) and tree.op in "+-@·")
    if inside:
        for k, part in enumerate(tree.parts()):
            yield from _factored(part, (*path, k))


def _more_terms(claim: Claim) -> Iterator[Edit]:
    terms: list[Expression] = [Number(1), *(Name(n) for n in claim.shapes)]
    if claim.letters:
        flat = [n for n, shape in claim.shapes.items() if len(shape) == 1]
        terms = [Number(1), *(Index(Name(n), (k,)) for n in flat for k in claim.letters)]
    for path, part in paths(claim.value):
        if not isinstance(part, Name | Index | Call | Unary):
            continue
        for term in terms:
            for op in "+-":
                new = Binary(op, part, term)
                words = f"with {to_text(new)} for {to_text(part)}"
                yield "lost_accumulation", replaced(claim.value, path, new), words


# ----- what may be another -----


def _negated(tree: Expression) -> Expression:
    """Minus the tree; a minus at its very left goes away instead."""
    if isinstance(tree, Unary):
        return tree.operand
    if isinstance(tree, Binary) and tree.op in "*/@·" and isinstance(_negated(tree.left), Binary):
        return replace(tree, left=_negated(tree.left))
    return Unary(tree)


def _other_arguments(tree: Expression, known: dict[str, tuple[int, ...]]) -> Iterator[Edit]:
    """A function taken at another value, wherever it stands in the claim."""
    calls = dict.fromkeys(
        p for _, p in paths(tree)
        if isinstance(p, Call) and p.function in elementwise() and len(p.args) == 1
    )  # fmt: skip
    for call in calls:
        for other in known:
            new = replace(call, args=(Name(other),))
            changed = tree
            for path, part in paths(tree):
                if part == call:
                    changed = replaced(changed, path, new)
            yield "wrong_saved_value", changed, f"with {to_text(new)} for {to_text(call)}"


def _changes(part: Expression, known: dict[str, tuple[int, ...]]) -> Iterator[Edit]:
    match part:
        case Name():
            for other, shape in known.items():
                if other != part.name and shape == known.get(part.name):
                    words = f"with {other} for {part.name}"
                    yield "wrong_saved_value", Name(other), words
            if known.get(part.name):
                yield "transposed", Call("transpose", (part,)), f"with {part.name} transposed"
        case Index():
            yield from _of_element(part, known)
        case Unary():
            yield "sign", part.operand, f"without the minus before {to_text(part.operand)}"
        case Call("transpose", (inner,)):
            yield "transposed", inner, f"with {to_text(inner)} not transposed"
        case Call(function, (argument,), primes) if function in elementwise():
            turned = Call(function, (argument,), 1 - primes)
            yield "wrong_saved_value", turned, f"with {to_text(turned)} for {to_text(part)}"
        case Sum():
            yield "extra_factor", part.body, f"without the sum over {part.index}"
        case Binary():
            yield from _of_pair(part)


def _of_element(part: Index, known: dict[str, tuple[int, ...]]) -> Iterator[Edit]:
    if len(part.indices) == 2:
        turned = replace(part, indices=part.indices[::-1])
        yield "transposed", turned, f"with {to_text(turned)} for {to_text(part)}"
    for other, shape in known.items():
        if other != part.base.name and len(shape) == len(part.indices):
            new = replace(part, base=Name(other))
            yield "wrong_saved_value", new, f"with {to_text(new)} for {to_text(part)}"


def _of_pair(part: Binary) -> Iterator[Edit]:
    if part.op in "+-":
        other = Binary("-" if part.op == "+" else "+", part.left, part.right)
        yield "sign", other, f"with {to_text(other)} for {to_text(part)}"
    if part.op in "*/@·":
        for kept, lost in ((part.left, part.right), (part.right, part.left)):
            if part.op == "/" and lost is part.left:
                continue
            number = part.op == "/" and isinstance(lost, Number)  # half of it: a 2 is missing
            cause = "missing_factor" if number else "extra_factor"
            yield cause, kept, f"without the {'divisor' if number else 'factor'} {to_text(lost)}"
    if part.op in "@·":
        yield (
            "transposed",
            Binary(part.op, part.right, part.left),
            (f"with {to_text(part.right)} before {to_text(part.left)}"),
        )


# ----- how to get to a part of a tree, and to put another in its place -----


def paths(tree: Expression, path: Path = ()) -> Iterator[tuple[Path, Expression]]:
    yield path, tree
    if isinstance(tree, Index):
        return
    for k, part in enumerate(tree.parts()):
        yield from paths(part, (*path, k))


def replaced(tree: Expression, path: Path, new: Expression) -> Expression:
    if not path:
        return new
    inner = replaced(tree.parts()[path[0]], path[1:], new)
    match tree:
        case Unary():
            return replace(tree, operand=inner)
        case Binary():
            return replace(tree, right=inner) if path[0] else replace(tree, left=inner)
        case Call():
            args = tuple(inner if k == path[0] else a for k, a in enumerate(tree.args))
            return replace(tree, args=args)
        case Sum():
            return replace(tree, body=inner)
    raise AssertionError(tree)
